"""Open with OpenSlide what tiffslide cannot read: MRXS, VMS, DICOM and others."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.errors import (
    DependencyError,
    FastNetError,
    SlideFormatError,
)
from napari_fastnet.io.dicom import lacks_its_transform
from napari_fastnet.io.samples import over_white
from napari_fastnet.io.source import Source, bounds_of, profile_name
from napari_fastnet.io.spacing import Spacing
from napari_fastnet.io.tiles import (
    DamagedTileError,
    OnDamage,
    Pixels,
    TileCache,
    TiledLevel,
)

if TYPE_CHECKING:
    from pathlib import Path

    from openslide import OpenSlide

#: OpenSlide hides a file's own tiles; regions of this side are read instead.
TILE_PX = 512

_COLOUR_FIELDS = ("TransferSyntaxUID", "PhotometricInterpretation")


class UnknownSlideError(SlideFormatError):
    """OpenSlide knows no slide of that kind."""


class _Handle:
    """An OpenSlide object that outlives its errors; thread-safe.

    After the first error OpenSlide refuses every further read of the same object, so
    that one corrupt tile would take the rest of the slide along; it is opened anew.
    """

    def __init__(self, path: Path) -> None:
        from openslide import OpenSlide

        self._path = path
        self._lock = threading.Lock()
        self._open: OpenSlide | None = OpenSlide(path)

    @property
    def slide(self) -> OpenSlide:
        """The open slide; FastNetError after `close`."""
        slide = self._open
        if slide is None:
            raise FastNetError(f"{self._path.name}: was closed; open the slide again")
        return slide

    def read(
        self, level: int, row: int, column: int, _: OnDamage | None
    ) -> Pixels | None:
        """Return a region of ``TILE_PX`` squared as RGB over white, None if blank."""
        from openslide import OpenSlide, OpenSlideError

        slide = self.slide
        scale = slide.level_downsamples[level]
        corner = (round(column * TILE_PX * scale), round(row * TILE_PX * scale))
        try:
            rgba = np.asarray(slide.read_region(corner, level, (TILE_PX, TILE_PX)))
        except OpenSlideError as error:
            with self._lock:
                if self._open is slide:
                    self._open = OpenSlide(self._path)
            raise DamagedTileError(str(error)) from error
        if not rgba[..., 3].any():
            return None
        return over_white(rgba)

    def close(self) -> None:
        """Close the slide; a second time does nothing."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None


def open_with_openslide(path: Path) -> Source:
    """Open a slide with OpenSlide.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    Source
        Its levels, maker and µm/px.

    Raises
    ------
    DependencyError
        OpenSlide is not installed.
    UnknownSlideError
        OpenSlide does not know the file either.
    SlideFormatError
        It does, and cannot read it, or would read false colours.
    """
    try:
        from openslide import OpenSlideError, OpenSlideUnsupportedFormatError
    except ImportError as error:
        raise DependencyError(
            "OpenSlide is not installed; pip install 'napari-fastnet[openslide]'"
        ) from error
    try:
        handle = _Handle(path)
    except (OpenSlideError, OSError) as error:
        unknown = isinstance(error, OpenSlideUnsupportedFormatError)
        raise (UnknownSlideError if unknown else SlideFormatError)(
            f"{path}: OpenSlide does not read it ({error})"
        ) from error
    slide, cache = handle.slide, TileCache()
    stated = (slide.properties.get(f"dicom.{field}", "") for field in _COLOUR_FIELDS)
    if lacks_its_transform(path, *stated):
        handle.close()
        raise SlideFormatError(
            f"{path}: its colours are not those it states (YCbCr by a transform that its "
            "JPEG 2000 lacks), and would be wrong; write it anew, e.g. with bfconvert"
        )
    levels = tuple(
        TiledLevel(
            path.name,
            index,
            (height, width),
            (TILE_PX, TILE_PX),
            partial(handle.read, index),
            cache,
        )
        for index, (width, height) in enumerate(slide.level_dimensions)
    )
    quick_hash = str(slide.properties.get("openslide.quickhash-1"))
    identity = f"{quick_hash} {slide.level_dimensions}".encode()
    vendor = slide.properties.get("openslide.vendor", "unknown")
    return Source(
        levels,
        vendor,
        _spacing(slide),
        lambda: hashlib.sha256(identity).digest(),
        handle.close,
        bounds_of(slide.properties, "openslide"),
        (),
        _profile(slide),
    )


def _spacing(slide: OpenSlide) -> Spacing:
    """Return the µm/px that OpenSlide reports; for plain TIFFs it is the tag's."""
    properties = slide.properties
    is_tag = properties.get("openslide.vendor") == "generic-tiff"
    stated = Spacing.stated(
        properties.get("openslide.mpp-y"),
        properties.get("openslide.mpp-x"),
        "resolution tag" if is_tag else "vendor",
    )
    return stated or Spacing()


def _profile(slide: OpenSlide) -> str | None:
    """Return the name of the ICC profile of the slide, None where it has none."""
    profile = slide.color_profile
    return None if profile is None else profile_name(profile.tobytes())
