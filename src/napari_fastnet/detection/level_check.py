"""Whether a picture of a slide shows what its finest level shows."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import SlideFormatError, TileReadError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Level
    from napari_fastnet.slide.slide import Slide

#: So many places along each axis are looked at, each so many px of the picture a side.
PLACES, SIDE_PX = 8, 8
#: Mean grey values that a channel may be apart: no filter makes as much of a difference.
MOST_APART = 40


def require_same_picture(slide: Slide, image: NDArray[np.uint8], level: Level) -> None:
    """Raise where a coarser level shows another picture than level 0.

    To be asked where nothing was found: a level of zeros, or of another image, is no
    slide without tissue.

    Parameters
    ----------
    slide : Slide
        Open, its µm/px known.
    image : (height, width, 3) uint8 ndarray
        The whole slide, read from ``level``.
    level : Level
        Of the slide.

    Raises
    ------
    SlideFormatError
        They differ.
    """
    own = min(level.index, slide.levels[-1].index)  # what a made level is made of
    if own == 0:
        return
    shape = image.shape[:2]
    y, x = (whole / part for whole, part in zip(slide.shape, shape, strict=True))
    for row, column in product(range(PLACES), repeat=2):
        top, left = (
            max(0, (2 * at + 1) * side // (2 * PLACES) - SIDE_PX // 2)
            for at, side in zip((row, column), shape, strict=True)
        )
        seen = image[top : top + SIDE_PX, left : left + SIDE_PX]
        bottom, right = top + seen.shape[0], left + seen.shape[1]
        box = Box(round(top * y), round(left * x), round(bottom * y), round(right * x))
        try:
            finest = slide.read(box, slide.require_mpp())
        except TileReadError:
            continue
        apart = np.abs(finest.mean(axis=(0, 1)) - seen.mean(axis=(0, 1)))
        if apart.max() > MOST_APART:
            raise SlideFormatError(
                f"{slide.path}: level {own} shows another picture than level 0; "
                "convert the slide again, e.g. vips tiffsave IN OUT.tif --tile --pyramid "
                "--compression jpeg"
            )
