"""The paper's patch grid over a tissue mask and its weights (Eqs. 1-4).

Xiao et al. (2023), Section III-B2: squares of one patch tile the bounding box of the
mask, W is the sum of the mask inside a patch, and a patch is kept where W is at least
half the patch. Here coordinates are real numbers of level-0 px, so that cells do not
drift where a mask pixel is 16.002 slide pixels, and patches may overlap (a stride below
the patch) or leave gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.arrays import Bools, Floats, Indices, Singles
from napari_fastnet.core.geometry import Box, Grid, Pair
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Tissue or not, or the share of each px that is tissue, 0 to 1.
Mask = Bools | Singles

# Sums of real numbers are off by some 1e-12 of a patch; a patch of which exactly half is
# tissue must not be lost to that.
_TOLERANCE = 1e-9

# Width, px, of the strips of a mask that are summed one by one: intermediate arrays stay
# below the megabyte from which on they are allocated from the system each time (2
# million cells: 0.16 s instead of 0.38).
_STRIP_PX = 32


@dataclass(frozen=True, slots=True, eq=False)
class PatchGrid:
    """Patches over a mask, with the tissue in each of them.

    Parameters
    ----------
    grid : Grid
        Cells of one stride; a patch's result belongs to its cell.
    patch : tuple of float
        (y, x) size of a patch, level-0 px.
    kept : (rows, columns) bool ndarray
        Whether a patch holds enough tissue (Eq. 4).
    weights : (rows, columns) float64 ndarray
        W of Eq. 3: the tissue inside each patch, level-0 px².
    """

    grid: Grid
    patch: Pair
    kept: Bools
    weights: Floats

    def patch_box(self, row: int, column: int) -> Box:
        """Return the box of one patch, centred on its cell.

        Parameters
        ----------
        row, column : int
            Of the cell.

        Returns
        -------
        Box
            Level-0 px; may leave the slide.
        """
        y, x = self.grid.cell_centre(row, column)
        height, width = self.patch
        return Box.of_shape(self.patch, (y - height / 2, x - width / 2))


def patch_grid(
    mask: Mask,
    *,
    mask_step: Pair,
    patch: Pair,
    stride: Pair,
    keep: float = 0.5,
) -> PatchGrid:
    """Lay patches over a mask and keep those with enough tissue (Eqs. 1-4).

    Parameters
    ----------
    mask : (height, width) bool or float32 ndarray
        True is tissue, or the share of a px that is; outside there is none. Its corner
        lies at the slide's.
    mask_step : tuple of float
        (y, x) level-0 px per mask px; real numbers.
    patch : tuple of float
        (y, x) size of a patch, level-0 px; ``WIDTH`` of the paper.
    stride : tuple of float
        (y, x) from patch to patch, level-0 px; equal to ``patch`` in the paper.
    keep : float
        A patch is kept where tissue fills at least this share of it, above 0 to 1; one
        half in the paper.

    Returns
    -------
    PatchGrid
        Rows are ``(MAX_Y - MIN_Y) // stride + 1`` with MAX_Y the last px of tissue,
        columns likewise, so that the cells cover the whole bounding box and the last
        row and column may hang over it. Without tissue the grid has no cells.

    Raises
    ------
    OptionError
        A size is not above 0, or ``keep`` is not within its bounds.

    Examples
    --------
    >>> mask = np.zeros((6, 6), bool)
    >>> mask[1:5, 2:4] = True
    >>> laid = patch_grid(mask, mask_step=(16, 16), patch=(32, 32), stride=(32, 32))
    >>> laid.grid
    Grid(origin=(16, 32), step=(32, 32), shape=(2, 1))
    >>> laid.weights.tolist(), laid.kept.tolist()
    ([[1024.0], [1024.0]], [[True], [True]])
    """
    grid = tissue_grid(mask, mask_step=mask_step, stride=stride)
    return weigh_patches(mask, mask_step=mask_step, patch=patch, grid=grid, keep=keep)


def tissue_grid(mask: Mask, *, mask_step: Pair, stride: Pair) -> Grid:
    """Lay cells of one stride over the bounding box of a mask (Eqs. 1, 2).

    Parameters
    ----------
    mask : (height, width) bool or float32 ndarray
        True is tissue, or the share of a px that is.
    mask_step, stride : tuple of float
        (y, x) level-0 px per mask px, and from cell to cell.

    Returns
    -------
    Grid
        Without cells where there is no tissue.

    Raises
    ------
    OptionError
        A size is not above 0.
    """
    _check_sizes(mask_step=mask_step, stride=stride)
    rows = _cells_over(np.any(mask, axis=1), mask_step[0], stride[0])
    columns = _cells_over(np.any(mask, axis=0), mask_step[1], stride[1])
    return Grid((rows[0], columns[0]), stride, (rows[1], columns[1]))


def slide_grid(shape: Pair, *, stride: Pair, anchor: Pair = (0.0, 0.0)) -> Grid:
    """Lay cells of one stride over a whole slide.

    The cells do not depend on the tissue, so a value stays in place when a mask is
    edited.

    Parameters
    ----------
    shape : tuple of float
        (height, width) of the slide, level-0 px.
    stride : tuple of float
        (y, x) from cell to cell, level-0 px.
    anchor : tuple of float
        (y, x) of a corner of a cell, level-0 px, anywhere.

    Returns
    -------
    Grid
        The first row and column begin at or before the slide's edge, by less than a
        stride; the last may hang over it.

    Raises
    ------
    OptionError
        A size is not above 0.
    """
    _check_sizes(shape=shape, stride=stride)
    origin, counts = [], []
    for axis in (0, 1):
        cells_before = ceil(anchor[axis] / stride[axis] - _TOLERANCE)
        first = anchor[axis] - cells_before * stride[axis]
        origin.append(first)
        extent = (shape[axis] - first) / stride[axis]
        counts.append(max(1, ceil(extent - _TOLERANCE)))
    return Grid((origin[0], origin[1]), stride, (counts[0], counts[1]))


def weigh_patches(
    mask: Mask,
    *,
    mask_step: Pair,
    patch: Pair,
    grid: Grid,
    keep: float = 0.5,
) -> PatchGrid:
    """Keep the patches of a grid that hold enough tissue (Eqs. 3, 4).

    Parameters
    ----------
    mask, mask_step, patch
        As for `patch_grid`.
    grid : Grid
        A patch is centred on each cell.
    keep : float
        As for `patch_grid`.

    Returns
    -------
    PatchGrid
        Of the same cells.

    Raises
    ------
    OptionError
        A size is not above 0, or ``keep`` is not within its bounds.
    """
    _check_sizes(mask_step=mask_step, patch=patch)
    if not 0 < keep <= 1:
        raise OptionError(f"keep is {keep}; use a share above 0 and up to 1")
    weights = _weights(mask, mask_step, patch, grid)
    kept = weights >= (keep - _TOLERANCE) * patch[0] * patch[1]
    return PatchGrid(grid, patch, kept, weights)


def _check_sizes(**sizes: Pair) -> None:
    for name, pair in sizes.items():
        if not all(isfinite(value) and value > 0 for value in pair):
            raise OptionError(f"{name} is {pair}; give two numbers of px above 0")


def _cells_over(occupied: Bools, mask_step: float, stride: float) -> tuple[float, int]:
    """Return begin and number of the cells along one axis (Eqs. 1, 2).

    ``occupied`` is True for each mask px of the axis that holds tissue.
    """
    indices = np.flatnonzero(occupied)
    if indices.size == 0:
        return 0.0, 0
    first, end = int(indices[0]), int(indices[-1]) + 1
    extent = (end - first) * mask_step
    return first * mask_step, max(1, ceil(extent / stride - _TOLERANCE))


def _weights(mask: Mask, mask_step: Pair, patch: Pair, grid: Grid) -> Floats:
    """Return W of Eq. 3 for the patch centred on every cell, (rows, columns)."""
    sums: NDArray[Any] = mask
    for axis in (0, 1):
        indices = np.arange(grid.shape[axis], dtype=np.float64)
        centres = grid.origin[axis] + grid.step[axis] * (indices + 0.5)
        starts = (centres - patch[axis] / 2) / mask_step[axis]
        ends = (centres + patch[axis] / 2) / mask_step[axis]
        # Strip by strip gives the same and needs less memory.
        across = 1 - axis
        strips = np.array_split(sums, sums.shape[across] // _STRIP_PX + 1, across)
        found = [_sum_between(strip, axis, starts, ends) for strip in strips]
        sums = np.concatenate(found, across)
    weights: Floats = sums * (mask_step[0] * mask_step[1])
    return weights


def _sum_between(
    values: NDArray[Any], axis: int, starts: Floats, ends: Floats
) -> Floats:
    """Integrate along one axis between real positions, in px of ``values``.

    The running sum at whole positions is a summed-area table along the axis. Linear
    interpolation between them is exact, because a pixel is constant. Positions outside
    count as nothing.
    """
    length = values.shape[axis]
    padding = [(0, 0), (0, 0)]
    padding[axis] = (1, 0)
    running = np.pad(np.cumsum(values, axis=axis, dtype=np.float64), padding)

    def running_at(positions: Floats) -> Floats:
        clipped = np.clip(positions, 0, length)
        below = np.minimum(clipped.astype(np.intp), max(length - 1, 0))
        fraction = np.expand_dims(clipped - below, 1 - axis)
        low = running.take(below, axis=axis)
        high = running.take(below + 1, axis=axis)
        return low + fraction * (high - low)

    return running_at(ends) - running_at(starts)


Cells = tuple[slice, slice]


def kept_after(
    patches: PatchGrid, before: Bools, after: Bools, *, mask_step: Pair, keep: float
) -> tuple[Cells, Bools] | None:
    """Weigh again the patches that an edit of the mask may touch.

    The result equals weighing all patches again, at a cost that follows the size of
    the edit.

    Parameters
    ----------
    patches : PatchGrid
        Any grid over the mask.
    before, after : (height, width) bool ndarray
        The mask before and after the edit; its corner lies at the slide's.
    mask_step : tuple of float
        (y, x) level-0 px per mask px.
    keep : float
        Share of a patch that must be tissue, above 0 to 1.

    Returns
    -------
    tuple of (rows, columns) and bool ndarray, or None
        Slices of the grid, and whether each cell in them is kept. None where nothing
        was edited, or no patch reaches the edit.
    """
    changed = before != after
    axes = []
    for axis in (0, 1):
        edited = np.flatnonzero(changed.any(axis=1 - axis))
        if not edited.size:
            return None
        cells = _cells_reaching(patches, axis, edited, mask_step[axis])
        if cells.stop <= cells.start:
            return None
        px = _mask_under(patches, axis, cells, mask_step[axis], after.shape[axis])
        start = patches.grid.origin[axis] + patches.grid.step[axis] * cells.start
        axes.append((cells, px, start - mask_step[axis] * px.start))
    (rows, down, top), (columns, across, left) = axes
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    weighed = weigh_patches(
        after[down, across],
        mask_step=mask_step,
        patch=patches.patch,
        grid=Grid((top, left), patches.grid.step, shape),
        keep=keep,
    )
    return (rows, columns), weighed.kept


def _cells_reaching(
    patches: PatchGrid, axis: int, edited: Indices, mask_step: float
) -> slice:
    """Return the cells of an axis whose patches reach edited mask px."""
    grid, half = patches.grid, patches.patch[axis] / 2
    origin, step, count = grid.origin[axis], grid.step[axis], grid.shape[axis]
    begin, end = edited[0] * mask_step, (edited[-1] + 1) * mask_step
    first = floor((begin - half - origin) / step - 0.5)
    last = ceil((end + half - origin) / step - 0.5)
    return slice(min(max(first, 0), count), min(max(last + 1, 0), count))


def _mask_under(
    patches: PatchGrid, axis: int, cells: slice, mask_step: float, length: int
) -> slice:
    """Return the mask px of an axis under the patches of some cells."""
    grid, half = patches.grid, patches.patch[axis] / 2
    origin, step = grid.origin[axis], grid.step[axis]
    first = floor((origin + step * (cells.start + 0.5) - half) / mask_step)
    last = ceil((origin + step * (cells.stop - 0.5) + half) / mask_step)
    return slice(min(max(first, 0), length), min(max(last, 0), length))
