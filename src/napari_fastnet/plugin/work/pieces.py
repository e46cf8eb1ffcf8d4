"""Pieces of one slide's tissue: numbered on the slide, joined to nodes by a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_fastnet.core.lesions.pieces import (
    Pieces,
    find_pieces,
    node_pieces,
    nodes_of,
)
from napari_fastnet.plugin.layers.data import UM, to_um
from napari_fastnet.plugin.threads.latest import Latest

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bools
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.plugin.layers.shown import WorkLayers
    from napari_fastnet.plugin.work.reviewing import SlideReview

LAYER_NAME = "tissue pieces"
#: Blue as the outline of the tissue; size in points.
COLOUR, TEXT_POINTS = "#0047ff", 11


class SlidePieces:
    """The pieces of a slide's tissue, found in a thread, and their numbers on the slide.

    Parameters
    ----------
    layers : WorkLayers
        Get the layer of the numbers where there are several pieces.
    sought : callable
        Returns the tissue as it is now, with the slide's (height, width) and µm/px; None
        where there is none.
    review : SlideReview
        Keeps the nodes with the decisions.

    Attributes
    ----------
    pieces : Pieces or None
        As found last.
    """

    def __init__(
        self,
        layers: WorkLayers,
        sought: Callable[[], tuple[Bools, Pair, Pair] | None],
        review: SlideReview,
    ) -> None:
        self.pieces: Pieces | None = None
        self._layers, self._sought, self._review = layers, sought, review
        self._known: tuple[Bools, Pieces] | None = None
        self._corners: NDArray[np.float64] = np.zeros((0, 2))
        self._latest = Latest(self._prepare, self._take)

    def of(self, roi: Bools, slide_shape: Pair, mpp: Pair) -> Pieces:
        """Return the pieces of a mask; those of the last one are kept. For any thread."""
        known = self._known
        if known is None or known[0] is not roi:
            known = self._known = roi, find_pieces(roi, slide_shape, mpp)
        return known[1]

    def find(self) -> None:
        """Find the pieces as of now; while busy, once more afterwards."""
        self._latest.ask()

    def close(self) -> None:
        """Forget the pieces."""
        self._latest.drop()
        self._known = self.pieces = None
        self._corners = np.zeros((0, 2))

    @property
    def nodes(self) -> dict[int, tuple[int, int]]:
        """Node and section of each piece: as a person said, else each is a node."""
        if self.pieces is None:
            return {}
        return nodes_of(self.pieces, self._review.decisions.pieces)

    def join(self, nodes: Mapping[int, tuple[int, int]]) -> None:
        """Note node and section of each piece as a person's decision."""
        if self.pieces is not None:
            self._review.join_pieces(node_pieces(self.pieces, nodes))
            self.draw()

    def words(self) -> dict[int, str]:
        """Return the label of each piece: its number, and its node if it is another."""
        return {
            number: str(number)
            if (node, section) == (number, 1)
            else f"{number}: node {node},\nsection {section}"
            for number, (node, section) in self.nodes.items()
        }

    def draw(self) -> None:
        """Show the numbers on the slide; of one piece alone none is needed."""
        words = list(self.words().values()) if len(self._corners) > 1 else []
        layer: Any = self._layers.get("pieces")
        if layer is None and not words:
            return
        at_um = self._corners[: len(words)]
        labels = {"piece": words}
        if layer is None:
            keywords = {
                "name": LAYER_NAME,
                "ndim": 2,
                "size": 1,
                "face_color": "transparent",
                "border_color": "transparent",
                "features": labels,
                "text": {
                    "string": "{piece}",
                    "size": TEXT_POINTS,
                    "color": COLOUR,
                    "anchor": "lower_right",
                },
                "units": UM,
                "metadata": {},
            }
            self._layers.put("pieces", (at_um, keywords, "points"))
            return
        if not np.array_equal(layer.data, at_um):
            layer.selected_data = set()
            layer.data = at_um
        if list(layer.features.get("piece", ())) != words:
            layer.features = labels

    def _prepare(self) -> Callable[[], tuple[Pieces, NDArray[np.float64]]] | None:
        sought = self._sought()
        if sought is None:
            return None
        pieces_of, mpp = self.of, sought[2]

        def found() -> tuple[Pieces, NDArray[np.float64]]:
            pieces = pieces_of(*sought)
            return pieces, corners_um(pieces, mpp)

        return found

    def _take(self, found: tuple[Pieces, NDArray[np.float64]]) -> None:
        self.pieces, self._corners = found
        self.draw()


def corners_um(pieces: Pieces, mpp: Pair) -> NDArray[np.float64]:
    """Return (n, 2): where the outline of each piece is nearest to the top left, µm."""
    corners = []
    for number, place in enumerate(ndimage.find_objects(pieces.labels), 1):
        rows, columns = np.nonzero(pieces.labels[place] == number)
        first = (rows + columns).argmin()
        corners.append((place[0].start + rows[first], place[1].start + columns[first]))
    px = np.asarray(pieces.grid.step) * np.reshape(corners, (-1, 2))
    return to_um(px, mpp)
