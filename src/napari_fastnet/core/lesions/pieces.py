"""Pieces of tissue: numbered in reading order, each lesion in one of them.

A slide may hold several nodes, or several sections of one. Within one of them tissue is
torn, and fat, which the masks leave out, runs through it. So parts of the tissue that lie
less than `GAP_UM` apart are one piece. Sections and nodes are laid out farther apart; where
two pieces are one node all the same a person can join them, but nobody can part one piece,
so the gap is a small one: it is twice what the masks close.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import shapely
from scipy import ndimage

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.core.morphology import EIGHT_NEIGHBOURS, dilate_disk
from napari_fastnet.core.outlines import trace_parts
from napari_fastnet.core.polygons import joined, rasterise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Indices
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.core.outlines import Polygon

#: Tissue on both sides of a narrower gap is one piece, µm.
GAP_UM = 150.0
#: A smaller part belongs to the nearest piece, mm²: as much as six patches, and far less
#: than any node that is read for itself.
CRUMB_MM2 = 0.05
#: Px of the mask by which a noted outline may be off.
ROUGH_PX = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The pieces of a slide's tissue.

    Parameters
    ----------
    labels : (rows, columns) int32 ndarray
        Number of the piece of each px of the mask, 0 beside the tissue. A piece has a rim
        of half the gap, in which tissue is missing or ends.
    grid : Grid
        The px of the mask, level-0 px.
    areas_mm2 : tuple of float
        Tissue of piece 1, 2, ...; without the rim.
    """

    labels: NDArray[np.int32]
    grid: Grid
    areas_mm2: tuple[float, ...]

    @property
    def numbers(self) -> range:
        """The numbers of the pieces, 1 to n; none without tissue."""
        return range(1, len(self.areas_mm2) + 1)

    def outlines(self) -> dict[int, tuple[Polygon, ...]]:
        """Return the outlines of each piece, its rim included.

        Returns
        -------
        dict of int to tuple of Polygon
            By number; a piece with crumbs has several. (y, x), level-0 px.
        """
        parts, count = ndimage.label(self.labels)  # pieces touch nowhere
        owner = np.zeros(count + 1, np.intp)
        owner[parts] = self.labels
        found: dict[int, list[Polygon]] = {number: [] for number in self.numbers}
        for part, polygon in trace_parts(parts, self.grid).items():
            found[int(owner[part])].append(polygon)
        return {number: tuple(polygons) for number, polygons in found.items()}

    def number_of(self, polygons: Sequence[Polygon]) -> int:
        """Return the piece that an outline overlaps most.

        Parameters
        ----------
        polygons : sequence of Polygon
            Exteriors with their holes, (y, x), level-0 px.

        Returns
        -------
        int
            0 beside the tissue. Of equal overlaps, the lower number.
        """
        exterior = np.concatenate([polygon[0] for polygon in polygons])
        first, end = (
            np.clip((edge - self.grid.origin) / self.grid.step, 0, self.labels.shape)
            for edge in (exterior.min(axis=0), exterior.max(axis=0))
        )
        (top, left), (bottom, right) = first.astype(int), np.ceil(end).astype(int)
        labels = self.labels[top:bottom, left:right]
        if not labels.any():
            return 0
        corner = self.grid.cells_box((top, left), (bottom, right))
        window = Grid((corner.top, corner.left), self.grid.step, labels.shape)
        inside = rasterise([joined(polygon) for polygon in polygons], window)
        if not inside.any():  # smaller than a px
            inside = np.ones_like(inside)
        counts = np.bincount(labels[inside], minlength=2)[1:]
        return int(counts.argmax()) + 1 if counts.any() else 0

    def place(self, regions: Sequence[Region]) -> list[Region]:
        """Say of each region in which piece it lies.

        Parameters
        ----------
        regions : sequence of Region
            Of the same slide.

        Returns
        -------
        list of Region
            In the same order.
        """
        return [
            replace(region, piece=self.number_of(region.polygons)) for region in regions
        ]


def find_pieces(roi: Bools, slide_shape: Pair, mpp: Pair) -> Pieces:
    """Find the pieces of tissue, numbered in reading order.

    Pieces stand in bands from top to bottom, and in each from left to right. A band is
    begun by the topmost piece that is left, and takes those beside it: at least half of
    the height of the lower of the two is at the height of the other.

    Parameters
    ----------
    roi : (rows, columns) bool ndarray
        Tissue, a mask of the whole slide.
    slide_shape : tuple of float
        (height, width) of the slide, level-0 px.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    Pieces
        Every px of the tissue belongs to one. Parts under `CRUMB_MM2` belong to the nearest
        larger one; where none is larger, to the largest of all.
    """
    rows, columns = roi.shape
    step = (slide_shape[0] / rows, slide_shape[1] / columns)
    grid = Grid((0.0, 0.0), step, (rows, columns))
    if not roi.any():
        return Pieces(np.zeros(roi.shape, np.int32), grid, ())
    px_um = step[0] * mpp[0], step[1] * mpp[1]
    near = dilate_disk(roi, (GAP_UM / 2 / px_um[0], GAP_UM / 2 / px_um[1]))
    labels, count = ndimage.label(near, EIGHT_NEIGHBOURS)
    px_mm2 = px_um[0] * px_um[1] / 1e6
    areas = np.bincount(labels[roi], minlength=count + 1) * px_mm2
    large = areas >= min(CRUMB_MM2, areas.max())
    large[0] = False
    owner = _owners(labels, large)
    boxes = ndimage.find_objects(labels)
    number = np.zeros(count + 1, np.int32)
    kept = np.flatnonzero(large)
    number[kept[_reading_order([_box(boxes[label - 1]) for label in kept])]] = (
        np.arange(1, len(kept) + 1)
    )
    number = number[owner]
    totals = np.bincount(number, weights=areas)
    return Pieces(number[labels], grid, tuple(map(float, totals[1:])))


def with_pieces(
    regions: Sequence[Region], roi: Bools | None, slide_shape: Pair, mpp: Pair
) -> list[Region]:
    """Say of each region in which piece of tissue it lies.

    Parameters
    ----------
    regions : sequence of Region
        Of the slide.
    roi : (rows, columns) bool ndarray or None
        Tissue, as for `find_pieces`; None leaves the regions as they are.
    slide_shape, mpp : tuple of float
        As for `find_pieces`.

    Returns
    -------
    list of Region
        In the same order.
    """
    if roi is None or not regions:
        return list(regions)
    return find_pieces(roi, slide_shape, mpp).place(regions)


@dataclass(frozen=True, slots=True, eq=False)
class NodePiece:
    """A piece of tissue that a person made a section of a node.

    Parameters
    ----------
    polygons : tuple of Polygon
        Its outline, roughly; (y, x), level-0 px.
    node, section : int
        From 1. Pieces of one node and section are parts of one cut; the sections of a node
        are its levels, and nothing is summed over them.
    """

    polygons: tuple[Polygon, ...]
    node: int
    section: int


def node_pieces(
    pieces: Pieces, nodes: Mapping[int, tuple[int, int]]
) -> tuple[NodePiece, ...]:
    """Note the node and the section of each piece.

    Parameters
    ----------
    pieces : Pieces
        Of the slide.
    nodes : mapping of int to tuple of int
        Node and section by the number of the piece.

    Returns
    -------
    tuple of NodePiece
        Outlines without holes, and with corners that a mask needs and an overlap does not
        left out.
    """
    tolerance = ROUGH_PX * max(pieces.grid.step)
    outlines = pieces.outlines()
    return tuple(
        NodePiece(
            tuple(
                (shapely.get_coordinates(ring.simplify(tolerance))[:-1],)
                for ring in (shapely.Polygon(part[0]) for part in outlines[number])
            ),
            node,
            section,
        )
        for number, (node, section) in sorted(nodes.items())
    )


def nodes_of(pieces: Pieces, noted: Sequence[NodePiece]) -> dict[int, tuple[int, int]]:
    """Find the node and the section of each piece.

    Parameters
    ----------
    pieces : Pieces
        Perhaps of another mask than those that were noted.
    noted : sequence of NodePiece
        What a person said; each is about the piece that it overlaps most.

    Returns
    -------
    dict of int to tuple of int
        By number of the piece. One that nothing is noted of is a node of its own.
    """
    found: dict[int, tuple[int, int]] = {}
    for one in noted:
        found.setdefault(pieces.number_of(one.polygons), (one.node, one.section))
    found.pop(0, None)  # beside the tissue of this mask
    node = max((node for node, _ in found.values()), default=0)
    for number in pieces.numbers:
        if number not in found:
            node += 1
            found[number] = node, 1
    return dict(sorted(found.items()))


def _owners(labels: Indices, large: Bools) -> Indices:
    """Return the label that each label belongs to: crumbs to the nearest large one."""
    owner = np.arange(len(large))
    crumbs = np.flatnonzero(~large)[1:]
    if not crumbs.size:
        return owner
    from scipy.spatial import cKDTree  # loaded where there are crumbs

    edge = (labels > 0) & ~ndimage.binary_erosion(labels > 0, EIGHT_NEIGHBOURS)
    points, label = np.argwhere(edge), labels[edge]
    is_large = large[label]
    distance, nearest = cKDTree(points[is_large]).query(points[~is_large])
    # the last one written stays: the nearest point of each crumb
    order = np.argsort(-distance, kind="stable")
    owner[label[~is_large][order]] = label[is_large][nearest[order]]
    return owner


def _box(place: tuple[slice, slice]) -> Box:
    rows, columns = place
    return Box(rows.start, columns.start, rows.stop, columns.stop)


def _reading_order(boxes: Sequence[Box]) -> list[int]:
    """Return the indices of boxes, band by band."""
    left = sorted(
        range(len(boxes)), key=lambda index: (boxes[index].top, boxes[index].left)
    )
    order: list[int] = []
    while left:
        first = boxes[left[0]]
        band = [index for index in left if _is_beside(first, boxes[index])]
        order += sorted(band, key=lambda index: (boxes[index].left, boxes[index].top))
        left = [index for index in left if index not in band]
    return order


def _is_beside(first: Box, other: Box) -> bool:
    common = min(first.bottom, other.bottom) - max(first.top, other.top)
    return common >= min(first.height, other.height) / 2
