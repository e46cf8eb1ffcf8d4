"""The ruler: two clicks or a drag on the canvas, and the line says its length in mm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from napari.utils.notifications import show_info

from napari_fastnet.plugin.keys import key_of
from napari_fastnet.plugin.layers.data import to_px
from napari_fastnet.plugin.viewer_parts import camera_of
from napari_fastnet.plugin.widgets.section import button

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.plugin.work.workspace import Workspace

#: Key of the viewer that takes up the ruler, or puts it away; napari uses none like it.
#: A press that moves less, px of the screen, is a click.
CLICK_PX = 5
_FLAT = "the ruler measures in the 2D view only; go back to it to measure"


class Ruler:
    """A tool that measures on the canvas; while it is up, dragging does not pan.

    A line across the current lesion takes the place of its computed axis. Any other is
    shown until the ruler is taken up again.

    Parameters
    ----------
    workspace : Workspace
        The slides of the viewer.
    current : callable
        Returns the lesion that is reviewed, or None.

    Attributes
    ----------
    button : PushButton
        Down while the ruler is up.
    """

    def __init__(
        self, workspace: Workspace, current: Callable[[], Region | None]
    ) -> None:
        self._workspace, self._current = workspace, current
        self._begin: NDArray[np.float64] | None = None
        self.up = False
        self.button = button(
            "ruler",
            "Measure in mm: click two ends, or drag; across the current lesion the line "
            f"becomes its size [{key_of('ruler')}]. Once more puts the ruler away",
        )
        self.button.native.setCheckable(True)
        self.button.native.clicked.connect(self.toggle)

    def toggle(self, _: object = None) -> None:
        """Take up the ruler, or put it away."""
        if self.up:
            self.put_away()
        else:
            self.take_up()

    def take_up(self) -> None:
        """Measure with the next two clicks or the next drag."""
        viewer, work = self._workspace.viewer, self._workspace.current
        flat = viewer.dims.ndisplay == 2
        if not self.up and work is not None and work.ready and flat:
            work.marks.show_ruler(None)
            # of the slide no click changes anything; a mask would be painted on
            viewer.layers.selection.active = work.layer
            work.layer.mode = "pan_zoom"
            self.up, self._begin = True, None
            viewer.mouse_drag_callbacks.append(self._press)
            viewer.mouse_move_callbacks.append(self._move)
            viewer.layers.selection.events.active.connect(self._other)
            camera_of(viewer).mouse_pan = False
            viewer.cursor.style = "cross"
        elif not flat:
            show_info(_FLAT)
        self.button.native.setChecked(self.up)

    def put_away(self) -> None:
        """Let dragging pan again; a line that was begun is dropped."""
        if self.up:
            viewer, work = self._workspace.viewer, self._workspace.current
            if self._begin is not None and work is not None:
                work.marks.show_ruler(None)
            self.up, self._begin = False, None
            viewer.mouse_drag_callbacks.remove(self._press)
            viewer.mouse_move_callbacks.remove(self._move)
            viewer.layers.selection.events.active.disconnect(self._other)
            active = viewer.layers.selection.active
            camera_of(viewer).mouse_pan = active is None or active.mouse_pan
            viewer.cursor.style = "standard" if active is None else active.cursor
        self.button.native.setChecked(False)

    def _other(self, event: object) -> None:
        """Put the ruler away: another layer was selected, perhaps to paint on it."""
        self.put_away()

    def _press(self, viewer: Any, event: Any) -> Iterator[None]:
        at = _place(event)
        if self._begin is not None:
            self._finish(self._begin, at)
            yield  # the rest of this press draws nothing
            return
        self._begin = at
        yield
        while event.type == "mouse_move":
            event.handled = True
            self._draw(_place(event))
            yield
        end = _place(event)
        moved = np.hypot(*(end - at)) * camera_of(viewer).zoom
        if moved >= CLICK_PX and self._begin is not None:
            self._finish(at, end)

    def _move(self, viewer: Any, event: Any) -> None:
        if self._begin is not None:
            self._draw(_place(event))

    def _draw(self, end: NDArray[np.float64]) -> None:
        work = self._workspace.current
        if work is not None and self._begin is not None:
            work.marks.show_ruler(np.stack([self._begin, end]))

    def _finish(self, begin: NDArray[np.float64], end: NDArray[np.float64]) -> None:
        """Give the line to the current lesion if it meets that, and put the ruler away."""
        work: Any = self._workspace.current
        line = np.stack([begin, end])
        self._begin = None
        self.put_away()
        if work is None:
            return
        line_px = to_px(line, work.slide.require_mpp())
        region = self._current()
        if region is None or not meets(region, line_px):
            work.marks.show_ruler(line)
            return
        work.marks.show_ruler(None)
        (y0, x0), (y1, x1) = line_px.tolist()
        work.review.measure(region, ((y0, x0), (y1, x1)))


def meets(region: Region, line_px: NDArray[np.float64]) -> bool:
    """Return whether a line meets the convex hull of a region's outlines."""
    points = np.concatenate([polygon[0] for polygon in region.polygons])
    hull = shapely.MultiPoint(points).convex_hull
    return bool(hull.intersects(shapely.LineString(line_px)))


def _place(event: Any) -> NDArray[np.float64]:
    """Return (y, x) of a mouse event in µm."""
    return np.array(event.position[-2:], np.float64)
