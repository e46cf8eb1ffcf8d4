"""Cells of a slide to which a person gave a kind, and the places that they form.

The cells are those of one grid for all labels of a slide, however they were given: from the
slide's corner on, ``CELL_UM`` wide. A cell is labelled by what its centre lies in.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from scipy import ndimage

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.outlines import trace_parts
from napari_fastnet.core.polygons import joined, rasterise
from napari_fastnet.errors import SpacingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_fastnet.core.arrays import Bools, Bytes, Floats, Indices
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.outlines import Polygon

Kind = Literal["tumor", "normal", "ignore"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Numbers of the kinds in cells; 0 is a cell without a label.
TUMOR, NORMAL, IGNORE = range(1, 4)

#: Side of a cell, µm: 16 px of 0.972 µm/px.
CELL_UM = 15.552
#: Cells are of one place where less lies between them than the width of a patch, cells.
APART = 6
#: A place that is longer than this, a millimetre, is cut into several, cells.
LONGEST = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledCells:
    """The cells of one slide that are tumor or normal, in reading order.

    Parameters
    ----------
    centres : (n, 2) float64 ndarray
        (y, x), level-0 px.
    tumor : (n,) bool ndarray
        Tumor, or normal.
    places : (n,) ndarray of int
        Number of the place, from 0: cells close together, of either kind.
    digest : str
        SHA-256 of the slide's fingerprint, the cells and their kinds.
    notes : tuple of str
        Sentences on labels that were left out.
    """

    centres: Floats
    tumor: Bools
    places: Indices
    digest: str
    notes: tuple[str, ...] = ()


def label_grid(shape: tuple[int, int], mpp: Pair) -> Grid:
    """Return the grid of a slide's labels.

    Parameters
    ----------
    shape : tuple of int
        (height, width) of the slide, level-0 px.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    Grid
        From the slide's corner on; the cells whose centre is on the slide, or one.
    """
    if not all(0 < one < np.inf for one in mpp):
        raise SpacingError(
            f"µm/px is {mpp}, and labels need two numbers above 0; give it with --mpp, or "
            "in the panel's section Slide"
        )
    step = (CELL_UM / mpp[0], CELL_UM / mpp[1])
    rows, columns = (
        max(1, round(size / side)) for size, side in zip(shape, step, strict=True)
    )
    return Grid((0.0, 0.0), step, (rows, columns))


def cells_inside(polygons: Iterable[Polygon], grid: Grid) -> Bools:
    """Mark the cells whose centre is in a polygon.

    Parameters
    ----------
    polygons : iterable of Polygon
        (y, x), level-0 px.
    grid : Grid
        The cells.

    Returns
    -------
    (rows, columns) bool ndarray
        A centre exactly on a border belongs to the side below it or on its right.
    """
    return rasterise([joined(polygon) for polygon in polygons], grid)


def outlines_of(cells: Bools, grid: Grid) -> list[Polygon]:
    """Trace groups of cells, those that touch along edges together.

    Parameters
    ----------
    cells : (rows, columns) bool ndarray
        May have none.
    grid : Grid
        Their places.

    Returns
    -------
    list of Polygon
        (y, x), level-0 px; `cells_inside` gives exactly the same cells back.
    """
    parts, _ = ndimage.label(cells)
    return list(trace_parts(parts, grid).values())


def labelled(cells: Bytes, grid: Grid, fingerprint: str) -> LabelledCells:
    """Return the cells that are tumor or normal, with their places.

    Parameters
    ----------
    cells : (rows, columns) uint8 ndarray
        ``TUMOR``, ``NORMAL``, or anything else.
    grid : Grid
        Of `label_grid`.
    fingerprint : str
        Of the slide.

    Returns
    -------
    LabelledCells
        Without notes.
    """
    index = np.argwhere((cells == TUMOR) | (cells == NORMAL))
    kinds = cells[tuple(index.T)]
    digest = sha256(fingerprint.encode() + b"\0")
    digest.update(index.astype("<i4").tobytes())
    digest.update(kinds.tobytes())
    return LabelledCells(
        centres=np.asarray(grid.origin) + np.asarray(grid.step) * (index + 0.5),
        tumor=kinds == TUMOR,
        places=find_places(index),
        digest=digest.hexdigest(),
    )


def find_places(index: Indices) -> Indices:
    """Group cells that lie close together.

    Patches around cells of different groups do not overlap, but for groups longer than
    ``LONGEST``, which are cut into equal parts: a few large outlines are many places.

    Parameters
    ----------
    index : (n, 2) ndarray of int
        Row and column of each cell.

    Returns
    -------
    (n,) ndarray of int
        Number of the group, from 0, in the order of their first cells.
    """
    if not len(index):
        return np.zeros(0, np.intp)
    # cells in squares that do not touch have a whole square between them
    square = index // APART
    square -= square.min(axis=0)
    taken = np.zeros(square.max(axis=0) + 1, np.bool_)
    taken[tuple(square.T)] = True
    group = ndimage.label(taken, np.ones((3, 3)))[0][tuple(square.T)]
    key, every = group.astype(np.intp), np.arange(group.max() + 1)
    for along in index.T:
        first = ndimage.minimum(along, group, every).astype(np.intp)
        length = (ndimage.maximum(along, group, every) + 1 - first).astype(np.intp)
        parts = -(-length // LONGEST)
        part = (along - first[group]) * parts[group] // length[group]
        key = key * (parts.max() + 1) + part
    _, seen, place = np.unique(key, return_index=True, return_inverse=True)
    number = np.empty(len(seen), np.intp)
    number[np.argsort(seen)] = np.arange(len(seen))
    found: Indices = number[place]
    return found
