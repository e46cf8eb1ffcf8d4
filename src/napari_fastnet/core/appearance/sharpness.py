"""Sharpness of patches: the share of their contrast in the finest detail.

Squared second differences of the green channel are divided by squared differences
across two px. Stain and contrast scale both alike, so the quotient separates blur from
pallor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bytes, Floats, Indices, Singles

# Only one row of so many is measured, along it and across: neighbours are alike.
_EVERY = 24
# Added to both sums at each px measured, grey values²: the effect of rounding. So a
# patch without any contrast is not called blurred.
_NOISE = 1.0


def patch_sharpness(
    pixels: Bytes,
    shape: tuple[int, int],
    *,
    patch_px: int,
    stride_px: int,
    corner_px: int = 0,
) -> Singles:
    """Measure the sharpness of each patch of a picture.

    Parameters
    ----------
    pixels : (height, width, 3) uint8 ndarray
        RGB at the µm/px of the model.
    shape : tuple of int
        Rows and columns of patches.
    patch_px, stride_px : int
        Side of a patch, and distance from one to the next.
    corner_px : int, optional
        Begin of the first patch along either axis; patches are cut at the picture's
        edge.

    Returns
    -------
    (rows, columns) float32 ndarray
        Logarithm of the quotient: about 0.5 where tissue is in focus at 1 µm/px,
        -1.6 after a Gaussian blur of 1 px, and about 0 without any contrast.
    """
    green = pixels[..., 1]
    above, here, below = (
        green[row : len(green) - 2 + row : _EVERY].astype(np.int16) for row in range(3)
    )
    middle = here[:, 1:-1]
    steps = (here[:, 2:] - here[:, :-2], (below - above)[:, 1:-1])
    bends = (
        here[:, 2:] + here[:, :-2] - 2 * middle,
        (below + above)[:, 1:-1] - 2 * middle,
    )
    rows, columns = (
        corner_px + stride_px * np.arange(count) + np.array([[0], [patch_px]])
        for count in shape
    )
    rows = -(-rows // _EVERY)  # of the measured rows, the first one inside
    sums = []
    for differences in (steps, bends):
        squares = np.full(middle.shape, np.float32(_NOISE))
        for part in differences:
            squares += np.square(part, dtype=np.float32)
        sums.append(window_sums(squares, rows, columns))
    coarse, fine = sums
    # a window beyond the picture has neither
    quotient = np.maximum(fine, _NOISE) / np.maximum(coarse, _NOISE)
    return np.log(quotient).astype(np.float32)


def window_sums(
    values: NDArray[np.floating], rows: Indices, columns: Indices
) -> Floats:
    """Sum values in each window of rows and columns.

    Parameters
    ----------
    values : (height, width) ndarray
        Beyond it everything is 0.
    rows, columns : (2, n) int ndarray
        Begin of each window, and one past its end.

    Returns
    -------
    (rows, columns) float64 ndarray
        Exact up to rounding; windows may overlap.
    """
    # along rows first: of a picture only every 24th row comes here
    return _sums_between(_sums_between(values, columns).T, rows).T


def _sums_between(values: NDArray[np.floating], places: Indices) -> Floats:
    """Sum the values of each line between two places; returns (height, n)."""
    height, width = values.shape
    running = np.zeros((height, width + 1))
    np.cumsum(values, axis=1, out=running[:, 1:])
    begins, ends = np.clip(places, 0, width)
    found: Floats = running.take(ends, 1) - running.take(begins, 1)
    return found
