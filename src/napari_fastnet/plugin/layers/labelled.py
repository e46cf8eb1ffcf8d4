"""Lines with texts that are as wide and as large on the screen at every zoom.

Lines are white with a black rim, texts black on white: legible on pale and on dark tissue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_fastnet.plugin.layers import data
from napari_fastnet.plugin.layers.locked import Lock
from napari_fastnet.plugin.layers.screen_width import outline_um
from napari_fastnet.plugin.viewer_parts import camera_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_fastnet.plugin.layers.shown import MarkKind, WorkLayers

INK, PAPER = "#101010", "#ffffff"
#: Widths of a line's rim and of the line, px of the screen.
RIM_PX, LINE_PX = 5.0, 2.0
#: Size of texts, points; height and width of their background, px of the screen, without
#: and for each letter; how much wider an m is; distance above the line, and below it, where
#: another line's frame may end.
TEXT_POINTS = 9
TAG_PX, TAG_MARGIN_PX, LETTER_PX, WIDE = 18.0, 7.0, 8.4, 0.8
ABOVE_PX, BELOW_PX = 6.0, 14.0

#: A line in µm, (n, 2), and its text.
Labelled = tuple[NDArray[np.float64], str]


class _Shape(NamedTuple):
    points_um: NDArray[np.float64]
    kind: str
    width_um: float
    edge: str
    face: str
    text: str


class LabelledLines:
    """A layer of lines, each with a text at its highest or its lowest point.

    Parameters
    ----------
    viewer : ViewerModel
        Its zoom sets the sizes.
    layers : WorkLayers
        Hold the layer.
    kind : {"current", "measures"}
        The layer.
    above : bool
        Whether texts lie above the lines, so that two layers do not cover each other's.
    """

    def __init__(
        self, viewer: ViewerModel, layers: WorkLayers, kind: MarkKind, *, above: bool
    ) -> None:
        self._viewer, self._layers, self._kind = viewer, layers, kind
        self._above = above
        self._lines: list[Labelled] = []
        self._drawn: list[Labelled] = []
        self._zoom = 0.0
        self._lock = Lock(self.draw)

    def show(self, lines: Sequence[Labelled]) -> None:
        """Show lines in place of those before."""
        self._lines = list(lines)
        if not self._is_drawn():
            self.draw()

    def fit(self) -> None:
        """Draw the lines for another zoom, or another view: they are seen in 2D only."""
        if self._lines and self._layers.get(self._kind) is not None:
            self.draw()

    def draw(self) -> None:
        """Draw the lines."""
        layer: Any = self._layers.get(self._kind)
        if layer is None and not self._lines:
            return
        self._drawn, self._zoom = self._lines, camera_of(self._viewer).zoom
        flat = self._viewer.dims.ndisplay == 2  # napari cannot draw shapes in the other
        lines = self._lines if flat else []
        shapes = [shape for line in lines for shape in self._shapes(*line)]
        with self._lock:
            if layer is None:
                layer = self._layers.put(self._kind, self._layer_data(shapes))
            else:
                self._update(layer, shapes)
        self._lock.guard(layer)

    def close(self) -> None:
        """No longer guard the layer."""
        self._lock.release()

    def _is_drawn(self) -> bool:
        same = len(self._lines) == len(self._drawn) and all(
            text == before and np.array_equal(line, line_before)
            for (line, text), (line_before, before) in zip(
                self._lines, self._drawn, strict=True
            )
        )
        at_zoom = self._zoom == camera_of(self._viewer).zoom
        there = self._layers.get(self._kind) is not None or not self._lines
        return same and at_zoom and there

    def _shapes(self, line: NDArray[np.float64], text: str) -> list[_Shape]:
        rim, width = (outline_um(self._viewer, px) for px in (RIM_PX, LINE_PX))
        shapes = [
            _Shape(line, "path", rim, INK, "transparent", ""),
            _Shape(line, "path", width, PAPER, "transparent", ""),
        ]
        if text:
            shapes.append(
                _Shape(self._tag(line, text), "rectangle", width / 2, INK, PAPER, text)
            )
        return shapes

    def _tag(self, line: NDArray[np.float64], text: str) -> NDArray[np.float64]:
        """Return the corners of a text's background."""
        px = 1 / camera_of(self._viewer).zoom
        order = np.lexsort((line[:, 1], line[:, 0]))
        if self._above:
            at, left = line[order[0]]
            top = at - (ABOVE_PX + TAG_PX) * px
        else:
            at, left = line[order[-1]]
            top = at + BELOW_PX * px
        letters = len(text) + WIDE * text.count("m")
        bottom, right = (
            top + TAG_PX * px,
            left + (TAG_MARGIN_PX + LETTER_PX * letters) * px,
        )
        return np.array([(top, left), (top, right), (bottom, right), (bottom, left)])

    def _layer_data(self, shapes: Sequence[_Shape]) -> data.LayerData:
        keywords = {
            "name": data.MARK_NAMES[self._kind],
            "ndim": 2,
            "opacity": 1.0,
            "features": {"text": [shape.text for shape in shapes]},
            "text": {"string": "{text}", "color": INK, "size": TEXT_POINTS},
            "units": data.UM,
            "metadata": {},
            **_looks(shapes),
        }
        return [shape.points_um for shape in shapes], keywords, "shapes"

    def _update(self, layer: Any, shapes: Sequence[_Shape]) -> None:
        layer.selected_data = set()
        texts = [shape.text for shape in shapes]
        with layer.block_thumbnail_update():
            if [shape.kind for shape in shapes] == list(layer.shape_type):
                if shapes:  # as many, of the same looks: a fifth of the time
                    layer.data = [shape.points_um for shape in shapes]
                    layer.edge_width = [shape.width_um for shape in shapes]
            else:
                layer.data = []
                layer.add([shape.points_um for shape in shapes], **_looks(shapes))
        if texts != list(layer.features.get("text", ())):
            layer.features = {"text": texts}
        layer.refresh(extent=False, highlight=False, thumbnail=False)


def _looks(shapes: Sequence[_Shape]) -> dict[str, Any]:
    return {
        "shape_type": [shape.kind for shape in shapes],
        "edge_width": [shape.width_um for shape in shapes],
        "edge_color": [shape.edge for shape in shapes],
        "face_color": [shape.face for shape in shapes],
    }
