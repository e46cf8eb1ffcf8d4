"""The list of lesions: candidates with their decisions, and what a person drew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot, nan
from typing import TYPE_CHECKING, Literal

from napari_fastnet.core.matching import owners
from napari_fastnet.core.regions import Region, region_of_outline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.core.geometry import Box, Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.results.decision_events import Decision, Kind, Line

Status = Literal["undecided", "tumor", "not tumor", "unsure"]


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
    node : str
        Name of the lymph node that its piece of tissue belongs to; empty if not known.
    """

    region: Region
    decision: Decision | None = None
    node: str = ""

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


def reviewed(
    decided: Sequence[Decision],
    candidates: Sequence[Region],
    heatmap: Heatmap,
    slide: Box,
) -> list[Reviewed]:
    """Return the list of lesions: candidates with their decisions, and decided ones.

    A decision about a found lesion is about the candidate that `core.matching.owners`
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
