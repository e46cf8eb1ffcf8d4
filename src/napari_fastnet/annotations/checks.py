"""What every outline out of a file must hold, whatever the file's form.

Annotations come from strangers. A file is refused whole where it leaves doubt what is
tumour: a damaged number, a group whose meaning is unknown. What encloses nothing, and
what is not counted, is named.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from shapely import Polygon

from napari_fastnet.annotations.classes import (
    NEGATIVE_GROUPS,
    POSITIVE_GROUPS,
    Classes,
    ClassNames,
    class_text,
)
from napari_fastnet.core.display import counted
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.polygons import (
    Annotations,
    crossings,
    joined,
    ring_area,
    rings_outside,
)
from napari_fastnet.errors import AnnotationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.annotations.classes import Verdict

#: Limits of one file: CAMELYON16's largest has 71,315 points in 67 outlines.
MAXIMUM_POINTS = 5_000_000
MAXIMUM_OUTLINES = 100_000

#: No slide reaches so far, px; beyond it a number is damaged.
FARTHEST_PX = 1e8

#: An outline without a class that covers so much of a slide is the slide's own frame.
FRAME_SHARE = 0.95
#: A frame that was drawn by hand crosses itself no more often.
FRAME_CROSSINGS = 100

_NAMED = 3  # names that a line of many has


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    """An outline that encloses something, before its class is judged."""

    name: str
    names: ClassNames
    ring: NDArray[np.float64]
    verdict: Verdict | None = None
    bare: bool = False


class OutlineCollector:
    """Takes the outlines of one file, checks them and keeps count.

    Parameters
    ----------
    path : Path
        The file, for what errors say.
    classes : Classes, optional
        Which classes mean what.
    grouped : bool, optional
        Whether classes are groups of ASAP: outlines in none are taken out of those that
        are tumor, as CAMELYON16's readers have it, and are never tumor themselves. Of
        other files they are tumor where no outline is by its class.
    """

    def __init__(
        self, path: Path, classes: Classes | None = None, *, grouped: bool = False
    ) -> None:
        self._path, self._classes = path, classes or Classes()
        self._grouped = grouped
        self._taken: list[_Outline] = []
        self._skipped: list[str] = []
        self._crossing: list[str] = []
        self._others: Counter[str] = Counter()
        self._points = self._outlines = 0

    def add(
        self,
        name: str,
        names: ClassNames,
        rings: Sequence[NDArray[np.float64]],
        *,
        verdict: Verdict | None = None,
        bare: bool = False,
    ) -> None:
        """Take an exterior and its holes, each (n, 2) of (x, y) as files have them.

        Parameters
        ----------
        name : str
            Of the outline.
        names : tuple of str
            Of its class, see `outline_classes.class_names`.
        rings : sequence of ndarray
            The exterior first.
        verdict : str, optional
            What the file's form says, whatever the class.
        bare : bool, optional
            Whether it is a geometry alone, which is never the frame of a slide.

        Raises
        ------
        AnnotationError
            A coordinate is none.
        """
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
            self._taken.append(_Outline(name, names, joined(kept), verdict, bare))

    def leave_out(self, kind: str) -> None:
        """Count an object that is no outline of an annotation, such as a cell."""
        self._others[kind[:80]] += 1

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

    def finish(
        self, verdict: Callable[[ClassNames], Verdict] | None = None
    ) -> Annotations:
        """Return what was taken, each outline judged by its class.

        Parameters
        ----------
        verdict : callable, optional
            What a class says; by default as `Classes` has it.

        Returns
        -------
        Annotations
            Perhaps without any outline.

        Raises
        ------
        AnnotationError
            A class is of unknown meaning.
        """
        judge = verdict or self._classes.verdict
        judged = [(one, one.verdict or judge(one.names)) for one in self._taken]
        self._refuse_unknown(judged)
        loose, notes = self._unclassified(judged)
        judged = [(o, loose if said == "unclassified" else said) for o, said in judged]
        inside = [one for one, said in judged if said == "inside"]
        left = Counter(
            class_text(one.names) for one, said in judged if said == "left out"
        )
        return Annotations(
            positive=tuple(one.ring for one in inside),
            negative=tuple(one.ring for one, said in judged if said == "taken out"),
            skipped=(*self._skipped, *self._left_out(left), *notes),
            crossing=tuple(self._crossing),
            unclassed=tuple(
                index
                for index, one in enumerate(inside)
                if not (one.names or one.verdict or one.bare)
            ),
        )

    def _unclassified(
        self, judged: list[tuple[_Outline, Verdict]]
    ) -> tuple[Verdict, tuple[str, ...]]:
        """Return what outlines without a class are in this file, and what to tell."""
        loose = [one.name for one, said in judged if said == "unclassified"]
        classed = any(said == "inside" for _, said in judged)
        if not loose or classed == self._grouped:
            what = f"{counted(len(loose), 'outline')} {self._no_class}"
            if classed:
                return "taken out", (f"{what}, taken out of the tumor",) * bool(loose)
            return "inside", (f"{what}, taken for tumor: {_some(loose)}",) * bool(loose)
        return "left out", ()

    @property
    def _no_class(self) -> str:
        return "in no group" if self._grouped else "without a class"

    def _left_out(self, classes: Counter[str]) -> list[str]:
        """Return what is not counted, a line a kind."""
        lines = []
        for name, number in classes.most_common():
            what = f"of the class {name!r}" if name else self._no_class
            mend = "" if name else "; if they are tumor, say --tumor-class None"
            lines.append(f"left out: {counted(number, 'outline')} {what}{mend}")
        return lines + [
            f"left out: {counted(number, 'object')} of the type {kind!r}; only "
            "annotations are outlines"
            for kind, number in self._others.most_common()
        ]

    def _refuse_unknown(self, judged: list[tuple[_Outline, Verdict]]) -> None:
        unknown = [one for one, said in judged if said == "unknown"]
        if not unknown:
            return
        there = Counter(class_text(one.names) or "None" for one, _ in judged)
        several = ", ".join(f"{name!r} {n:,}" for name, n in there.most_common(8))
        raise self.fault(
            f"outline {unknown[0].name!r} is in group {class_text(unknown[0].names)!r}, "
            f"and nobody said whether that is tumor; name the group one of "
            f"{', '.join(POSITIVE_GROUPS)} (tumour) or {', '.join(NEGATIVE_GROUPS)} "
            "(not tumour), or say which are tumor with --tumor-class NAME, which leaves "
            f"the others out (outlines of each: {several})"
        )


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:_NAMED]))
    return shown + (", ..." if len(names) > _NAMED else "")


def without_frame(
    annotations: Annotations,
    shape: tuple[float, float] | None,
    *,
    keep_one: bool = False,
) -> Annotations:
    """Leave out the frame of the slide, which QuPath makes of the full image.

    Parameters
    ----------
    annotations : Annotations
        As the file has them, no offset added.
    shape : tuple of float or None
        (height, width) of the slide, level-0 px.
    keep_one : bool, optional
        Whether a frame may stand alone: a region of interest may be the whole slide.

    Returns
    -------
    Annotations
        Without those outlines of no class that cover ``FRAME_SHARE`` of the slide, or
        are a rectangle from the file's corner around all others; ``skipped`` names how
        many.
    """
    rings = annotations.positive
    frames = {
        index
        for index in annotations.unclassed
        if _is_frame(rings[index], rings, shape)
    }
    if not frames or (keep_one and len(frames) == len(rings)):
        return annotations
    return replace(
        annotations,
        positive=tuple(r for index, r in enumerate(rings) if index not in frames),
        skipped=(
            *annotations.skipped,
            f"left out: {counted(len(frames), 'outline')} without a class around the "
            "whole slide; give it a class where it is meant",
        ),
        unclassed=(),
    )


def _is_frame(
    ring: NDArray[np.float64],
    rings: Sequence[NDArray[np.float64]],
    shape: tuple[float, float] | None,
) -> bool:
    low, high = ring.min(axis=0), ring.max(axis=0)
    if shape is not None:
        height, width = np.minimum(high, shape) - np.maximum(low, 0)
        if min(height, width) <= 0:
            return False
        if height * width >= FRAME_SHARE * shape[0] * shape[1]:
            return _area(ring) >= FRAME_SHARE * shape[0] * shape[1]
    around = len(rings) > 1 and all(
        (other.min(axis=0) >= low).all() and (other.max(axis=0) <= high).all()
        for other in rings
    )
    if not around or np.abs(low).max() > 1:
        return False
    return _area(ring) >= 0.999 * float(np.prod(high - low))


def _area(ring: NDArray[np.float64]) -> float:
    """Return what a ring encloses; 0 of a scribble, which is no frame.

    The area of one that crosses itself thousands of times takes minutes.
    """
    if crossings([ring], limit=FRAME_CROSSINGS) > FRAME_CROSSINGS:
        return 0.0
    return ring_area(ring)


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
