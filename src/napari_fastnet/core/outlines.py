"""Outlines of labelled cells: valid polygons whose edges follow the cell borders.

Nothing is smoothed, so a polygon has exactly the area of its cells. The borders are
walked with the cells on the right-hand side, y pointing down: exteriors run clockwise
as one sees them, holes the other way round. Only the points where a border turns are
kept, and each of them is one row of a table; the walk is a lookup from turn to turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Grid

#: An exterior and its holes, each (n, 2) of (y, x); the last point joins the first.
Polygon = tuple[NDArray[np.float64], ...]

# The cells around a grid point, and for each the two beside it and the one opposite.
NORTH_WEST, NORTH_EAST, SOUTH_EAST, SOUTH_WEST = range(4)
NEIGHBOURS = {
    NORTH_WEST: (NORTH_EAST, SOUTH_WEST, SOUTH_EAST),
    NORTH_EAST: (NORTH_WEST, SOUTH_EAST, SOUTH_WEST),
    SOUTH_EAST: (NORTH_EAST, SOUTH_WEST, NORTH_WEST),
    SOUTH_WEST: (NORTH_WEST, SOUTH_EAST, NORTH_EAST),
}
# (cell in the corner, heading before the turn, heading after it): a right turn goes
# around a cell that is filled, a left turn around one that is empty.
RIGHT_TURNS = (
    (NORTH_WEST, "S", "W"),
    (NORTH_EAST, "W", "N"),
    (SOUTH_EAST, "N", "E"),
    (SOUTH_WEST, "E", "S"),
)
LEFT_TURNS = (
    (NORTH_WEST, "E", "N"),
    (NORTH_EAST, "S", "E"),
    (SOUTH_EAST, "W", "S"),
    (SOUTH_WEST, "N", "W"),
)


@dataclass(frozen=True, slots=True)
class _Ring:
    """A closed border: the part it belongs to, whether it is a hole, its points."""

    part: int
    is_hole: bool
    points: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Turns:
    """Every point where a border turns, in reading order; one array entry a turn."""

    row: NDArray[np.intp]
    column: NDArray[np.intp]
    part: NDArray[np.intp]
    is_right: NDArray[np.bool_]
    heading_in: NDArray[np.str_]
    heading_out: NDArray[np.str_]


def trace_parts(parts: NDArray[np.intp], grid: Grid) -> dict[int, Polygon]:
    """Return the outline of each part of a label image.

    Parameters
    ----------
    parts : (rows, columns) ndarray of int
        0 for background, else the number of the cell's part. A part is connected
        along cell edges (4-connected) and parts meet at corners at most, as
        ``scipy.ndimage.label`` numbers them by default.
    grid : Grid
        Where the cells lie, level-0 px; its shape is that of ``parts``.

    Returns
    -------
    dict of int to tuple of (n, 2) ndarray
        For each part one valid polygon, its exterior first; points are (y, x) of cell
        corners in level-0 px, the exterior starting at its topmost, then leftmost one.
        Where a hole meets the exterior or another hole, it does so in single points.
    """
    if not parts.any():
        return {}
    turns = _find_turns(parts)
    corners = np.column_stack((turns.row, turns.column)).astype(np.float64)
    points = np.asarray(grid.origin) + np.asarray(grid.step) * corners
    rings = sorted(_rings(turns, points), key=attrgetter("part", "is_hole"))
    return {
        part: tuple(ring.points for ring in group)
        for part, group in groupby(rings, key=attrgetter("part"))
    }


def _find_turns(parts: NDArray[np.intp]) -> _Turns:
    """Return where borders turn: at most two turns at one grid point."""
    padded = np.pad(parts, 1)
    around = {
        NORTH_WEST: padded[:-1, :-1],
        NORTH_EAST: padded[:-1, 1:],
        SOUTH_EAST: padded[1:, 1:],
        SOUTH_WEST: padded[1:, :-1],
    }
    found = []
    for is_right, turns in ((True, RIGHT_TURNS), (False, LEFT_TURNS)):
        for corner, heading_in, heading_out in turns:
            here = around[corner]
            beside, other, opposite = (around[cell] for cell in NEIGHBOURS[corner])
            # Where two cells meet in nothing but this point, cells of one part are
            # joined (left turns) and cells of two parts are kept apart (right turns):
            # either way no border passes through the point twice.
            if is_right:
                turning = (here > 0) & (beside == 0) & (other == 0) & (opposite != here)
                part = here
            else:
                turning = (here == 0) & (beside > 0) & (beside == other)
                part = beside
            row, column = np.nonzero(turning)
            count = len(row)
            found.append(
                (
                    row,
                    column,
                    part[row, column],
                    np.full(count, is_right),
                    np.full(count, heading_in),
                    np.full(count, heading_out),
                )
            )
    columns = [np.concatenate(values) for values in zip(*found, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    return _Turns(*(values[order] for values in columns))


def _next_turn(turns: _Turns) -> NDArray[np.intp]:
    """Return for each turn the one that the border reaches next.

    Along one grid line, stretches of border of one heading do not overlap, so the
    n-th stretch runs from the n-th turn out into that heading to the n-th turn in.
    """
    following = np.empty(len(turns.row), dtype=np.intp)
    by_column = np.lexsort((turns.row, turns.column))
    for heading, order in (
        ("E", slice(None)),
        ("W", slice(None)),
        ("S", by_column),
        ("N", by_column),
    ):
        index = np.arange(len(turns.row))[order]
        leaving = index[turns.heading_out[index] == heading]
        arriving = index[turns.heading_in[index] == heading]
        following[leaving] = arriving
    return following


def _rings(turns: _Turns, points: NDArray[np.float64]) -> list[_Ring]:
    """Walk from turn to turn; each ring starts at its first turn in reading order."""
    following = _next_turn(turns).tolist()
    seen = bytearray(len(following))
    walked: list[int] = []
    starts: list[int] = []
    for first in range(len(following)):
        if seen[first]:
            continue
        starts.append(len(walked))
        turn = first
        while not seen[turn]:
            seen[turn] = True
            walked.append(turn)
            turn = following[turn]
    order = np.asarray(walked, dtype=np.intp)
    corners = points[order]
    ends = [*starts[1:], len(walked)]
    return [
        # the first corner of an exterior goes around a cell, that of a hole does not
        _Ring(int(turns.part[first]), not turns.is_right[first], corners[start:end])
        for first, start, end in zip(order[starts], starts, ends, strict=True)
    ]
