"""Lesions added, corrected, joined and cut by hand; each is a decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info

from napari_fastnet.plugin.review import shapes
from napari_fastnet.plugin.review.drawing import HINTS, Drawing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.plugin.review.candidates import Candidate
    from napari_fastnet.plugin.work.workspace import Workspace


class ByHand:
    """A person's work on outlines.

    Parameters
    ----------
    workspace : Workspace
        The slides of the viewer.
    chosen : callable
        Returns the candidates that the person has chosen.
    changed : callable
        Called without arguments when drawing begins or ends.

    Attributes
    ----------
    drawing : Drawing
        What is being drawn.
    """

    def __init__(
        self,
        workspace: Workspace,
        chosen: Callable[[], list[Candidate]],
        changed: Callable[[], None],
    ) -> None:
        self._workspace, self._chosen, self._changed = workspace, chosen, changed
        self.drawing = Drawing(workspace.viewer, changed)

    @property
    def hint(self) -> str:
        """Say what to do on the slide; empty while nothing is drawn."""
        return "" if self.drawing.task is None else HINTS[self.drawing.task]

    def draw(self) -> None:
        """Let the person draw a lesion that was missed."""
        work = self._workspace.current
        if work is None or not work.ready:
            return
        mpp = work.slide.require_mpp()

        def take(drawn: list[NDArray[np.float64]]) -> None:
            polygons = shapes.drawn_polygons(drawn[-1:], mpp)
            if polygons:
                work.review.draw(polygons)

        self.drawing.begin("draw", take)
        self._changed()

    def correct(self) -> None:
        """Let the person change the outline of a candidate."""
        work, candidate = self._workspace.current, self._one("correct")
        if work is None or candidate is None or work.heatmap is None:
            return
        region, mpp = candidate.region, work.slide.require_mpp()
        before = shapes.rings_of(region, mpp, work.heatmap.grid.step)

        def take(drawn: list[NDArray[np.float64]]) -> None:
            if not shapes.same_rings(before, drawn):
                polygons = shapes.drawn_polygons(drawn, mpp)
                if polygons:
                    work.review.replace([region], [polygons], "corrected")

        self.drawing.begin("correct", take, before)
        self._changed()

    def join(self) -> None:
        """Make the chosen candidates one lesion."""
        work, chosen = self._workspace.current, self._chosen()
        if work is None:
            return
        if len(chosen) < 2:
            show_info(
                "choose two or more candidates to join: Ctrl and click in the list"
            )
            return
        regions = [candidate.region for candidate in chosen]
        work.review.replace(regions, [shapes.joined_polygons(regions)], "joined")

    def cut(self) -> None:
        """Let the person cut a candidate in two."""
        work, candidate = self._workspace.current, self._one("cut")
        if work is None or candidate is None:
            return
        region, mpp = candidate.region, work.slide.require_mpp()

        def take(drawn: list[NDArray[np.float64]]) -> None:
            pieces = shapes.cut_polygons(region, drawn[-1], mpp)
            if len(pieces) < 2:
                show_info("nothing was cut: the line must cross the outline twice")
            else:
                work.review.replace([region], pieces, "cut")

        self.drawing.begin("cut", take)
        self._changed()

    def _one(self, what: str) -> Candidate | None:
        chosen = self._chosen()
        if len(chosen) == 1:
            return chosen[0]
        show_info(f"choose one candidate to {what}")
        return None
