"""The files of a folder, a tar or a zip by their names, read without unpacking."""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from napari_fastnet.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Files = dict[str, Callable[[], bytes]]

LAYOUT = (
    "give a tar, a zip or a folder with images in 0/ (or normal/) and 1/ (or tumor/), "
    "or what `napari-fastnet patches` wrote"
)

_HDF5 = b"\x89HDF\r\n\x1a\n"
_GZIP = b"\x1f\x8b"
# Of a zip with files, and of one without.
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# What a damaged archive, compressed or not, makes Python raise.
_ARCHIVE_ERRORS = (
    *(tarfile.TarError, zipfile.BadZipFile, EOFError, OSError),
    *(zlib.error, lzma.LZMAError, NotImplementedError),
)


@contextmanager
def opened(data: Path) -> Iterator[Files]:
    """Yield every file's name within a folder, tar or zip, and what reads it.

    Parameters
    ----------
    data : Path
        What to look into. Nothing is unpacked to the disk.

    Yields
    ------
    dict of str to callable
        Names with slashes, without a leading ``./``.

    Raises
    ------
    DataError
        There is no such file, it is of another kind, damaged, or encrypted.
    """
    if data.is_dir():
        paths = (path for path in data.rglob("*") if path.is_file())
        yield {path.relative_to(data).as_posix(): path.read_bytes for path in paths}
        return
    if not data.exists():
        raise DataError(f"no file or folder {data}; {LAYOUT}")
    try:
        kind = _kind(data)
        with _in_zip(data) if kind == "zip" else _in_tar(data) as files:
            yield files
    except tarfile.ReadError as error:
        # Python names every decompressor that was tried, on a line each.
        raise DataError(f"{data} is no whole tar or zip; {LAYOUT}") from error
    except _ARCHIVE_ERRORS as error:
        raise DataError(f"{data} is damaged ({error}); copy it again") from error


def _kind(data: Path) -> str:
    """Return "zip" or "tar", by the first bytes; HDF5 is refused by its name."""
    with data.open("rb") as file:
        first = file.read(len(_HDF5))
    inside = first
    if first.startswith(_GZIP):
        with suppress(*_ARCHIVE_ERRORS), gzip.open(data) as unpacked:
            inside = unpacked.read(len(_HDF5))
    if inside == _HDF5:
        raise DataError(
            f"{data} is HDF5, as PatchCamelyon is published, which is not read; write "
            "its patches as PNG into 0/ and 1/, see docs/howto/train.md"
        )
    return "zip" if first.startswith(_ZIP) else "tar"


@contextmanager
def _in_tar(data: Path) -> Iterator[Files]:
    with tarfile.open(data) as archive:
        # A name may occur twice: the last one holds, as when it is unpacked.
        members = {entry.name: entry for entry in archive if entry.isfile()}
        yield {_plain(name): _reader(archive, entry) for name, entry in members.items()}


@contextmanager
def _in_zip(data: Path) -> Iterator[Files]:
    with zipfile.ZipFile(data) as archive:
        members = {entry.filename: entry for entry in archive.infolist()}
        locked = [name for name, entry in members.items() if entry.flag_bits & 1]
        if locked:
            raise DataError(f"{data}: {locked[0]} is encrypted; unpack the zip first")
        yield {
            _plain(name): _zip_reader(archive, entry)
            for name, entry in members.items()
            if not entry.is_dir()
        }


def _plain(name: str) -> str:
    """Return a member's name without a leading ``./``."""
    return str(PurePosixPath(name))


def _reader(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Callable[[], bytes]:
    """Return what reads a member, without unpacking it to the disk."""

    def read() -> bytes:
        file = archive.extractfile(entry)
        return b"" if file is None else file.read()

    return read


def _zip_reader(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo
) -> Callable[[], bytes]:
    """Return what reads a member, without unpacking it to the disk."""

    def read() -> bytes:
        return archive.read(entry)

    return read
