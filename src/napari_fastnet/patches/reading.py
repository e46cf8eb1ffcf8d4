"""Labelled patches: images in 0/ (normal) and 1/ (tumor), or a zarr of them.

In a tar, a zip or a folder, the label is the name of the folder an image lies in, wherever
that folder is, so that ``1/a.png`` and ``valid/1/a.png`` both are tumor; the folders may be
called ``normal`` and ``tumor`` as well. ``napari-fastnet patches`` writes a zarr, which has
parts to train and to validate on.
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
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from napari_fastnet.errors import DataError
from napari_fastnet.patches.options import MAXIMUM_SIDE_PX
from napari_fastnet.patches.store import is_patch_store, open_patch_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

#: Suffixes of images; other files are ignored.
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
# Pictures and arrays in label folders that the user would miss, were they ignored.
_NOT_READ = (".jp2", ".j2k", ".jxl", ".gif", ".heic", ".avif", ".npy", ".dcm", ".svs")
#: Labels by the lower-case name of the folder.
LABELS = {"0": 0, "normal": 0, "1": 1, "tumor": 1, "tumour": 1}
LAYOUT = (
    "give a tar, a zip or a folder with images in 0/ (or normal/) and 1/ (or tumor/), "
    "or what `napari-fastnet patches` wrote"
)

# Pillow's modes of 8 bits a channel that have colour, grey or a palette.
_MODES = ("RGB", "RGBA", "RGBX", "P", "PA", "L", "LA")
# Pillow's name of a raw layout of 16 bits a channel, in either byte order.
_SIXTEEN = re.compile(";16[BLN]")

_HDF5 = b"\x89HDF\r\n\x1a\n"
_GZIP = b"\x1f\x8b"
# Of a zip with files, and of one without.
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# Errors that Python raises on a damaged archive, compressed or not.
_ARCHIVE_ERRORS = (
    *(tarfile.TarError, zipfile.BadZipFile, EOFError, OSError),
    *(zlib.error, lzma.LZMAError, NotImplementedError),
)


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
        The slide it was cut from, where that is known.
    """

    name: str
    image: NDArray[np.uint8]
    label: int
    slide: str | None = None


def stored_spacing(data: Path) -> float | None:
    """Return the µm/px that a zarr of patches states; None for other data."""
    return open_patch_store(data).spacing_um_px if is_patch_store(data) else None


def iterate_patches(data: Path, part: str | None = None) -> Iterator[Patch]:
    """Yield the patches of a tar, zip, folder or zarr, one after another.

    Parameters
    ----------
    data : Path
        A zarr that ``napari-fastnet patches`` wrote, or a tar, compressed or not, a zip,
        or a folder: then patches come in the order of their names, and hidden files and
        files without the suffix of an image are ignored. One class alone is allowed.
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
        image lies in no folder of a label, or cannot be read as 8-bit colour of at most
        ``MAXIMUM_SIDE_PX`` a side.
    """
    if is_patch_store(data):
        yield from _stored(data, part)
        return
    with _opened(data) as files:
        names = sorted(name for name in files if _is_image(data, name))
        if not names:
            raise DataError(f"{data} holds no images; {LAYOUT}")
        labels = [_label(data, name) for name in names]
        for name, label in zip(names, labels, strict=True):
            yield Patch(name, decode_patch(f"{data}: {name}", files[name]()), label)


def _stored(data: Path, part: str | None) -> Iterator[Patch]:
    """Yield the patches of a zarr; each name has slide, label and position."""
    drawn = None
    for slide, drawn in open_patch_store(data).patches(part):
        y, x = drawn.position
        name = f"{slide}/{drawn.label}/y{y:.0f}_x{x:.0f}"
        yield Patch(name, drawn.image, drawn.label, slide)
    if drawn is None:
        where = f" in its part {part}" if part else ""
        raise DataError(
            f"{data} has no patches{where}; cut more slides: of each class one to train "
            "on and one to validate on"
        )


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
    """Return the label that the folders on an image's path give."""
    folders = [folder.lower() for folder in PurePosixPath(name).parent.parts]
    if not folders or folders[-1] not in LABELS:
        raise DataError(
            f"{data}: {name} lies in no folder of a label (0 or normal, 1 or tumor); "
            f"{LAYOUT}"
        )
    labels = {LABELS[folder] for folder in folders if folder in LABELS}
    if len(labels) > 1:
        raise DataError(
            f"{data}: {name} lies in a folder of normal and in one of tumor patches; "
            "rename the folder that is no label"
        )
    return labels.pop()


@contextmanager
def _opened(data: Path) -> Iterator[dict[str, Callable[[], bytes]]]:
    """Yield a reader for each file of a folder, tar or zip, by its name with slashes.

    Nothing is unpacked to the disk.
    """
    if data.is_dir():
        paths = (path for path in data.rglob("*") if path.is_file())
        yield {path.relative_to(data).as_posix(): path.read_bytes for path in paths}
        return
    if not data.exists():
        raise DataError(f"no file or folder {data}; {LAYOUT}")
    try:
        if _is_zip(data):
            with zipfile.ZipFile(data) as archive:
                yield _in_zip(data, archive)
        else:
            with tarfile.open(data) as archive:
                yield _in_tar(archive)
    except tarfile.ReadError as error:
        # The message of Python names every decompressor that was tried, on a line each.
        raise DataError(f"{data} is no whole tar or zip; {LAYOUT}") from error
    except _ARCHIVE_ERRORS as error:
        raise DataError(f"{data} is damaged ({error}); copy it again") from error


def _is_zip(data: Path) -> bool:
    """Return whether a file is a zip by its first bytes; refuse HDF5."""
    with data.open("rb") as file:
        first = inside = file.read(len(_HDF5))
    if first.startswith(_GZIP):
        with suppress(*_ARCHIVE_ERRORS), gzip.open(data) as unpacked:
            inside = unpacked.read(len(_HDF5))
    if inside == _HDF5:
        raise DataError(
            f"{data} is HDF5, as PatchCamelyon is published, which is not read; write "
            "its patches as PNG into 0/ and 1/, see docs/howto/train.md"
        )
    return first.startswith(_ZIP)


def _in_zip(data: Path, archive: zipfile.ZipFile) -> dict[str, Callable[[], bytes]]:
    locked = [entry.filename for entry in archive.infolist() if entry.flag_bits & 1]
    if locked:
        raise DataError(f"{data}: {locked[0]} is encrypted; unpack the zip first")
    return {
        _plain(entry.filename): partial(archive.read, entry)
        for entry in archive.infolist()
        if not entry.is_dir()
    }


def _in_tar(archive: tarfile.TarFile) -> dict[str, Callable[[], bytes]]:
    def read(entry: tarfile.TarInfo) -> bytes:
        file = archive.extractfile(entry)
        return b"" if file is None else file.read()

    # A name may occur twice: the last one holds, as when it is unpacked.
    return {
        _plain(entry.name): partial(read, entry) for entry in archive if entry.isfile()
    }


def _plain(name: str) -> str:
    """Return a member's name without a leading ``./``."""
    return str(PurePosixPath(name))


def decode_patch(where: str, content: bytes) -> NDArray[np.uint8]:
    """Decode an image into uint8 (height, width, 3) RGB.

    Parameters
    ----------
    where : str
        File and name, for messages.
    content : bytes
        Of the file.

    Returns
    -------
    ndarray
        Transparent px are blended with white, since glass is white.

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
                if image.has_transparency_data:
                    layer = image.convert("RGBA")
                    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
                    return np.asarray(
                        Image.alpha_composite(white, layer).convert("RGB")
                    )
                return np.asarray(image.convert("RGB"))
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{where} is no image Pillow knows; remove it") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{where} cannot be read ({error}); remove it or copy it again"
        ) from error


def _check(where: str, image: Image.Image) -> None:
    """Refuse an image that is no patch, before its pixels are decoded."""
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
