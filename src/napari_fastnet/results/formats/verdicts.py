"""Verdicts of a person in QuPath, or in GeoJSON, into the decisions about a run.

An annotation with the outline of a lesion says what that lesion is; one that was a lesion,
by its identifier, and has another outline now corrects it; a tumor of its own is a lesion
that was drawn. What was decided here and says the same stays as it is, so that taking a
file twice changes nothing. An annotation that only lies around lesions decides on those that
nothing else is known of, and one that nobody touched since its export on none that was
decided on since.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import shapely

from napari_fastnet.annotations.judged import read_judged
from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.annotations.qupath.project import (
    OURS,
    digest_of,
    note_taken,
    objects_of,
)
from napari_fastnet.core.display import counted, in_a_line
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.lesions.matching import SAME_PLACE, shapes_of, shares
from napari_fastnet.core.polygons import bounds
from napari_fastnet.errors import AnnotationError, OutputError, StoreError
from napari_fastnet.results.decisions import decisions_of
from napari_fastnet.results.labels import slide_of_file, unstated_note
from napari_fastnet.results.loading import load, run_folder
from napari_fastnet.results.record import RECORD, read_record
from napari_fastnet.results.recorded_slide import recorded_corner
from napari_fastnet.results.regions import lesion_feature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_fastnet.annotations.judged import Judged
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.lesions.matching import Outline
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.results.decision_events import Verdict
    from napari_fastnet.results.decisions import Decisions
    from napari_fastnet.results.reviewed import Reviewed

#: Equal outlines differ by less, level-0 px: QuPath keeps two decimals, GeoJSON three.
ROUNDING_PX = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Changes that the verdicts of a file made.

    Parameters
    ----------
    verdicts : mapping of str to int
        Lesions that have another verdict than before, by the verdict.
    corrected, drawn, noted : int
        Outlines that were changed, new lesions, and new notes.
    same, undecided : int
        Annotations that say what is known, and those without a verdict.
    elsewhere : int
        Annotations of what is no tumor, or in doubt, where no lesion is.
    around : int
        Lesions that lie in such an annotation and have one of their own, or another verdict
        here; they stay as they are.
    since : int
        Annotations as they were exported, of lesions that were decided on otherwise here;
        these stay as they are.
    contested : int
        Lesions to which the file gives two verdicts; it gives them none.
    missing : int
        Lesions that are not in the file; they stay as they are.
    notes : tuple of str
        About the file.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    corrected: int = 0
    drawn: int = 0
    noted: int = 0
    same: int = 0
    undecided: int = 0
    elsewhere: int = 0
    around: int = 0
    since: int = 0
    contested: int = 0
    missing: int = 0
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        return {**asdict(self), "verdicts": dict(self.verdicts)}

    @property
    def words(self) -> str:
        """The changes in words, then what was left."""
        changed = [f"{count} {verdict}" for verdict, count in self.verdicts.items()]
        changed += [
            counted(count, what)
            for count, what in (
                (self.drawn, "lesion drawn"),
                (self.corrected, "outline corrected"),
                (self.noted, "note"),
            )
            if count
        ]
        left = [
            f"{count:,} {what}"
            for count, what in (
                (self.same, "as they were"),
                (self.undecided, "without a verdict"),
                (self.elsewhere, "on no lesion"),
                (self.around, "only surrounded, and left as they are"),
                (self.since, "decided here since, and left as they are"),
                (self.contested, "with two verdicts, of which none was taken"),
                (self.missing, "not in the file, and left as they are"),
            )
            if count
        ]
        return "; ".join((", ".join(changed) or "nothing new", *left))


def import_verdicts(
    run: Path, source: Path, options: OutlineOptions | None = None
) -> Taken:
    """Take the verdicts of a file into the decisions beside a run.

    Parameters
    ----------
    run : Path
        The folder of the run.
    source : Path
        A project of QuPath or its folder, ``data.qpdata`` of one of its images, or
        GeoJSON.
    options : OutlineOptions, optional
        Origin of the outlines; of a project that is known.

    Returns
    -------
    Taken
        The changes.

    Raises
    ------
    StoreError
        There is no finished run with a heatmap.
    AnnotationError
        The file cannot be read, or is about another slide.
    OutputError
        The decisions cannot be written.
    """
    return read_verdicts(run, source, options)()


def read_verdicts(
    run: Path, source: Path, options: OutlineOptions | None = None
) -> Callable[[], Taken]:
    """Read what `import_verdicts` takes, and return what takes it.

    So a fault in one of several runs is known before anything is changed. Parameters and
    errors are those of `import_verdicts`.
    """
    folder = run_folder(run)
    record = read_record(folder / RECORD)
    corner = partial(recorded_corner, folder, record)
    given = (options or OutlineOptions()).offset(corner)
    slide = record.slide.fingerprint
    path, offset, notes = objects_of(
        source, record.slide.path, corner, given, slide, by_name=False
    )
    notes += () if path != source else unstated_note(path, record.slide)
    result = load(folder)
    if result.heatmap is None or result.reviewed is None:
        raise StoreError(f"{run}: has no lesions; run detect first")
    in_project = path != source or path.with_name(OURS).exists()
    # before it is read: what is saved meanwhile counts as new
    digest = digest_of(path) if in_project else ""
    found = read_verdict_file(path, offset, slide=slide, shape=result.slide_shape)
    found = replace(found, origin=str(source.absolute()), notes=(*notes, *found.notes))
    lesions = result.reviewed

    def take() -> Taken:
        decisions = decisions_of(folder, record.slide, change=True)
        taken = found.taken(decisions, lesions, slide)
        if digest:
            with suppress(OutputError):  # a project to read: the next asks which image
                note_taken(path, digest)
        return taken

    return take


def read_verdict_file(
    path: Path, offset: Pair, *, slide: str, shape: tuple[int, int]
) -> VerdictFile:
    """Read the verdicts of a file about a slide.

    Parameters
    ----------
    path : Path
        As for `annotations.judged.read_judged`.
    offset : tuple of float
        (y, x) level-0 px that are added.
    slide : str
        Fingerprint of the slide.
    shape : tuple of int
        (height, width) of the slide, level-0 px.

    Returns
    -------
    VerdictFile
        Of that origin.

    Raises
    ------
    AnnotationError
        The file cannot be read, says that it is of another slide, or lies outside.
    """
    stated, name = slide_of_file(path)
    if stated not in ("", slide):
        raise AnnotationError(
            f"{path}: is of another slide ({in_a_line(name or stated)}); give the run of that"
        )
    judged, notes = read_judged(path, offset)
    rings = [polygon[0] for one in judged for polygon in one.polygons]
    around = bounds(rings)
    if around is not None and around.intersect(Box.of_shape(shape)).is_empty:
        raise AnnotationError(
            f"{path}: all of it lies outside the slide of {shape[1]} x {shape[0]} px; check "
            "that it belongs to this slide, and its origin"
        )
    return VerdictFile(judged=judged, origin=str(path), offset=offset, notes=notes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VerdictFile:
    """The annotations of a file, with their verdicts.

    Parameters
    ----------
    judged : sequence of Judged
        As read.
    origin : str
        The file, for the decisions.
    offset : tuple of float
        (y, x) level-0 px that were added to its outlines.
    notes : tuple of str
        About the file.
    """

    judged: Sequence[Judged]
    origin: str
    offset: Pair = (0.0, 0.0)
    notes: tuple[str, ...] = ()

    def taken(
        self, decisions: Decisions, lesions: Sequence[Reviewed], fingerprint: str
    ) -> Taken:
        """Decide as the file says.

        Parameters
        ----------
        decisions : Decisions
            About the slide; changed.
        lesions : sequence of Reviewed
            All candidates and decided lesions as they are now.
        fingerprint : str
            Of the slide.

        Returns
        -------
        Taken
            The changes.
        """
        about = self._about(lesions, fingerprint)
        own = {n for each in about if each.is_own for n in each.lesions}
        free = {n for n, one in enumerate(lesions) if one.status == "undecided"} - own
        covers = [each for each in about if each.kind == "under"]
        said = _said(each for each in about if each.is_own and not each.stale)
        said |= _said(covers, free)
        contested = {n for n, verdicts in said.items() if len(verdicts) > 1}
        by_verdict: dict[Verdict, list[Region]] = defaultdict(list)
        for number, verdicts in said.items():
            lesion = lesions[number]
            if number not in contested and lesion.status not in verdicts:
                by_verdict[verdicts[0]].append(lesion.region)
        for verdict, regions in by_verdict.items():
            decisions.decide(regions, verdict, self.origin)
        holding = [each for each in about if contested.isdisjoint(each.lesions)]
        outlines = self._outlines_taken(holding, decisions, lesions)
        seen = {number for each in about for number in each.lesions}
        decided = {n for n, one in enumerate(lesions) if one.decision is not None}
        left = {n for each in covers for n in each.differing(lesions)} - free
        return Taken(
            verdicts=Counter({v: len(regions) for v, regions in by_verdict.items()}),
            **outlines,
            same=sum(
                each.kind == "same" and each.says and not each.differing(lesions)
                for each in holding
            ),
            undecided=sum(each.one.verdict is None for each in about),
            elsewhere=sum(not each.lesions for each in covers),
            around=len(left),
            since=sum(each.stale or each.keeps_note(lesions) for each in holding),
            contested=len(contested),
            missing=len(decided - seen),
            notes=self.notes,
        )

    def _outlines_taken(
        self,
        about: Sequence[_About],
        decisions: Decisions,
        lesions: Sequence[Reviewed],
    ) -> dict[str, int]:
        """Take outlines and notes; return how many, by their names in `Taken`."""
        done = {"noted": 0, "corrected": 0, "drawn": 0}
        for each in about:
            note = each.one.note
            if each.is_own:
                lesion = lesions[each.lesions[0]]
                if note not in ("", lesion.note) and not each.keeps_note(lesions):
                    decisions.note(lesion.region, note, self.origin)
                    done["noted"] += 1
                if each.kind == "corrected":
                    decisions.replace(
                        *([lesion.region], [each.one.polygons], "corrected"),
                        self.origin,
                    )
                    done["corrected"] += 1
            if each.kind == "drawn" and not each.stale:
                decisions.draw(each.one.polygons, "tumor", self.origin)
                done["drawn"] += 1
        return done

    def _about(self, lesions: Sequence[Reviewed], fingerprint: str) -> list[_About]:
        """Say of each annotation which lesions it is about."""
        same = _same_outlines(self.judged, lesions)
        known = {
            lesion_feature(one, self.offset, fingerprint)["id"]: number
            for number, one in enumerate(lesions)
        }
        found = []
        for number, one in enumerate(self.judged):
            kind: _Kind = "drawn" if one.verdict == "tumor" else "under"
            if number in same:
                kind, theirs = "same", same[number]
            elif one.identifier in known:
                kind, theirs = "corrected", [known[one.identifier]]
            else:
                kind = "nothing" if one.verdict is None else kind
                theirs = _under(one, lesions)
            stale = one.untouched and kind != "under"
            stale &= any(
                lesions[n].status not in ("undecided", one.verdict) for n in theirs
            )
            found.append(_About(one, kind, theirs, stale))
        return found


#: How an annotation is about lesions: it has the outline of one, had it, is a lesion of
#: its own, lies over some, or says nothing.
_Kind = Literal["same", "corrected", "drawn", "under", "nothing"]


@dataclass(frozen=True, slots=True, eq=False)
class _About:
    """An annotation, the numbers of the lesions that it is about, and whether they know better.

    A stale one is as it was exported, and its lesion was decided on otherwise since.
    """

    one: Judged
    kind: _Kind
    lesions: list[int]
    stale: bool

    @property
    def is_own(self) -> bool:
        """Whether it is the annotation of a lesion, and does not only lie over it."""
        return self.kind in ("same", "corrected")

    @property
    def says(self) -> bool:
        """Whether it gives a verdict that counts."""
        return self.one.verdict is not None and not self.stale

    def differing(self, lesions: Sequence[Reviewed]) -> list[int]:
        """Return its lesions that have another verdict."""
        return [n for n in self.lesions if lesions[n].status != self.one.verdict]

    def keeps_note(self, lesions: Sequence[Reviewed]) -> bool:
        """Return whether the lesion's own note is later than that of the annotation."""
        if not (self.is_own and self.one.note and self.one.untouched_note):
            return False
        note = lesions[self.lesions[0]].note
        return note != self.one.note and (self.stale or note != "")


def _said(
    about: Iterable[_About], only: set[int] | None = None
) -> dict[int, list[Verdict]]:
    """Return the different verdicts on each lesion, or on each of some."""
    found: dict[int, list[Verdict]] = defaultdict(list)
    for each in about:
        verdict = each.one.verdict
        if verdict is None:
            continue
        for number in each.lesions:
            if (only is None or number in only) and verdict not in found[number]:
                found[number].append(verdict)
    return dict(found)


def _under(one: Judged, lesions: Sequence[Reviewed]) -> list[int]:
    """Return the lesions that lie in an outline by at least half."""
    if not lesions:
        return []
    _, inside = shares(one.polygons, [each.region.polygons for each in lesions])
    found: list[int] = np.flatnonzero(inside >= SAME_PLACE).tolist()
    return found


def _same_outlines(
    judged: Sequence[Judged], lesions: Sequence[Reviewed]
) -> dict[int, list[int]]:
    """Return, for each annotation that has the outline of lesions, which lesions.

    It may be the outline that a lesion had before a person corrected it.
    """
    if not (judged and lesions):
        return {}
    now = [(number, one.region.polygons) for number, one in enumerate(lesions)]
    before = [
        (number, outline)
        for number, one in enumerate(lesions)
        for outline in (() if one.decision is None else one.decision.replaced)
    ]
    found: dict[int, list[int]] = {}
    for owned in (now, before):
        equal: dict[int, list[int]] = defaultdict(list)
        for which, at in _equal([one.polygons for one in judged], owned):
            equal[which].append(at)
        found = {**equal, **found}
    return found


def _equal(
    outlines: Sequence[Outline], owned: Sequence[tuple[int, Outline]]
) -> Iterator[tuple[int, int]]:
    """Yield the indices of outlines that equal others, and the owners of those."""
    if not owned:
        return
    theirs = shapes_of(outlines)
    ours = shapes_of([outline for _, outline in owned])
    which, lesion = shapely.STRtree(ours).query(theirs, predicate="intersects")
    one, other = theirs[which], ours[lesion]
    differ = np.abs(shapely.area(one) - shapely.area(other))
    close = differ <= ROUNDING_PX * shapely.length(other)
    which, lesion, one, other = (part[close] for part in (which, lesion, one, other))
    apart = shapely.area(shapely.symmetric_difference(one, other))
    equal = apart <= ROUNDING_PX * shapely.length(other)
    for index, at in zip(which[equal].tolist(), lesion[equal].tolist(), strict=True):
        yield index, owned[at][0]
