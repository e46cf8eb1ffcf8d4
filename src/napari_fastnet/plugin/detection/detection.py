"""A detection as the panel runs it; its heatmap follows the masks."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_warning
from superqt.utils import qdebounced, qthrottled

from napari_fastnet.detection.compute import Progress
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.tissue_editor import TissueEditor
from napari_fastnet.plugin.detection.live_heatmap import Edit, LiveHeatmap
from napari_fastnet.plugin.detection.request import Request
from napari_fastnet.plugin.detection.scan import Begun, Scan
from napari_fastnet.plugin.detection.viewport import Viewport
from napari_fastnet.plugin.threads.job import Job
from napari_fastnet.plugin.threads.latest import Latest
from napari_fastnet.results.result import Result

if TYPE_CHECKING:
    from napari_fastnet.plugin.work.slide import SlideWork

#: Time without a change of the masks before the heatmap follows them, ms.
STILL_MS = 300
#: Shortest time between two updates of the screen, ms: without a graphics card drawing
#: takes as long as computing.
SHOW_MS = 500


class Detection:
    """A detection of one slide, which follows the masks until another replaces it.

    Parameters
    ----------
    work : SlideWork
        Gets masks and heatmap.
    request : Request
        Model, folder and options.

    Attributes
    ----------
    job : Job
        Runs, or ran last.
    run : SlideRun or None
        Once it is laid out.
    done, total : int
        Patches known, and kept by the masks; 0 before the run is laid out.
    progress : Progress or None
        The last step since the masks changed.
    result : Result or None
        Once it came to its own end, until the masks change.
    """

    def __init__(self, work: SlideWork, request: Request) -> None:
        self.work, self.request = work, request
        self.run: SlideRun | None = None
        self.result: Result | None = None
        self.done = self.total = 0
        self.progress: Progress | None = None
        self._began, self._done_before = perf_counter(), 0
        self._live: LiveHeatmap | None = None
        self._rough = False  # whether that shows a first block of masks to come
        tissue = work.masks.tissue()
        self._roi = None if tissue is None else tissue.masks.roi
        self._viewport = Viewport(work.viewer, work.layer)
        shown = None if work.heatmap is None else work.heatmap.grid
        self._scan = Scan(work.slide, request, tissue, shown, self._viewport)
        self.job = self._new_job()
        self._edits: Latest[Edit] = Latest(self._edit, self._apply)
        self._follow_later = qdebounced(self.follow_masks, timeout=STILL_MS)
        self._show_soon = qthrottled(self._show, timeout=SHOW_MS)
        work.events.tissue.connect(self._masks_changed)

    @property
    def kept(self) -> int | None:
        """Number of patches that the masks keep now; None before a run is laid out."""
        return None if self._live is None else self._live.kept

    @property
    def patches_per_second(self) -> float:
        """Speed without pauses, and without patches known from an earlier run."""
        seconds = perf_counter() - self.job.paused_seconds - self._began
        return (self.done - self._done_before) / max(seconds, 1e-3)

    def abandon(self) -> None:
        """Stop without further callbacks, and no longer follow the masks."""
        self.work.events.tissue.disconnect(self._masks_changed, missing_ok=True)
        self._follow_later.cancel()
        self._show_soon.cancel()
        self._edits.drop()
        self._viewport.close()
        self.job.abandon()

    def follow_masks(self) -> None:
        """Hide patches that the masks no longer keep, and compute the new ones.

        A detection that was stopped, or failed, computes nothing before the next start.
        """
        tissue = self.work.masks.tissue()
        if tissue is None or tissue.masks.roi is self._roi:
            return
        before, self._roi = self._roi, tissue.masks.roi
        if before is not None and np.array_equal(before, self._roi):
            return
        self._scan.follow(tissue)
        if self.result is not None and not self.job.running:
            self._go_on()
        self._edits.ask()
        self.work.events.run.emit(self.work)

    def _new_job(self) -> Job:
        return Job(self._scan.work, on_value=self._take, on_end=self._ended)

    def _go_on(self) -> None:
        """Compute for the masks that came after the end, with the same network."""
        self.result, self.job = None, self._new_job()
        self.job.start()

    def _masks_changed(self, work: SlideWork) -> None:
        if work is self.work:
            self._follow_later()

    def _edit(self) -> Callable[[], Edit] | None:
        if self._live is None or self._roi is None or self._rough:
            return None
        return self._live.finding(self._roi)

    def _apply(self, edit: Edit) -> None:
        if self._live is not None and self._live.apply(edit):
            self.work.refresh_heatmap()
        else:  # laid out anew meanwhile, perhaps for older masks
            self._edits.ask()

    def _take(self, value: Any) -> None:
        if isinstance(value, Progress):
            assert self._live is not None
            self.progress, self.done, self.total = value, value.done, value.total
            self._live.fill(value.block, value.values)
            self._show_soon()
            return
        if isinstance(value, TissueEditor):
            if self.work.editor is None:  # else others were computed meanwhile
                self._roi = value.mask("roi")
                self.work.set_editor(value)
        elif isinstance(value, Begun):
            self._lay_out(value)
        else:
            self._finish(value)
        self.work.events.run.emit(self.work)

    def _lay_out(self, begun: Begun) -> None:
        self.run, self.progress, self.result = begun.run, None, None
        if notes := begun.run.store.notes:  # damage that was set aside
            show_warning("\n".join(notes))
        in_cache = self.request.in_cache
        self.work.keep_with(None if in_cache else begun.run.folder)
        if self._live is None:
            self._live = LiveHeatmap(begun.run, begun.known)
            self.work.take_rule(begun.run.rule)
            self.work.set_heatmap(self._live.heatmap, begun.record)
        else:
            self.work.record = begun.record  # that of the run before holds no more
            self.work.show_threshold()
            if self._rough or begun.run.tissue.masks.roi is self._roi:
                self._live.lay_out(begun.run)
                self.work.refresh_heatmap()
        self._rough = begun.rough
        if begun.run.tissue.masks.roi is not self._roi:  # edited meanwhile
            self._edits.ask()
        kept = begun.run.plan.patches.kept
        self.total = int(kept.sum())
        self.done = self._done_before = int((begun.known.computed & kept).sum())
        self._began = perf_counter() - self.job.paused_seconds

    def _show(self) -> None:
        """Update heatmap and progress together, so that the window is drawn once."""
        self.work.refresh_heatmap(filling=True)
        self.work.events.run.emit(self.work)

    def _finish(self, result: Result) -> None:
        self.result, work = result, self.work
        work.record = result.record
        work.show_threshold()
        if result.flags is not None:
            work.show_flags(result.flags)
        counts = result.record.counts
        failed = 0 if counts is None else counts.failed
        work.warn(f"{failed:,} patches cannot be read" if failed else "")

    def _ended(self, complete: bool) -> None:
        self._show_soon.cancel()
        self.work.refresh_heatmap()
        if not complete:  # of masks that are no longer those of now
            self.result = None
        if complete and self._scan.behind:  # masks came as the thread was ending
            self._go_on()
        self.work.events.run.emit(self.work)
