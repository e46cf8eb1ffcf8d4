"""What a bundle says of the data it was trained, watched and judged on."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


def patch_digest(image: NDArray[np.uint8]) -> bytes | None:
    """Return what two patches share where they are the same px by px.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        A patch, whatever its file is called and however it was packed.

    Returns
    -------
    bytes or None
        None for a patch of a single colour: bare glass is alike on every slide.
    """
    if (image == image[:1, :1]).all():
        return None
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()


def set_digest(digests: Iterable[bytes | None], labels: Iterable[int]) -> str:
    """Return what two sets share that hold the same patches with the same labels.

    Parameters
    ----------
    digests : iterable of bytes or None
        Of `patch_digest`.
    labels : iterable of int
        One each, 0 or 1.

    Returns
    -------
    str
        Hexadecimal; whatever the order of the patches.
    """
    each = sorted(
        (digest or b"") + bytes([label])
        for digest, label in zip(digests, labels, strict=True)
    )
    return hashlib.sha256(b"".join(each)).hexdigest()


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What is known of a tar, zip, folder or zarr's part of labelled patches.

    Parameters
    ----------
    name : str
        Of the file or folder, without where it lies.
    normal, tumour : int
        Patches of each class.
    distinct : int
        Patches that are not px by px those of another file; what is of a single colour
        counts each.
    slides : int or None
        From how many slides they come, where that is known.
    sha256 : str
        Of the patches and their labels, whatever their order and names.
    """

    name: str
    normal: int
    tumour: int
    distinct: int
    slides: int | None
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, for ``model.json``."""
        return asdict(self)


def data_facts(
    name: str,
    digests: Sequence[bytes | None],
    labels: Sequence[int],
    slides: Sequence[str | None],
) -> DataFacts:
    """Return what is known of some patches.

    Parameters
    ----------
    name : str
        What they are called.
    digests : sequence of bytes or None
        Of `patch_digest`.
    labels : sequence of int
        1 is tumor.
    slides : sequence of str or None
        Where each comes from.

    Returns
    -------
    DataFacts
        Of them.
    """
    tumor = sum(labels)
    blank = sum(digest is None for digest in digests)
    return DataFacts(
        name=name,
        normal=len(labels) - tumor,
        tumour=tumor,
        distinct=len(set(digests) - {None}) + blank,
        slides=None if None in slides else len(set(slides)),
        sha256=set_digest(digests, labels),
    )
