"""What there is to say of a slide: as data, and as rows of text for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fastnet.core.display import NOTEBOOK_PX, counted, notebook_card, png_bytes
from napari_fastnet.errors import SpacingError

if TYPE_CHECKING:
    from napari_fastnet.slide.slide import Slide

#: From this share on, a µm/px that was given is told to be another than the file's.
_FAR_OFF = 0.1


def slide_description(slide: Slide) -> dict[str, Any]:
    """Return what ``info --json`` prints: plain data, None where unknown.

    Parameters
    ----------
    slide : Slide
        An open slide.

    Returns
    -------
    dict
        path, vendor, fingerprint, width and height (level-0 px), mpp ((y, x), µm/px),
        mpp_source, width_mm, height_mm, bounds (y, x, height, width of the scanned
        part, level-0 px), icc_profile (its name; it is not applied), reading (what
        must be told of how the file is read), and levels: index, width, height (level
        px) and downsample ((y, x), level-0 px per level px).
    """
    height, width = slide.shape
    y_mm, x_mm = (
        (None, None)
        if slide.mpp is None
        else (height * slide.mpp[0] / 1000, width * slide.mpp[1] / 1000)
    )
    return {
        "path": str(slide.path),
        "vendor": slide.vendor,
        "fingerprint": slide.fingerprint,
        "width": width,
        "height": height,
        "mpp": None if slide.mpp is None else list(slide.mpp),
        "mpp_source": slide.mpp_source,
        "width_mm": x_mm,
        "height_mm": y_mm,
        "bounds": None
        if slide.bounds is None
        else {
            "y": slide.bounds.top,
            "x": slide.bounds.left,
            "height": slide.bounds.height,
            "width": slide.bounds.width,
        },
        "icc_profile": slide.profile,
        "reading": list(slide.reading_notes),
        "levels": [
            {
                "index": level.index,
                "width": level.shape[1],
                "height": level.shape[0],
                "downsample": list(level.downsample),
            }
            for level in slide.levels
        ],
    }


def slide_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what `slide_description` says as rows of (what, text)."""
    size = f"{facts['width']:,} x {facts['height']:,} px"
    spacing = f"{facts['mpp_source']}: give it with --mpp"
    if facts["mpp"] is not None:
        size += f" = {facts['width_mm']:.1f} x {facts['height_mm']:.1f} mm"
        y, x = facts["mpp"]
        number = f"{x:.4g}" if x == y else f"{x:.4g} x {y:.4g}"
        spacing = f"{number} ({facts['mpp_source']})"
    rows = [
        ("slide", Path(facts["path"]).name),
        ("size", size),
        ("µm/px", spacing),
        ("vendor", facts["vendor"]),
        ("fingerprint", facts["fingerprint"]),
    ]
    if bounds := facts["bounds"]:
        y, x = bounds["y"], bounds["x"]
        rows.append(
            ("scanned", f"from {y:g} (y), {x:g} (x) px on: see --bounds-offset")
        )
    if profile := facts["icc_profile"]:
        rows.append(("colours", f"as stored; the ICC profile {profile} is not applied"))
    for level in facts["levels"]:
        ratio = max(level["downsample"])
        pixels = f"{level['width']:,} x {level['height']:,} px"
        rows.append((f"level {level['index']}", f"{pixels}, 1:{ratio:.6g}"))
    return rows


def spacing_notes(slide: Slide) -> tuple[str, ...]:
    """Return what to tell of a µm/px that cannot be, or is not the file's.

    Parameters
    ----------
    slide : Slide
        Open.

    Returns
    -------
    tuple of str
        A line where µm/px is absurd, or was given and is more than a tenth off what the
        file states.
    """
    if slide.mpp is None:
        return ()
    try:
        y, x = slide.require_mpp()
    except SpacingError as error:
        return (str(error),)
    stated = slide.stated_mpp
    if slide.mpp_source != "user" or stated is None:
        return ()
    if all(
        abs(mine - theirs) <= _FAR_OFF * theirs
        for mine, theirs in zip((y, x), stated, strict=True)
    ):
        return ()
    return (
        f"{slide.path.name}: taken as {x:.4g} µm/px, as given, where the file says "
        f"{stated[1]:.4g}; sizes, and what the model sees, follow from that",
    )


def reading_notes(slide: Slide) -> tuple[str, ...]:
    """Return what must be told of how the file is read: which plane, which image.

    Parameters
    ----------
    slide : Slide
        Open.

    Returns
    -------
    tuple of str
        A line each; mostly none.
    """
    return tuple(f"{slide.path.name}: {note}" for note in slide.reading_notes)


def finer_notes(slide: Slide) -> tuple[str, ...]:
    """Return what to tell of a level that was read from the next finer one.

    Parameters
    ----------
    slide : Slide
        Open, and read from.

    Returns
    -------
    tuple of str
        A line for each level of which tiles could not be decoded.
    """
    return tuple(
        f"{slide.path.name}: {counted(tiles, 'tile')} of level {level} cannot be read, "
        "the next finer level was read instead; copy the file again if its original is "
        "whole"
        for level, tiles in slide.finer_tiles.items()
    )


def bounds_notes(slide: Slide) -> tuple[str, ...]:
    """Return what to tell of outlines where QuPath counts from another corner.

    Parameters
    ----------
    slide : Slide
        Open.

    Returns
    -------
    tuple of str
        A line where the scanned part does not begin at the slide's corner.
    """
    bounds = slide.bounds
    if bounds is None or (bounds.top, bounds.left) == (0, 0):
        return ()
    y, x = bounds.top, bounds.left
    return (
        f"the scanned part begins at {y:g} (y), {x:g} (x) px: QuPath counts from there, "
        "outlines read and written here from the slide's corner; give "
        f"`export --bounds-offset {y:g} {x:g}` for QuPath, and --qupath-origin wherever "
        "outlines of QuPath are read",
    )


def slide_card(slide: Slide) -> str:
    """Return thumbnail and facts as a notebook shows them, HTML."""
    rows = slide_rows(slide_description(slide))
    return notebook_card(rows, png=png_bytes(slide.thumbnail(NOTEBOOK_PX)))
