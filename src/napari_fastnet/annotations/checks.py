"""Checks of outlines from any file, whatever its form.

Files may be damaged or hostile. A file is refused as a whole where it leaves doubt what
is tumor: a damaged number, a group of unknown meaning. Outlines that enclose nothing or
do not count are named.
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
from napari_fastnet.core import polygons
from napari_fastnet.core.display import counted
from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import AnnotationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_fastnet.annotations.classes import Verdict
    from napari_fastnet.core.arrays import Floats

#: Limits of one file: CAMELYON16's largest has 71,315 points in 67 outlines.
MAXIMUM_POINTS = 5_000_000
MAXIMUM_OUTLINES = 100_000
#: Most crossings of a file's outlines with themselves; more take minutes to repair.
MAXIMUM_CROSSINGS = 2000

#: Largest plausible coordinate, px: no slide reaches as far.
FARTHEST_PX = 1e8

#: Share of a slide from which an outline without a class is the slide's own frame.
FRAME_SHARE = 0.95
#: Most crossings with itself of a frame that was drawn by hand.
FRAME_CROSSINGS = 100

_NAMED = 3  # names listed in a line about many


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    """An outline that encloses something; the verdict is that of the file's form."""

    name: str
    names: ClassNames
    ring: Floats
    verdict: Verdict | None
    bare: bool


class OutlineCollector:
    """Collects the outlines of one file, checks and counts them.

    Parameters
    ----------
    path : Path
        The file, for errors.
    classes : Classes, optional
        Meanings of classes.
    grouped : bool, optional
        Whether classes are groups of ASAP: outlines in none are taken out of those that
        are tumor, as CAMELYON16's readers do, and are never tumor themselves. In other
        files they are tumor where no outline is by its class.
    """

    def __init__(
        self, path: Path, classes: Classes | None = None, *, grouped: bool = False
    ) -> None:
        self._path, self._classes = path, classes or Classes()
        self._no_class = "in no group" if grouped else "without a class"
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
        rings: Sequence[Floats],
        *,
        verdict: Verdict | None = None,
        bare: bool = False,
    ) -> None:
        """Take an exterior and its holes, each (n, 2) of (x, y) as in files.

        Parameters
        ----------
        name : str
            Of the outline.
        names : tuple of str
            Of its class, see `classes.class_names`.
        rings : sequence of ndarray
            The exterior first.
        verdict : str, optional
            Of the file's form, whatever the class.
        bare : bool, optional
            Whether it is a geometry alone, which is never the frame of a slide.

        Raises
        ------
        AnnotationError
            A coordinate is no number, or there are too many.
        """
        kept = self.checked(name, rings)
        if kept:
            if not Polygon(kept[0], kept[1:]).is_valid:
                self._crossing.append(name)
            self._taken.append(
                _Outline(name, names, polygons.joined(kept), verdict, bare)
            )

    def checked(self, name: str, rings: Sequence[Floats]) -> list[Floats]:
        """Count and check an exterior and its holes, as for `add`; note what is empty.

        Parameters
        ----------
        name : str
            Of the outline.
        rings : sequence of ndarray
            Each (n, 2) of (x, y), the exterior first.

        Returns
        -------
        list of ndarray
            Each (n, 2) of (y, x), without repeated points; none where the exterior
            encloses nothing.

        Raises
        ------
        AnnotationError
            As for `add`.
        """
        points = sum(len(ring) for ring in rings)
        self.check_points(points)
        self._points += points
        self._outlines += 1
        for ring in rings:
            if not (np.abs(ring) <= FARTHEST_PX).all():  # nor is NaN
                raise self.fault(
                    f"outline {name!r} has a coordinate that is not a number within "
                    f"{FARTHEST_PX:.0e} px; correct or remove it"
                )
        plain = [_without_repeats(ring[:, ::-1]) for ring in rings]
        kept = [ring for ring in plain if _encloses(ring)]
        if not plain or len(kept) < len(plain):
            self._skipped.append(
                f"outline {name!r}: a ring of fewer than three different points"
            )
        return kept if kept and kept[0] is plain[0] else []

    def check_points(self, points: int) -> None:
        """Refuse a file with more outlines or points than any slide has.

        Parameters
        ----------
        points : int
            Of the next outline.

        Raises
        ------
        AnnotationError
            There are too many.
        """
        if (
            self._points + points > MAXIMUM_POINTS
            or self._outlines + 1 > MAXIMUM_OUTLINES
        ):
            raise self.fault(
                f"more than {MAXIMUM_POINTS:,} points or {MAXIMUM_OUTLINES:,} outlines; "
                "simplify the outlines"
            )

    def leave_out(self, kind: str) -> None:
        """Count an object that is no outline of an annotation, such as a cell."""
        self._others[kind[:80]] += 1

    def skip(self, name: str, reason: str) -> None:
        """Count an outline that encloses nothing, and note the reason."""
        self.check_points(0)
        self._outlines += 1
        self._skipped.append(f"outline {name!r}: {reason}")

    def note(self, line: str) -> None:
        """Add a line to the notes about this file."""
        self._skipped.append(line)

    def fault(self, reason: str) -> AnnotationError:
        """Return an error about this file."""
        return AnnotationError(f"{self._path}: {reason}")

    def finish(
        self, verdict: Callable[[ClassNames], Verdict] | None = None
    ) -> polygons.Annotations:
        """Return the outlines, sorted by the meaning of their classes.

        Parameters
        ----------
        verdict : callable, optional
            Returns the meaning of a class; by default that of `Classes`.

        Returns
        -------
        Annotations
            May have no outline.

        Raises
        ------
        AnnotationError
            A class is of unknown meaning.
        """
        verdict = verdict or self._classes.verdict
        outlines = [(one, one.verdict or verdict(one.names)) for one in self._taken]
        unknown = [one for one, given in outlines if given == "unknown"]
        if unknown:
            raise self._unknown_class(unknown[0])
        loose = [repr(one.name) for one, given in outlines if given == "unclassified"]
        classed, notes = any(given == "inside" for _, given in outlines), []
        default: Verdict = "left out"  # the verdict on outlines without a class
        if classed == self._grouped:
            default = "taken out" if classed else "inside"
            some = ", ".join(loose[:_NAMED]) + (", ..." if len(loose) > _NAMED else "")
            words = "taken out of the tumor" if classed else f"taken for tumor: {some}"
            if loose:
                what = counted(len(loose), "outline")
                notes.append(f"{what} {self._no_class}, {words}")
        outlines = [
            (o, default if given == "unclassified" else given) for o, given in outlines
        ]
        inside = [one for one, given in outlines if given == "inside"]
        left_out = Counter(
            class_text(one.names) for one, given in outlines if given == "left out"
        )
        return polygons.Annotations(
            positive=tuple(one.ring for one in inside),
            negative=tuple(one.ring for one, given in outlines if given == "taken out"),
            ignored=tuple(one.ring for one, given in outlines if given == "ignored"),
            skipped=(*self._skipped, *self._left_out(left_out), *notes),
            crossing=tuple(self._crossing),
            unclassed=tuple(
                index
                for index, one in enumerate(inside)
                if not (one.names or one.verdict or one.bare)
            ),
        )

    def _left_out(self, classes: Counter[str]) -> list[str]:
        """Return a line for each kind of outline and object that does not count."""
        lines = []
        for name, number in classes.most_common():
            what = f"of the class {name!r}" if name else self._no_class
            remedy = "" if name else "; if they are tumor, say --tumor-class None"
            if self._classes.meaning == "labels":
                remedy = (
                    ", which is neither tumor nor normal"
                    if name
                    else ("; give each one that is meant")
                )
            lines.append(f"left out: {counted(number, 'outline')} {what}{remedy}")
        return lines + [
            f"left out: {counted(number, 'object')} of the type {kind!r}; only "
            "annotations are outlines"
            for kind, number in self._others.most_common()
        ]

    def _unknown_class(self, outline: _Outline) -> AnnotationError:
        there = Counter(class_text(one.names) or "None" for one in self._taken)
        several = ", ".join(f"{name!r} {n:,}" for name, n in there.most_common(8))
        return self.fault(
            f"outline {outline.name!r} is in group {class_text(outline.names)!r}, and "
            f"it is not known whether that is tumor; name the group one of "
            f"{', '.join(POSITIVE_GROUPS)} (tumor) or {', '.join(NEGATIVE_GROUPS)} "
            "(not tumor), or say which are tumor with --tumor-class NAME, which leaves "
            f"the others out (outlines of each: {several})"
        )


def without_frame(
    annotations: polygons.Annotations,
    shape: tuple[float, float] | None,
    *,
    keep_one: bool = False,
) -> polygons.Annotations:
    """Leave out the frame of the slide, which QuPath makes of the full image.

    Parameters
    ----------
    annotations : Annotations
        As in the file, no offset added.
    shape : tuple of float or None
        (height, width) of the slide, level-0 px.
    keep_one : bool, optional
        Whether a frame may stand alone: a region of interest may be the whole slide.

    Returns
    -------
    Annotations
        Without those outlines of no class that cover ``FRAME_SHARE`` of the slide, or
        are a rectangle from the file's corner around all others; ``skipped`` has their
        number.
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
    ring: Floats, rings: Sequence[Floats], shape: tuple[float, float] | None
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


def _area(ring: Floats) -> float:
    """Return the area that a ring encloses; 0 for a scribble, which is no frame.

    The area of a ring that crosses itself thousands of times takes minutes.
    """
    if polygons.crossings([ring], limit=FRAME_CROSSINGS) > FRAME_CROSSINGS:
        return 0.0
    return polygons.ring_area(ring)


def _without_repeats(ring: Floats) -> Floats:
    """Drop points that equal the next one; the last point's next is the first."""
    moved = (ring != np.roll(ring, -1, axis=0)).any(axis=1)
    return np.ascontiguousarray(ring[moved])


def _encloses(ring: Floats) -> bool:
    """Return whether a ring without repeats has three different points."""
    if len(ring) < 3:
        return False
    new = (ring != ring[0]).any(axis=1) & (ring != ring[1]).any(axis=1)
    return bool(new.any())


def check_size(path: Path, limit: int) -> None:
    """Refuse a missing file, and one too large to be an annotation.

    Parameters
    ----------
    path : Path
        The file.
    limit : int
        Largest size, bytes.

    Raises
    ------
    AnnotationError
        With the path, and a remedy.
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
    annotations: polygons.Annotations, shape: tuple[int, int] | None = None
) -> tuple[str, ...]:
    """Return notes about the outlines of a slide.

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
        themselves, and one each for those of tumor outside and partly outside.
    """
    crossing = annotations.crossing
    outside = beyond = 0
    if shape is not None:
        outside, beyond = polygons.rings_outside(
            annotations.positive, Box.of_shape(shape)
        )
    odd = (
        (len(crossing), f"crossing or touching itself: {', '.join(crossing)}"),
        (outside, "outside the slide"),
        (beyond, "reaching beyond the slide"),
    )
    lines = [f"{counted(count, 'outline')} {words}" for count, words in odd if count]
    return (*annotations.skipped, *lines)
