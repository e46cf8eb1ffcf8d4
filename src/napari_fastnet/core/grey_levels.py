"""Thresholds and medians of grey values 0..255, from how often each occurs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.filters import threshold_otsu

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GREY_VALUES = 256
_PIECE_PX = 2**16


def otsu_threshold(values: NDArray[np.uint8]) -> float | None:
    """Return Otsu's threshold of grey values, None where they are all the same.

    Parameters
    ----------
    values : uint8 ndarray
        Any shape.

    Returns
    -------
    float or None
        The highest grey value of the darker class.
    """
    return otsu_of(histogram(values))


def histogram(values: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return how often each grey value occurs, 256 numbers."""
    counts = np.zeros(_GREY_VALUES, np.intp)
    flat = values.ravel()
    # piece by piece: a count of all at once takes eight bytes a px besides
    for start in range(0, flat.size, _PIECE_PX):
        piece = flat[start : start + _PIECE_PX]
        counts += np.bincount(piece, minlength=_GREY_VALUES)
    return counts


def otsu_of(counts: NDArray[np.intp]) -> float | None:
    """Return `otsu_threshold` of values of which it is known how often each occurs."""
    occurring = np.flatnonzero(counts)
    if occurring.size < 2:
        return None
    seen = slice(occurring[0], occurring[-1] + 1)
    return float(threshold_otsu(hist=(counts[seen], np.arange(_GREY_VALUES)[seen])))


def median_of(counts: NDArray[np.intp]) -> float:
    """Return the median of values of which it is known how often each occurs."""
    reached, total = np.cumsum(counts), counts.sum()
    middle = [(total - 1) // 2, total // 2]
    return float(np.searchsorted(reached, middle, side="right").mean())
