"""Outlines as geometry: what they enclose, as areas and as masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """What is tumour on a slide.

    Parameters
    ----------
    positive, negative : tuple of (n, 2) float64 ndarray
        Rings of (y, x), level-0 px, at least three different points each: tumour, and
        what is taken out of it.
    skipped : tuple of str
        A line for everything in the file that encloses nothing, with its name.
    """

    positive: tuple[NDArray[np.float64], ...]
    negative: tuple[NDArray[np.float64], ...]
    skipped: tuple[str, ...] = ()
