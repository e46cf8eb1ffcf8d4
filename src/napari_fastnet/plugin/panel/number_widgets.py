"""Sliders and fields for numbers: what they show is what they hand on."""

from __future__ import annotations

from functools import cache
from math import ceil, log10
from typing import Any

from magicgui.application import use_app
from magicgui.widgets.bases import RangedWidget, SliderWidget
from qtpy.QtWidgets import QSlider

from napari_fastnet.plugin.panel.number_box import NumberBox

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
