"""Pixels of any size out of a level: one antialiasing filter, bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from math import ceil, floor

import numpy as np
from PIL import Image

from napari_fastnet.core.geometry import Box, Pair
from napari_fastnet.slide.tiles import WHITE, Pixels

#: The filter of every resampled read, for the run record: Pillow's, whose support
#: grows with the factor so that it does not alias. Of Pillow's five it loses the least
#: contrast of real patches (6 %) that were enlarged four times and reduced again, and
#: passes the fewest false frequencies but for the blurring triangle (13 % at the ratio
#: 1.948 of a 0.499 µm/px slide, where a box passes 40 %).
RESAMPLING = "lanczos"
_FILTER = Image.Resampling[RESAMPLING.upper()]
_SUPPORT_PX = 3

#: Side of the piece of a level, less the filter's margin, that is held at once, px.
BLOCK_PX = 2048

# Offsets below this many px are none: 8-bit values do not show them.
_ALIGNED_PX = 1e-3

#: Returns the RGB px of a (top, left, height, width).
Read = Callable[[int, int, int, int], Pixels]


def resample(
    read: Read,
    extent: tuple[int, int],
    box: Box,
    shape: tuple[int, int],
    *,
    threads: int = 1,
) -> Pixels:
    """Return a box of a level at another size.

    Each output px depends only on where it lies and on the factor, not on the box, so
    that neighbouring reads join without a seam (within 1 grey value, by rounding).

    Parameters
    ----------
    read : callable
        Maps (top, left, height, width), level px, to RGB, white outside the level.
    extent : tuple of int
        (height, width) of the level, px.
    box : Box
        The part to return, in *level* px; real-valued, may leave the level.
    shape : tuple of int
        (height, width) to return it in; the box is stretched to fill it.
    threads : int, optional
        Number that read and filter pieces of a large box; the result is the same.

    Returns
    -------
    ndarray
        ``uint8 (*shape, 3)``. A box of whole px that needs no change of size is
        returned as read, without filter.
    """
    if 0 in shape:
        return np.empty((*shape, 3), np.uint8)
    if is_aligned(box, shape):
        return read(round(box.top), round(box.left), *shape)
    pixels = np.empty((*shape, 3), np.uint8)
    fill = partial(_fill, pixels, read, extent, box)
    scale = (box.height / shape[0], box.width / shape[1])
    pieces = list(product(_blocks(shape[0], scale[0]), _blocks(shape[1], scale[1])))
    if threads == 1 or len(pieces) == 1:
        for piece in pieces:
            fill(piece)
    else:
        with ThreadPoolExecutor(threads, thread_name_prefix="fastnet-read") as pool:
            deque(pool.map(fill, pieces), 0)
    return pixels


def is_aligned(box: Box, shape: tuple[int, int]) -> bool:
    """Return whether a box, level px, has exactly that many px and begins at a whole one."""
    offsets = (
        box.height - shape[0],
        box.width - shape[1],
        box.top - round(box.top),
        box.left - round(box.left),
    )
    return all(abs(offset) < _ALIGNED_PX for offset in offsets)


def reach_px(scale: float) -> int:
    """Return the px around a box that the filter reads; ``scale`` is level px per px."""
    return ceil(_SUPPORT_PX * max(1.0, scale)) + 1


def read_of(box: Box, scale: Pair, downsample: Pair) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of the level px that a box of the slide may need.

    ``scale`` is level-0 px per px wanted, ``downsample`` level-0 px per px of the level.
    """
    y, x = downsample
    rows, columns = (reach_px(s / d) for s, d in zip(scale, downsample, strict=True))
    return (
        floor(box.top / y) - rows,
        floor(box.left / x) - columns,
        ceil(box.height / y) + 2 * rows + 1,
        ceil(box.width / x) + 2 * columns + 1,
    )


def _blocks(length: int, scale: float) -> Iterator[slice]:
    """Cut output px into runs that need at most ``BLOCK_PX`` of the source."""
    step = max(1, floor(BLOCK_PX / scale))
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def _fill(
    pixels: Pixels,
    read: Read,
    extent: tuple[int, int],
    box: Box,
    piece: tuple[slice, slice],
) -> None:
    """Resize a piece of the output, read with a margin as wide as the filter."""
    rows, columns = piece
    size = (rows.stop - rows.start, columns.stop - columns.start)
    y, x = box.height / pixels.shape[0], box.width / pixels.shape[1]
    top, bottom = box.top + rows.start * y, box.top + rows.stop * y
    left, right = box.left + columns.start * x, box.left + columns.stop * x
    margin_y, margin_x = (
        reach_px(length / count)
        for length, count in zip((bottom - top, right - left), size, strict=True)
    )
    first_row, first_column = floor(top) - margin_y, floor(left) - margin_x
    height = ceil(bottom) + margin_y - first_row
    width = ceil(right) + margin_x - first_column
    region = Box.of_shape((height, width), (first_row, first_column))
    if region.intersect(Box.of_shape(extent)).is_empty:
        pixels[piece] = WHITE
        return
    # One axis after the other: Pillow may begin with either if asked for both, and the
    # rounding and clipping in between shows at seams (by up to 13 grey values).
    source = Image.fromarray(read(first_row, first_column, height, width))
    across = (left - first_column, 0, right - first_column, height)
    narrow = source.resize((size[1], height), _FILTER, box=across)
    down = (0, top - first_row, size[1], bottom - first_row)
    pixels[piece] = np.asarray(narrow.resize(size[::-1], _FILTER, box=down))


def resize(image: Pixels, shape: tuple[int, int]) -> Pixels:
    """Return an image, ``uint8 (height, width, 3)``, at another size, as other reads do.

    The px beyond the image are unknown, so the filter is cut off at the edge and its weights
    are scaled up. An image of that size is returned as it is.
    """
    if image.shape[:2] == shape:
        return image
    return np.asarray(Image.fromarray(image).resize(shape[::-1], _FILTER))
