"""Open a TIFF slide: tifffile says what it is, its tiles are decoded one by one.

tifffile's zarr arrays give the same pixels, but take 1.4 to 10 times as long for a
region (on two cores, 1024 px: 6 to 8 ms here, 11 ms with zarr 3.4, 75 ms with 3.1),
and show a tile that was never written as black.
"""

from __future__ import annotations

import hashlib
import logging
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

import numpy as np

from napari_fastnet.errors import SlideFormatError, TileReadError
from napari_fastnet.slide.image import slide_image
from napari_fastnet.slide.spacing import Spacing, tag_spacing, tiff_spacing
from napari_fastnet.slide.tiff_tiles import FileBytes, TilePage
from napari_fastnet.slide.tiles import (
    DamagedTileError,
    OnDamage,
    Pixels,
    Source,
    TileCache,
    TiledLevel,
    bounds_of,
    profile_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tifffile import TiffFile, TiffPage, TiffPageSeries

    from napari_fastnet.core.geometry import Box

# What tifffile and tiffslide raise over metadata that contradict themselves.
_METADATA_ERRORS = (
    ValueError,  # tifffile.TiffFileError among them
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    StopIteration,
    ParseError,
    OSError,
    struct.error,
)

# tifffile only logs these, and goes on with the pages found so far.
_BROKEN_PAGE_LIST = ("invalid page offset", "invalid offset to", "corrupted tag list")

# TIFF's numbers.
_ORIENTATION, _XMP, _ICC_PROFILE = 274, 700, 34675

#: Side of the tiles made of several scanned areas (Leica SCN).
COMPOSITE_TILE_PX = 512


class NotTiffSlideError(SlideFormatError):
    """The file is no TIFF, or of a kind that only OpenSlide reads."""


class VentanaError(NotTiffSlideError):
    """The tiles of the file overlap; read side by side they show too much, and shift."""


def open_tiff(path: Path) -> Source:
    """Open a TIFF slide: Aperio, Hamamatsu, Leica, Philips, OME and plain ones.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    Source
        Its levels, maker and µm/px. The file stays open until `Source.close`.

    Raises
    ------
    NotTiffSlideError
        It is no such file.
    SlideFormatError
        The file is cut short, or its pixels are not 8-bit RGB or grey.
    """
    with page_list_errors() as broken:
        found = _describe(path)
    images = found.images
    pages = [page for image in images for page, _ in image.parts]
    if broken or max(page.end for page in pages) > path.stat().st_size:
        raise _cut_short(path)
    file, cache = FileBytes(path), TileCache()
    levels = [image.level(path.name, i, file, cache) for i, image in enumerate(images)]

    def digest() -> bytes:
        state = hashlib.sha256()
        for page in pages:
            state.update(np.array([*page.shape, *page.tile_shape], np.int64).tobytes())
            state.update(page.offsets.tobytes() + page.byte_counts.tobytes())
            state.update(page.reading.encode())
        return state.digest()

    return Source(
        tuple(levels),
        found.vendor,
        found.spacing,
        digest,
        file.close,
        found.bounds,
        found.notes,
        found.profile,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    """One level of the file: (height, width) and its pages, each at a (top, left)."""

    shape: tuple[int, int]
    parts: tuple[tuple[TilePage, tuple[int, int]], ...]

    def level(
        self, name: str, index: int, file: FileBytes, cache: TileCache
    ) -> TiledLevel:
        """Return the level's tiles; those of several areas are put together."""
        page, _ = self.parts[0]
        if len(self.parts) == 1 and page.shape == self.shape:
            return _tiled(name, index, page, file, cache)
        side = COMPOSITE_TILE_PX
        areas = [
            (_tiled(name, index, page, file, TileCache(0)), place)
            for page, place in self.parts
        ]

        def compose(row: int, column: int, _: OnDamage | None) -> Pixels:
            # White surrounds each area, so that the darker of two is the scanned one.
            tile = np.full((side, side, 3), 255, np.uint8)
            for area, (top, left) in areas:
                corner = (row * side - top, column * side - left)
                try:
                    part = area.read(*corner, side, side)
                except TileReadError as error:
                    raise DamagedTileError(str(error.__cause__)) from error
                np.minimum(tile, part, out=tile)
            return tile

        return TiledLevel(name, index, self.shape, (side, side), compose, cache)


def _tiled(
    name: str, index: int, page: TilePage, file: FileBytes, cache: TileCache
) -> TiledLevel:
    """Return a page as tiles."""
    load = partial(page.load, file)
    return TiledLevel(name, index, page.shape, page.tile_shape, load, cache, page.blank)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What a file says of itself; the levels shrink, finest first."""

    vendor: str
    spacing: Spacing
    bounds: Box | None
    images: list[_Image]
    notes: tuple[str, ...]
    profile: str | None


def _describe(path: Path) -> _Found:
    """Return what a TIFF file says of its slide."""
    from tifffile import TiffFile

    try:
        with TiffFile(str(path)) as tiff:
            if _is_ventana(tiff):
                raise VentanaError(
                    f"{path}: is a Ventana slide, whose overlapping tiles only "
                    "OpenSlide puts together"
                )
            return _leica(path, tiff) if tiff.is_scn else _one_image(path, tiff)
    except SlideFormatError:
        raise
    except _METADATA_ERRORS as error:
        if _ends_before_its_pages(path):
            raise _cut_short(path) from error
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise NotTiffSlideError(f"{path}: is not a TIFF slide ({reason})") from error


def _is_ventana(tiff: TiffFile) -> bool:
    """Return whether a page says how the tiles of a Ventana scanner are joined."""
    for page in tiff.pages:
        tag = getattr(page, "tags", {}).get(_XMP)
        if tag is not None and b"<EncodeInfo" in bytes(tag.value):
            return True
    return bool(tiff.is_bif)


def _one_image(path: Path, tiff: TiffFile) -> _Found:
    """Return a slide that is one image of the file, with its levels."""
    name = str(path)
    image = slide_image(tiff, name)
    aperio = bool(tiff.is_svs)
    levels = image.levels
    if image.series.keyframe.planarconfig != 1:
        raise NotTiffSlideError(
            f"{name}: keeps the px of each colour on their own, in strips or otherwise "
            "as only OpenSlide may read them"
        )
    if tiff.is_philips and image.series.kind != "philips":
        # They are padded to whole tiles, and what would say how far is missing.
        levels = levels[:1]
    pages = [TilePage.of(found, key, name, aperio=aperio) for found, key in levels]
    images = _shrinking([_Image(page.shape, ((page, (0, 0)),)) for page in pages])
    key = image.series.keyframe
    spacing = tiff_spacing(
        aperio=_aperio_text(tiff, key) if aperio else None,
        tag=tag_spacing(key.tags),
        shape=images[0].shape,
        ome_xml=tiff.ome_metadata,
        philips_xml=tiff.philips_metadata,
    )
    notes = (*image.notes, *_orientation(key))
    return _Found(_vendor(tiff), spacing, None, images, notes, _profile(tiff, key))


def _leica(path: Path, tiff: TiffFile) -> _Found:
    """Return a slide of Leica's, of one scanned area or several."""
    from tiffslide import TiffSlide

    with TiffSlide(str(path)) as slide:
        properties = slide.properties
        images = _areas(slide.ts_tifffile, properties, str(path))
    y, x = properties.get("tiffslide.mpp-y"), properties.get("tiffslide.mpp-x")
    spacing = Spacing.stated(y, x, "vendor") or Spacing()
    bounds = bounds_of(properties, "tiffslide")
    key = tiff.series[properties["tiffslide.series-index"]].keyframe
    return _Found("leica", spacing, bounds, images, (), _profile(tiff, key))


def _aperio_text(tiff: TiffFile, key: TiffPage) -> str:
    """Return what Aperio says of the slide: in its own page, else in the first."""
    own = str(key.description)
    return own if "MPP" in own else str(tiff.pages.first.description)


def _vendor(tiff: TiffFile) -> str:
    """Return the maker of the scanner, or the kind of file."""
    if tiff.is_svs:
        return "aperio"
    if tiff.is_ndpi:
        return "hamamatsu"
    if tiff.is_philips:
        return "philips"
    return "ome-tiff" if tiff.is_ome else "generic-tiff"


def _profile(tiff: TiffFile, key: TiffPage) -> str | None:
    """Return the name of the ICC profile of the slide, None where it has none."""
    for page in (key, tiff.pages.first):
        data = page.tags.valueof(_ICC_PROFILE)
        if data:
            return profile_name(bytes(data))
    return None


def _orientation(key: TiffPage) -> tuple[str, ...]:
    """Return a note where the px are to be shown turned or mirrored."""
    turned = key.tags.valueof(_ORIENTATION, default=1)
    if turned in (0, 1):
        return ()
    return (
        f"says that it is to be shown turned or mirrored (orientation {int(turned)}); "
        "it is read as it is stored",
    )


def _ends_before_its_pages(path: Path) -> bool:
    """Return whether a file begins as a TIFF whose first page lies behind its end.

    Writers put their pages behind the pixels, so that of a broken copy they lack.
    """
    with path.open("rb") as file:
        head = file.read(16).ljust(16, b"\0")
        size = file.seek(0, 2)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return False
    (kind,) = struct.unpack_from(f"{order}H", head, 2)
    place = {42: ("I", 4), 43: ("Q", 8)}.get(kind)  # classic, and BigTIFF
    if place is None:
        return False
    letter, at = place
    (first,) = struct.unpack_from(f"{order}{letter}", head, at)
    return int(first) >= size


def _cut_short(path: Path) -> SlideFormatError:
    return SlideFormatError(
        f"{path}: is cut short, its pages or tiles go on behind the end of the file at "
        f"{path.stat().st_size:,} bytes; copy it again from its origin"
    )


def _areas(tiff: TiffFile, properties: Mapping[str, Any], name: str) -> list[_Image]:
    """Return the levels of a slide made of scanned areas."""
    composition = properties["tiffslide.series-composition"]
    images = []
    for index, (height, width, *_) in enumerate(composition["level_shapes"]):
        parts = [
            (
                _tile_page(tiff.series[int(series)].levels[index], name),
                places[index][:2],
            )
            for series, places in composition["located_series"].items()
        ]
        images.append(_Image((height, width), tuple(parts)))
    return _shrinking(images)


def _tile_page(level: TiffPageSeries, name: str) -> TilePage:
    """Return the tiles of one level of a scanned area."""
    pages = [page for page in level.pages if page is not None]
    if len(pages) < len(level.pages):
        raise SlideFormatError(
            f"{name}: a page of the image is missing; copy the file again from its "
            "origin"
        )
    return TilePage.of(pages, level.keyframe, name)


def _shrinking(images: list[_Image]) -> list[_Image]:
    """Return the images that are smaller versions of the first, finest first."""
    kept = images[:1]
    (height, width) = kept[0].shape
    for image in images[1:]:
        rows, columns = image.shape
        # A level rounds its size up or down: one px more or less is no distortion.
        distortion = abs(rows * width - columns * height)
        smaller = rows < kept[-1].shape[0] and columns < kept[-1].shape[1]
        if smaller and distortion <= max(height, width) + 0.02 * rows * width:
            kept.append(image)
    return kept


@contextmanager
def page_list_errors() -> Iterator[list[str]]:
    """Collect what tifffile logs over a page list that leaves the file.

    While this lasts tifffile's remarks do not fall through to stderr either.
    """
    broken: list[str] = []
    thread = threading.get_ident()

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if record.thread == thread and any(k in message for k in _BROKEN_PAGE_LIST):
                broken.append(message)

    logger = logging.getLogger("tifffile")
    handler = Collect()
    logger.addHandler(handler)
    try:
        yield broken
    finally:
        logger.removeHandler(handler)
