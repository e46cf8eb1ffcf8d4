"""Whether a slide's file is still the one that was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fastnet.errors import SlideFormatError, SlideNotFoundError
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
