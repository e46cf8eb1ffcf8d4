"""A field for a number: either decimal sign, shown as used, refused with a word."""

from __future__ import annotations

import re
from functools import cache
from math import ceil, isfinite, log10
from typing import Any

from magicgui.application import use_app
from magicgui.widgets.bases import RangedWidget, SliderWidget
from napari.utils.notifications import show_warning
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox, QSlider, QWidget

#: A number with one decimal sign at most: no sign groups thousands, since "1,000" is
#: one in half of the world and a thousand in the other.
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d{1,3})?", re.IGNORECASE)
#: Of a length, as people paste it along with the number.
UNITS = ("µm/px", "μm/px", "um/px", "µm", "μm", "um")


def number_in(text: str) -> float | None:
    """Return the number that a person wrote, None where it is none.

    Parameters
    ----------
    text : str
        Such as "0.25", "0,25" or "0.25 µm"; spaces around it do not matter.
    """
    bare = text.strip()
    for unit in UNITS:
        bare = bare.removesuffix(unit).rstrip()
    if not NUMBER.fullmatch(bare):
        return None
    value = float(bare.replace(",", "."))
    return value if isfinite(value) else None


class NumberBox(QDoubleSpinBox):
    """A spin box whose text is read and written alike in every language.

    Shows as many decimals as the value has, from `least_decimals` to ``decimals()``.
    Text that is no number, or is out of range, is told of and the value before stays.

    Parameters
    ----------
    parent : QWidget, optional
        As of any widget.

    Attributes
    ----------
    what : str
        The number's name, for messages.
    least_decimals : int
        That are shown also where they are 0.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.what = "number"
        self.least_decimals = 0
        self.setKeyboardTracking(False)  # "0" is on the way to "0.25" and no value

    def show_decimals(self, least: int, most: int) -> None:
        """Show so many decimals, and keep room for the most."""
        self.least_decimals = least
        self.setDecimals(most)
        widest = f"{self.maximum():.{most}f}"
        margins = self.lineEdit().textMargins()  # type: ignore[union-attr]
        width = self.fontMetrics().horizontalAdvance(f"{widest} ")
        self.setMinimumWidth(width + margins.left() + margins.right() + 6)

    def textFromValue(self, value: float) -> str:  # noqa: N802 - Qt's name
        """Format a value as it is shown: with a point, without groups."""
        whole, _, rest = f"{value:.{self.decimals()}f}".partition(".")
        rest = rest.rstrip("0").ljust(self.least_decimals, "0")
        return f"{whole}.{rest}" if rest else whole

    def valueFromText(self, text: str | None) -> float:  # noqa: N802 - Qt's name
        """Return the number in a text; the value of now where there is none."""
        value = number_in(text or "")
        return self.value() if value is None else round(value, self.decimals())

    def validate(self, text: str | None, at: int) -> tuple[QValidator.State, str, int]:
        """Let anything be typed; only a number in range is acceptable."""
        fits = self._in_range(text or "")
        states = QValidator.State
        return states.Acceptable if fits else states.Intermediate, text or "", at

    def fixup(self, text: str | None) -> str:
        """Say why a text is not taken; the value before comes back."""
        low, high = (f"{bound:g}" for bound in (self.minimum(), self.maximum()))
        typed = (text or "").strip()
        if typed:
            show_warning(
                f'{self.what}: "{typed[:40]}" is no number from {low} to {high}; '
                f"{self.textFromValue(self.value())} stays"
            )
        return text or ""

    def _in_range(self, text: str) -> bool:
        value = number_in(text)
        return value is not None and self.minimum() <= value <= self.maximum()


#: Beyond those of the step, so that a number from elsewhere is shown as it is.
MORE_DECIMALS = 2


class NumberSlider(SliderWidget[float]):
    """A slider beside its number.

    A hand on the slider gives multiples of the step, whatever it does there; a number
    that is typed, or comes from a file, may lie between them.

    Parameters
    ----------
    what : str
        The number's name, for messages.
    step, page : float
        Of the arrow keys; of a click beside the handle and the page keys.
    **options : Any
        As of magicgui's ``FloatSlider``.
    """

    def __init__(self, what: str, *, step: float, page: float, **options: Any) -> None:
        super().__init__(widget_type=_slider_backend(), step=step, **options)
        slider = self._slider = self.native.findChild(QSlider)
        self._unit = slider.singleStep()
        slider.setPageStep(round(page / step) * self._unit)
        slider.actionTriggered.connect(self._round)
        self.box = _named(self.native.findChild(NumberBox), what, step)

    def _round(self, _: int) -> None:
        """Move on to a multiple of the step, before the value is."""
        at = round(self._slider.sliderPosition() / self._unit) * self._unit
        self._slider.setSliderPosition(at)


class NumberField(RangedWidget[float]):
    """A field for a number.

    Parameters
    ----------
    what : str
        The number's name, for messages.
    step : float
        Of the arrow keys.
    **options : Any
        As of magicgui's ``FloatSpinBox``.
    """

    def __init__(self, what: str, *, step: float, **options: Any) -> None:
        super().__init__(widget_type=_field_backend(), step=step, **options)
        self.box = _named(self.native, what, step)

    def take_typed(self) -> None:
        """Take what was typed but not confirmed."""
        self.box.interpretText()


def _named(box: NumberBox, what: str, step: float) -> NumberBox:
    """Return a box with its name, and decimals for a step."""
    box.what = what
    of_step = max(0, ceil(-log10(step)))
    box.show_decimals(of_step, of_step + MORE_DECIMALS)
    return box


@cache
def _slider_backend() -> type[Any]:
    """Return magicgui's slider with our number beside it."""
    base: Any = use_app().get_obj("FloatSlider")

    class Backend(base):  # type: ignore[misc]
        _readout = NumberBox

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            # the arrow keys end no editing: the number moved and the slider did not
            self._readout_widget.valueChanged.connect(self._on_readout_change)

        def _pre_set_hook(self, value: float) -> int:
            # cut off, as magicgui does, 0.29 may come back as 0.289999
            return round(value * float(self._precision))

        def _on_readout_change(self, _: object = None) -> None:
            shown = self._readout_widget.value()
            exact: float = self._mgui_get_value()
            if shown != round(exact, self._readout_widget.decimals()):
                super()._on_readout_change()

    return Backend


@cache
def _field_backend() -> type[Any]:
    """Return magicgui's field for numbers with our box in it."""
    base: Any = use_app().get_obj("FloatSpinBox")

    class Backend(base):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super(base, self).__init__(NumberBox, **options)

    return Backend
