"""What a DICOM file says of itself in its first lines: a slide is several files.

OpenSlide opens any one of them and finds the others; which belong together has to be
known before, where a folder or a pattern has many.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

from napari_fastnet.io.tile_claims import JPEG2000_START, is_decoded_to_rgb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: Of files that may be DICOM; archives often give them none.
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
_UNDEFINED, _ITEM, _END_OF_ITEM, _END = (
    0xFFFFFFFF,
    0xFFFE_E000,
    0xFFFE_E00D,
    0xFFFE_E0DD,
)


@dataclass(frozen=True, slots=True)
class DicomFile:
    """What tells the files of a slide from others.

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


def dicom_file(path: Path) -> DicomFile | None:
    """Return what a file says of its series, None where it is no DICOM.

    Parameters
    ----------
    path : Path
        A file; only what may be DICOM by its suffix is looked into. What cannot be read
        is None: it is for its reader to say why.
    """
    if path.suffix.lower() not in DICOM_SUFFIXES:
        return None
    try:
        if not path.is_file():  # a pipe would wait for ever
            return None
        with path.open("rb") as file:
            head = file.read(_PREAMBLE + 4)
            if head[_PREAMBLE:] != b"DICM":
                return None
            data = file.read(_HEAD_BYTES)
    except OSError:
        return None
    found: dict[int, str] = {}
    try:
        for tag, value in _elements(data):
            found[tag] = value.decode("ascii", "replace").strip("\0 ")
    except (struct.error, ValueError):
        pass  # cut short: what was read until here may suffice
    kind = found.get(_IMAGE_TYPE, "").split("\\")
    return DicomFile(
        found.get(_SERIES, ""),
        found.get(_CLASS) == _WHOLE_SLIDE and _SERIES in found,
        len(kind) > 2 and kind[2] in ("VOLUME", "RESAMPLED"),
    )


def lacks_its_transform(path: Path, syntax: str, colours: str) -> bool:
    """Return whether a file states a transform to YCbCr that its JPEG 2000 is without.

    Slides of Aperio's were converted so by several programs; a decoder that relies on
    the statement gives YCbCr out as RGB (github.com/openslide/openslide/issues/772).

    Parameters
    ----------
    path : Path
        A file of the slide.
    syntax, colours : str
        Its transfer syntax and photometric interpretation.
    """
    if syntax not in _JPEG2000 or colours not in _TRANSFORMS:
        return False
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        at = data.find(JPEG2000_START)
        return at >= 0 and not is_decoded_to_rgb(data[at : at + _STREAM_HEAD])


def one_of_each_series(paths: Iterable[Path]) -> list[Path]:
    """Return paths with one for all DICOM files of a folder that are one slide.

    Parameters
    ----------
    paths : iterable of Path
        Files of any kind, in an order that is kept.

    Returns
    -------
    list of Path
        For a slide the first by name of its files that hold a level, so that it is the
        same whichever of them are given.
    """
    groups: dict[object, list[tuple[bool, Path]]] = {}
    for path in paths:
        found = dicom_file(path)
        if found is None or not found.is_slide:
            groups[path] = [(False, path)]
        else:
            group = groups.setdefault((path.parent, found.series), [])
            group.append((not found.is_volume, path))
    return [min(group)[1] for group in groups.values()]


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and value of each element up to the series, those of sequences not."""
    at, implicit = 0, False
    while at < len(data):
        tag, start, size = _head(data, at, implicit and data[at : at + 2] != b"\2\0")
        if tag > _SERIES:
            return
        if size == _UNDEFINED:
            at = _behind(data, start, implicit)
            continue
        value = data[start : start + size]
        yield tag, value
        if tag == _SYNTAX:
            syntax = value.decode("ascii", "replace").strip("\0 ")
            implicit = syntax == _IMPLICIT
            if syntax in _UNREAD:
                return
        at = start + size


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
