"""Scrolling and keys of the window pass by the panel's controls and change none."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QLocale, QObject, Qt
from qtpy.QtGui import QFocusEvent, QKeyEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QScrollBar,
    QWidget,
)

#: What keeps its value while others scroll over it.
CONTROLS = (QComboBox, QAbstractSpinBox, QAbstractSlider)
#: To the ends of a slider; in napari Home shows the whole slide.
TO_THE_ENDS = (Qt.Key.Key_Home, Qt.Key.Key_End)
#: Reasons of a focus that was moved by keys.
REACHED_BY_KEYS = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)


class ScrollGuard(QObject):
    """Holds events back from controls that would change by them without being meant.

    A wheel turns a slider or a number only once that was clicked or reached by Tab, and
    never what is chosen of a list: a list keeps the focus after a choice, and the next
    scrolling over it would choose again. Letters and digits choose nothing of a closed
    list, Home and End move no slider, and the space bar presses no button that was
    clicked before (one that was reached by Tab it does): they are keys of the viewer.

    Parameters
    ----------
    inside : QWidget
        Owns this object; the controls in it are watched.
    """

    def __init__(self, inside: QWidget) -> None:
        super().__init__(inside)
        #: The last that was clicked, unless one was reached by keys since.
        self._clicked: QWidget | None = None
        # of all numbers that Qt writes by itself, such as a bar's per cent
        inside.setLocale(QLocale.c())
        for kind in CONTROLS:
            for control in inside.findChildren(kind):
                if not isinstance(control, QScrollBar):
                    control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                    control.installEventFilter(self)
        for button in inside.findChildren(QAbstractButton):
            # On macOS too: what is being typed is taken before the button is pressed.
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            button.installEventFilter(self)

    def eventFilter(  # noqa: N802 - Qt's name
        self, watched: QObject | None, event: QEvent | None
    ) -> bool:
        """Pass an event on to what the control lies in, where it is not meant for it."""
        if event is None or not isinstance(watched, QWidget):
            return False
        if event.type() == QEvent.Type.MouseButtonPress:
            # not the reason of the focus: a window that was left and is active again
            # gives the focus back for a reason of its own
            self._clicked = watched
            return False
        if isinstance(event, QFocusEvent) and event.gotFocus():
            if event.reason() in REACHED_BY_KEYS:
                self._clicked = None
            return False
        if event.type() == QEvent.Type.Wheel and isinstance(watched, CONTROLS):
            meant = watched.hasFocus() and not isinstance(watched, QComboBox)
        elif event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            meant = self._is_for(watched, event)
        else:
            return False
        if not meant:
            event.ignore()
        return not meant

    def _is_for(self, control: QWidget, event: QKeyEvent) -> bool:
        """Return whether a key is meant for the control that has the focus."""
        if isinstance(control, QComboBox):
            letters = event.text().strip()
            return not (letters and letters.isprintable())
        if isinstance(control, QAbstractSlider):
            return event.key() not in TO_THE_ENDS
        if isinstance(control, QAbstractButton):
            return control is not self._clicked or event.key() != Qt.Key.Key_Space
        return True
