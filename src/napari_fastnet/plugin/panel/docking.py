"""A panel in its dock: noticing that it was taken out, and wide enough to be read."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QScrollArea, QWidget


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


class WidthKeeper(QObject):
    """Keeps a scroll area as wide as what it shows, in every theme.

    magicgui measures before napari's theme makes the widgets wider, and their right
    ends lay under the scroll bar.

    Parameters
    ----------
    area : QScrollArea
        Owns this object; scrolls up and down only.
    """

    def __init__(self, area: QScrollArea) -> None:
        super().__init__(area)
        area.installEventFilter(self)

    def eventFilter(  # noqa: N802 - Qt's name
        self, watched: QObject | None, event: QEvent | None
    ) -> bool:
        """Look at the events of the area; none is held back."""
        shown = event is not None and event.type() == QEvent.Type.Show
        if shown and isinstance(watched, QScrollArea):
            content, bar = watched.widget(), watched.verticalScrollBar()
            assert content is not None
            assert bar is not None
            width = content.minimumSizeHint().width() + bar.sizeHint().width()
            watched.setMinimumWidth(width + 2 * watched.frameWidth())
        return False
