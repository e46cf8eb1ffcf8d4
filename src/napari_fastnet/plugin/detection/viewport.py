"""Visible part of a slide, in level-0 px, and the order of blocks that follows from it.

napari's ``corner_pixels`` are those of the *loaded* region; the *visible* one follows
from the camera and the size of the canvas.
"""

from __future__ import annotations

from collections.abc import Callable
from math import hypot, inf
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from superqt.utils import qdebounced

from napari_fastnet.core.geometry import Box, Grid, Pair
from napari_fastnet.plugin.viewer_parts import camera_of, grid_of, resized, viewbox_size
from napari_fastnet.store.store import Block

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

#: Time without a move of the camera before the order of blocks follows it, ms.
STILL_MS = 100
#: Longest pause of a hand that moves the view, ms.
HAND_MS = 300


def visible_box(viewer: ViewerModel, layer: Layer) -> Box:
    """Return the box of a slide that the canvas shows.

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
    half = np.asarray(viewbox_size(viewer)) / 2
    half = half / camera_of(viewer).zoom
    for at, axis in enumerate(_shown_axes(viewer), start=-2):
        if axis >= 0:  # the whole of an axis along which the canvas does not look
            centre = camera_of(viewer).center[at]
            low[axis], high[axis] = centre - half[at], centre + half[at]
    corners = [layer.world_to_data(corner) for corner in (low, high)]
    # napari's whole numbers are centres of px, ours their upper left corners.
    (top, left), (bottom, right) = (
        (float(c[-2]) + 0.5, float(c[-1]) + 0.5) for c in corners
    )
    return Box(min(top, bottom), min(left, right), max(top, bottom), max(left, right))


def fly_to(
    viewer: ViewerModel, low: Pair, high: Pair, share: float, closest: float = inf
) -> None:
    """Centre the camera on a place of a slide, and zoom to it.

    Parameters
    ----------
    viewer : ViewerModel
        Its camera moves; the order of its axes stays.
    low, high : tuple of float
        (y, x) corners of the place in µm.
    share : float
        Largest share of the view that the place may fill, 0..1.
    closest : float, optional
        Largest zoom, px of the screen per µm.
    """
    camera, size = camera_of(viewer), viewbox_size(viewer)
    centre, zooms = list(camera.center), []
    for at, axis in enumerate(_shown_axes(viewer), start=-2):
        if axis >= 0:
            centre[at] = (low[axis] + high[axis]) / 2
            zooms.append(share * size[at] / (high[axis] - low[axis]))
    camera.center = tuple(centre)
    camera.zoom = float(min([*zooms, closest] if zooms else [camera.zoom]))


def _shown_axes(viewer: ViewerModel) -> tuple[int, int]:
    """Return the axes of a slide along canvas rows and columns: 0 is y, 1 is x.

    Swapped if the view is transposed; negative for an axis that is not the slide's, if
    images of more dimensions are open beside it.
    """
    of_slide = viewer.dims.ndim - 2
    rows, columns = viewer.dims.displayed[-2:]
    return rows - of_slide, columns - of_slide


def nearest_to_view(
    grid: Grid, view: Callable[[], Box | None]
) -> Callable[[Block], float]:
    """Return a function that ranks blocks: centre of the view first, outside last.

    Parameters
    ----------
    grid : Grid
        The run's.
    view : callable
        Returns the visible box, or None for no preference; called in the thread that
        computes.

    Returns
    -------
    callable
        Ranks a block. Those in view come before all others, each group by the distance
        to the centre of the view.
    """

    def rank(block: Block) -> float:
        seen = view()
        if seen is None:
            return 0.0
        box = grid.cells_box(block.first, block.end)
        (y, x), (middle_y, middle_x) = box.centre, seen.centre
        distance = hypot(y - middle_y, x - middle_x)
        # Far more than any distance, so that all blocks outside come after those in view.
        outside = box.intersect(seen).is_empty
        return distance + (1e12 if outside else 0.0)

    return rank


class Viewport:
    """Follows the visible part of one slide.

    Parameters
    ----------
    viewer : ViewerModel
        Its camera is followed until `close`.
    layer : Layer
        The slide's.

    Attributes
    ----------
    box : Box
        Visible box, level-0 px, when the camera last stood still; may be read from any
        thread.
    """

    def __init__(self, viewer: ViewerModel, layer: Layer) -> None:
        self._viewer, self._layer = viewer, layer
        self.box = visible_box(viewer, layer)
        self._look_later = qdebounced(self.look, timeout=STILL_MS)
        self._moving_until = 0.0
        camera, dims = camera_of(viewer), viewer.dims
        self._signals = (
            camera.events.center,
            camera.events.zoom,
            resized(viewer),
            grid_of(viewer).events.enabled,
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
        """Update `box` now."""
        self.box = visible_box(self._viewer, self._layer)

    def close(self) -> None:
        """Stop listening; `box` stays as it is."""
        for signal in self._signals:
            signal.disconnect(self._moved)
        self._look_later.cancel()

    def _moved(self, event: object = None) -> None:
        self._moving_until = perf_counter() + HAND_MS / 1e3
        self._look_later()
