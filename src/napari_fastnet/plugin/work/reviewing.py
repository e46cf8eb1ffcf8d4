"""A person's decisions on the candidates of one slide, written as they are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari.utils.notifications import show_error, show_info, show_warning

from napari_fastnet.core.display import counted
from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import FastNetError
from napari_fastnet.results.decisions import Decisions, decisions_path
from napari_fastnet.results.reviewed import Reviewed

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.lesions.pieces import NodePiece
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.core.outlines import Polygon
    from napari_fastnet.results.decision_events import Verdict
    from napari_fastnet.results.formats.verdicts import Taken, VerdictFile
    from napari_fastnet.slide.slide import Slide


class SlideReview:
    """The candidates of a slide, as a person reviews them.

    Parameters
    ----------
    sought : callable
        Returns the heatmap as it is now, None without one.
    slide : Slide
        Decisions without a run to lie beside are kept by its fingerprint.
    changed : callable
        Called without arguments once `reviewed` is another.

    Attributes
    ----------
    decisions : Decisions
        Of the slide.
    candidates : list of Region
        As found last, most suspicious first.
    reviewed : list of Reviewed
        These with the person's decisions on them, and what the person drew.
    """

    def __init__(
        self,
        sought: Callable[[], Heatmap | None],
        slide: Slide,
        changed: Callable[[], None],
    ) -> None:
        self._sought, self._changed = sought, changed
        self._fingerprint, self._name = slide.fingerprint, slide.path.name
        self._whole = Box.of_shape(slide.shape)
        self.candidates: list[Region] = []
        self.reviewed: list[Reviewed] = []
        self.decisions = self._open(self._place(None))

    def keep_with(self, run: Path | None) -> None:
        """Keep the decisions beside a run from now on, with those made before.

        Parameters
        ----------
        run : Path or None
            Its folder; None for one in the cache, or none yet.
        """
        path, before = self._place(run), self.decisions
        if before.path == path:
            return
        try:
            before.copy_to(path)
        except FastNetError as error:
            show_error(str(error))
        self.decisions = self._open(path)
        self.update()

    def _place(self, run: Path | None) -> Path:
        return decisions_path(run or Path(), run is None, self._fingerprint)

    def _open(self, path: Path) -> Decisions:
        decisions = Decisions.open(path, self._fingerprint, self._name)
        if decisions.notes:
            show_warning("\n".join(decisions.notes))
        return decisions

    def show(self, candidates: Sequence[Region]) -> None:
        """Take candidates that were found anew; whoever found them tells of it."""
        self.candidates = list(candidates)
        self._match()

    def update(self) -> None:
        """Match the decisions with the candidates anew, and tell of it."""
        self._match()
        self._changed()

    def _match(self) -> None:
        heatmap = self._sought()
        if heatmap is None:
            self.reviewed = [Reviewed(region, None) for region in self.candidates]
        else:
            self.reviewed = self.decisions.reviewed(
                self.candidates, heatmap, self._whole
            )

    def decide(self, regions: Sequence[Region], verdict: Verdict | None) -> None:
        """Note one verdict on several candidates; None takes it back."""
        self._write(lambda decisions: decisions.decide(regions, verdict))

    def reject(self, labels: Collection[int]) -> None:
        """Decide that outlines which the user deleted are not tumor, and say so."""
        regions = [one.region for one in self.reviewed if one.region.label in labels]
        if regions:
            self.decide(regions, "not tumor")
            what = counted(len(regions), "candidate is", "candidates are")
            show_info(f"{what} not tumor, as you deleted the outline; undo in Review")

    def note(self, region: Region, text: str) -> None:
        """Note a person's words on a candidate."""
        self._write(lambda decisions: decisions.note(region, text))

    def measure(self, region: Region, line: tuple[Pair, Pair] | None) -> None:
        """Measure a candidate by a line, level-0 px; None takes it back."""
        self._write(lambda decisions: decisions.measure(region, line))

    def draw(self, polygons: Sequence[Polygon]) -> None:
        """Add a lesion that the person drew."""
        self._write(lambda decisions: decisions.draw(tuple(polygons)))

    def replace(
        self,
        regions: Sequence[Region],
        outlines: Sequence[Sequence[Polygon]],
        kind: Literal["corrected", "joined", "cut"],
    ) -> None:
        """Replace candidates by outlines of the person's own."""
        self._write(lambda decisions: decisions.replace(regions, outlines, kind))

    def read_slide(self, verdict: Verdict) -> None:
        """Note the reader's own verdict on the whole slide."""
        self._write(lambda decisions: decisions.read_slide(verdict))

    def join_pieces(self, pieces: Sequence[NodePiece]) -> None:
        """Note which pieces of tissue are which section of which node."""
        self._write(lambda decisions: decisions.join_pieces(pieces))

    def take(self, found: VerdictFile) -> Taken | None:
        """Decide as a file says; None where that cannot be written, and is said."""
        taken: list[Taken] = []
        self._write(
            lambda decisions: taken.append(
                found.taken(decisions, self.reviewed, self._fingerprint)
            )
        )
        return taken[0] if taken else None

    def undo(self) -> None:
        """Take the last decision back."""
        self._write(lambda decisions: decisions.undo())

    def words(self) -> str:
        """Count what the person decided, in words; empty without candidates."""
        counts = Counter(one.status for one in self.reviewed)
        decided = counts["tumor"] + counts["not tumor"]
        if counts["undecided"] == counts.total():
            return f"none of {counts.total()} decided" if counts else ""
        said = [f"{counts['tumor']} accepted", f"{counts['not tumor']} rejected"]
        if counts["unsure"]:
            said.append(f"{counts['unsure']} unsure")
        accepted = [one.region for one in self.reviewed if one.status == "tumor"]
        area = sum(region.area_mm2 for region in accepted)
        said[0] += f" ({area:.2f} mm²)" if accepted else ""
        return f"{', '.join(said)}, {decided} of {counts.total()} decided"

    def _write(self, change: Callable[[Decisions], object]) -> None:
        """Change the decisions; one that cannot be written is kept in memory, and said."""
        try:
            change(self.decisions)
        except FastNetError as error:
            show_error(str(error))
        self.update()
