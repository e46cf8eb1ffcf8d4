"""Labelled patches: images in 0/ (normal) and 1/ (tumor), or a zarr of them.

In a tar, a zip or a folder, the label is the name of the folder an image lies in, wherever
that folder is, so that ``1/a.png`` and ``valid/1/a.png`` both are tumor; the folders may be
called ``normal`` and ``tumor`` as well. A zarr is what ``napari-fastnet patches`` writes; it
has parts to train and to validate on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.errors import DataError
from napari_fastnet.io.patch_files import LAYOUT, opened
from napari_fastnet.io.patch_image import MAXIMUM_SIDE_PX, decode_patch
from napari_fastnet.io.patch_store import is_patch_store, open_patch_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "MAXIMUM_SIDE_PX",
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
