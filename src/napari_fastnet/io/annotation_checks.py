"""What every outline out of a file must hold, whatever the file's form.

Annotations come from strangers. A file is refused whole where it leaves doubt what is
tumour: a damaged number, a group whose meaning is unknown. What encloses nothing is
skipped and named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from shapely import Polygon

from napari_fastnet.core.geometry import Box
from napari_fastnet.core.polygons import Annotations, joined, rings_outside
from napari_fastnet.errors import AnnotationError
from napari_fastnet.io.number_words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Groups and classes whose outlines are tumour (CAMELYON16, CAMELYON17, ASAP, QuPath),
#: and those whose outlines are taken out of it; compared without regard to case.
POSITIVE_GROUPS = ("_0", "_1", "Tumor", "Tumour", "metastases")
NEGATIVE_GROUPS = ("_2", "None", "Exclusion", "normal")

#: Groups and classes that take out of a region of interest; any other is part of it.
NOT_OF_INTEREST = ("_2", "Exclusion", "Ignore*")

Meaning = Literal["tumour", "region of interest"]

#: Limits of one file: CAMELYON16's largest has 71,315 points in 67 outlines.
MAXIMUM_POINTS = 5_000_000
MAXIMUM_OUTLINES = 100_000

#: No slide reaches so far, px; beyond it a number is damaged.
FARTHEST_PX = 1e8


class OutlineCollector:
    """Takes the outlines of one file, checks them and keeps count.

    Parameters
    ----------
    path : Path
        The file, for what errors say.
    meaning : {"tumour", "region of interest"}
        What the outlines enclose: tells what the names of groups and classes mean.
    """

    def __init__(self, path: Path, meaning: Meaning = "tumour") -> None:
        self._path, self._meaning = path, meaning
        self._rings: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
        self._skipped: list[str] = []
        self._crossing: list[str] = []
        self._points = self._outlines = 0

    def is_inside(self, group: str, name: str) -> bool:
        """Return whether a group's outlines are what is meant; doubt is an error."""
        if self._meaning == "region of interest":
            return group.casefold() not in (n.casefold() for n in NOT_OF_INTEREST)
        for groups, answer in ((POSITIVE_GROUPS, True), (NEGATIVE_GROUPS, False)):
            if group.casefold() in (known.casefold() for known in groups):
                return answer
        raise self.fault(
            f"outline {name!r} is in group {group[:80]!r}; name the group one of "
            f"{', '.join(POSITIVE_GROUPS)} (tumour) or {', '.join(NEGATIVE_GROUPS)} "
            "(not tumour)"
        )

    def add(
        self, name: str, tumour: bool, rings: Sequence[NDArray[np.float64]]
    ) -> None:
        """Take an exterior and its holes, each (n, 2) of (x, y) as files have them."""
        self.count(sum(len(ring) for ring in rings))
        for ring in rings:
            if not (np.abs(ring) <= FARTHEST_PX).all():  # NaN is not either
                raise self.fault(
                    f"outline {name!r} has a coordinate that is not a number within "
                    f"{FARTHEST_PX:.0e} px; mend or remove it"
                )
        plain = [_without_repeats(ring[:, ::-1]) for ring in rings]
        enclosing = [_encloses(ring) for ring in plain]
        if not enclosing or not all(enclosing):
            self.skip(f"outline {name!r}: a ring of fewer than three different points")
        if plain and enclosing[0]:
            kept = [ring for ring, has in zip(plain, enclosing, strict=True) if has]
            if not Polygon(kept[0], kept[1:]).is_valid:
                self._crossing.append(name)
            self._rings[tumour].append(joined(kept))

    def count(self, points: int) -> None:
        """Count an outline and refuse more than any slide has."""
        self._points += points
        self._outlines += 1
        if self._points > MAXIMUM_POINTS or self._outlines > MAXIMUM_OUTLINES:
            raise self.fault(
                f"more than {MAXIMUM_POINTS:,} points or {MAXIMUM_OUTLINES:,} outlines; "
                "simplify the outlines"
            )

    def skip(self, what: str) -> None:
        """Note what is left out, and why."""
        self._skipped.append(what)

    def fault(self, what: str) -> AnnotationError:
        """Return an error of this file."""
        return AnnotationError(f"{self._path}: {what}")

    def finish(self) -> Annotations:
        """Return what was taken."""
        positive, negative = tuple(self._rings[True]), tuple(self._rings[False])
        skipped, crossing = tuple(self._skipped), tuple(self._crossing)
        return Annotations(positive, negative, skipped, crossing)


def _without_repeats(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a ring without points that the next repeats; the last's next is the first."""
    moved = (ring != np.roll(ring, -1, axis=0)).any(axis=1)
    return np.ascontiguousarray(ring[moved])


def _encloses(ring: NDArray[np.float64]) -> bool:
    """Return whether a ring without repeats has three different points."""
    if len(ring) < 3:
        return False
    new = (ring != ring[0]).any(axis=1) & (ring != ring[1]).any(axis=1)
    return bool(new.any())


def check_size(path: Path, limit: int) -> None:
    """Refuse what is no file, or one too large to be an annotation.

    Raises
    ------
    AnnotationError
        With the path, and what to do.
    """
    if not path.is_file():
        raise AnnotationError(f"{path}: no such annotation file; check the path")
    size = path.stat().st_size
    if size > limit:
        raise AnnotationError(
            f"{path}: {size / 2**20:.0f} MiB; an annotation of this kind has at most "
            f"{limit / 2**20:.0f}: simplify the outlines"
        )


def odd_outlines(
    annotations: Annotations, shape: tuple[int, int] | None = None
) -> tuple[str, ...]:
    """Return what is odd about the outlines of a slide.

    Parameters
    ----------
    annotations : Annotations
        As read.
    shape : tuple of int, optional
        (height, width) of the slide, level-0 px; without, none is known to lie outside.

    Returns
    -------
    tuple of str
        A line for everything that encloses nothing, one for the outlines that cross
        themselves, and one each for those of tumour outside and partly outside.
    """
    crossing = annotations.crossing
    outside = beyond = 0
    if shape is not None:
        outside, beyond = rings_outside(annotations.positive, Box.of_shape(shape))
    odd = (
        (len(crossing), f"crossing or touching itself: {', '.join(crossing)}"),
        (outside, "outside the slide"),
        (beyond, "reaching beyond the slide"),
    )
    lines = [f"{counted(count, 'outline')} {words}" for count, words in odd if count]
    return (*annotations.skipped, *lines)
