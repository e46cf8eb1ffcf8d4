"""Masks closed and cleaned by sizes in µm, whatever the size of a pixel."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair

# Objects touch at corners too; background does then not, or both would cross.
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def dilate_disk(mask: NDArray[np.bool_], radius: Pair) -> NDArray[np.bool_]:
    """Return the pixels within a disk's radius of a mask.

    Parameters
    ----------
    mask : (height, width) bool ndarray
        The set to grow; nothing lies outside the array.
    radius : tuple of float
        Half-axes (y, x) of the disk in px: an ellipse where px are not square.
        Below 1 px along an axis nothing grows along it.

    Returns
    -------
    (height, width) bool ndarray
        True where the centre of a True pixel lies at most the radius away.

    Notes
    -----
    The disk is the union of its chords, row by row, and the mask grown by a chord is
    the mask or-ed with itself moved along the row. 64 px are one number, so that a
    disk of 6 px over 4 Mpx takes some 10 ms.
    """
    radius_y, radius_x = radius
    height, width = mask.shape
    packed = _pack(mask)
    grown, widened, reached = packed.copy(), packed, 0
    # From the outermost rows inwards the chords only grow.
    for offset in range(min(int(radius_y), height - 1), -1, -1):
        chord = min(int(_half_chord(offset, radius_y, radius_x)), width - 1)
        for distance in range(reached + 1, chord + 1):
            widened = widened | _moved(packed, distance) | _moved_back(packed, distance)
        reached = max(reached, chord)
        grown[offset:] |= widened[: height - offset]
        grown[: height - offset] |= widened[offset:]
    return _unpack(grown, width)


def _pack(mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return a mask with 64 px of a row in a number, the leftmost the lowest bit."""
    packed = np.packbits(mask, axis=1, bitorder="little")
    whole = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    return whole.view("<u8")


def _unpack(packed: NDArray[np.uint64], width: int) -> NDArray[np.bool_]:
    """Return the mask that `_pack` packed."""
    bits = np.unpackbits(packed.view(np.uint8), axis=1, count=width, bitorder="little")
    return bits.view(np.bool_)


def _moved(packed: NDArray[np.uint64], distance: int) -> NDArray[np.uint64]:
    """Return a packed mask moved to the right by some px."""
    words, bits = divmod(distance, 64)
    moved = np.zeros_like(packed)
    count = packed.shape[1] - words
    moved[:, words:] = packed[:, :count] << bits
    if bits:
        moved[:, words + 1 :] |= packed[:, : count - 1] >> (64 - bits)
    return moved


def _moved_back(packed: NDArray[np.uint64], distance: int) -> NDArray[np.uint64]:
    """Return a packed mask moved to the left by some px."""
    words, bits = divmod(distance, 64)
    moved = np.zeros_like(packed)
    count = packed.shape[1] - words
    moved[:, :count] = packed[:, words:] >> bits
    if bits:
        moved[:, : count - 1] |= packed[:, words + 1 :] << (64 - bits)
    return moved


def _half_chord(offset: int, radius_y: float, radius_x: float) -> float:
    """Return half the width of an ellipse, in px, this many rows from its middle."""
    if offset == 0:
        return radius_x
    # A hair more, so that a pixel exactly on the rim belongs to the disk.
    return float(radius_x * np.sqrt(max(0.0, 1 - (offset / radius_y) ** 2)) + 1e-9)


def close_disk(mask: NDArray[np.bool_], radius: Pair) -> NDArray[np.bool_]:
    """Fill what a disk of a given radius cannot enter from outside the mask.

    Parameters
    ----------
    mask : (height, width) bool ndarray
        The set to close.
    radius : tuple of float
        Half-axes (y, x) of the disk in px; (0, 0) changes nothing.

    Returns
    -------
    (height, width) bool ndarray
        The mask and the gaps in it; never less than the mask. The mask is taken to go
        on mirrored beyond the image, so nothing erodes at the edge and tissue that
        the edge cuts through is closed like any other.
    """
    if max(radius) < 1 or not mask.any():
        return mask.copy()
    # What decides about a pixel lies up to twice the radius away.
    pad_y, pad_x = ceil(2 * radius[0]), ceil(2 * radius[1])
    height, width = mask.shape
    padded = np.pad(mask, ((pad_y, pad_y), (pad_x, pad_x)), mode="symmetric")
    closed = ~dilate_disk(~dilate_disk(padded, radius), radius)
    return np.ascontiguousarray(closed[pad_y : pad_y + height, pad_x : pad_x + width])


def remove_small_objects(
    mask: NDArray[np.bool_], minimum_px: float
) -> NDArray[np.bool_]:
    """Drop 8-connected objects of fewer pixels than ``minimum_px``."""
    if minimum_px <= 1:
        return mask.copy()
    labels, count = ndimage.label(mask, _EIGHT_NEIGHBOURS)
    keep = np.bincount(labels.ravel(), minlength=count + 1) >= minimum_px
    keep[0] = False  # the background
    kept: NDArray[np.bool_] = keep[labels]
    return kept


def fill_small_holes(mask: NDArray[np.bool_], minimum_px: float) -> NDArray[np.bool_]:
    """Fill 4-connected holes of fewer pixels than ``minimum_px``.

    A gap that reaches the image's edge is no hole: what closes it is not seen.
    """
    if minimum_px <= 1:
        return mask.copy()
    # The frame joins everything that reaches the edge into one vast background.
    background = np.pad(~mask, 1, constant_values=True)
    labels, count = ndimage.label(background)
    stays = np.bincount(labels.ravel(), minlength=count + 1) >= minimum_px
    stays[labels[0, 0]] = True
    stays[0] = False  # the mask itself
    filled: NDArray[np.bool_] = ~stays[labels[1:-1, 1:-1]]
    return filled
