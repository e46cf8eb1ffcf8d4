"""Checks of a slide's file: still the one that was opened, readable, one picture."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet import errors
from napari_fastnet.core.geometry import Box
from napari_fastnet.machine.remote.url import Url
from napari_fastnet.slide.opening import file_stamp
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Level, Pair
    from napari_fastnet.slide.slide import Slide

#: Least share of the patches or tiles that must be readable for a result.
READABLE = 0.5
#: Places compared along each axis of a slide, and the side of each, px of its picture.
PLACES, SIDE_PX = 8, 8
#: Cells of a run that are compared; the number that differ from which a note says so, and
#: the share from which the slide is refused.
CELLS, NOTED, REFUSED = 32, 2, 0.5
#: Largest difference of mean grey values of a channel; no filter causes more.
MOST_APART = 40
CONVERT = "e.g. vips tiffsave IN OUT.tif --tile --pyramid --compression jpeg"


def require_readable(slide: Slide, failed: int, wanted: int, what: str) -> None:
    """Raise UnreadableSlideError if too few of the wanted patches or tiles are readable.

    A result would speak of a slide that was never seen.
    """
    if not failed or failed <= (1 - READABLE) * wanted:
        return
    raise errors.UnreadableSlideError(
        f"{slide.path}: could not be read: {failed:,} of {wanted:,} {what} cannot be "
        f"decoded, and a result needs {READABLE:.0%} of them; copy the file again from "
        "its origin".replace("%", " %")
    )


def require_present(slide: Slide) -> None:
    """Raise SlideNotFoundError if a slide's file is gone, or has other content now.

    To be called when pixels cannot be read: they are damaged only if the file is
    unchanged; otherwise the next run may read them.
    """
    try:
        with open_slide(slide.path) as now:
            same = now.fingerprint == slide.fingerprint
    except (errors.SlideNotFoundError, errors.SlideFormatError):
        same = False
    if not same:
        raise errors.SlideNotFoundError(
            f"{slide.path}: vanished or changed while it was scanned; put it back and "
            "start again, what was computed is kept"
        )


def require_unchanged(slide: Slide) -> None:
    """Raise as `require_present` does if a slide's file was written to.

    While it was not, this compares size and time of the file only, so it can be called
    for every block: tiles of two slides never end in one heatmap.
    """
    if isinstance(slide.path, Url):
        return  # the server says with each range which file it is of
    stamp = file_stamp(slide.path)
    if stamp is None or stamp != slide.stamp:
        require_present(slide)
        slide.stamp = stamp  # the file was touched, or put back as it was


def require_same_picture(slide: Slide, image: NDArray[np.uint8], level: Level) -> None:
    """Raise SlideFormatError if a coarser level shows another picture than level 0.

    To be called when no tissue was found: a level of zeros, or of another image, does not
    show a slide without tissue.

    Parameters
    ----------
    slide : Slide
        Open, its µm/px known.
    image : (height, width, 3) uint8 ndarray
        The whole slide, read from ``level``.
    level : Level
        Level of the slide.
    """
    own = min(level.index, slide.levels[-1].index)  # a made level is made of the last
    if own == 0:
        return
    for place in product((np.arange(PLACES) + 0.5) / PLACES, repeat=2):
        if _differs(slide, image, np.multiply(place, slide.shape), slide.require_mpp()):
            raise errors.SlideFormatError(
                f"{slide.path}: level {own} shows another picture than level 0; "
                f"convert the slide again: {CONVERT}"
            )


def other_picture_note(
    slide: Slide,
    image: NDArray[np.uint8],
    centres: NDArray[np.float64],
    mpp: float,
) -> str:
    """Compare the picture that the model sees with the one that the tissue was found on.

    Levels that were cut short while they were written are black or white in part, and
    the network finds nothing there.

    Parameters
    ----------
    slide : Slide
        Open, its µm/px known.
    image : (height, width, 3) uint8 ndarray
        The whole slide, on which the tissue was found.
    centres : (n, 2) float64 ndarray
        Centres of the computed cells, (y, x), level-0 px.
    mpp : float
        µm/px that the model sees.

    Returns
    -------
    str
        A note about the difference; empty if there is none.

    Raises
    ------
    SlideFormatError
        They differ nearly everywhere.
    """
    seen = slide.level_for(
        tuple(np.divide(slide.shape, image.shape[:2]) * slide.require_mpp())
    )
    if not len(centres) or slide.level_for(mpp) == seen:
        return ""
    chosen = centres[np.unique(np.linspace(0, len(centres) - 1, CELLS).astype(int))]
    others = sum(_differs(slide, image, centre, mpp) for centre in chosen)
    if others < NOTED:
        return ""
    what = (
        f"{slide.path.name}: at {others} of {len(chosen)} places the level that the model "
        "sees shows another picture than the one that the tissue was found on"
    )
    if others >= REFUSED * len(chosen):
        raise errors.SlideFormatError(f"{what}; convert the slide again: {CONVERT}")
    return f"{what}; what was found there is false. Convert the slide again: {CONVERT}"


def _differs(
    slide: Slide,
    image: NDArray[np.uint8],
    centre: NDArray[np.float64],
    mpp: float | Pair,
) -> bool:
    """Return whether slide and picture differ around a place, (y, x) level-0 px."""
    scale = np.divide(slide.shape, image.shape[:2])
    top, left = np.maximum(centre / scale - SIDE_PX / 2, 0).astype(int)
    seen = image[top : top + SIDE_PX, left : left + SIDE_PX]
    if not seen.size:
        return False
    begin = np.round((top, left) * scale).astype(int)
    end = np.round(np.add((top, left), seen.shape[:2]) * scale).astype(int)
    try:
        read = slide.read(Box(*map(int, (*begin, *end))), mpp)
    except errors.TileReadError:
        return False  # counted among the unreadable ones
    apart = np.abs(read.mean(axis=(0, 1)) - seen.mean(axis=(0, 1)))
    return bool(apart.max() > MOST_APART)
