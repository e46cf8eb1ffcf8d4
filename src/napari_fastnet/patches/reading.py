"""Labelled patches: images in 0/ (normal) and 1/ (tumor), or a zarr of them.

In a tar, a zip or a folder, the label is the name of the folder an image lies in, wherever
that folder is, so that ``1/a.png`` and ``valid/1/a.png`` both are tumor; the folders may be
called ``normal`` and ``tumor`` as well. A zarr is what ``napari-fastnet patches`` writes; it
has parts to train and to validate on.
"""

from __future__ import annotations

import gzip
import lzma
import re
import tarfile
import warnings
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from napari_fastnet.errors import DataError
from napari_fastnet.patches.options import MAXIMUM_SIDE_PX
from napari_fastnet.patches.store import is_patch_store, open_patch_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


# Modes of 8 bits a channel that have colour, grey or a palette.
_MODES = ("RGB", "RGBA", "RGBX", "P", "PA", "L", "LA")

# How Pillow calls the layout of 16 bits a channel, by their order.
_SIXTEEN = re.compile(";16[BLN]")


def decode_patch(where: str, content: bytes) -> NDArray[np.uint8]:
    """Return an image as uint8 (height, width, 3) RGB.

    Parameters
    ----------
    where : str
        File and name, for messages.
    content : bytes
        Of the file.

    Returns
    -------
    ndarray
        What is transparent in part is mixed with white, as of slides: glass is white.

    Raises
    ------
    DataError
        It is no image, is damaged, has more than 8 bits a channel, other colours than
        RGB or grey, several pictures, or more than ``MAXIMUM_SIDE_PX`` a side.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, which the pixels do not depend on.
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(content)) as image:
                _check(where, image)
                return np.asarray(_on_white(image).convert("RGB"))
    except UnidentifiedImageError as error:
        raise DataError(f"{where} is no image Pillow knows; remove it") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{where} cannot be read ({error}); remove it or copy it again"
        ) from error


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layer)


def _check(where: str, image: Image.Image) -> None:
    """Refuse what is no patch, before its pixels are decoded."""
    if max(image.size) > MAXIMUM_SIDE_PX:
        raise DataError(
            f"{where} is {image.width} x {image.height} px; a patch has at most "
            f"{MAXIMUM_SIDE_PX} px a side"
        )
    if image.mode not in _MODES:
        raise DataError(
            f"{where} has pixels of kind {image.mode}; save it as 8-bit RGB"
        )
    # Pillow keeps the upper 8 of 16 bits, which is black where 12 bits were used.
    if any(_SIXTEEN.search(str(tile[3])) for tile in getattr(image, "tile", ())):
        raise DataError(f"{where} has 16 bits a channel; save it as 8-bit RGB")
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise DataError(f"{where} holds several pictures; a patch is one")


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


__all__ = [
    "Patch",
    "PatchSet",
    "iterate_patches",
    "read_patches",
    "stored_spacing",
]

#: What counts as an image; other files are passed over.
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
# Pictures and arrays in label folders that would be missed, were they passed over.
_NOT_READ = (".jp2", ".j2k", ".jxl", ".gif", ".heic", ".avif", ".npy", ".dcm", ".svs")

#: Folders' names, in small letters, and what they say of their images.
LABELS = {"0": 0, "normal": 0, "1": 1, "tumor": 1, "tumour": 1}


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One labelled image.

    Parameters
    ----------
    name : str
        Its path within the tar or folder, with slashes.
    image : (height, width, 3) uint8 ndarray
        RGB.
    label : int
        1 is tumor, 0 is normal.
    slide : str or None
        Which slide it was cut from, where that is known.
    """

    name: str
    image: NDArray[np.uint8]
    label: int
    slide: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PatchSet:
    """Labelled images in memory.

    Parameters
    ----------
    names : list of str
        As `Patch` has them.
    images : list of (height, width, 3) uint8 ndarray
        RGB; sizes may differ.
    labels : (n,) int64 ndarray
        1 is tumor, 0 is normal.
    slides : list of (str or None)
        As `Patch` has them.
    """

    names: list[str]
    images: list[NDArray[np.uint8]]
    labels: NDArray[np.int64]
    slides: list[str | None]


def read_patches(data: Path, part: str | None = None) -> PatchSet:
    """Return all patches of a tar, zip, folder or zarr's part; see `iterate_patches`."""
    patches = list(iterate_patches(data, part))
    return PatchSet(
        [patch.name for patch in patches],
        [patch.image for patch in patches],
        np.array([patch.label for patch in patches], np.int64),
        [patch.slide for patch in patches],
    )


def stored_spacing(data: Path) -> float | None:
    """Return the µm/px that a zarr of patches states; None for other data."""
    return open_patch_store(data).spacing_um_px if is_patch_store(data) else None


def iterate_patches(data: Path, part: str | None = None) -> Iterator[Patch]:
    """Yield the patches of a tar, zip, folder or zarr, one after another.

    Parameters
    ----------
    data : Path
        A tar, compressed or not, a zip, or a folder: patches come in the order of their
        names; hidden files, and files that are no images by their suffix, are passed
        over. Or a zarr that ``napari-fastnet patches`` wrote. One class alone is
        allowed.
    part : {"train", "valid", "test"} or None
        Of a zarr, the patches of that part; None is all. Other data have no parts and
        are taken whole.

    Yields
    ------
    Patch
        One after another, so that they need not fit into memory.

    Raises
    ------
    DataError
        The zarr is damaged, not finished, or has no such part. There are no images, an
        image lies in no folder of a label, or cannot be read
        as 8-bit colour of at most ``MAXIMUM_SIDE_PX`` a side.
    """
    if is_patch_store(data):
        yield from _stored(data, part)
        return
    with opened(data) as files:
        names = sorted(name for name in files if _is_image(data, name))
        if not names:
            raise DataError(f"{data} holds no images; {LAYOUT}")
        labels = [_label(data, name) for name in names]
        for name, label in zip(names, labels, strict=True):
            yield Patch(name, decode_patch(f"{data}: {name}", files[name]()), label)


def _stored(data: Path, part: str | None) -> Iterator[Patch]:
    """Yield the patches of a zarr; the names say slide, label and place."""
    store = open_patch_store(data)
    if not store.count(part):
        where = f" in its part {part}" if part else ""
        raise DataError(
            f"{data} has no patches{where}; cut more slides: of each class one to train "
            "on and one to validate on"
        )
    for slide, drawn in store.patches(part):
        y, x = drawn.position
        name = f"{slide}/{drawn.label}/y{y:.0f}_x{x:.0f}"
        yield Patch(name, drawn.image, drawn.label, slide)


def _is_image(data: Path, name: str) -> bool:
    """Return whether a file is a patch by its name."""
    path = PurePosixPath(name)
    if any(part.startswith(".") and part != ".." for part in path.parts):
        return False
    suffix = path.suffix.lower()
    if suffix in _NOT_READ and path.parent.name.lower() in LABELS:
        raise DataError(
            f"{data}: {name} is of a kind that is not read; save it as PNG, or take it "
            "out of there"
        )
    return suffix in SUFFIXES


def _label(data: Path, name: str) -> int:
    """Return what the folders on an image's path say."""
    folders = PurePosixPath(name).parent.parts
    if not folders or folders[-1].lower() not in LABELS:
        raise DataError(
            f"{data}: {name} lies in no folder of a label (0 or normal, 1 or tumor); "
            f"{LAYOUT}"
        )
    said = {LABELS[folder.lower()] for folder in folders if folder.lower() in LABELS}
    if len(said) > 1:
        raise DataError(
            f"{data}: {name} lies in a folder of normal and in one of tumor patches; "
            "rename the folder that is no label"
        )
    return said.pop()
