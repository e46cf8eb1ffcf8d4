"""The list of lesions: candidates with their decisions, and what a person drew."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from math import hypot, nan
from typing import TYPE_CHECKING, Literal

from napari_fastnet.core.display import number_words
from napari_fastnet.core.lesions.matching import owners
from napari_fastnet.core.lesions.pieces import find_pieces, nodes_of
from napari_fastnet.core.lesions.regions import Region, region_of_outline, summarise
from napari_fastnet.results.record import DecisionFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.core.arrays import Bools
    from napari_fastnet.core.geometry import Box, Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.lesions.pieces import NodePiece
    from napari_fastnet.results.decision_events import Decision, Kind, Line, Reading

Status = Literal["undecided", "tumor", "not tumor", "unsure"]
#: Of lesions that no person has doubted.
TUMOR_OR_NOT_DECIDED: tuple[Status, ...] = ("tumor", "undecided")


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A lesion of the list: a candidate, a decided one, or both.

    Parameters
    ----------
    region : Region
        As found, or measured from the person's outline; with the person's line as its
        longest axis, if there is one.
    decision : Decision or None
        None while nothing was decided.
    node : int
        Number of the lymph node that its piece of tissue belongs to, from 1; 0 where no
        person said so, and each piece is a node of its own.
    """

    region: Region
    decision: Decision | None = None
    node: int = 0

    @property
    def status(self) -> Status:
        """The verdict, or undecided."""
        decision = self.decision
        return "undecided" if decision is None else decision.verdict or "undecided"

    @property
    def kind(self) -> Kind:
        """Origin of the outline."""
        return "found" if self.decision is None else self.decision.kind

    @property
    def note(self) -> str:
        """The person's note."""
        return "" if self.decision is None else self.decision.note

    def measured_mm(self, mpp: Pair) -> float:
        """Return the length of the person's line, mm; NaN without one.

        Parameters
        ----------
        mpp : tuple of float
            (y, x) µm per level-0 px.

        Returns
        -------
        float
            Then the region's longest axis is the same.
        """
        line = None if self.decision is None else self.decision.line
        return nan if line is None else line_mm(line, mpp)


def as_reviewed(one: Region | Reviewed) -> Reviewed:
    """Return a region as a lesion of the list, about which nothing was decided."""
    return one if isinstance(one, Reviewed) else Reviewed(one)


def reviewed(
    decided: Sequence[Decision],
    candidates: Sequence[Region],
    heatmap: Heatmap,
    slide: Box,
) -> list[Reviewed]:
    """Return the list of lesions: candidates with their decisions, and decided ones.

    A decision about a found lesion is about the candidate that `core.lesions.matching.owners`
    gives it; several candidates under one decision are one lesion. A person's own
    outline takes the place of the candidates under it. A decided lesion without a
    candidate keeps the outline that was seen.

    Parameters
    ----------
    decided : sequence of Decision
        What a person decided.
    candidates : sequence of Region
        In their order, which the list keeps.
    heatmap : Heatmap
        Own outlines have its probabilities.
    slide : Box
        Level-0 px; parts outside are cut off.

    Returns
    -------
    list of Reviewed
        Each label occurs once: lesions that no candidate stands for have labels after
        the last one.
    """
    belongs = owners(
        [region.polygons for region in candidates],
        [(decision.polygons, *decision.replaced) for decision in decided],
    )
    under: list[list[int]] = [[] for _ in decided]
    for index, chosen in enumerate(belongs):
        for which in chosen:
            under[which].append(index)
    next_label = max((region.label for region in candidates), default=0) + 1
    taken: set[int] = set()
    found: list[tuple[float, Reviewed]] = [
        (index, Reviewed(region))
        for index, region in enumerate(candidates)
        if not belongs[index]
    ]
    for decision, covered in zip(decided, under, strict=True):
        regions = [candidates[index] for index in covered]
        alone = all(len(belongs[index]) == 1 for index in covered)
        region: Region | None
        if decision.kind == "found" and len(covered) == 1 and alone:
            region = regions[0]
        else:
            outline = decision.polygons
            if decision.kind == "found" and covered and alone:
                outline = tuple(p for one in regions for p in one.polygons)
            region = region_of_outline(outline, heatmap, slide)
            if region is None:  # outside the slide
                continue
            if outline is decision.polygons:  # exactly, by which it is found again
                region = replace(region, polygons=outline)
            else:
                region = replace(region, evidence=max(r.evidence for r in regions))
        label = regions[0].label if regions else next_label
        if label in taken or not regions:
            label, next_label = next_label, next_label + 1
        taken.add(label)
        piece = regions[0].piece if regions else 0
        region = replace(region, label=label, piece=piece)
        if decision.line is not None:
            longest_mm = line_mm(decision.line, heatmap.mpp)
            region = replace(region, longest_axis_mm=longest_mm, axis=decision.line)
        place = covered[0] if covered else len(candidates)
        found.append((place, Reviewed(region, decision)))
    found.sort(key=lambda item: item[0])
    return [item for _, item in found]


def listed(
    lesions: Sequence[Reviewed], found: Sequence[Region], classes: Sequence[str] = ()
) -> list[Reviewed]:
    """Return the lesions that belong into tables and files.

    Parameters
    ----------
    lesions : sequence of Reviewed
        As from `reviewed`, with candidates that are no lesions.
    found : sequence of Region
        The lesions of the machine.
    classes : sequence of str, optional
        Size classes to keep; all by default.

    Returns
    -------
    list of Reviewed
        The lesions as found, and whatever a person decided on.
    """
    labels = {region.label for region in found}
    return [
        one
        for one in lesions
        if (one.decision is not None or one.region.label in labels)
        and (not classes or one.region.size_class in classes)
    ]


def in_nodes(
    lesions: Sequence[Reviewed],
    noted: Sequence[NodePiece],
    roi: Bools,
    slide_shape: Pair,
    mpp: Pair,
) -> list[Reviewed]:
    """Say of each lesion in which piece of tissue and which node it lies.

    Parameters
    ----------
    lesions : sequence of Reviewed
        As from `reviewed`.
    noted : sequence of NodePiece
        Nodes, as a person said.
    roi : (rows, columns) bool ndarray
        Tissue of the whole slide.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    list of Reviewed
        In the same order; what lies beside the tissue is in no piece.
    """
    if not noted and all(one.region.piece for one in lesions):
        return list(lesions)
    pieces = find_pieces(roi, slide_shape, mpp)
    nodes = nodes_of(pieces, noted) if noted else {}
    found = []
    for one in lesions:
        piece = one.region.piece or pieces.number_of(one.region.polygons)
        node, _ = nodes.get(piece, (0, 0))
        found.append(replace(one, region=replace(one.region, piece=piece), node=node))
    return found


def decision_facts(
    listed: Sequence[Reviewed],
    decided: Sequence[Decision],
    reading: Reading | None,
    tissue_mm2: float | None,
) -> DecisionFacts:
    """Count decisions for the run record.

    Parameters
    ----------
    listed : sequence of Reviewed
        The lesions of tables and files.
    decided : sequence of Decision
        All about the slide.
    reading : Reading or None
        The reader's own verdict on it.
    tissue_mm2 : float or None
        Area of the tissue; None where it is not known.

    Returns
    -------
    DecisionFacts
        The default without any decision and reading.
    """
    made = [decision.made for decision in decided]
    if not made and reading is None:
        return DecisionFacts()
    counts = Counter(one.status for one in listed)
    accepted = [one.region for one in listed if one.status == "tumor"]
    return DecisionFacts(
        accepted=counts["tumor"],
        rejected=counts["not tumor"],
        unsure=counts["unsure"],
        undecided=counts["undecided"],
        totals=summarise(accepted, tissue_mm2),
        last=max(made, default=""),
        reading="" if reading is None else reading.verdict,
        read="" if reading is None else reading.made,
    )


def decided_words(decisions: DecisionFacts) -> str:
    """Describe a person's decisions in a line; empty where there are none."""
    said, totals = [], decisions.totals
    if decisions.last:
        size = ""
        if totals.longest_axis_mm is not None:
            longest_mm = number_words(totals.longest_axis_mm)
            size = f" ({number_words(totals.area_mm2)} mm², longest {longest_mm} mm)"
        said = [
            f"By a person: {decisions.accepted} accepted{size}, {decisions.rejected} "
            f"rejected, {decisions.unsure} unsure, {decisions.undecided} undecided"
        ]
    if decisions.reading:
        said.append(f"reader's own verdict: {decisions.reading}")
    return "  ·  ".join(said)


def line_mm(line: Line, mpp: Pair) -> float:
    """Measure a line.

    Parameters
    ----------
    line : tuple of (y, x)
        Both ends, level-0 px.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    float
        Its length, mm.
    """
    (y0, x0), (y1, x1) = line
    return hypot((y1 - y0) * mpp[0], (x1 - x0) * mpp[1]) / 1000
