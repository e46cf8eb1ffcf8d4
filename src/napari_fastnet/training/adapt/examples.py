"""Examples to teach by: the patches around the labelled cells of one or more slides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bools, Bytes, Integers


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Examples:
    """Labelled patches of a laboratory.

    Parameters
    ----------
    images : (n, side, side, 3) ndarray of uint8
        RGB at the model's µm/px, each around a labelled cell.
    tumor : (n,) ndarray of bool
        Their labels; both occur.
    places : (n,) ndarray of int
        Place of each, a group of labelled cells close together.
    labels_tumor, labels_normal : int
        Labelled cells of each class, of which the patches are at most some thousands.
    slides : int
        Slides they lie on.
    digest : str
        SHA-256 of the corrections, the same however they came.
    notes : tuple of str
        Sentences about what was left out and why.
    """

    images: Bytes
    tumor: Bools
    places: Integers
    labels_tumor: int
    labels_normal: int
    slides: int
    digest: str
    notes: tuple[str, ...] = ()
