"""Levels that show another picture than the one that the tissue was found on."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import SlideFormatError, TileReadError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Level, Pair
    from napari_fastnet.slide.slide import Slide

#: So many places along each axis are looked at, each so many px of the picture a side.
PLACES, SIDE_PX = 8, 8
#: Of the cells of a run so many are looked at; of so many that differ it is told, and from
#: that share on the slide is refused.
CELLS, TOLD, REFUSED = 32, 2, 0.5
#: Mean grey values that a channel may be apart: no filter makes as much of a difference.
MOST_APART = 40
CONVERT = "e.g. vips tiffsave IN OUT.tif --tile --pyramid --compression jpeg"


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
    scale = np.divide(slide.shape, image.shape[:2])
    for place in product((np.arange(PLACES) + 0.5) / PLACES, repeat=2):
        centre = np.multiply(place, slide.shape)
        if _differs(slide, image, centre, scale, slide.require_mpp()):
            raise SlideFormatError(
                f"{slide.path}: level {own} shows another picture than level 0; "
                f"convert the slide again: {CONVERT}"
            )


def other_picture_note(
    slide: Slide,
    image: NDArray[np.uint8],
    centres: NDArray[np.float64],
    mpp: float,
) -> str:
    """Return what is to be told where a model sees another picture than the tissue's.

    Levels that were cut short while they were written are black or white in part, and
    the network finds nothing there.

    Parameters
    ----------
    slide : Slide
        Open, its µm/px known.
    image : (height, width, 3) uint8 ndarray
        The whole slide, on which the tissue was found.
    centres : (n, 2) float64 ndarray
        Of the cells that were looked at, (y, x), level-0 px.
    mpp : float
        µm/px that the model sees.

    Returns
    -------
    str
        Empty where both show the same.

    Raises
    ------
    SlideFormatError
        They differ nearly everywhere.
    """
    scale = np.divide(slide.shape, image.shape[:2])
    y, x = slide.require_mpp()
    seen = slide.level_for((y * float(scale[0]), x * float(scale[1])))
    if not len(centres) or slide.level_for(mpp) == seen:
        return ""
    chosen = centres[np.unique(np.linspace(0, len(centres) - 1, CELLS).astype(int))]
    others = sum(_differs(slide, image, centre, scale, mpp) for centre in chosen)
    if others < TOLD:
        return ""
    what = (
        f"{slide.path.name}: at {others} of {len(chosen)} places the level that the model "
        "sees shows another picture than the one that the tissue was found on"
    )
    if others >= REFUSED * len(chosen):
        raise SlideFormatError(f"{what}; convert the slide again: {CONVERT}")
    return f"{what}; what was found there is false. Convert the slide again: {CONVERT}"


def _differs(
    slide: Slide,
    image: NDArray[np.uint8],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    mpp: float | Pair,
) -> bool:
    """Return whether slide and picture differ around a place."""
    top, left = np.maximum(centre / scale - SIDE_PX / 2, 0).astype(int)
    seen = image[top : top + SIDE_PX, left : left + SIDE_PX]
    if not seen.size:
        return False
    bottom, right = top + seen.shape[0], left + seen.shape[1]
    (y, x), (low, far) = (top, left) * scale, (bottom, right) * scale
    try:
        read = slide.read(Box(round(y), round(x), round(low), round(far)), mpp)
    except TileReadError:
        return False  # it is counted as what cannot be read
    apart = np.abs(read.mean(axis=(0, 1)) - seen.mean(axis=(0, 1)))
    return bool(apart.max() > MOST_APART)
