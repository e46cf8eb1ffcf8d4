"""Whether a slide's file is still the one that was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fastnet.errors import SlideFormatError, SlideNotFoundError
from napari_fastnet.io.readers import file_stamp
from napari_fastnet.io.slide import open_slide

if TYPE_CHECKING:
    from napari_fastnet.io.slide import Slide


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
