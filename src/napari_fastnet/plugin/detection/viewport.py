"""What of a slide is on screen, in level-0 px, and in which order to look at it.

napari's ``corner_pixels`` tell what was *loaded*; what is *seen* follows from the
camera and the size of the canvas.
"""

from __future__ import annotations

from collections.abc import Callable
from math import hypot
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from superqt.utils import qdebounced

from napari_fastnet.core.geometry import Box, Grid, Pair
from napari_fastnet.store.store import Block

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

#: The camera has been still for so long, ms, before the order of work changes.
STILL_MS = 100
#: A hand that moves the view pauses for less, ms.
HAND_MS = 300


def visible_box(viewer: ViewerModel, layer: Layer) -> Box:
    """Return what the canvas shows of a slide's layer.

    Parameters
    ----------
    viewer : ViewerModel
        With its camera and canvas.
    layer : Layer
        The slide's; its data coordinates are level-0 px.

    Returns
    -------
    Box
        Level-0 px; may reach beyond the slide.
    """
    low, high = (np.array(corner[-2:]) for corner in layer.extent.world)
    half = np.asarray(viewer.canvas.viewbox_size(viewer.layers)) / 2
    half = half / viewer.scene.camera.zoom
    for at, axis in enumerate(_shown_axes(viewer), start=-2):
        if axis >= 0:  # the whole of an axis along which the canvas does not look
            centre = viewer.scene.camera.center[at]
            low[axis], high[axis] = centre - half[at], centre + half[at]
    corners = [layer.world_to_data(corner) for corner in (low, high)]
    # napari's whole numbers are centres of px, ours their upper left corners.
    (top, left), (bottom, right) = (
        (float(c[-2]) + 0.5, float(c[-1]) + 0.5) for c in corners
    )
    return Box(min(top, bottom), min(left, right), max(top, bottom), max(left, right))


def fly_to(viewer: ViewerModel, low: Pair, high: Pair, share: float) -> None:
    """Show a place of a slide in the middle of the canvas, or of each view of a grid.

    Parameters
    ----------
    viewer : ViewerModel
        Its camera moves; the order of its axes stays.
    low, high : tuple of float
        (y, x) corners of the place, world coordinates, µm.
    share : float
        Of the view that the place is to fill, 0..1.
    """
    camera, size = viewer.scene.camera, viewer.canvas.viewbox_size(viewer.layers)
    centre, zooms = list(camera.center), []
    for at, axis in enumerate(_shown_axes(viewer), start=-2):
        if axis >= 0:
            centre[at] = (low[axis] + high[axis]) / 2
            zooms.append(share * size[at] / (high[axis] - low[axis]))
    camera.center = tuple(centre)
    camera.zoom = float(min(zooms, default=camera.zoom))


def _shown_axes(viewer: ViewerModel) -> tuple[int, int]:
    """Return the axis of a slide along canvas rows and columns: 0 is y, 1 is x.

    Exchanged where the view is transposed; negative for an axis that is not the slide's,
    where images of more dimensions are open beside it.
    """
    of_slide = viewer.dims.ndim - 2
    rows, columns = viewer.dims.displayed[-2:]
    return rows - of_slide, columns - of_slide


def nearest_to_view(
    grid: Grid, view: Callable[[], Box | None]
) -> Callable[[Block], float]:
    """Return a rank for blocks: lowest in the middle of the view, those outside last.

    Parameters
    ----------
    grid : Grid
        Of the run.
    view : callable
        Returns what is on screen now, None where that is not known; asked from the
        thread that works.

    Returns
    -------
    callable
        Takes a block. Blocks in view come before all others, each group by the
        distance to the middle of the view.
    """

    def rank(block: Block) -> float:
        seen = view()
        if seen is None:
            return 0.0
        box = grid.cells_box(block.first, block.end)
        (y, x), (middle_y, middle_x) = box.centre, seen.centre
        distance = hypot(y - middle_y, x - middle_x)
        # What is outside comes after all of what is inside, however large a block is.
        outside = box.intersect(seen).is_empty
        return distance + (1e12 if outside else 0.0)

    return rank


class Viewport:
    """Keeps an eye on what the canvas shows of one layer.

    Parameters
    ----------
    viewer : ViewerModel
        Listened to until `close`.
    layer : Layer
        The slide's.

    Attributes
    ----------
    box : Box
        What is on screen, level-0 px, as of when the camera last stood still; may be
        read from any thread.
    """

    def __init__(self, viewer: ViewerModel, layer: Layer) -> None:
        self._viewer, self._layer = viewer, layer
        self.box = visible_box(viewer, layer)
        self._look_later = qdebounced(self.look, timeout=STILL_MS)
        self._moving_until = 0.0
        camera, canvas, dims = viewer.scene.camera, viewer.canvas, viewer.dims
        self._signals = (
            camera.events.center,
            camera.events.zoom,
            canvas.events.size,
            canvas.grid.events.enabled,
            dims.events.order,
            dims.events.ndisplay,
        )
        for signal in self._signals:
            signal.connect(self._moved)

    @property
    def moving(self) -> bool:
        """Whether the camera was moved just now; may be read from any thread."""
        return perf_counter() < self._moving_until

    def look(self) -> None:
        """Look now."""
        self.box = visible_box(self._viewer, self._layer)

    def close(self) -> None:
        """Stop listening; `box` stays as it is."""
        for signal in self._signals:
            signal.disconnect(self._moved)
        self._look_later.cancel()

    def _moved(self, event: object = None) -> None:
        self._moving_until = perf_counter() + HAND_MS / 1e3
        self._look_later()
