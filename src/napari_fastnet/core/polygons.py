"""Outlines as geometry: what they enclose, as areas and as masks.

Outlines are rings of (y, x) in level-0 px; the last point joins the first. What a ring
encloses is told by the even-odd rule: a point is inside when a line from it to the
outside crosses the ring an odd number of times. A ring may cross itself, then, and may
reach its holes over a cut of no width.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import ne
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from napari_fastnet.core.geometry import Box, Grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray


# Edges that are looked at first, each further lot being twice as large, and at most; and
# the crossings among them from which on the others are taken to be alike.
_FIRST_EDGES = 16
_MOST_EDGES = 10_000
_ENOUGH = 50


def crossings(rings: Iterable[NDArray[np.float64]], *, limit: int) -> float:
    """Estimate how often rings cross themselves.

    It takes seconds, whatever there is: a scribble of 20,000 points crosses itself 50
    million times. Of up to ``_MOST_EDGES`` edges all crossings are counted.

    Parameters
    ----------
    rings : iterable of (n, 2) ndarray
        (y, x), level-0 px; where one comes back to a point, as on a detour to a hole,
        it does not cross itself.
    limit : int
        Of rings beyond it no more is asked.

    Returns
    -------
    float
        Some number above ``limit`` where there are clearly more.
    """
    found = 0.0
    for ring in rings:
        if shapely.Polygon(ring).is_valid:
            continue
        for loop in loops(ring):
            found += _crossings_of(np.asarray(loop), limit)
            if found > limit:
                return found
    return found


def _crossings_of(loop: NDArray[np.float64], limit: int) -> float:
    """Estimate how often a loop crosses itself; beyond twice a limit, roughly."""
    edges = shapely.linestrings(np.stack((loop, np.roll(loop, -1, axis=0)), axis=1))
    tree = shapely.STRtree(edges)
    # a sample at any point, or a scribble's end could stand for all of it
    chosen = np.random.default_rng(0).permutation(edges)[:_MOST_EDGES]
    seen, first, size, estimate = 0, 0, _FIRST_EDGES, 0.0
    while first < len(chosen):
        part = chosen[first : first + size]
        seen += tree.query(part, predicate="crosses").shape[1]
        first, size = first + len(part), 2 * size
        estimate = seen / 2 * len(edges) / first  # each is seen from both edges
        if seen >= _ENOUGH and estimate > 2 * limit:
            break
    return estimate


#: Crossings of a ring with rows that are worked on at once: 100 MB.
_CROSSINGS = 2_000_000
# Cells whose samples are in memory at once.
_STRIP_CELLS = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """What is tumour on a slide: what lies in a positive ring and in no negative one.

    Parameters
    ----------
    positive, negative : tuple of (n, 2) float64 ndarray
        Rings of (y, x), level-0 px, at least three different points each: tumour, and
        what is taken out of it.
    skipped : tuple of str
        A line for everything in the file that encloses nothing or is left out, and for
        what is taken for tumor without being called so.
    crossing : tuple of str
        Names of the outlines that cross or touch themselves.
    unclassed : tuple of int
        Which of ``positive`` have no class.
    """

    positive: tuple[NDArray[np.float64], ...]
    negative: tuple[NDArray[np.float64], ...]
    skipped: tuple[str, ...] = ()
    crossing: tuple[str, ...] = ()
    unclassed: tuple[int, ...] = ()


def ring_area(ring: NDArray[np.float64]) -> float:
    """Return what a ring encloses, level-0 px², by the even-odd rule."""
    return float(enclosed(ring).area)


def enclosed(ring: NDArray[np.float64]) -> Any:
    """Return what a ring encloses by the even-odd rule.

    Parameters
    ----------
    ring : (n, 2) ndarray
        (y, x), level-0 px, at least three points; as `joined` makes it, or crossing
        itself.

    Returns
    -------
    shapely geometry
        Of areas, valid; shapely's x is y here, and its y is x.
    """
    whole = shapely.Polygon(ring)
    if whole.is_valid:
        return whole
    # Not make_valid of the whole: it takes detours to holes for borders.
    parts = [shapely.make_valid(shapely.Polygon(loop)) for loop in loops(ring)]
    while len(parts) > 1:  # a point is inside where it is inside an odd number of loops
        if len(parts) % 2:
            parts.append(shapely.Polygon())
        parts = list(shapely.symmetric_difference(parts[::2], parts[1::2]))
    return parts[0] if parts else shapely.Polygon()


def loops(ring: NDArray[np.float64]) -> Iterator[list[tuple[float, float]]]:
    """Yield a ring cut where it comes back to a point; there and back again is none."""
    walked: list[tuple[float, float]] = []
    place: dict[tuple[float, float], int] = {}
    for y, x in [*ring.tolist(), ring[0].tolist()]:
        first = place.get((y, x), len(walked))
        loop = walked[first:]
        del walked[first:]
        for point in loop:
            del place[point]
        if len(loop) > 2:
            yield loop
        place[y, x] = first
        walked.append((y, x))


def joined(rings: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return an exterior and its holes as one ring.

    Each hole is walked on a detour from the exterior's first point, there and back
    along the same line, so that the even-odd rule leaves exactly the holes out.

    Parameters
    ----------
    rings : sequence of (n, 2) ndarray
        The exterior first; the last point of each joins its first.

    Returns
    -------
    (n, 2) ndarray
        The ring.
    """
    if len(rings) == 1:
        return rings[0]
    start = rings[0][:1]
    parts = [rings[0], start]
    for hole in rings[1:]:
        parts += [hole, hole[:1], start]
    return np.concatenate(parts[:-1])


def bounds(rings: Sequence[NDArray[np.float64]]) -> Box | None:
    """Return the box that rings fill, level-0 px, None where there are none."""
    if not rings:
        return None
    top, left = np.min([ring.min(axis=0) for ring in rings], axis=0)
    bottom, right = np.max([ring.max(axis=0) for ring in rings], axis=0)
    return Box(float(top), float(left), float(bottom), float(right))


def rings_outside(rings: Sequence[NDArray[np.float64]], box: Box) -> tuple[int, int]:
    """Return how many rings lie outside a box by their extent, and how many partly.

    Parameters
    ----------
    rings : sequence of (n, 2) ndarray
        (y, x), level-0 px.
    box : Box
        For example the slide's; a ring may run along its edges.

    Returns
    -------
    tuple of int
        Those of which nothing can lie inside, and those that reach beyond.
    """
    corners = (np.array([r.min(axis=0), r.max(axis=0)]) for r in rings)
    boxes = [Box(*map(float, corner.ravel())) for corner in corners]
    inside = [part.intersect(box) for part in boxes]
    outside = sum(part.is_empty for part in inside)
    return outside, sum(map(ne, inside, boxes)) - outside


def slide_mask(
    annotations: Annotations, slide_shape: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return `tumour_mask` of a whole slide, (height, width) px in all.

    Parameters
    ----------
    annotations : Annotations
        Outlines, level-0 px.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.
    shape : tuple of int
        (height, width) that is wanted.
    """
    step = (slide_shape[0] / shape[0], slide_shape[1] / shape[1])
    return tumour_mask(annotations, Grid((0.0, 0.0), step, shape))


def tumour_mask(annotations: Annotations, grid: Grid) -> NDArray[np.bool_]:
    """Return the mask of a slide's tumour.

    Parameters
    ----------
    annotations : Annotations
        Outlines.
    grid : Grid
        The mask's px.

    Returns
    -------
    ndarray
        bool (rows, columns), True where a px's centre is tumour. On a line between
        inside and outside, a centre belongs to what lies below it or on its right.
    """
    mask = rasterise(annotations.positive, grid)
    if annotations.negative:
        mask &= ~rasterise(annotations.negative, grid)
    return mask


def tumour_share(
    annotations: Annotations, grid: Grid, *, samples: int = 4
) -> NDArray[np.float32]:
    """Return how much of each cell is tumour.

    Parameters
    ----------
    annotations : Annotations
        Outlines.
    grid : Grid
        The cells.
    samples : int
        Points a side at which a cell is looked at.

    Returns
    -------
    ndarray
        float32 (rows, columns), 0 to 1. Computed strip by strip: beside the result,
        memory does not grow with the slide.
    """
    rows, columns = grid.shape
    share = np.zeros(grid.shape, np.float32)
    step = (grid.step[0] / samples, grid.step[1] / samples)
    box = bounds(annotations.positive)
    if box is None:
        return share
    height = max(1, _STRIP_CELLS // max(1, columns))
    for first in range(0, rows, height):
        end = min(rows, first + height)
        strip = grid.cells_box((first, 0), (end, columns))
        if strip.intersect(box).is_empty:
            continue
        shape = ((end - first) * samples, columns * samples)
        mask = tumour_mask(annotations, Grid((strip.top, strip.left), step, shape))
        cells = mask.reshape(end - first, samples, columns, samples)
        share[first:end] = cells.mean(axis=(1, 3), dtype=np.float32)
    return share


def rasterise(rings: Sequence[NDArray[np.float64]], grid: Grid) -> NDArray[np.bool_]:
    """Return the cells of a grid whose centre lies in any of the rings.

    Each ring costs time in proportion to its points, the rows they cross and the box
    it fills: 4 ms for one of 18,601 points in 533 x 567 px. scikit-image tests every px
    against every edge (11 s), and Pillow's polygons are half a px too large (3 %).

    Parameters
    ----------
    rings : sequence of (n, 2) ndarray
        (y, x), level-0 px.
    grid : Grid
        The cells; rings may lie anywhere.

    Returns
    -------
    ndarray
        bool (rows, columns).
    """
    mask = np.zeros(grid.shape, np.bool_)
    for ring in rings:
        # In cells, and so that the centre of cell (i, j) is (i, j).
        points = (ring - grid.origin) / grid.step - 0.5
        window = _window(points, grid.shape)
        if window is None:
            continue
        rows, columns = window
        mask[rows, columns] |= _filled(points - (rows.start, columns.start), window)
    return mask


def _window(
    points: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[slice, slice] | None:
    """Return the cells that a ring may cover, None where there are none."""
    slices = []
    for low, high, count in zip(
        points.min(axis=0), points.max(axis=0), shape, strict=True
    ):
        first, end = (int(np.ceil(np.clip(v, 0, count))) for v in (low, high))
        if first >= end:
            return None
        slices.append(slice(first, end))
    return slices[0], slices[1]


def _filled(
    points: NDArray[np.float64], window: tuple[slice, slice]
) -> NDArray[np.bool_]:
    """Return the cells of a window whose centre is in a ring, in the window's cells.

    Every edge toggles, in each row that it crosses, all cells to its right; those
    toggled an odd number of times are inside.
    """
    rows, columns = (part.stop - part.start for part in window)
    toggled = np.zeros((rows, columns), np.bool_)
    for row, column in _crossings(points, rows):
        seen = column < columns
        np.logical_xor.at(toggled, (row[seen], np.maximum(column[seen], 0)), True)
    inside: NDArray[np.bool_] = np.logical_xor.accumulate(toggled, axis=1)
    return inside


def _crossings(
    points: NDArray[np.float64], rows: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield where edges cross rows: the row, and the first column not left of it."""
    following = np.roll(points, -1, axis=0)
    low = np.minimum(points[:, 0], following[:, 0])
    high = np.maximum(points[:, 0], following[:, 0])
    first, end = (np.ceil(np.clip(y, 0, rows)).astype(np.intp) for y in (low, high))
    counts = end - first
    crossing = np.flatnonzero(counts)
    batches = np.cumsum(counts[crossing]) // _CROSSINGS
    for edges in np.split(crossing, np.flatnonzero(np.diff(batches)) + 1):
        if not edges.size:
            continue
        edge = np.repeat(edges, counts[edges])
        before = np.cumsum(counts[edges]) - counts[edges]
        row = np.arange(len(edge)) + np.repeat(first[edges] - before, counts[edges])
        (y0, x0), (y1, x1) = points[edge].T, following[edge].T
        column = np.ceil(x0 + (row - y0) * (x1 - x0) / (y1 - y0))
        yield row, np.clip(column, -1, np.iinfo(np.int32).max).astype(np.intp)
