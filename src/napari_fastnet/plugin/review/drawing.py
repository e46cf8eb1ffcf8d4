"""Drawing by hand: a new lesion, a corrected outline, a line that cuts one in two.

napari's own tools draw, in a Shapes layer that exists only meanwhile: what is drawn
becomes a decision, not a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from qtpy.QtCore import QTimer

from napari_fastnet.plugin.layers.data import UM
from napari_fastnet.plugin.viewer_parts import camera_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray


Task = Literal["draw", "correct", "cut"]
LAYER_NAME = "lesion drawing"
#: napari's tool for each task, and what is said meanwhile.
MODES: dict[Task, str] = {"draw": "add_polygon", "correct": "direct", "cut": "add_line"}
HINTS: dict[Task, str] = {
    "draw": "click the corners of the lesion on the slide; a double click ends it",
    "correct": "drag the points of the outline, then press Done",
    "cut": "drag a line across the outline, from one side to the other",
}
#: Colour and width of the lines, on the screen.
COLOUR, WIDTH_PX = "#0047ff", 2.0
#: A line that is shorter on the screen was a click, px.
CLICK_PX = 4.0


class Drawing:
    """A drawing by hand on a slide, not finished yet.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the layer.
    ended : callable
        Called without arguments when the layer is gone again.

    Attributes
    ----------
    task : str or None
        What is being done; None while nothing is drawn.
    """

    def __init__(self, viewer: ViewerModel, ended: Callable[[], None]) -> None:
        self._viewer, self._ended = viewer, ended
        self.task: Task | None = None
        self._layer: Any = None
        self._active: Layer | None = None
        self._take: Callable[[list[NDArray[np.float64]]], None] = lambda _: None

    def begin(
        self,
        task: Task,
        take: Callable[[list[NDArray[np.float64]]], None],
        rings_um: Sequence[NDArray[np.float64]] = (),
    ) -> None:
        """Make the layer, and let the person draw.

        Parameters
        ----------
        task : {"draw", "correct", "cut"}
            The first and the last end by themselves, with the shape that was drawn;
            a correction ends with `finish`.
        take : callable
            Gets the shapes, (n, 2) in µm.
        rings_um : sequence of ndarray
            Outlines to correct, in µm.
        """
        from napari.layers import Shapes

        self.cancel()
        self.task, self._take = task, take
        width = WIDTH_PX / camera_of(self._viewer).zoom
        looks = {"edge_color": COLOUR, "face_color": "transparent", "edge_width": width}
        layer: Any = Shapes(ndim=2, name=LAYER_NAME, units=UM, **looks)
        if rings_um:
            layer.add(list(rings_um), shape_type="polygon", **looks)
        for name, value in looks.items():
            setattr(layer, f"current_{name}", value)
        self._active = self._viewer.layers.selection.active
        self._layer = layer
        self._viewer.layers.append(layer)
        self._viewer.layers.selection.active = layer
        layer.mode = MODES[task]
        layer.selected_data = set(range(len(rings_um)))  # shows their points
        layer.events.data.connect(self._changed)

    def finish(self) -> None:
        """Take what is drawn by now."""
        if self._layer is None:
            return
        shapes = [np.array(shape, np.float64)[:, -2:] for shape in self._layer.data]
        take = self._take
        self.cancel()
        take(shapes)

    def cancel(self) -> None:
        """Drop what is drawn, and remove the layer."""
        layer, self._layer, self.task = self._layer, None, None
        if layer is None:
            return
        layer.events.data.disconnect(self._changed)
        layers = self._viewer.layers
        if layer in layers:
            layer.mode = "pan_zoom"
            layers.remove(layer)
        if self._active in layers:
            layers.selection.active = self._active
        self._ended()

    def _changed(self, event: Any) -> None:
        # napari is in the middle of its own work on the shape
        if self.task in ("draw", "cut"):
            QTimer.singleShot(0, self._look)

    def _look(self) -> None:
        """Finish if the shape is whole: napari announces its first point as well."""
        if self._layer is None or not len(self._layer.data):
            return
        if self.task == "draw" and self._layer.shape_type[-1] == "polygon":
            self.finish()
        elif self.task == "cut":
            first, last = self._layer.data[-1][[0, -1], -2:]
            length_px = np.hypot(*(last - first)) * camera_of(self._viewer).zoom
            if length_px > CLICK_PX:
                self.finish()
