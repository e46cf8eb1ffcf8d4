"""Lesions of a case: the machine's, and what a person decided on each.

Every number exists twice: of the machine's lesions, and of those that a person accepted.
What is suggested counts the accepted ones, and those of the machine that nobody has decided
on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_fastnet.results.reviewed import Reviewed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.lesions.regions import Region, SizeClass
    from napari_fastnet.results.decision_events import Decision
    from napari_fastnet.results.reviewed import Status

#: Whose a number is; both where a person has decided on a part of the candidates.
Source = Literal["machine", "person", "both"]


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A candidate of the machine or an outline of a person, and what was decided on it.

    Parameters
    ----------
    region : Region
        As found, or measured from the person's outline or line.
    node : str
        Name of its node.
    decision : Decision or None
        A person's.
    by_machine : bool
        Whether the machine calls it, or what it takes the place of, a lesion.
    """

    region: Region
    node: str
    decision: Decision | None = None
    by_machine: bool = True

    @property
    def size_mm(self) -> float:
        """Length of the person's line, or of the longest axis, mm."""
        return self.region.longest_axis_mm

    @property
    def size_class(self) -> SizeClass:
        """The class of the size."""
        return self.region.size_class

    @property
    def status(self) -> Status:
        """The verdict of a person, or undecided."""
        return Reviewed(self.region, self.decision).status

    @property
    def line(self) -> tuple[Pair, Pair] | None:
        """The line of the measured size, (y, x) level-0 px; None where not known."""
        measured = None if self.decision is None else self.decision.line
        return measured or self.region.axis

    @property
    def counts(self) -> bool:
        """Whether it is a lesion: accepted, or the machine's and not decided on."""
        return self.status == "tumor" or (
            self.status == "undecided" and self.by_machine
        )


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Findings in a node, on a slide or in a case.

    Parameters
    ----------
    machine : tuple of Finding
        The machine's lesions as it found them, whatever was decided.
    reviewed : tuple of Finding
        All candidates and a person's outlines, in the order of suspicion.
    """

    machine: tuple[Finding, ...] = ()
    reviewed: tuple[Finding, ...] = ()

    @classmethod
    def together(cls, parts: Iterable[Findings]) -> Findings:
        """Put those of several nodes or slides together."""
        several = list(parts)
        return cls(
            tuple(finding for part in several for finding in part.machine),
            tuple(finding for part in several for finding in part.reviewed),
        )

    def of_node(self, name: str) -> Findings:
        """Return those in one node."""
        machine, reviewed = (
            tuple(finding for finding in part if finding.node == name)
            for part in (self.machine, self.reviewed)
        )
        return Findings(machine, reviewed)

    def with_status(self, status: str) -> list[Finding]:
        """Return those on which a person decided so."""
        return [finding for finding in self.reviewed if finding.status == status]

    @property
    def decided(self) -> int:
        """Number of candidates and outlines that a person has decided on."""
        return len(self.reviewed) - len(self.with_status("undecided"))

    @property
    def source(self) -> Source:
        """Whose the suggested numbers are: a person's if all candidates are decided on."""
        if not self.decided:
            return "machine"
        return "person" if self.decided == len(self.reviewed) else "both"

    def lesions(self, source: Source = "both") -> list[Finding]:
        """Return the lesions of the machine, those accepted, or those that count."""
        if source == "machine":
            return list(self.machine)
        if source == "person":
            return self.with_status("tumor")
        return [finding for finding in self.reviewed if finding.counts]

    def largest(self, source: Source = "both") -> Finding | None:
        """Return the largest lesion; None without one."""
        return max(
            self.lesions(source), key=lambda finding: finding.size_mm, default=None
        )

    def size_class(self, source: Source = "both") -> SizeClass | None:
        """Return the class of the largest lesion; None without one."""
        found = self.largest(source)
        return None if found is None else found.size_class
