"""Labelled patches: images in 0/ (normal) and 1/ (tumour), or a zarr of them.

In a tar or a folder, the label is the name of the folder an image lies in, wherever that
folder is, so that ``1/a.png`` and ``valid/1/a.png`` both are tumour. A zarr is what
``napari-fastnet patches`` writes; it has parts to train and to validate on.
"""

from __future__ import annotations

import lzma
import tarfile
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from napari_fastnet.errors import DataError
from napari_fastnet.io.patch_store import is_patch_store, open_patch_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

#: What counts as an image; other files are passed over.
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")

#: Larger images are slides, not patches.
MAXIMUM_SIDE_PX = 4096

_LABELS = {"0": 0, "1": 1}
# Modes of 8 bits a channel that have colour or a palette.
_MODES = ("RGB", "RGBA", "P", "L")
# What a damaged tar, compressed or not, makes Python raise.
_ARCHIVE_ERRORS = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError)
_LAYOUT = (
    "give a tar or a folder with images in 0/ (normal) and 1/ (tumour), or what "
    "`napari-fastnet patches` wrote"
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
        1 is tumour, 0 is normal.
    """

    name: str
    image: NDArray[np.uint8]
    label: int


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
        1 is tumour, 0 is normal.
    """

    names: list[str]
    images: list[NDArray[np.uint8]]
    labels: NDArray[np.int64]


def read_patches(data: Path, part: str | None = None) -> PatchSet:
    """Return all patches of a tar, folder or zarr's part; see `iterate_patches`."""
    patches = list(iterate_patches(data, part))
    return PatchSet(
        [patch.name for patch in patches],
        [patch.image for patch in patches],
        np.array([patch.label for patch in patches], np.int64),
    )


def stored_spacing(data: Path) -> float | None:
    """Return the µm/px that a zarr of patches states; None for other data."""
    return open_patch_store(data).spacing_um_px if is_patch_store(data) else None


def iterate_patches(data: Path, part: str | None = None) -> Iterator[Patch]:
    """Yield the patches of a tar, folder or zarr, one after another.

    Parameters
    ----------
    data : Path
        A tar, compressed or not, or a folder: patches come in the order of their names;
        hidden files, and files that are no images by their suffix, are passed over. Or
        a zarr that ``napari-fastnet patches`` wrote. One class alone is allowed.
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
        image lies in neither 0/ nor 1/, or cannot be read
        as 8-bit colour of at most ``MAXIMUM_SIDE_PX`` a side.
    """
    if is_patch_store(data):
        yield from _stored(data, part)
        return
    with _opened(data) as files:
        names = sorted(name for name in files if _is_image(name))
        if not names:
            raise DataError(f"{data} holds no images; {_LAYOUT}")
        labels = [_label(data, name) for name in names]
        for name, label in zip(names, labels, strict=True):
            yield Patch(name, _decode(f"{data}: {name}", files[name]), label)


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
        yield Patch(name, drawn.image, drawn.label)


@contextmanager
def _opened(data: Path) -> Iterator[dict[str, Callable[[], bytes]]]:
    """Yield every file's name within the tar or folder and what reads it."""
    if data.is_dir():
        paths = (path for path in data.rglob("*") if path.is_file())
        yield {path.relative_to(data).as_posix(): path.read_bytes for path in paths}
        return
    if not data.exists():
        raise DataError(f"no file or folder {data}; {_LAYOUT}")
    try:
        with tarfile.open(data) as archive:
            # A name may occur twice: the last one holds, as when it is unpacked.
            members = {entry.name: entry for entry in archive if entry.isfile()}
            yield {
                _plain(name): _reader(archive, entry) for name, entry in members.items()
            }
    except _ARCHIVE_ERRORS as error:
        raise DataError(f"{data} is no whole tar ({error}); {_LAYOUT}") from error


def _plain(name: str) -> str:
    """Return a member's name without a leading ``./``."""
    return str(PurePosixPath(name))


def _reader(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Callable[[], bytes]:
    """Return what reads a member, without unpacking it to the disk."""

    def read() -> bytes:
        file = archive.extractfile(entry)
        return b"" if file is None else file.read()

    return read


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") and part != ".." for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def _label(data: Path, name: str) -> int:
    label = _LABELS.get(PurePosixPath(name).parent.name)
    if label is None:
        raise DataError(f"{data}: {name} lies in neither 0/ nor 1/; {_LAYOUT}")
    return label


def _decode(where: str, read: Callable[[], bytes]) -> NDArray[np.uint8]:
    """Return an image as uint8 (height, width, 3) RGB."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, which the pixels do not depend on.
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(read())) as image:
                _check(where, image)
                return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError as error:
        raise DataError(f"{where} is no image Pillow knows; remove it") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{where} cannot be read ({error}); remove it or copy it again"
        ) from error


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
