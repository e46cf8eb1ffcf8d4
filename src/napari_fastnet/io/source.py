"""What a reader hands to `Slide`."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from napari_fastnet.core.geometry import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_fastnet.io.spacing import Spacing
    from napari_fastnet.io.tiles import TiledLevel


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An open slide file as a reader hands it to `Slide`.

    Parameters
    ----------
    levels : tuple of TiledLevel
        The file's own levels, finest first.
    vendor : str
        Scanner maker or kind of file, lower case.
    spacing : Spacing
        µm/px of level 0 as the file states it.
    digest : callable
        Returns bytes that change with the contents' layout (tile tables).
    close : callable
        Closes the file; may be called twice.
    bounds : Box or None
        Of the scanned part, level-0 px, where the file says it; from `bounds_of`.
    notes : tuple of str
        What must be told of how the file is read, without the file's name.
    profile : str or None
        Name of the ICC profile of the file, which is not applied.
    """

    levels: tuple[TiledLevel, ...]
    vendor: str
    spacing: Spacing
    digest: Callable[[], bytes]
    close: Callable[[], None]
    bounds: Box | None = None
    notes: tuple[str, ...] = ()
    profile: str | None = None


def bounds_of(properties: Mapping[str, Any], reader: str) -> Box | None:
    """Return the box of the scanned part, which QuPath takes for the whole slide.

    Parameters
    ----------
    properties : mapping
        As OpenSlide or tiffslide gives them.
    reader : {"openslide", "tiffslide"}
        What their names begin with.

    Returns
    -------
    Box or None
        Level-0 px; None where the properties do not state it.
    """
    names = ("bounds-y", "bounds-x", "bounds-height", "bounds-width")
    stated = [properties.get(f"{reader}.{name}") for name in names]
    if any(value is None for value in stated):
        return None
    top, left, height, width = map(float, stated)  # type: ignore[arg-type]
    return Box.of_shape((height, width), (top, left))


def profile_name(data: bytes) -> str:
    """Return what an ICC profile calls itself, "unnamed" where it cannot be read."""
    from PIL.ImageCms import ImageCmsProfile, PyCMSError, getProfileDescription

    try:
        name = str(getProfileDescription(ImageCmsProfile(BytesIO(data))))
    except (PyCMSError, OSError):
        return "unnamed"
    return " ".join(name.split()) or "unnamed"
