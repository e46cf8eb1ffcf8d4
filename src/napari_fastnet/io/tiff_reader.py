"""Open a TIFF slide: tiffslide says what it is, its tiles are decoded one by one.

tiffslide's zarr arrays give the same pixels, but take 1.4 to 10 times as long for a
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
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

import numpy as np

from napari_fastnet.errors import SlideFormatError, TileReadError
from napari_fastnet.io.source import Source, bounds_of
from napari_fastnet.io.spacing import Spacing, tiff_spacing
from napari_fastnet.io.tiff_tiles import FileBytes, TilePage
from napari_fastnet.io.tiles import (
    DamagedTileError,
    OnDamage,
    Pixels,
    TileCache,
    TiledLevel,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tifffile import TiffFile, TiffPageSeries

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

#: Side of the tiles made of several scanned areas (Leica SCN).
COMPOSITE_TILE_PX = 512


class NotTiffSlideError(SlideFormatError):
    """The file is no TIFF, or of a kind that tiffslide does not know."""


def open_tiff(path: Path) -> Source:
    """Open a TIFF slide of any of the kinds that tiffslide knows.

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
        tiffslide does not know this kind of file.
    SlideFormatError
        The file is cut short, or its pixels are not 8-bit RGB or grey.
    """
    with _page_list_errors() as broken:
        vendor, spacing, bounds, images = _describe(path)
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
        return state.digest()

    return Source(tuple(levels), vendor, spacing, digest, file.close, bounds)


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

    def load(row: int, column: int, _: OnDamage | None) -> Pixels | None:
        return page.load(file, row, column)

    return TiledLevel(name, index, page.shape, page.tile_shape, load, cache)


def _describe(path: Path) -> tuple[str, Spacing, Box | None, list[_Image]]:
    """Return maker, µm/px, scanned part and the levels that shrink, finest first."""
    from tiffslide import TiffSlide

    try:
        with TiffSlide(str(path)) as slide:
            tiff, properties = slide.ts_tifffile, slide.properties
            images = _images(tiff, properties, str(path))
            spacing = tiff_spacing(
                properties,
                shape=images[0].shape,
                ome_xml=tiff.ome_metadata,
                philips_xml=tiff.philips_metadata,
            )
            bounds = bounds_of(properties, "tiffslide")
            kind = "ome-tiff" if tiff.is_ome else "generic-tiff"
            vendor = str(properties.get("tiffslide.vendor") or kind)
    except SlideFormatError:
        raise
    except _METADATA_ERRORS as error:
        if _ends_before_its_pages(path):
            raise _cut_short(path) from error
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise NotTiffSlideError(f"{path}: is not a TIFF slide ({reason})") from error
    return vendor.lower(), spacing, bounds, images


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


def _images(tiff: TiffFile, properties: Mapping[str, Any], name: str) -> list[_Image]:
    """Return the levels of the slide, each of one or, for Leica, several areas."""
    composition = properties.get("tiffslide.series-composition")
    if composition is None:
        levels = tiff.series[properties["tiffslide.series-index"]].levels
        pages = [_tile_page(level, name) for level in levels]
        return _shrinking([_Image(page.shape, ((page, (0, 0)),)) for page in pages])
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
    """Return the tiles of one series' level."""
    pages = [page for page in level.pages if page is not None]
    if level.is_multifile or len(pages) < len(level.pages):
        raise SlideFormatError(
            f"{name}: the image is spread over several files; join them in one, e.g. "
            "with bfconvert"
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
def _page_list_errors() -> Iterator[list[str]]:
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
