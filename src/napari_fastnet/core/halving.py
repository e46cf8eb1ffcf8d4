"""Pyramids of heatmaps and masks: every level is exactly half as fine as the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def halved(values: NDArray[Any]) -> NDArray[Any]:
    """Return values at half the resolution.

    Parameters
    ----------
    values : (rows, columns) ndarray of float32 or bool
        At least one cell; NaN is not known.

    Returns
    -------
    ((rows + 1) // 2, (columns + 1) // 2) ndarray, of the same dtype
        Each cell lies on exactly 2 x 2 of the old ones, of which some may lie outside
        at the last row and column. Of floats the mean of those that are known, NaN
        where none is; of bools, whether at least half of those inside are True.
    """
    rows, columns = ((side + 1) // 2 for side in values.shape)
    padding = tuple((0, side % 2) for side in values.shape)
    padded = np.pad(values.astype(np.float32), padding, constant_values=np.nan)
    cells = padded.reshape(rows, 2, columns, 2)
    known = ~np.isnan(cells)
    count = known.sum(axis=(1, 3))
    total = np.where(known, cells, 0).sum(axis=(1, 3))
    mean = np.full((rows, columns), np.nan, np.float32)
    np.divide(total, count, out=mean, where=count > 0)
    return mean >= 0.5 if values.dtype == np.bool_ else mean


def halvings(values: NDArray[Any], smallest: int = 256) -> list[NDArray[Any]]:
    """Return a pyramid, the values themselves first.

    Parameters
    ----------
    values : (rows, columns) ndarray of float32 or bool
        At least one cell.
    smallest : int
        The last level is the first whose sides are both no longer than this.

    Returns
    -------
    list of ndarray
        One level or more, each from `halved`.
    """
    levels = [values]
    while max(levels[-1].shape) > smallest:
        levels.append(halved(levels[-1]))
    return levels
