"""A case: the slides of one patient, their nodes, and the suggested pN.

Nothing is summed over the sections of a node: its largest deposit is the largest of any.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from napari_fastnet.case.findings import Findings, Source
from napari_fastnet.case.stage import Stage, is_positive, suggest_stage
from napari_fastnet.core.lesions.regions import size_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_fastnet.case.listing import ListedSlide
    from napari_fastnet.core.outlines import Polygon
    from napari_fastnet.results.record import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseSlide:
    """A slide of a case.

    Parameters
    ----------
    listed : ListedSlide
        Its name, node and run.
    record : RunRecord or None
        Of its run; None where there is none to use.
    findings : Findings
        On this slide.
    pieces : mapping of int to tuple of Polygon
        Outlines of its pieces of tissue by number; empty where not known.
    nodes : tuple of str
        Names of its nodes, each as often as it has sections here.
    reading : str
        The verdict on the slide that a person noted before the result was shown.
    notes : tuple of str
        Lines on what was flagged.
    """

    listed: ListedSlide
    record: RunRecord | None = None
    findings: Findings = Findings()  # noqa: RUF009  # frozen
    pieces: Mapping[int, tuple[Polygon, ...]] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    reading: str = ""
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """``scanned``, ``not scanned``, or why there is no result."""
        if self.record is None:
            return self.listed.problem or "missing"
        counts = self.record.counts
        return "scanned" if counts is not None and counts.computed else "not scanned"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """A lymph node of a case.

    Parameters
    ----------
    name : str
        As listed, or made of its slide's name and the number of its piece.
    slides : tuple of str
        Names of its slides.
    sections : int
        Sections of it, on all slides, that were scanned; 0 if it was not examined.
    findings : Findings
        In all its sections.
    """

    name: str
    slides: tuple[str, ...]
    sections: int
    findings: Findings

    def to_dict(self) -> dict[str, Any]:
        """Return the node as JSON of ``report --json``."""
        found = self.findings.largest()
        return {
            "node": self.name,
            "slides": self.slides,
            "sections": self.sections,
            "largest_mm": None if found is None else found.size_mm,
            "size_class": self.findings.size_class(),
            "by": self.findings.source,
            "machine": self.findings.size_class("machine"),
            "accepted": self.findings.size_class("person"),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The numbers of a case, by lesions of one source or of both.

    Parameters
    ----------
    examined, positive, itc_alone : int
        Nodes of which a section was scanned; those with a micro or macro; those whose
        largest deposit is an ITC.
    lesions : int
        In all sections; a lesion that two sections cut counts twice.
    largest_mm : float or None
        Longest axis of any lesion; None without one.
    size_class : {"ITC", "micro", "macro"} or None
        Of that.
    stage : str or None
        Suggested pN; None where no node was examined.
    """

    examined: int
    positive: int
    itc_alone: int
    lesions: int
    largest_mm: float | None
    size_class: str | None
    stage: Stage | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A patient's slides.

    Parameters
    ----------
    name : str
        Of the case.
    slides : tuple of CaseSlide
        As listed, those without a result included.
    nodes : tuple of Node
        In the order in which the slides show them.
    """

    name: str
    slides: tuple[CaseSlide, ...]
    nodes: tuple[Node, ...]

    @classmethod
    def of(cls, name: str, slides: Iterable[CaseSlide]) -> Case:
        """Gather the nodes of slides.

        Parameters
        ----------
        name : str
            Of the case.
        slides : iterable of CaseSlide
            As listed.
        """
        given = tuple(slides)
        findings = Findings.together(slide.findings for slide in given)
        sections = Counter(
            node for slide in given if slide.state == "scanned" for node in slide.nodes
        )
        names = dict.fromkeys(node for slide in given for node in slide.nodes)
        nodes = (
            Node(
                name=node,
                slides=tuple(one.listed.slide for one in given if node in one.nodes),
                sections=sections[node],
                findings=findings.of_node(node),
            )
            for node in names
        )
        return cls(name=name, slides=given, nodes=tuple(nodes))

    @property
    def findings(self) -> Findings:
        """Those of all slides."""
        return Findings.together(slide.findings for slide in self.slides)

    def numbers(self, source: Source = "both") -> Numbers:
        """Return the numbers, by default those that are suggested."""
        examined = [node for node in self.nodes if node.sections]
        classes = [node.findings.size_class(source) for node in examined]
        findings = self.findings
        found = findings.largest(source)
        return Numbers(
            examined=len(examined),
            positive=sum(map(is_positive, classes)),
            itc_alone=classes.count("ITC"),
            lesions=len(findings.lesions(source)),
            largest_mm=None if found is None else found.size_mm,
            size_class=findings.size_class(source),
            stage=suggest_stage(classes) if examined else None,
        )

    @property
    def stage_with_unsure(self) -> Stage | None:
        """The suggested pN if all of which a person is unsure were tumor."""
        examined = [node for node in self.nodes if node.sections]
        sizes = [
            [*node.findings.lesions(), *node.findings.with_status("unsure")]
            for node in examined
        ]
        classes = (
            size_class(max(one.size_mm for one in found)) if found else None
            for found in sizes
        )
        return suggest_stage(classes) if examined else None

    def to_dict(self) -> dict[str, Any]:
        """Return the case as JSON of ``report --json``."""
        findings = self.findings
        return {
            "case": self.name,
            **asdict(self.numbers()),
            "by": findings.source,
            "stage_with_unsure": self.stage_with_unsure,
            "candidates": len(findings.reviewed),
            "decided": findings.decided,
            "machine": asdict(self.numbers("machine")),
            "accepted": asdict(self.numbers("person")),
            "nodes": [node.to_dict() for node in self.nodes],
            "slides": [
                {
                    "slide": slide.listed.slide,
                    "node": slide.listed.node or None,
                    "state": slide.state,
                    "reason": slide.listed.reason or None,
                    "run": slide.listed.run,
                    "reading": slide.reading or None,
                    "notes": slide.notes,
                }
                for slide in self.slides
            ],
        }
