"""What tells a patch, and a set of labelled patches, from any other: their px."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

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
