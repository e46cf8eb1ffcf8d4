"""Looking at a patch and its three mirror images, and taking the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# None, up-down, left-right, both: axes of (N, H, W, 3).
_FLIPS: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 2))


def predict_with_flips(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    patches: NDArray[np.uint8],
    flips: bool,
) -> NDArray[np.float32]:
    """Return the probabilities of patches, each looked at from one or four sides.

    Tissue has no up and no left, so that a network's four answers differ by chance
    only, and their mean is better than each.

    Parameters
    ----------
    predict : callable
        A back end's, from uint8 (N, H, W, 3) to float32 (N,).
    patches : (N, H, W, 3) ndarray of uint8
        RGB.
    flips : bool
        Look at the mirror images too, for four times the price.

    Returns
    -------
    (N,) ndarray of float32
        Mean probabilities.
    """
    if not flips:
        return predict(patches)
    views = [predict(np.flip(patches, axes)) for axes in _FLIPS]
    mean: NDArray[np.float32] = np.stack(views).mean(axis=0, dtype=np.float32)
    return mean


def map_with_flips(
    cell_margins: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    pool: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    picture: NDArray[np.uint8],
    flips: bool,
) -> NDArray[np.float32]:
    """Return the probabilities of a picture's patches, from one or four sides.

    Parameters
    ----------
    cell_margins : callable
        A back end's, from uint8 (H, W, 3) to the log odds of each cell (h, w).
    pool : callable
        From log odds of cells to those of patches.
    picture : (H, W, 3) ndarray of uint8
        RGB; its feature map lies alike from both ends.
    flips : bool
        Look at the mirror images too, for four times the price.

    Returns
    -------
    (rows, columns) ndarray of float32
        Mean probabilities.
    """
    views = []
    for axes in _FLIPS if flips else _FLIPS[:1]:
        over = tuple(axis - 1 for axis in axes)
        margins = pool(cell_margins(np.flip(picture, over)))
        views.append(np.flip(expit(margins), over))
    mean: NDArray[np.float32] = np.stack(views).mean(axis=0, dtype=np.float32)
    return mean
