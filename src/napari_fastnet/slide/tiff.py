"""The reader of TIFF slides: tifffile parses the file, tiles are decoded one by one.

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
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.errors import FastNetError, SlideFormatError, TileReadError
from napari_fastnet.slide import tiles
from napari_fastnet.slide.image import level_pages, slide_image
from napari_fastnet.slide.samples import TIFF_ERRORS
from napari_fastnet.slide.spacing import Spacing, tag_spacing, tiff_spacing
from napari_fastnet.slide.tiff_tiles import TilePage, open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tifffile import TiffFile, TiffPage

    from napari_fastnet.machine.remote.url import SlidePath
    from napari_fastnet.slide.tiff_tiles import SlideBytes


# tifffile only logs these, and goes on with the pages found so far.
_BROKEN_PAGE_LIST = ("invalid page offset", "invalid offset to", "corrupted tag list")

# TIFF's numbers.
_ORIENTATION, _XMP, _ICC_PROFILE = 274, 700, 34675

# How a TIFF begins: kind and place of the number that says where its first page lies;
# the last two are BigTIFF's.
_FIRST_PAGE = {
    b"II*\0": ("<I", 4),
    b"MM\0*": (">I", 4),
    b"II+\0": ("<Q", 8),
    b"MM\0+": (">Q", 8),
}

# Makers of scanners by the kind of file that tifffile finds.
_VENDORS = {
    "svs": "aperio",
    "ndpi": "hamamatsu",
    "philips": "philips",
    "ome": "ome-tiff",
}

#: Side of the tiles made of several scanned areas (Leica SCN).
COMPOSITE_TILE_PX = 512


class NotTiffSlideError(SlideFormatError):
    """The file is no TIFF, or of a kind that only OpenSlide reads."""


class VentanaError(NotTiffSlideError):
    """The tiles of the file overlap: read side by side they would repeat and shift px."""


def open_tiff(path: SlidePath) -> tiles.Source:
    """Open a TIFF slide: Aperio, Hamamatsu, Leica, Philips, OME and plain ones.

    The file stays open until `Source.close`.

    Raises
    ------
    NotTiffSlideError
        It is no TIFF slide, or one that only OpenSlide reads.
    SlideFormatError
        The file is cut short, or its pixels are not 8-bit RGB or grey.
    """
    file, cache = open_bytes(path), tiles.TileCache()
    try:
        with page_list_errors() as broken:
            facts, images = _describe(path, file)
        pages = [page for image in images for page, _ in image.parts]
        if broken or max(page.end for page in pages) > file.size:
            raise _cut_short(path, file.size)
    except BaseException:
        file.close()
        raise
    levels = [image.level(path.name, i, file, cache) for i, image in enumerate(images)]
    digest = partial(_digest, pages)
    return tiles.Source(tuple(levels), facts, digest, file.close, file.ends)


def _digest(pages: Sequence[TilePage]) -> bytes:
    """Return a hash of the pages' tables of tiles."""
    state = hashlib.sha256()
    for page in pages:
        state.update(np.array([*page.shape, *page.tile_shape], np.int64).tobytes())
        state.update(page.offsets.tobytes() + page.byte_counts.tobytes())
        state.update(page.reading.encode())
    return state.digest()


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    """One level of the file: (height, width) and its pages, each at a (top, left)."""

    shape: tuple[int, int]
    parts: tuple[tuple[TilePage, tuple[int, int]], ...]

    def level(
        self, name: str, index: int, file: SlideBytes, cache: tiles.TileCache
    ) -> tiles.TiledLevel:
        """Return the level's tiles; those of several areas are put together."""
        page, _ = self.parts[0]
        if len(self.parts) == 1 and page.shape == self.shape:
            return _tiled(name, index, page, file, cache)
        areas = [
            (_tiled(name, index, page, file, tiles.TileCache(0)), place)
            for page, place in self.parts
        ]
        side, load = COMPOSITE_TILE_PX, partial(_compose, areas)
        return tiles.TiledLevel(name, index, self.shape, (side, side), load, cache)


def _tiled(
    name: str, index: int, page: TilePage, file: SlideBytes, cache: tiles.TileCache
) -> tiles.TiledLevel:
    """Return a page as tiles."""
    load = partial(page.load, file)
    level = tiles.TiledLevel(
        name, index, page.shape, page.tile_shape, load, cache, page.blank
    )
    if (fetch := file.fetch) is None:
        return level
    return replace(level, fetch=lambda places: fetch(page.ranges(places)))


def _compose(
    areas: Sequence[tuple[tiles.TiledLevel, tuple[int, int]]],
    row: int,
    column: int,
    _: tiles.OnDamage | None,
) -> tiles.Pixels:
    """Return a tile put together from scanned areas, each at a (top, left)."""
    side = COMPOSITE_TILE_PX
    tile = np.full((side, side, 3), tiles.WHITE, np.uint8)
    for area, (top, left) in areas:
        try:
            part = area.read(row * side - top, column * side - left, side, side)
        except TileReadError as error:
            raise tiles.DamagedTileError(str(error.__cause__)) from error
        # White surrounds each area, so that the darker of two is the scanned one.
        np.minimum(tile, part, out=tile)
    return tile


def _describe(path: SlidePath, file: SlideBytes) -> tuple[tiles.Facts, list[_Image]]:
    """Return the facts of a TIFF slide and its levels, finest first."""
    from tifffile import TiffFile

    try:
        with file.open() as opened, TiffFile(opened) as tiff:
            if _is_ventana(tiff):
                raise VentanaError(
                    f"{path}: is a Ventana slide, whose overlapping tiles only "
                    "OpenSlide puts together"
                )
            return _leica(path, file, tiff) if tiff.is_scn else _one_image(path, tiff)
    except FastNetError:
        raise
    except TIFF_ERRORS as error:
        if _ends_before_its_pages(file):
            raise _cut_short(path, file.size) from error
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise NotTiffSlideError(f"{path}: is not a TIFF slide ({reason})") from error


def _is_ventana(tiff: TiffFile) -> bool:
    """Check whether a page states the overlap of a Ventana scanner's tiles."""
    for page in tiff.pages:
        tag = getattr(page, "tags", {}).get(_XMP)
        if tag is not None and b"<EncodeInfo" in bytes(tag.value):
            return True
    return bool(tiff.is_bif)


def _one_image(path: SlidePath, tiff: TiffFile) -> tuple[tiles.Facts, list[_Image]]:
    """Return a slide that is one image of the file, with its levels."""
    name, aperio = str(path), bool(tiff.is_svs)
    image = slide_image(tiff, name)
    levels, key = image.levels, image.series.keyframe
    if key.planarconfig != 1:
        raise NotTiffSlideError(
            f"{name}: stores each colour apart, as only OpenSlide may be able to read"
        )
    if tiff.is_philips and image.series.kind != "philips":
        # They are padded to whole tiles, and the size of the padding is unknown.
        levels = levels[:1]
    pages = [TilePage.of(found, key, name, aperio=aperio) for found, key in levels]
    images = _shrinking([_Image(page.shape, ((page, (0, 0)),)) for page in pages])
    # Aperio describes the slide in its own page, else in the first.
    described = [str(page.description) for page in (tiff.pages.first, key)]
    spacing = tiff_spacing(
        aperio=described["MPP" in described[1]] if aperio else None,
        tag=tag_spacing(key.tags),
        shape=images[0].shape,
        ome_xml=tiff.ome_metadata,
        philips_xml=tiff.philips_metadata,
    )
    kinds = (kind for kind in _VENDORS if getattr(tiff, f"is_{kind}"))
    vendor = _VENDORS.get(next(kinds, ""), "generic-tiff")
    notes = (*image.notes, *_orientation(key))
    return tiles.Facts(vendor, spacing, None, _profile(tiff, key), notes), images


def _leica(
    path: SlidePath, file: SlideBytes, tiff: TiffFile
) -> tuple[tiles.Facts, list[_Image]]:
    """Return a slide of Leica's, of one scanned area or several."""
    from tiffslide import TiffSlide

    with file.open() as opened, TiffSlide(opened) as slide:
        properties = slide.properties
        images = _areas(slide.ts_tifffile, properties, str(path))
    y, x = properties.get("tiffslide.mpp-y"), properties.get("tiffslide.mpp-x")
    spacing = Spacing.stated(y, x, "vendor") or Spacing()
    bounds = tiles.bounds_of(properties, "tiffslide")
    key = tiff.series[properties["tiffslide.series-index"]].keyframe
    return tiles.Facts("leica", spacing, bounds, _profile(tiff, key)), images


def _profile(tiff: TiffFile, key: TiffPage) -> str | None:
    """Return the name of the ICC profile of the slide, None where it has none."""
    for page in (key, tiff.pages.first):
        if data := page.tags.valueof(_ICC_PROFILE):
            return tiles.profile_name(bytes(data))
    return None


def _orientation(key: TiffPage) -> tuple[str, ...]:
    """Return a note where the px are to be shown turned or mirrored."""
    turned = key.tags.valueof(_ORIENTATION, default=1)
    if turned in (0, 1):
        return ()
    return (
        f"asks to be shown turned or mirrored (orientation {int(turned)}); it is read "
        "as it is stored",
    )


def _ends_before_its_pages(opened: SlideBytes) -> bool:
    """Check whether a file begins as a TIFF whose first page lies behind its end.

    Writers put their pages behind the pixels, so that a broken copy lacks them.
    """
    with opened.open() as file:
        head = (file.read(16) or b"").ljust(16, b"\0")
        size = file.seek(0, 2)
    number, at = _FIRST_PAGE.get(head[:4], ("", 0))
    return bool(number) and int(struct.unpack_from(number, head, at)[0]) >= size


def _cut_short(path: SlidePath, size: int) -> SlideFormatError:
    return SlideFormatError(
        f"{path}: is cut short: its pages or tiles lie beyond the end of the file at "
        f"{size:,} bytes; copy it again from its origin"
    )


def _areas(tiff: TiffFile, properties: Mapping[str, Any], name: str) -> list[_Image]:
    """Return the levels of a slide made of scanned areas."""
    composition = properties["tiffslide.series-composition"]
    images = []
    for index, (height, width, *_) in enumerate(composition["level_shapes"]):
        parts = []
        for series, places in composition["located_series"].items():
            level = tiff.series[int(series)].levels[index]
            page = TilePage.of(level_pages(level, None, name), level.keyframe, name)
            parts.append((page, places[index][:2]))
        images.append(_Image((height, width), tuple(parts)))
    return _shrinking(images)


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

    def collect(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if record.thread == thread and any(k in message for k in _BROKEN_PAGE_LIST):
            broken.append(message)
        return False  # the handler has nothing to write

    logger, handler = logging.getLogger("tifffile"), logging.Handler()
    handler.addFilter(collect)
    logger.addHandler(handler)
    try:
        yield broken
    finally:
        logger.removeHandler(handler)
