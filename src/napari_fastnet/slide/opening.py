"""Choice of the reader of a file, and the identity of its contents."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from napari_fastnet import errors
from napari_fastnet.machine.remote.url import Url
from napari_fastnet.slide.openslide_reader import UnknownSlideError, open_with_openslide
from napari_fastnet.slide.tiff import NotTiffSlideError, VentanaError, open_tiff
from napari_fastnet.slide.tiff_tiles import ENDS_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.machine.remote.url import SlidePath
    from napari_fastnet.slide.tiles import Source

#: Size, time of change (ns) and number of a file.
Stamp = tuple[int, ...]


def open_source(path: SlidePath) -> Source:
    """Open a slide as TIFF or, where it is none or a Ventana, with OpenSlide.

    The caller closes it. SlideNotFoundError where there is no such file, SlideFormatError
    where it is no slide, is cut short, or its pixels are not 8-bit RGB or grey. An address
    is read as TIFF alone.
    """
    if isinstance(path, Url):
        return _open_remote(path)
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise errors.SlideFormatError(
                    f"{path}: is empty; copy it again from its origin"
                )
    except FileNotFoundError:
        raise errors.SlideNotFoundError(
            f"{path}: there is no such file; check the path"
        ) from None
    except OSError as error:
        raise errors.SlideFormatError(
            f"{path}: cannot be opened ({error.strerror}); give a slide file you may read"
        ) from error
    try:
        return open_tiff(path)
    except NotTiffSlideError as error:
        return _open_other(path, error)


def _open_remote(url: Url) -> Source:
    """Open a slide on another computer, which is a TIFF."""
    try:
        return open_tiff(url)
    except NotTiffSlideError as error:
        raise errors.SlideFormatError(
            f"{error}; by its address a TIFF slide is read (SVS, NDPI, SCN, OME-TIFF), "
            "for another copy its files to this computer"
        ) from error


def fingerprint(path: SlidePath, source: Source) -> str:
    """Return a hash of the contents that survives renaming and copying, 64 hex digits.

    It covers the size, 64 KiB at either end, and each level's table of tiles (the place and
    length of each), not every pixel: tiles replaced by others of equal length in the middle
    of the file go unnoticed. SlideNotFoundError where the file is gone by now, DriveError
    where the drive refuses to give it.
    """
    try:
        size, first, last = (source.ends or partial(_ends, path))(ENDS_BYTES)
    except errors.FastNetError:
        raise
    except FileNotFoundError:
        raise errors.SlideNotFoundError(
            f"{path}: vanished while it was open; put it back"
        ) from None
    except OSError as error:
        raise errors.DriveError.reading(path, error) from error
    state = hashlib.sha256(str(size).encode())
    state.update(first + last)
    state.update(source.digest())
    return state.hexdigest()


def _ends(path: SlidePath, count: int) -> tuple[int, bytes, bytes]:
    """Return the size of a file on a disk, and so many bytes of either end."""
    assert not isinstance(path, Url)
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(count)
        file.seek(max(0, size - count))
        return size, first, file.read()


def file_stamp(path: Path) -> Stamp | None:
    """Return a file's stamp, which is the same until somebody writes to the file.

    None where the file is gone. Asking costs next to nothing.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _open_other(path: Path, reason: NotTiffSlideError) -> Source:
    """Open a file that is no TIFF slide with OpenSlide."""
    kinds = "give an SVS, SCN, NDPI, tiled TIFF or OME-TIFF file"
    try:
        source = open_with_openslide(path)
    except errors.DependencyError:
        raise errors.SlideFormatError(
            f"{reason}; {kinds}, or pip install 'napari-fastnet[openslide]' for MRXS, "
            "VMS, BIF and DICOM"
        ) from reason
    except errors.SlideFormatError as error:
        if isinstance(reason, VentanaError):
            why = str(error).partition(": ")[2]  # the path stands in the reason
            raise errors.SlideFormatError(f"{reason}, and {why}") from error
        if not isinstance(error, UnknownSlideError):
            raise
        raise errors.SlideFormatError(
            f"{reason}; {kinds}, or MRXS, VMS, DICOM"
        ) from reason
    if isinstance(reason, VentanaError) and source.facts.vendor != "ventana":
        source.close()
        raise errors.SlideFormatError(
            f"{reason}, and OpenSlide does not know it for one; {kinds}"
        ) from reason
    return source
