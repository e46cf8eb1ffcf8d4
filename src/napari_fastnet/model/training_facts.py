"""Facts about the data that a model was trained, validated and measured on."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


def patch_digest(image: NDArray[np.uint8]) -> bytes | None:
    """Compute the SHA-256 of a patch's px, (height, width, 3) uint8.

    None for a patch of a single colour: bare glass is alike on every slide.
    """
    if (image == image[:1, :1]).all():
        return None
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()


def set_digest(digests: Iterable[bytes | None], labels: Iterable[int]) -> str:
    """Compute the SHA-256, hexadecimal, of patches and labels in any order.

    Parameters
    ----------
    digests : iterable of bytes or None
        From `patch_digest`.
    labels : iterable of int
        One for each patch, 0 or 1.
    """
    each = sorted(
        (digest or b"") + bytes([label])
        for digest, label in zip(digests, labels, strict=True)
    )
    return hashlib.sha256(b"".join(each)).hexdigest()


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Facts about a tar, zip, folder or part of a zarr of labelled patches.

    Parameters
    ----------
    name : str
        Of the file or folder, without its path.
    normal, tumour : int
        Patches of each class.
    distinct : int
        Patches with different px; each patch of a single colour counts.
    slides : int or None
        Number of slides they come from; None if unknown.
    sha256 : str
        From `set_digest`.
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
    """Collect the facts about some patches.

    Parameters
    ----------
    name : str
        Of their file or folder.
    digests : sequence of bytes or None
        From `patch_digest`.
    labels : sequence of int
        1 is tumor.
    slides : sequence of str or None
        The slide of each patch.
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
