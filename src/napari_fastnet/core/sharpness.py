"""How sharp patches are: how much of their contrast lies in the finest detail.

Squared second differences of the green channel over squared differences across two
px. Stain and contrast scale both alike, so that the quotient tells blur from pallor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: One row and one column of so many are looked at: neighbours say the same.
_EVERY = 8
# Added to both sums for each difference, grey values²: what rounding alone makes. A
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
    coarse = np.zeros(shape)
    fine = np.zeros(shape)
    for across, counts in (
        (green[::_EVERY], shape),
        (green[:, ::_EVERY].T, shape[::-1]),
    ):
        ends = [_ends(count, patch_px, stride_px, corner_px) for count in counts]
        ends[0] = -(-ends[0] // _EVERY)  # the first of the lines that lies inside
        wide = across.astype(np.int16)
        step = wide[:, 2:] - wide[:, :-2]
        bend = wide[:, 2:] + wide[:, :-2] - 2 * wide[:, 1:-1]
        found = [_window_sums(values, *ends) for values in (step, bend)]
        if counts is not shape:
            found = [values.T for values in found]
        coarse += found[0]
        fine += found[1]
    sharpness: NDArray[np.float32] = np.log(fine / coarse).astype(np.float32)
    return sharpness


def _ends(
    count: int, patch_px: int, stride_px: int, corner_px: int
) -> NDArray[np.intp]:
    """Return the first px of each patch along an axis, and one past its last, (2, n)."""
    begins = corner_px + stride_px * np.arange(count)
    return np.stack([begins, begins + patch_px])


def _window_sums(
    differences: NDArray[np.int16], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the sums of squares, and of noise, in each window of rows and columns."""
    squares = np.square(differences, dtype=np.float32) + np.float32(_NOISE)
    return between(between(squares, rows).T, columns).T


def between(
    values: NDArray[np.floating], ends: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return sums along the first axis from each begin to each end, (2, n), exclusive.

    What lies beyond the array counts as nothing.
    """
    sums = np.zeros((len(values) + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=sums[1:])
    begins, stops = np.clip(ends, 0, len(values))
    found: NDArray[np.float64] = sums[stops] - sums[begins]
    return found
