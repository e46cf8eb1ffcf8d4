"""Hands: mouse, wheel and keys, given to windows as the system gives them."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QKeyEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
)

LEFT = Qt.MouseButton.LeftButton
PLAIN = Qt.KeyboardModifier.NoModifier
NOTCH = 120


def seen_point(widget: Any, rng: Any = None) -> QPoint | None:
    """Return a point of a widget that is on screen, None where nothing of it is."""
    if not widget.isVisible():
        return None
    rect = widget.visibleRegion().boundingRect()
    if rect.width() < 3 or rect.height() < 3:
        return None
    if rng is None:
        return rect.center()
    x = int(rng.integers(rect.left() + 1, rect.right()))
    return QPoint(x, int(rng.integers(rect.top() + 1, rect.bottom())))


def activate(widget: Any) -> None:
    """Make the window of a widget the active one, as a window manager does at a click."""
    window = widget.window()
    if not window.isActiveWindow() and QApplication.activePopupWidget() is None:
        window.activateWindow()
        QTest.qWait(40)


def in_window(widget: Any, at: QPoint) -> tuple[Any, QPoint]:
    """Return the system's window of a widget, and where in it a point is."""
    window = widget.window()
    return window.windowHandle(), widget.mapTo(window, at)


def click(widget: Any, at: QPoint | None = None, modifier: Any = PLAIN) -> None:
    """Click where a widget is seen; whatever lies above it gets the click."""
    at = at or seen_point(widget)
    if at is None:
        return
    activate(widget)
    window, place = in_window(widget, at)
    if window is not None:
        QTest.mouseMove(window, place)
        QTest.mouseClick(window, LEFT, modifier, place)


def double_click(widget: Any, at: QPoint) -> None:
    """Click twice."""
    window, place = in_window(widget, at)
    if window is not None:
        QTest.mouseClick(window, LEFT, PLAIN, place)
        QTest.mouseDClick(window, LEFT, PLAIN, place)


def drag(widget: Any, way: list[QPoint], pause_ms: int = 8) -> None:
    """Press at the first of some points of a widget, move along, release at the last."""
    window, _ = in_window(widget, way[0])
    if window is None:
        return
    places = [in_window(widget, at)[1] for at in way]
    QTest.mouseMove(window, places[0])
    QTest.mousePress(window, LEFT, PLAIN, places[0])
    for place in places[1:]:
        QTest.mouseMove(window, place)
        QTest.qWait(pause_ms)
    QTest.mouseRelease(window, LEFT, PLAIN, places[-1])


def wheel(widget: Any, at: QPoint, notches: int, modifier: Any = PLAIN) -> None:
    """Turn the wheel over a point of a widget, up for positive notches.

    As the system's events go: the widget that is seen there gets it, and what it does
    not take goes to the one it lies in. Qt itself does not pass on what a program sends.
    """
    at_screen = QPointF(widget.mapToGlobal(at))
    for _ in range(abs(notches)):
        over = widget.window().childAt(widget.mapTo(widget.window(), at))
        while over is not None:
            event = QWheelEvent(
                over.mapFromGlobal(at_screen),
                at_screen,
                QPoint(),
                QPoint(0, NOTCH if notches > 0 else -NOTCH),
                Qt.MouseButton.NoButton,
                modifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            QApplication.sendEvent(over, event)
            over = None if event.isAccepted() else over.parentWidget()


def key(widget: Any, *keys: Any, modifier: Any = PLAIN) -> None:
    """Press keys in the window of a widget; who has the focus gets them."""
    activate(widget)
    window = widget.window().windowHandle()
    for each in keys:
        if window is not None:
            QTest.keyClick(window, each, modifier)


def write(widget: Any, text: str) -> None:
    """Type a text over what a widget that was clicked holds."""
    window = widget.window()  # stays, where an editor goes when its list is drawn anew
    key(widget, Qt.Key.Key_A, modifier=Qt.KeyboardModifier.ControlModifier)
    for letter in text:
        if letter.isascii():
            QTest.keyClick(window.windowHandle(), letter)
        else:  # as an input method brings it
            target = QApplication.focusWidget() or window
            for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
                QApplication.sendEvent(target, QKeyEvent(kind, 0, PLAIN, letter))


def answer(rng: Any, files: list[str]) -> str | None:
    """Answer what stands in front of all windows; return what it was, None for nothing."""
    popup = QApplication.activePopupWidget()
    if popup is not None:
        return _answer_popup(popup, rng)
    dialog = QApplication.activeModalWidget()
    if dialog is None:
        return None
    if isinstance(dialog, QFileDialog):
        return _answer_file_dialog(dialog, rng, files)
    # asked before: what is answered may be deleted at once
    title = f"{type(dialog).__name__} {dialog.windowTitle()}"
    if isinstance(dialog, QMessageBox) and rng.random() < 0.7:
        button = dialog.buttons()[int(rng.integers(len(dialog.buttons())))]
        text = button.text()
        QTest.mouseClick(button, LEFT)
        return f"{title}: {text}"
    chosen = Qt.Key.Key_Escape if rng.random() < 0.5 else Qt.Key.Key_Return
    key(dialog, chosen)
    if QApplication.activeModalWidget() is dialog and isinstance(dialog, QDialog):
        dialog.reject()
    return f"{title}: {chosen.name}"


def _answer_popup(popup: Any, rng: Any) -> str:
    """Choose something of a list or a menu, or leave it."""
    down = int(rng.integers(0, 5))
    end = Qt.Key.Key_Return if rng.random() < 0.7 else Qt.Key.Key_Escape
    for each in [Qt.Key.Key_Down] * down + [end]:
        if QApplication.activePopupWidget() is popup:
            QTest.keyClick(popup, each)
    if QApplication.activePopupWidget() is popup:  # a menu of which nothing was chosen
        QTest.keyClick(popup, Qt.Key.Key_Escape)
    if QApplication.activePopupWidget() is popup:
        popup.close()
    return f"{'menu' if isinstance(popup, QMenu) else 'list'}: {down} down, {end.name}"


def _answer_file_dialog(dialog: Any, rng: Any, files: list[str]) -> str:
    """Name one of the files, or cancel."""
    name, title = str(rng.choice(files)), dialog.windowTitle()
    field = dialog.findChild(QLineEdit, "fileNameEdit")
    if field is None or rng.random() < 0.3:
        key(dialog, Qt.Key.Key_Escape)
        return f"{title}: cancelled"
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, name)
    QTest.keyClick(field, Qt.Key.Key_Return)
    if QApplication.activeModalWidget() is dialog:
        dialog.reject()
    return f"{title}: {name}"
