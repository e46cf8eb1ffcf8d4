"""Noticing that a widget was taken out of the window, though it may live on."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget


class UndockWatch(QObject):
    """Calls back when a widget has no parent any more.

    napari takes the widget out of a dock that is closed, and whoever holds it keeps it
    alive: nothing is destroyed, nothing hidden is shown again.

    Parameters
    ----------
    widget : QWidget
        Owns this object.
    on_undocked : callable
        Called without arguments.
    """

    def __init__(self, widget: QWidget, on_undocked: Callable[[], None]) -> None:
        super().__init__(widget)
        self._on_undocked = on_undocked
        widget.installEventFilter(self)

    def eventFilter(  # noqa: N802 - Qt's name
        self, watched: QObject | None, event: QEvent | None
    ) -> bool:
        """Look at the events of the widget; none is held back."""
        if (
            event is not None
            and event.type() == QEvent.Type.ParentChange
            and watched is not None
            and watched.parent() is None
        ):
            self._on_undocked()
        return False
