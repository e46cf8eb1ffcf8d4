"""What every back end does alike: check patches, judge them in parts, check the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.errors import DataError, DetectionError
from napari_fastnet.model.description import MINIMUM_PATCH_PX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

# Patches go through the network in parts of about so many px (28 of 96 px, 4 of
# 256 px): the first feature map of a part is then 70 MB, and on two cores smaller
# parts were up to a tenth faster than 64 patches at once.
PART_PX = 2**18
# A GPU wants more at once: 227 patches of 96 px, 32 of 256 px. What is launched, not
# what is computed, takes the time on a large one, up to about four times as many.
GPU_PART_PX = 2**21
# By how much a probability may leave 0..1: bfloat16 has steps of 0.004 below 1.
_ROUNDING = 0.01


def predict_in_parts(
    run: Callable[[list[NDArray[np.uint8]]], Iterable[NDArray[np.float32]]],
    patches: NDArray[np.uint8],
    part_px: int,
    model: str,
    *,
    threads: int = 1,
    filled_up: bool = False,
) -> NDArray[np.float32]:
    """Check the patches, judge them part by part, and check the probabilities.

    Parameters
    ----------
    run : callable
        Maps parts, contiguous uint8 (n, H, W, 3), to float32 (n,) of each, in order.
    patches : (N, H, W, 3) uint8 ndarray
        Any N, 0 included.
    part_px : int
        About how many px a part has; it has one patch at least.
    model : str
        Name and version, for error messages.
    threads : int, optional
        That judge a part each: parts are so small that none of them is idle.
    filled_up : bool, optional
        Give the last part black patches besides, up to a quarter, half or all of what
        the others have, so that parts have few shapes.

    Returns
    -------
    (N,) float32 ndarray
        Probabilities, all of them numbers.

    Raises
    ------
    DataError
        The array is of another kind, or its patches are too small.
    DetectionError
        A probability is not a number, or none from 0 to 1, or there are not as many as
        patches.
    """
    shape = patches.shape
    _check_pictures(patches)
    step = max(1, part_px // (shape[1] * shape[2]))
    if threads > 1:
        step = min(step, max(1, -(-shape[0] // threads)))
    parts = [
        np.ascontiguousarray(patches[first : first + step])
        for first in range(0, shape[0], step)
    ]
    if filled_up and parts:
        sizes = (max(1, step // 4), max(1, step // 2), step)
        count = next(size for size in sizes if size >= len(parts[-1]))
        parts[-1] = filled(parts[-1], (count, *shape[1:3]))
    judged = [
        _one_each(values, len(part), model)
        for values, part in zip(run(parts), parts, strict=True)
    ]
    found = np.concatenate([np.empty(0, np.float32), *judged])[: shape[0]]
    _check_numbers(found, model)
    _check_range(found, model)
    return found


def filled(pixels: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return pixels with black behind them along the first axes, up to a shape.

    Parameters
    ----------
    pixels : ndarray
        uint8; of at least as many axes as the shape, and along none of them longer.
    shape : tuple of int
        The first axes' lengths.

    Returns
    -------
    ndarray
        uint8; the same array where it has the shape already.
    """
    have = pixels.shape[: len(shape)]
    if have == shape:
        return pixels
    whole = np.zeros((*shape, *pixels.shape[len(shape) :]), np.uint8)
    whole[tuple(slice(side) for side in have)] = pixels
    return whole


def margins_of(
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    picture: NDArray[np.uint8],
    model: str,
) -> NDArray[np.float32]:
    """Check a picture, judge the cells of its feature map, and check the log odds.

    Parameters
    ----------
    run : callable
        Maps contiguous uint8 (1, H, W, 3) to float32 (1, h, w).
    picture : (H, W, 3) uint8 ndarray
        At least 31 px a side.
    model : str
        Name and version, for error messages.

    Returns
    -------
    (h, w) float32 ndarray
        Log odds of tumour, all of them numbers.

    Raises
    ------
    DataError
        The array is of another kind or too small.
    DetectionError
        A value is not a number.
    """
    pictures = np.ascontiguousarray(picture[np.newaxis])
    _check_pictures(pictures)
    found = np.asarray(run(pictures))
    if found.ndim != 3 or len(found) != 1:
        raise DetectionError(
            f"the model {model} gives a picture numbers of shape {found.shape}; log odds "
            "of (1, rows, columns) cells are needed: use --stride patch or another model"
        )
    _check_numbers(found, model)
    margins: NDArray[np.float32] = found[0]
    return margins


def _check_pictures(pictures: NDArray[np.uint8]) -> None:
    shape = pictures.shape
    is_rgb = pictures.dtype == np.uint8 and pictures.ndim == 4 and shape[-1] == 3
    if not is_rgb or min(shape[1:3]) < MINIMUM_PATCH_PX:
        raise DataError(
            f"patches are {pictures.dtype} {shape}; give uint8 (N, H, W, 3) with H and W "
            f"at least {MINIMUM_PATCH_PX} px"
        )


def _check_numbers(found: NDArray[np.float32], model: str) -> None:
    wrong = np.count_nonzero(~np.isfinite(found))
    if wrong:
        raise DetectionError(
            f"the model {model} gave {wrong} of {found.size} patches no number; its "
            "weights are damaged or were trained to divergence: use another model"
        )


def _one_each(
    values: NDArray[np.float32], patches: int, model: str
) -> NDArray[np.float32]:
    """Return the values of a part, if there is one a patch."""
    found = np.asarray(values)
    if found.shape != (patches,):
        raise DetectionError(
            f"the model {model} gives {patches} patches numbers of shape {found.shape}; "
            f"one probability a patch is needed, ({patches},): use another model"
        )
    return found


def _check_range(found: NDArray[np.float32], model: str) -> None:
    if not found.size:
        return
    lowest, highest = float(found.min()), float(found.max())
    if lowest < -_ROUNDING or highest > 1 + _ROUNDING:
        raise DetectionError(
            f"the model {model} gives probabilities from {lowest:.3g} to {highest:.3g}; "
            "they must lie from 0 to 1: perhaps these are logits, use another model"
        )


def one_line(error: BaseException) -> str:
    """Return an error's text as a single line of bounded length."""
    return " ".join(str(error).split())[:200]
