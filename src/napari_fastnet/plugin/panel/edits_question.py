"""The question what becomes of strokes when masks are computed again."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox, QWidget


class EditsQuestion(QMessageBox):
    """Asks whether what was painted by hand is to stay; does not wait for the answer.

    Parameters
    ----------
    parent : QWidget
        Closes it with itself.
    edited_px : int
        How much was painted.
    answered : callable
        Gets whether the strokes stay; not called where the user thought better of it.

    Attributes
    ----------
    keep, drop : QPushButton
        The answers; the return key gives the first, escape neither.
    """

    def __init__(
        self, parent: QWidget, edited_px: int, answered: Callable[[bool], None]
    ) -> None:
        kind, roles = QMessageBox.Icon.Question, QMessageBox.ButtonRole
        text = f"{edited_px:,} px of the masks were painted by hand. Keep them?"
        super().__init__(kind, "Compute masks", text, parent=parent)
        self.setInformativeText(
            "Thresholds become automatic again. Kept, the strokes lie on the new masks."
        )
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.keep = self.addButton("Keep strokes", roles.AcceptRole)
        self.drop = self.addButton("Drop strokes", roles.DestructiveRole)
        self.addButton(QMessageBox.StandardButton.Cancel)
        self.setDefaultButton(self.keep)
        self._answered = answered
        self.buttonClicked.connect(self._clicked)
        self.open()

    def _clicked(self, button: object) -> None:
        if button in (self.keep, self.drop):
            self._answered(button is self.keep)
