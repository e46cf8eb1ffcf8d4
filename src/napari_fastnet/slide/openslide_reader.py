"""The reader of MRXS, VMS, DICOM and other slides that need OpenSlide."""

from __future__ import annotations

import hashlib
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.errors import DependencyError, FastNetError, SlideFormatError
from napari_fastnet.machine.remote.url import Url
from napari_fastnet.slide import tiles
from napari_fastnet.slide.samples import JPEG2000_START, is_decoded_to_rgb, over_white
from napari_fastnet.slide.spacing import Spacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from openslide import OpenSlide

    from napari_fastnet.machine.remote.url import SlidePath


#: Suffixes of files that may be DICOM; archives often give them none.
DICOM_SUFFIXES = (".dcm", ".dicom", "")

_PREAMBLE = 128
_HEAD_BYTES = 2**20  # what comes before the series takes a few hundred bytes
_WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
_IMPLICIT = "1.2.840.10008.1.2"
_UNREAD = ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")  # other order; deflated
_JPEG2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
_TRANSFORMS, _STREAM_HEAD = ("YBR_ICT", "YBR_RCT"), 4096
_SYNTAX, _IMAGE_TYPE = 0x0002_0010, 0x0008_0008
_CLASS, _SERIES = 0x0008_0016, 0x0020_000E
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT")
_UNDEFINED = 0xFFFF_FFFF
_ITEM, _END_OF_ITEM, _END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD

#: OpenSlide hides a file's own tiles; regions of this side are read instead.
TILE_PX = 512


@dataclass(frozen=True, slots=True)
class DicomFile:
    """The place of a DICOM file among those of its slide.

    Parameters
    ----------
    series : str
        Number of the series, the same in all files of a slide.
    is_slide : bool
        It is a whole-slide image, and no picture of anything else.
    is_volume : bool
        It holds a level of the slide, and not its label or overview.
    """

    series: str
    is_slide: bool
    is_volume: bool


def dicom_file(path: SlidePath) -> DicomFile | None:
    """Read the series of a DICOM file.

    None for a file that is no DICOM by its suffix or content, or cannot be read: its reader
    will say why.
    """
    if isinstance(path, Url):
        return None
    try:
        # a pipe would wait for ever
        if path.suffix.lower() not in DICOM_SUFFIXES or not path.is_file():
            return None
        with path.open("rb") as file:
            if file.read(_PREAMBLE + 4)[_PREAMBLE:] != b"DICM":
                return None
            data = file.read(_HEAD_BYTES)
    except OSError:
        return None
    found: dict[int, str] = {}
    with suppress(struct.error, ValueError):  # cut short: what was read may suffice
        found.update(_elements(data))
    kind = found.get(_IMAGE_TYPE, "").split("\\")
    return DicomFile(
        found.get(_SERIES, ""),
        found.get(_CLASS) == _WHOLE_SLIDE and _SERIES in found,
        len(kind) > 2 and kind[2] in ("VOLUME", "RESAMPLED"),
    )


def one_of_each_series(paths: Iterable[SlidePath]) -> list[SlidePath]:
    """Return paths, in order, with one for all DICOM files of a folder that are one slide.

    That is the first by name of its files that hold a level, so that it is the same for any
    selection of them.
    """
    groups: dict[object, list[tuple[bool, SlidePath]]] = {}
    for path in paths:
        found = dicom_file(path)
        if found is None or not found.is_slide:
            groups[path] = [(False, path)]
        else:
            group = groups.setdefault((path.parent, found.series), [])
            group.append((not found.is_volume, path))
    return [
        min(group, key=lambda one: (one[0], str(one[1])))[1]
        for group in groups.values()
    ]


def _elements(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield tag and value of each element up to the series, except in sequences."""
    at, implicit = 0, False
    while at < len(data):
        tag, start, size = _head(data, at, implicit and data[at : at + 2] != b"\2\0")
        if tag > _SERIES:
            return
        if size == _UNDEFINED:
            at = _behind(data, start, implicit)
            continue
        at = start + size
        value = data[start:at].decode("ascii", "replace").strip("\0 ")
        yield tag, value
        if tag == _SYNTAX:
            implicit = value == _IMPLICIT
            if value in _UNREAD:
                return


def _head(data: bytes, at: int, implicit: bool) -> tuple[int, int, int]:
    """Return tag, place of the value and its size, of an element or item."""
    group, element = struct.unpack_from("<HH", data, at)
    tag = group << 16 | element
    if implicit or group == _ITEM >> 16:
        return tag, at + 8, struct.unpack_from("<I", data, at + 4)[0]
    if data[at + 4 : at + 6] in _LONG:
        return tag, at + 12, struct.unpack_from("<I", data, at + 8)[0]
    return tag, at + 8, struct.unpack_from("<H", data, at + 6)[0]


def _behind(data: bytes, at: int, implicit: bool) -> int:
    """Return the first byte behind a sequence or item of undefined length."""
    while True:
        tag, start, size = _head(data, at, implicit)
        if tag in (_END, _END_OF_ITEM):
            return start
        at = _behind(data, start, implicit) if size == _UNDEFINED else start + size


class UnknownSlideError(SlideFormatError):
    """OpenSlide knows no slide of that kind."""


class _Handle:
    """An OpenSlide object that is opened anew after an error; thread-safe.

    After its first error OpenSlide refuses every further read of the same object, so
    that one corrupt tile would take the rest of the slide along.
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
        self, level: int, row: int, column: int, _: tiles.OnDamage | None
    ) -> tiles.Pixels | None:
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
            raise tiles.DamagedTileError(str(error)) from error
        if not rgba[..., 3].any():
            return None
        return over_white(rgba)

    def close(self) -> None:
        """Close the slide; a second time does nothing."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None


def open_with_openslide(path: Path) -> tiles.Source:
    """Open a slide with OpenSlide.

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
    slide, cache, tile = handle.slide, tiles.TileCache(), (TILE_PX, TILE_PX)
    if _states_false_colours(path, slide.properties):
        handle.close()
        raise SlideFormatError(
            f"{path}: its colours are not those it states (YCbCr by a transform that its "
            "JPEG 2000 lacks), and would be wrong; write it anew, e.g. with bfconvert"
        )
    levels = tuple(
        tiles.TiledLevel(
            path.name, i, (height, width), tile, partial(handle.read, i), cache
        )
        for i, (width, height) in enumerate(slide.level_dimensions)
    )
    quick_hash = str(slide.properties.get("openslide.quickhash-1"))
    identity = hashlib.sha256(f"{quick_hash} {slide.level_dimensions}".encode())
    return tiles.Source(levels, _facts(slide), identity.digest, handle.close)


def _facts(slide: OpenSlide) -> tiles.Facts:
    """Return the facts that OpenSlide reports of a slide."""
    properties, profile = slide.properties, slide.color_profile
    vendor = properties.get("openslide.vendor", "unknown")
    spacing = Spacing.stated(
        properties.get("openslide.mpp-y"),
        properties.get("openslide.mpp-x"),
        "resolution tag" if vendor == "generic-tiff" else "vendor",
    )
    return tiles.Facts(
        vendor,
        spacing or Spacing(),
        tiles.bounds_of(properties, "openslide"),
        None if profile is None else tiles.profile_name(profile.tobytes()),
    )


def _states_false_colours(path: Path, properties: Mapping[str, str]) -> bool:
    """Check whether a DICOM states a transform to YCbCr that its JPEG 2000 lacks.

    Several programs converted Aperio's slides so; a decoder that relies on the statement
    gives YCbCr out as RGB (github.com/openslide/openslide/issues/772).
    """
    if (
        properties.get("dicom.TransferSyntaxUID") not in _JPEG2000
        or properties.get("dicom.PhotometricInterpretation") not in _TRANSFORMS
    ):
        return False
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        at = data.find(JPEG2000_START)
        return at >= 0 and not is_decoded_to_rgb(data[at : at + _STREAM_HEAD])
