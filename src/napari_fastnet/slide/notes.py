"""Notes for the user about a slide: its µm/px, its corner, choices of its reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.display import counted
from napari_fastnet.errors import SpacingError
from napari_fastnet.machine.remote.url import Url

if TYPE_CHECKING:
    from napari_fastnet.slide.slide import Slide

#: A µm/px that was given may differ from the file's by this share without a note.
_FAR_OFF = 0.1


def spacing_notes(slide: Slide) -> tuple[str, ...]:
    """Return a note of a µm/px that is absurd, or is more than a tenth off the file's."""
    if slide.mpp is None:
        return ()
    try:
        y, x = slide.require_mpp()
    except SpacingError as error:
        return (str(error),)
    stated = slide.stated_mpp
    if stated is None or np.allclose((y, x), stated, rtol=_FAR_OFF, atol=0):
        return ()
    return (
        f"{slide.path.name}: read at {x:.4g} µm/px, as given, while the file states "
        f"{stated[1]:.4g}; all sizes, and the model's input, depend on it",
    )


def reading_notes(slide: Slide) -> tuple[str, ...]:
    """Return notes of choices made while reading the file: its plane, its image."""
    notes = tuple(f"{slide.path.name}: {note}" for note in slide.reading_notes)
    if isinstance(slide.path, Url) and slide.path.query:
        notes = (
            *notes,
            f"{slide.path.name}: the address is recorded without what follows its "
            "question mark, which may be a signature; give all of it with --slide where "
            "the slide is needed again",
        )
    return notes


def finer_notes(slide: Slide) -> tuple[str, ...]:
    """Return a note for each level read in part from the next finer one so far."""
    return tuple(
        f"{slide.path.name}: {counted(tiles, 'tile')} of level {level} cannot be read, "
        "the next finer level was read instead; copy the file again if its original is "
        "whole"
        for level, tiles in slide.finer_tiles.items()
    )


def bounds_notes(slide: Slide) -> tuple[str, ...]:
    """Return a note where QuPath counts from another corner than the slide's."""
    bounds = slide.bounds
    if bounds is None or (bounds.top, bounds.left) == (0, 0):
        return ()
    y, x = bounds.top, bounds.left
    return (
        f"the scanned part begins at {y:g} (y), {x:g} (x) px: QuPath counts from there, "
        "this program from the slide's corner; give "
        f"`export --bounds-offset {y:g} {x:g}` for QuPath, and --qupath-origin where "
        "outlines of QuPath are read",
    )
