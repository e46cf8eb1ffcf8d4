"""A detection as the panel runs it: started, paused, stopped, and told of on the way."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_warning
from numpy.typing import NDArray
from superqt.utils import qdebounced, qthrottled

from napari_fastnet.detection.compute import Progress
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.tissue_editor import TissueEditor
from napari_fastnet.plugin.detection.live_heatmap import Edit, LiveHeatmap
from napari_fastnet.plugin.detection.request import Request
from napari_fastnet.plugin.detection.scan import Begun, Scan
from napari_fastnet.plugin.detection.viewport import Viewport
from napari_fastnet.plugin.layers.data import quality_layer_data
from napari_fastnet.plugin.threads.job import Job
from napari_fastnet.plugin.threads.latest import Latest
from napari_fastnet.results.result import Result

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Box
    from napari_fastnet.plugin.work.slide import SlideWork

#: Masks have been still for so long, ms, before the heatmap follows them.
STILL_MS = 300
#: The screen follows the work at most so often, ms: without a graphics card drawing
#: the window takes as long as the work.
SHOW_MS = 500


class Detection:
    """A detection of one slide, which follows its masks until another takes its place.

    Parameters
    ----------
    work : SlideWork
        Where masks and heatmap go.
    request : Request
        What is asked for.

    Attributes
    ----------
    job : Job
        What runs, or ran last.
    run : SlideRun or None
        Once it is laid out.
    done, total : int
        Patches that were looked at, and that the masks keep; 0 before that is known.
    progress : Progress or None
        The last step since the masks were taken.
    result : Result or None
        Once it has ended by itself, until the masks change.
    """

    def __init__(self, work: SlideWork, request: Request) -> None:
        self.work, self.request = work, request
        self.run: SlideRun | None = None
        self.result: Result | None = None
        self.done = self.total = 0
        self.progress: Progress | None = None
        self._began, self._done_before = perf_counter(), 0
        self._viewport: Viewport | None = None
        self._live: LiveHeatmap | None = None
        self._rough = False  # whether that shows a first block of masks to come
        tissue = work.masks.tissue()
        self._roi = None if tissue is None else tissue.masks.roi
        shown = None if work.heatmap is None else work.heatmap.grid
        self._scan = Scan(work.slide, request, tissue, shown, self._view, self._moving)
        self.job = self._make_job()
        self._edits: Latest[Edit] = Latest(self._edit, self._apply)
        self._follow_later = qdebounced(self.follow_masks, timeout=STILL_MS)
        self._show_soon = qthrottled(self._show, timeout=SHOW_MS)
        work.events.tissue.connect(self._masks_changed)

    def start(self) -> None:
        """Begin, or go on with other masks when the work had ended."""
        if self._viewport is None:
            self._viewport = Viewport(self.work.viewer, self.work.layer)
        self.job.start()

    @property
    def kept(self) -> int | None:
        """How many patches the masks keep by now; None before a run is laid out."""
        return None if self._live is None else self._live.kept

    @property
    def seconds(self) -> float:
        """Since the first patch could be looked at, without pauses."""
        return perf_counter() - self.job.paused_seconds - self._began

    @property
    def patches_per_second(self) -> float:
        """Of this run, not counting what an earlier one left."""
        return (self.done - self._done_before) / max(self.seconds, 1e-3)

    def abandon(self) -> None:
        """Stop without another word, and follow the masks no more."""
        self.work.events.tissue.disconnect(self._masks_changed, missing_ok=True)
        self._follow_later.cancel()
        self._show_soon.cancel()
        self._edits.drop()
        self._close_viewport()
        self.job.abandon()

    def follow_masks(self) -> None:
        """Hide the patches that the masks leave out by now, and compute the new ones.

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

    def _edit(self) -> Callable[[], Edit] | None:
        if self._live is None or self._roi is None or self._rough:
            return None
        return self._live.finding(self._roi)

    def _apply(self, edit: Edit) -> None:
        if self._live is not None and self._live.apply(edit):
            self.work.refresh_heatmap()
        else:  # laid out anew meanwhile, perhaps for older masks
            self._edits.ask()

    def _go_on(self) -> None:
        """Work on the masks that came after the end, with the same network."""
        self.result = None
        self.job = self._make_job()
        self.start()

    def _make_job(self) -> Job:
        return Job(self._scan.work, on_value=self._take, on_end=self._ended)

    def _view(self) -> Box | None:
        looked = self._viewport if self.request.view_first else None
        return None if looked is None else looked.box

    def _moving(self) -> bool:
        return self._viewport is not None and self._viewport.moving

    def _masks_changed(self, work: SlideWork) -> None:
        if work is self.work:
            self._follow_later()

    def _take(self, value: Any) -> None:
        if isinstance(value, Progress):
            self._fill(value)
            self._show_soon()
            return
        if isinstance(value, TissueEditor):
            if self.work.editor is None:  # else others were computed meanwhile
                self._roi = value.mask("roi")
                self.work.set_editor(value)
        elif isinstance(value, Begun):
            self._lay_out(value)
        elif isinstance(value, Result):
            self._finish(value)
        self.work.events.run.emit(self.work)

    def _lay_out(self, begun: Begun) -> None:
        self.run, self.progress, self.result = begun.run, None, None
        if notes := begun.run.store.notes:  # damage that was set aside
            show_warning("\n".join(notes))
        if self._live is None:
            self._live = LiveHeatmap(begun.run, begun.known)
            if self.work.chosen_threshold is None:
                self.work.threshold = begun.run.bundle.threshold
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

    def _fill(self, progress: Progress) -> None:
        assert self._live is not None
        self.progress = progress
        self.done, self.total = progress.done, progress.total
        self._live.fill(progress.block, progress.values)

    def _show(self) -> None:
        """Bring heatmap and progress to the screen together: it is drawn once for both."""
        self.work.refresh_heatmap(filling=True)
        self.work.events.run.emit(self.work)

    def _finish(self, result: Result) -> None:
        self.result, work = result, self.work
        work.record = result.record
        work.show_threshold()
        if result.flags is not None:
            self._show_flags(result.flags)
        counts = result.record.counts
        failed = 0 if counts is None else counts.failed
        work.warn(f"{failed:,} patches cannot be read" if failed else "")

    def _show_flags(self, flags: NDArray[np.uint8]) -> None:
        work = self.work
        assert work.heatmap is not None
        before: Any = work.layers.get("quality")
        had_flags = before is not None and bool(np.any(before.data))
        data = quality_layer_data(
            flags,
            work.heatmap.grid,
            work.heatmap.mpp,
            work.slide.path.stem,
            fingerprint=work.fingerprint,
            record=work.record,
        )
        layer = work.layers.put("quality", data)
        if not had_flags:  # else the user has seen flags, and perhaps hidden them
            layer.visible = bool(flags.any())

    def _ended(self, complete: bool) -> None:
        self._close_viewport()
        self._show_soon.cancel()
        self.work.refresh_heatmap()
        if not complete:  # of masks that are no longer those of now
            self.result = None
        if complete and self._scan.behind:  # masks came as the thread was ending
            self._go_on()
        self.work.events.run.emit(self.work)

    def _close_viewport(self) -> None:
        if self._viewport is not None:
            self._viewport.close()
            self._viewport = None
