"""Drawing of patches among the candidates, and their division into parts.

Every draw depends on the slide's name and the seed alone: one more slide changes nothing
for the others, unless classes are balanced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_fastnet.patches.camelyon import CamelyonSlide
    from napari_fastnet.patches.options import SamplingOptions

#: Parts of a data set, in the order of their numbers in files.
PARTS = ("train", "valid", "test")
TRAIN, VALID, TEST = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Labels of the patches of a slide that could be kept.

    Parameters
    ----------
    slide : CamelyonSlide
        The slide.
    labels : (n,) uint8 ndarray
        1 is tumor.
    fault : str
        Reason why there are none; empty where nothing is at fault.
    """

    slide: CamelyonSlide
    labels: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    fault: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Candidates of a slide that are to be stored.

    Parameters
    ----------
    slide : CamelyonSlide
        The slide.
    indices : (n,) intp ndarray
        Of the candidates, ascending.
    parts : (n,) uint8 ndarray
        Part of each as a number, see ``PARTS``.
    """

    slide: CamelyonSlide
    indices: NDArray[np.intp]
    parts: NDArray[np.uint8]


def draw_patches(slides: Sequence[Candidates], options: SamplingOptions) -> list[Draw]:
    """Choose patches of each slide and divide them; the slides' names differ."""
    if not slides:
        return []
    ends = np.cumsum([len(slide.labels) for slide in slides])
    labels = np.concatenate([slide.labels for slide in slides])
    parts = np.concatenate(split_patches(slides, options))
    # Patches of the lowest rank are drawn first.
    each = [
        _generator(slide, options.seed, "draw").random(len(slide.labels))
        for slide in slides
    ]
    ranks = np.concatenate(each)
    kept = np.ones(len(labels), np.bool_)
    if options.per_slide is not None:
        for end, slide in zip(ends, slides, strict=True):
            for label in (0, 1):
                indices = (
                    end - len(slide.labels) + np.flatnonzero(slide.labels == label)
                )
                kept[indices[np.argsort(ranks[indices])[options.per_slide :]]] = False
    if options.sampling == "balanced":
        for part in range(len(PARTS)):
            left = kept & (parts == part)
            classes = [np.flatnonzero(left & (labels == label)) for label in (0, 1)]
            wanted = min(map(len, classes))
            for indices in classes:
                order = np.argsort(ranks[indices], kind="stable")
                kept[indices[order[wanted:]]] = False
    return [
        Draw(slide.slide, np.flatnonzero(chosen), part[chosen])
        for slide, chosen, part in zip(
            slides, np.split(kept, ends[:-1]), np.split(parts, ends[:-1]), strict=True
        )
    ]


def split_patches(
    slides: Sequence[Candidates], options: SamplingOptions
) -> list[NDArray[np.uint8]]:
    """Return the part of each candidate of each slide, as a number.

    By slides, each kind of slide is divided on its own; at least one of a kind stays in
    training, and one goes to validation where there are two or more and
    ``valid_share`` is not 0.
    """
    parts = []
    to_valid = _valid_slides(slides, options)
    for slide in slides:
        count = len(slide.labels)
        if slide.slide.is_test:
            part = np.full(count, TEST, np.uint8)
        elif options.split == "slides":
            value = VALID if slide.slide.name in to_valid else TRAIN
            part = np.full(count, value, np.uint8)
        else:
            chosen = _generator(slide, options.seed, "split").random(count)
            part = np.where(
                chosen < options.valid_share, np.uint8(VALID), np.uint8(TRAIN)
            )
        parts.append(part)
    return parts


def _valid_slides(slides: Sequence[Candidates], options: SamplingOptions) -> set[str]:
    """Return the names of the slides that are for validation."""
    chosen: set[str] = set()
    for kind in (False, True):
        own = [
            slide
            for slide in slides
            if slide.slide.is_tumor == kind and not slide.slide.is_test
        ]
        own.sort(key=lambda slide: _digest(slide, options.seed, "slide"))
        count = round(options.valid_share * len(own))
        if options.valid_share > 0:
            count = max(1, count)
        chosen.update(slide.slide.name for slide in own[: min(count, len(own) - 1)])
    return chosen


def _digest(slide: Candidates, seed: int, purpose: str) -> bytes:
    return sha256(f"{seed}/{purpose}/{slide.slide.name}".encode()).digest()


def _generator(slide: Candidates, seed: int, purpose: str) -> np.random.Generator:
    """Return the generator of one slide's draws."""
    return np.random.default_rng(
        int.from_bytes(_digest(slide, seed, purpose), "little")
    )
