"""How sharp patches are: how much of their contrast lies in the finest detail.

Squared second differences of the green channel over squared differences across two
px. Stain and contrast scale both alike, so that the quotient tells blur from pallor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# One row of so many is looked at, along it and across: neighbours say the same.
_EVERY = 24
# Added to both sums at each px looked at, grey values²: what rounding alone makes. A
# patch without any contrast is then not called blurred.
_NOISE = 1.0


def patch_sharpness(
    pixels: NDArray[np.uint8],
    shape: tuple[int, int],
    *,
    patch_px: int,
    stride_px: int,
    corner_px: int = 0,
) -> NDArray[np.float32]:
    """Return how sharp each patch of a picture is.

    Parameters
    ----------
    pixels : (height, width, 3) uint8 ndarray
        RGB at the µm/px of the model.
    shape : tuple of int
        Rows and columns of patches.
    patch_px, stride_px : int
        Side of a patch, and from one to the next.
    corner_px : int, optional
        Where the first patch begins along either axis; patches are cut at the
        picture's edge.

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
    rows = -(-rows // _EVERY)  # the first of the lines that lies inside
    coarse, fine = (_window_sums(pair, rows, columns) for pair in (steps, bends))
    # a window beyond the picture has neither
    quotient = np.maximum(fine, _NOISE) / np.maximum(coarse, _NOISE)
    return np.log(quotient).astype(np.float32)


def _window_sums(
    differences: tuple[NDArray[np.int16], NDArray[np.int16]],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Return the sums of squares, and of noise, in each window of rows and columns."""
    squares = np.full(differences[0].shape, np.float32(_NOISE))
    for part in differences:
        squares += np.square(part, dtype=np.float32)
    return window_sums(squares, rows, columns)


def window_sums(
    values: NDArray[np.floating], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the sum of values in each window of rows and columns.

    Parameters
    ----------
    values : (height, width) ndarray
        What lies beyond counts as nothing.
    rows, columns : (2, n) int ndarray
        Where each window begins, and one past its end.

    Returns
    -------
    (rows, columns) float64 ndarray
        Exact up to rounding, whatever the windows share.
    """
    # across first: of a picture only every 24th line comes here
    return _sums_between(_sums_between(values, columns).T, rows).T


def _sums_between(
    values: NDArray[np.floating], places: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the sums (height, n) of the values of each line between two places."""
    height, width = values.shape
    running = np.zeros((height, width + 1))
    np.cumsum(values, axis=1, out=running[:, 1:])
    begins, ends = np.clip(places, 0, width)
    found: NDArray[np.float64] = running.take(ends, 1) - running.take(begins, 1)
    return found
