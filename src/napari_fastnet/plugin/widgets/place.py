"""The place of the panel in napari's window, its width, and the view beside it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import (
    QDockWidget,
    QLayout,
    QMainWindow,
    QScrollArea,
    QSplitter,
    QWidget,
)

from napari_fastnet.plugin.layers.canvas_context import real_viewer
from napari_fastnet.plugin.settings import Side, chosen_side, remember_side
from napari_fastnet.plugin.viewer_parts import camera_of, resized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel

#: The canvas has its new size so long after the panel is docked, ms.
DOCKED_MS = 1000
#: napari fits a slide before its window has its final size; relative error of the zoom.
FITTED = 0.15
#: Names of napari's docks: the one whose width the panel shares, and the one below.
CONTROLS, LAYERS = "layer controls", "layer list"
#: Areas, by their names in the preferences.
SIDES: dict[Qt.DockWidgetArea, Side] = {
    Qt.DockWidgetArea.LeftDockWidgetArea: "left",
    Qt.DockWidgetArea.RightDockWidgetArea: "right",
}
#: Share of the left column's height for the panel; the rest is the layer list's.
PANEL_SHARE = 0.82


#: The offer of the panel in each viewer, as long as it is open.
OFFERS: WeakKeyDictionary[ViewerModel, QWidget] = WeakKeyDictionary()


def withdraw_offer(viewer: ViewerModel) -> None:
    """Close the offer of the panel in a viewer, if one is open."""
    offer = OFFERS.pop(real_viewer(viewer), None)
    window: Any = getattr(viewer, "window", None)
    if offer is not None and window is not None:
        with suppress(LookupError):  # closed by the user
            window.remove_dock_widget(offer)


def dock_of(widget: QObject) -> QDockWidget | None:
    """Return the dock that a widget is in, if any."""
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    return parent


def order_tabs(content: QWidget) -> None:
    """Make the tab key go through widgets in the order in which they are seen.

    Qt's own order is that in which they were made.
    """
    before: QWidget | None = None
    for widget in _in_order(content):
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            if before is not None:
                QWidget.setTabOrder(before, widget)
            before = widget


def _in_order(inside: QWidget | QLayout) -> Iterator[QWidget]:
    """Yield the widgets in a widget or a layout, and those in them, as they are seen."""
    if isinstance(inside, QSplitter):
        parts: list[Any] = [inside.widget(index) for index in range(inside.count())]
    else:
        layout = inside if isinstance(inside, QLayout) else inside.layout()
        items = (
            [layout.itemAt(index) for index in range(layout.count())] if layout else []
        )
        parts = [item.widget() or item.layout() for item in items if item is not None]
    for part in filter(None, parts):
        if isinstance(part, QWidget):
            yield part
        yield from _in_order(part)


class OnTheLeft(QObject):
    """A watch that makes a panel a tab beside napari's layer controls once it is docked.

    They take 356 px whatever is in them. On a screen of 1366 px a second column on the
    right leaves the slide little more than a third; so the slide has nearly three quarters.
    A panel that a script puts elsewhere stays there, and one that a person moves to the
    right comes back there.

    Parameters
    ----------
    panel : QWidget
        Owns this object.
    viewer : ViewerModel
        Its slide stays fitted to the canvas, which becomes wider.
    """

    def __init__(self, panel: QWidget, viewer: ViewerModel) -> None:
        super().__init__(panel)
        self._panel, self._viewer = panel, viewer
        panel.installEventFilter(self)

    def eventFilter(  # noqa: N802 - Qt's name
        self, watched: QObject | None, event: QEvent | None
    ) -> bool:
        """Watch the panel's events and let all pass."""
        if event is not None and event.type() == QEvent.Type.Show:
            self._panel.removeEventFilter(self)
            QTimer.singleShot(0, self._move)
        return False

    def _move(self) -> None:
        dock = dock_of(self._panel)
        window = None if dock is None else dock.parent()
        if dock is None or not isinstance(window, QMainWindow):
            return
        controls = window.findChildren(QDockWidget, CONTROLS)
        if (
            dock.isFloating()
            or not controls
            or window.dockWidgetArea(dock) not in SIDES
        ):
            return
        if chosen_side() == "left":
            # the first picture of a slide may take longer than the panel's own fit lasts
            self._fit = FitOnceDocked(self, self._viewer)
            self._tabify(window, dock, controls[0])
        dock.dockLocationChanged.connect(_remember)

    def _tabify(
        self, window: QMainWindow, dock: QDockWidget, controls: QDockWidget
    ) -> None:
        window.tabifyDockWidget(controls, dock)
        # the review, below, leaves the column its height
        left = Qt.DockWidgetArea.LeftDockWidgetArea
        window.setCorner(Qt.Corner.BottomLeftCorner, left)
        dock.raise_()
        column = [dock, *window.findChildren(QDockWidget, LAYERS)]
        height = window.height()
        heights = [round(PANEL_SHARE * height), round((1 - PANEL_SHARE) * height)]
        window.resizeDocks(column, heights[: len(column)], Qt.Orientation.Vertical)


def _remember(area: Qt.DockWidgetArea) -> None:
    """Remember the side to which a person has moved the panel."""
    if area in SIDES:
        remember_side(SIDES[area])


class WidthKeeper(QObject):
    """A watch that keeps a scroll area as wide as its content, in every theme.

    magicgui measures the content before napari's theme widens it. Without this, the
    right ends of the widgets lie under the scroll bar.

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
        """Watch the area's events and let all pass."""
        shown = event is not None and event.type() == QEvent.Type.Show
        if shown and isinstance(watched, QScrollArea):
            content, bar = watched.widget(), watched.verticalScrollBar()
            assert content is not None
            assert bar is not None
            width = content.minimumSizeHint().width() + bar.sizeHint().width()
            watched.setMinimumWidth(width + 2 * watched.frameWidth())
        return False


class FitOnceDocked(QObject):
    """A watch that keeps the slide fitted to the canvas while a widget is docked.

    A view that the user has moved is left alone.

    Parameters
    ----------
    parent : QObject
        Owns this object; about to be docked.
    viewer : ViewerModel
        The viewer whose canvas becomes smaller.
    """

    def __init__(self, parent: QObject, viewer: ViewerModel) -> None:
        super().__init__(parent)
        self._viewer = viewer
        before = self._view()
        if not viewer.layers:
            return
        viewer.reset_view()
        self._fitted = self._view()
        centred = np.allclose(before[:3], self._fitted[:3])
        if not (centred and np.isclose(before[3], self._fitted[3], rtol=FITTED)):
            camera = camera_of(viewer)
            camera.center, camera.zoom = tuple(before[:3]), float(before[3])
            return
        resized(viewer).connect(self._resized, position="last")
        QTimer.singleShot(DOCKED_MS, self._leave)

    def _view(self) -> np.ndarray:
        camera = camera_of(self._viewer)
        return np.array([*camera.center, camera.zoom])

    def _resized(self, event: object) -> None:
        if np.allclose(self._view(), self._fitted):
            self._viewer.reset_view()
            self._fitted = self._view()

    def _leave(self) -> None:
        resized(self._viewer).disconnect(self._resized)
