"""A field for a number: either decimal sign, shown as used, refused with a word."""

from __future__ import annotations

import re
from math import isfinite

from napari.utils.notifications import show_warning
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox, QWidget

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
        """Return how a value is shown: with a point, without groups."""
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
