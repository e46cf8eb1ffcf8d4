"""Which of many candidate patches are kept, and which of them a model learns from.

Every draw belongs to a slide's name and the seed: another slide more changes nothing
for the others, unless classes are balanced.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_fastnet.patches.options import SamplingOptions

#: Parts of a data set, in the order of the numbers that stand for them in files.
PARTS = ("train", "valid", "test")
TRAIN, VALID, TEST = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The patches of one slide that could be kept.

    Parameters
    ----------
    name : str
        Of the slide.
    labels : (n,) uint8 ndarray
        1 is tumour.
    is_tumour_slide : bool
        Slides of both kinds are divided in the same proportion.
    is_test : bool
        The slide is of the test set, whatever the split.
    """

    name: str
    labels: NDArray[np.uint8]
    is_tumour_slide: bool
    is_test: bool = False


def draw_patches(
    slides: Sequence[Candidates], options: SamplingOptions
) -> dict[str, tuple[NDArray[np.intp], NDArray[np.uint8]]]:
    """Choose patches and divide them.

    Parameters
    ----------
    slides : sequence of Candidates
        Names differ.
    options : SamplingOptions
        How.

    Returns
    -------
    dict of str to tuple of ndarray
        For each slide the indices of its kept patches, ascending, and the part of each
        as a number, see ``PARTS``.
    """
    parts = split_patches(slides, options)
    ranks = {slide.name: _ranks(slide, options.seed) for slide in slides}
    kept = {
        slide.name: _capped(slide, ranks[slide.name], options.per_slide)
        for slide in slides
    }
    if options.sampling == "balanced" and slides:
        for part in range(len(PARTS)):
            _balance(slides, part, parts, ranks, kept)
    chosen = {}
    for slide in slides:
        indices = np.flatnonzero(kept[slide.name])
        chosen[slide.name] = (indices, parts[slide.name][indices])
    return chosen


def split_patches(
    slides: Sequence[Candidates], options: SamplingOptions
) -> dict[str, NDArray[np.uint8]]:
    """Return the part of each candidate of each slide, as a number.

    By slides, each kind of slide is divided on its own; at least one of a kind stays in
    training, and one goes to validation where there are two or more and
    ``valid_share`` is not 0.
    """
    parts = {}
    to_valid = _valid_slides(slides, options)
    for slide in slides:
        if slide.is_test:
            part = np.full(len(slide.labels), TEST, np.uint8)
        elif options.split == "slides":
            value = VALID if slide.name in to_valid else TRAIN
            part = np.full(len(slide.labels), value, np.uint8)
        else:
            draws = _generator(slide.name, options.seed, "split")
            chosen = draws.random(len(slide.labels)) < options.valid_share
            part = np.where(chosen, np.uint8(VALID), np.uint8(TRAIN))
        parts[slide.name] = part
    return parts


def _valid_slides(slides: Sequence[Candidates], options: SamplingOptions) -> set[str]:
    """Return the slides that are for validation."""
    chosen: set[str] = set()
    for kind in (False, True):
        names = [
            slide.name
            for slide in slides
            if slide.is_tumour_slide == kind and not slide.is_test
        ]
        names.sort(key=lambda name: _digest(name, options.seed, "slide"))
        count = round(options.valid_share * len(names))
        if options.valid_share > 0:
            count = max(1, count)
        chosen.update(names[: min(count, len(names) - 1)] if names else ())
    return chosen


def _ranks(slide: Candidates, seed: int) -> NDArray[np.float64]:
    """Return a number in 0..1 for each candidate: the lowest are drawn first."""
    return _generator(slide.name, seed, "draw").random(len(slide.labels))


def _capped(
    slide: Candidates, ranks: NDArray[np.float64], limit: int | None
) -> NDArray[np.bool_]:
    """Return which candidates are left when a slide gives so many of a class at most."""
    kept = np.ones(len(slide.labels), np.bool_)
    for label in (0, 1):
        indices = np.flatnonzero(slide.labels == label)
        if limit is not None:
            kept[indices[np.argsort(ranks[indices])[limit:]]] = False
    return kept


def _balance(
    slides: Sequence[Candidates],
    part: int,
    parts: Mapping[str, NDArray[np.uint8]],
    ranks: Mapping[str, NDArray[np.float64]],
    kept: Mapping[str, NDArray[np.bool_]],
) -> None:
    """Drop patches of a part's larger class, drawn from all slides alike."""
    inside = {
        label: {
            slide.name: np.flatnonzero(
                kept[slide.name] & (parts[slide.name] == part) & (slide.labels == label)
            )
            for slide in slides
        }
        for label in (0, 1)
    }
    wanted = min(sum(map(len, found.values())) for found in inside.values())
    for found in inside.values():
        drawn = np.concatenate([ranks[name][found[name]] for name in found])
        last = np.argsort(drawn, kind="stable")[wanted:]
        dropped = np.zeros(len(drawn), np.bool_)
        dropped[last] = True
        ends = np.cumsum([len(indices) for indices in found.values()])[:-1]
        for name, drop in zip(found, np.split(dropped, ends), strict=True):
            kept[name][found[name][drop]] = False


def _digest(name: str, seed: int, purpose: str) -> bytes:
    return sha256(f"{seed}/{purpose}/{name}".encode()).digest()


def _generator(name: str, seed: int, purpose: str) -> np.random.Generator:
    """Return the generator of one slide's draws."""
    entropy = int.from_bytes(_digest(name, seed, purpose), "little")
    return np.random.default_rng(entropy)
