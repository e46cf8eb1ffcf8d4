"""What of a slide is on screen, in level-0 px, and in which order to look at it.

napari's ``corner_pixels`` tell what was *loaded*; what is *seen* follows from the
camera and the size of the canvas.
"""

from __future__ import annotations

from collections.abc import Callable
from math import hypot
from time import perf_counter
from typing import TYPE_CHECKING

from superqt.utils import qdebounced

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.io.store import Block

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
    camera = viewer.scene.camera
    half = [side / 2 / camera.zoom for side in viewer.canvas.size]
    centre = camera.center[-2:]
    corners = [
        layer.world_to_data([c + sign * h for c, h in zip(centre, half, strict=True)])
        for sign in (-1, 1)
    ]
    # napari's whole numbers are centres of px, ours their upper left corners.
    (top, left), (bottom, right) = ((c[-2] + 0.5, c[-1] + 0.5) for c in corners)
    return Box(min(top, bottom), min(left, right), max(top, bottom), max(left, right))


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
        self._camera = viewer.scene.camera
        self._camera.events.center.connect(self._moved)
        self._camera.events.zoom.connect(self._moved)
        viewer.canvas.events.size.connect(self._moved)

    @property
    def moving(self) -> bool:
        """Whether the camera was moved just now; may be read from any thread."""
        return perf_counter() < self._moving_until

    def look(self) -> None:
        """Look now."""
        self.box = visible_box(self._viewer, self._layer)

    def close(self) -> None:
        """Stop listening; `box` stays as it is."""
        self._camera.events.center.disconnect(self._moved)
        self._camera.events.zoom.disconnect(self._moved)
        self._viewer.canvas.events.size.disconnect(self._moved)
        self._look_later.cancel()

    def _moved(self, event: object = None) -> None:
        self._moving_until = perf_counter() + HAND_MS / 1e3
        self._look_later()
