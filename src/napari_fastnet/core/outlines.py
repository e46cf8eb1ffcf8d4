"""Outlines of labelled cells: valid polygons whose edges follow the cell borders.

Nothing is smoothed, so a polygon has exactly the area of its cells. Borders have the
cells on their right-hand side, y pointing down: on screen, exteriors run clockwise and
holes the other way round. Only the points where a border turns are kept, each as one
entry of a table; walking a border is a lookup from turn to turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.arrays import Floats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Indices
    from napari_fastnet.core.geometry import Grid

#: An exterior and its holes, each (n, 2) of (y, x); the last point joins the first.
Polygon = tuple[Floats, ...]

# The cells around a grid point.
NORTH_WEST, NORTH_EAST, SOUTH_EAST, SOUTH_WEST = range(4)
# Of each turn: the cell in the corner, the two cells beside it and the one opposite, the
# heading before the turn and the heading after it. A right turn goes around a cell that
# is filled, a left turn around one that is empty.
RIGHT_TURNS = (
    (NORTH_WEST, NORTH_EAST, SOUTH_WEST, SOUTH_EAST, "S", "W"),
    (NORTH_EAST, NORTH_WEST, SOUTH_EAST, SOUTH_WEST, "W", "N"),
    (SOUTH_EAST, NORTH_EAST, SOUTH_WEST, NORTH_WEST, "N", "E"),
    (SOUTH_WEST, NORTH_WEST, SOUTH_EAST, NORTH_EAST, "E", "S"),
)
LEFT_TURNS = (
    (NORTH_WEST, NORTH_EAST, SOUTH_WEST, SOUTH_EAST, "E", "N"),
    (NORTH_EAST, NORTH_WEST, SOUTH_EAST, SOUTH_WEST, "S", "E"),
    (SOUTH_EAST, NORTH_EAST, SOUTH_WEST, NORTH_WEST, "W", "S"),
    (SOUTH_WEST, NORTH_WEST, SOUTH_EAST, NORTH_EAST, "N", "W"),
)


@dataclass(frozen=True, slots=True)
class _Turns:
    """All turns of borders, in reading order; one array entry a turn."""

    row: Indices
    column: Indices
    part: Indices
    is_right: Bools
    heading_in: NDArray[np.str_]
    heading_out: NDArray[np.str_]


def trace_parts(parts: Indices, grid: Grid) -> dict[int, Polygon]:
    """Trace the outline of each part of a label image.

    Parameters
    ----------
    parts : (rows, columns) ndarray of int
        0 for background, else the number of the cell's part. A part is connected
        along cell edges (4-connected) and parts meet at corners at most, as
        ``scipy.ndimage.label`` numbers them by default.
    grid : Grid
        Places of the cells, level-0 px; its shape is that of ``parts``.

    Returns
    -------
    dict of int to tuple of (n, 2) ndarray
        For each part one valid polygon, its exterior first; points are (y, x) of cell
        corners in level-0 px, the exterior starting at its topmost, then leftmost one.
        A hole meets the exterior or another hole in single points at most.
    """
    if not parts.any():
        return {}
    turns = _find_turns(parts)
    corners = np.column_stack((turns.row, turns.column)).astype(np.float64)
    points = np.asarray(grid.origin) + np.asarray(grid.step) * corners
    rings = [
        # the first corner of an exterior goes around a cell, that of a hole does not
        (int(turns.part[ring[0]]), not turns.is_right[ring[0]], points[ring])
        for ring in _rings(_next_turn(turns).tolist())
    ]
    rings.sort(key=itemgetter(0, 1))
    return {
        part: tuple(points for *_, points in group)
        for part, group in groupby(rings, key=itemgetter(0))
    }


def _find_turns(parts: Indices) -> _Turns:
    """Find where borders turn: at most two turns at one grid point."""
    padded = np.pad(parts, 1)
    at = _corners(padded > 0)
    around = {
        NORTH_WEST: padded[:-1, :-1][at],
        NORTH_EAST: padded[:-1, 1:][at],
        SOUTH_EAST: padded[1:, 1:][at],
        SOUTH_WEST: padded[1:, :-1][at],
    }
    found = []
    for is_right, turns in ((True, RIGHT_TURNS), (False, LEFT_TURNS)):
        for *cells, heading_in, heading_out in turns:
            here, beside, other, opposite = (around[cell] for cell in cells)
            # Where two cells meet in nothing but this point, cells of one part are
            # joined (left turns) and cells of two parts are kept apart (right turns):
            # either way no border passes through the point twice.
            if is_right:
                turning = (here > 0) & (beside == 0) & (other == 0) & (opposite != here)
                part = here
            else:
                turning = (here == 0) & (beside > 0) & (beside == other)
                part = beside
            row, column = (index[turning] for index in at)
            same = (np.full(len(row), v) for v in (is_right, heading_in, heading_out))
            found.append((row, column, part[turning], *same))
    columns = [np.concatenate(values) for values in zip(*found, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    return _Turns(*(values[order] for values in columns))


def _corners(filled: Bools) -> tuple[Indices, ...]:
    """Return the few grid points at which the border of filled cells is not straight."""
    across = filled[:, :-1] != filled[:, 1:]
    along = filled[:-1, :-1] != filled[1:, :-1]
    above, below = across[:-1], across[1:]
    return np.nonzero((above != below) | (above & along))


def _next_turn(turns: _Turns) -> Indices:
    """Return, for each turn, the index of the next one along the border.

    Along one grid line, stretches of border of one heading do not overlap, so the
    n-th stretch runs from the n-th turn out into that heading to the n-th turn in.
    """
    following = np.empty(len(turns.row), dtype=np.intp)
    by_row = np.arange(len(turns.row))
    by_column = np.lexsort((turns.row, turns.column))
    for headings, order in (("EW", by_row), ("SN", by_column)):
        for heading in headings:
            leaving = order[turns.heading_out[order] == heading]
            following[leaving] = order[turns.heading_in[order] == heading]
    return following


def _rings(following: list[int]) -> Iterator[list[int]]:
    """Walk from turn to turn; each ring starts at its first turn in reading order."""
    seen = bytearray(len(following))
    for turn in range(len(following)):
        ring = []
        while not seen[turn]:
            seen[turn] = True
            ring.append(turn)
            turn = following[turn]
        if ring:
            yield ring
