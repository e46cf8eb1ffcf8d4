"""Which patches an edit of a mask adds and removes, found where it was edited."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.grid import weigh_patches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.grid import PatchGrid

Cells = tuple[slice, slice]


def kept_after(
    patches: PatchGrid,
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    *,
    mask_step: Pair,
    keep: float,
) -> tuple[Cells, NDArray[np.bool_]] | None:
    """Return the cells that an edit may touch, and which of them are kept after it.

    The same as weighing all patches again, at a cost that follows the size of the edit.

    Parameters
    ----------
    patches : PatchGrid
        Any grid over the mask.
    before, after : (height, width) bool ndarray
        The mask; its corner lies at the slide's.
    mask_step : tuple of float
        (y, x) level-0 px per mask px.
    keep : float
        Share of a patch that must be tissue.

    Returns
    -------
    tuple of (rows, columns) and bool ndarray, or None
        Slices of the grid, and one value for each cell in them. None where nothing was
        edited, or no patch reaches there.
    """
    changed = before != after
    edited = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not edited[0].size:
        return None
    (top, bottom), (left, right) = (
        _cells_reaching(patches, axis, indices, mask_step[axis])
        for axis, indices in enumerate(edited)
    )
    if bottom <= top or right <= left:
        return None
    (low, high), (near, far) = (
        _mask_under(patches, axis, cells, mask_step[axis], after.shape[axis])
        for axis, cells in enumerate(((top, bottom), (left, right)))
    )
    grid = patches.grid
    part = Grid(
        (
            grid.origin[0] + grid.step[0] * top - mask_step[0] * low,
            grid.origin[1] + grid.step[1] * left - mask_step[1] * near,
        ),
        grid.step,
        (bottom - top, right - left),
    )
    weighed = weigh_patches(
        after[low:high, near:far],
        mask_step=mask_step,
        patch=patches.patch,
        grid=part,
        keep=keep,
    )
    return (slice(top, bottom), slice(left, right)), weighed.kept


def _cells_reaching(
    patches: PatchGrid, axis: int, edited: NDArray[np.intp], mask_step: float
) -> tuple[int, int]:
    """Return the first cell whose patch reaches edited mask px, and one past the last."""
    grid, half = patches.grid, patches.patch[axis] / 2
    origin, step, count = grid.origin[axis], grid.step[axis], grid.shape[axis]
    begin, end = edited[0] * mask_step, (edited[-1] + 1) * mask_step
    first = floor((begin - half - origin) / step - 0.5)
    last = ceil((end + half - origin) / step - 0.5)
    return min(max(first, 0), count), min(max(last + 1, 0), count)


def _mask_under(
    patches: PatchGrid, axis: int, cells: tuple[int, int], mask_step: float, length: int
) -> tuple[int, int]:
    """Return the first mask px that the patches of some cells see, one past the last."""
    grid, half = patches.grid, patches.patch[axis] / 2
    origin, step = grid.origin[axis], grid.step[axis]
    first = floor((origin + step * (cells[0] + 0.5) - half) / mask_step)
    last = ceil((origin + step * (cells[1] - 0.5) + half) / mask_step)
    return min(max(first, 0), length), min(max(last, 0), length)
