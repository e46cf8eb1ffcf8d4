"""The slides of a case with what was found on them, and the node of each lesion."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_fastnet.case.case import Case, CaseSlide
from napari_fastnet.case.findings import Finding, Findings
from napari_fastnet.case.listing import find_cases
from napari_fastnet.core.display import unreadable_words
from napari_fastnet.core.lesions.pieces import find_pieces, nodes_of
from napari_fastnet.errors import FastNetError
from napari_fastnet.results.loading import load
from napari_fastnet.results.reviewed import Reviewed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_fastnet.case.listing import ListedSlide
    from napari_fastnet.core.lesions.pieces import NodePiece, Pieces
    from napari_fastnet.results.result import Result


def read_cases(places: Sequence[Path]) -> Iterator[Case]:
    """Read the cases of a table, or the runs at some places as one case.

    Parameters
    ----------
    places : sequence of Path
        As for `case.listing.find_cases`.

    Yields
    ------
    Case
        One after the other.

    Raises
    ------
    DataError
        A place holds no run, or the table cannot be read.
    """
    for name, listed in find_cases(places).items():
        yield gather(name, listed)


def gather(name: str, listed: Iterable[ListedSlide]) -> Case:
    """Read the slides of a case; a run that cannot be read is a slide that failed."""
    return Case.of(name, map(_read, listed))


def _read(listed: ListedSlide) -> CaseSlide:
    """Read the result of a listed slide and the decisions on it."""
    if listed.run is None:
        return CaseSlide(listed=listed)
    try:
        result = load(listed.run)
    except FastNetError as error:
        failed = replace(listed, run=None, problem="failed", reason=str(error))
        return CaseSlide(listed=failed)
    return case_slide(listed, result)


def case_slide(listed: ListedSlide, result: Result) -> CaseSlide:
    """Gather what is known of a slide of a case.

    Parameters
    ----------
    listed : ListedSlide
        Its name and node.
    result : Result
        Of the detection, with a person's decisions.

    Returns
    -------
    CaseSlide
        Each lesion in the node of its piece of tissue: the node that is listed, that a
        person joined the piece to, or else one of its own.
    """
    roi = result.masks.get("roi")
    pieces = None if roi is None else find_pieces(roi, result.slide_shape, result.mpp)
    decisions = result.decisions
    noted = () if decisions is None else decisions.pieces
    places = _places(listed, pieces, noted)
    names = {number: name for number, (name, _) in places.items()}
    beside = next(iter(names.values())) if len(set(names.values())) == 1 else ""

    def findings(found: Sequence[Reviewed]) -> tuple[Finding, ...]:
        regions = [item.region for item in found]
        placed = regions if pieces is None else pieces.place(regions)
        return tuple(
            Finding(
                region,
                names.get(region.piece, beside or f"{listed.slide}, beside the tissue"),
                item.decision,
                region.label in labels,
            )
            for region, item in zip(placed, found, strict=True)
        )

    lesions = [Reviewed(region) for region in result.lesions]
    labels = {region.label for region in result.lesions}
    reviewed = lesions if result.reviewed is None else result.reviewed
    found = Findings(findings(lesions), findings(reviewed))
    others = {one.node for one in found.reviewed} - set(names.values())
    reading = None if decisions is None else decisions.reading
    return CaseSlide(
        listed=listed,
        record=result.record,  # heatmap and masks of many slides would fill the memory
        findings=found,
        pieces={} if pieces is None else pieces.outlines(),
        nodes=(*(name for name, _ in dict.fromkeys(places.values())), *sorted(others)),
        reading="" if reading is None else reading.verdict,
        notes=tuple(_notes(result)),
    )


def _places(
    listed: ListedSlide, pieces: Pieces | None, noted: Sequence[NodePiece]
) -> dict[int, tuple[str, int]]:
    """Return node and section of each piece; piece 0 is the slide where none is known."""
    numbers = [0] if pieces is None else list(pieces.numbers)
    if listed.node or len(numbers) == 1:
        name = listed.node or listed.slide
        return {number: (name, number) for number in numbers or [0]}
    if pieces is None or not noted:
        return {number: (f"{listed.slide}, piece {number}", 1) for number in numbers}
    return {
        number: (f"{listed.slide}, node {node}", section)
        for number, (node, section) in nodes_of(pieces, noted).items()
    }


def _notes(result: Result) -> Iterator[str]:
    """Yield lines on what a reader must know of a slide's result."""
    record = result.record
    counts = record.counts
    if counts is not None and counts.failed:
        yield unreadable_words(counts.failed, counts.kept)
    if counts is not None and counts.stopped:
        yield f"stopped: {counts.stopped:,} of {counts.kept:,} patches were not scanned"
    if record.regions.outlines:
        yield f"outlines of {record.regions.outlines} stand for the machine's lesions"
    if record.quality.warn:
        yield record.quality.verdict
    if "roi" not in result.masks and counts is not None:
        yield "no tissue mask in the folder: the slide is taken for one node"
    yield from result.notes
