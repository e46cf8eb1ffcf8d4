"""Whether a slide's file is still the one that was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fastnet.errors import (
    SlideFormatError,
    SlideNotFoundError,
    UnreadableSlideError,
)
from napari_fastnet.slide.opening import file_stamp
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    from napari_fastnet.slide.slide import Slide


#: Of a slide at least this share of what is wanted must be readable for a result.
READABLE = 0.5


def require_readable(slide: Slide, failed: int, wanted: int, what: str) -> None:
    """Raise where less than ``READABLE`` of what was wanted could be read.

    Parameters
    ----------
    slide : Slide
        Open.
    failed, wanted : int
        How many could not be decoded, and all.
    what : str
        What is counted: "patches".

    Raises
    ------
    UnreadableSlideError
        A result would say of a slide what was never seen.
    """
    if not failed or failed <= (1 - READABLE) * wanted:
        return
    raise UnreadableSlideError(
        f"{slide.path}: could not be read: {failed:,} of {wanted:,} {what} cannot be "
        f"decoded, and a result needs {READABLE:.0%} of them; copy the file again from "
        "its origin".replace("%", " %")
    )


def require_present(slide: Slide) -> None:
    """Raise where a slide's file is gone, cut short or another one by now.

    To be asked where pixels cannot be read: they are damaged only if the file is as it
    was, and may else be there the next time.

    Parameters
    ----------
    slide : Slide
        Open.

    Raises
    ------
    SlideNotFoundError
        The file is gone, or no longer what it was.
    """
    try:
        with open_slide(slide.path) as now:
            same = now.fingerprint == slide.fingerprint
    except (SlideNotFoundError, SlideFormatError):
        same = False
    if not same:
        raise SlideNotFoundError(
            f"{slide.path}: vanished or changed while it was scanned; put it back and "
            "start again, what was computed is kept"
        )


def require_unchanged(slide: Slide) -> None:
    """Raise as `require_present` does where somebody wrote to a slide's file.

    Costs one look at the file's size and time as long as nobody did, so it can be asked
    for everything that was read: tiles of two slides never end in one heatmap.

    Parameters
    ----------
    slide : Slide
        Open.

    Raises
    ------
    SlideNotFoundError
        The file is gone, or no longer what it was.
    """
    stamp = file_stamp(slide.path)
    if stamp is not None and stamp == slide.stamp:
        return
    require_present(slide)
    slide.stamp = stamp  # touched, or put back as it was
