"""The part of a detection that runs in its thread, once per version of the masks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from napari_fastnet.cohort.folders import result_folder
from napari_fastnet.core.options import TissueParameters
from napari_fastnet.detection.first_block import first_block, rough_run
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.detection.tissue_editor import TissueEditor
from napari_fastnet.plugin.detection.ready_network import NETWORK
from napari_fastnet.plugin.detection.viewport import Viewport, nearest_to_view
from napari_fastnet.store.cache import clear_cache

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.core.geometry import Box, Grid
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.detection.compute import Progress
    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.plugin.detection.request import Request
    from napari_fastnet.results.record import RunRecord
    from napari_fastnet.slide.slide import Slide


#: Rest after a block while the view moves, as a multiple of the time the block took.
REST = 3
#: Interval at which a rest looks whether the view still moves, seconds.
LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that is laid out and about to compute.

    Parameters
    ----------
    run : SlideRun
        With its plan.
    known : Heatmap
        Values in its store, also of patches that the masks no longer keep.
    record : RunRecord
        Run record with the counts of those values.
    rough : bool
        Whether the masks are rough ones that only place a first block.
    """

    run: SlideRun
    known: Heatmap
    record: RunRecord
    rough: bool = False

    @classmethod
    def of(cls, run: SlideRun, *, rough: bool = False) -> Begun:
        """Read the known values and the record of a run that was laid out."""
        known = run.store.heatmap()
        record = run.record(known.only(run.plan.patches.kept))
        return cls(run, known, record, rough)


class Scan:
    """Computes the patches that the masks keep, again whenever these change.

    Parameters
    ----------
    slide : Slide
        Open; stays open.
    request : Request
        Model, folder and options.
    tissue : SlideTissue or None
        The masks; None computes them first.
    shown : Grid or None
        Grid of the heatmap on screen, which is kept if it can be.
    viewport : Viewport
        Read from the thread: blocks in view come first, and drawing before computing.
    """

    def __init__(
        self,
        slide: Slide,
        request: Request,
        tissue: SlideTissue | None,
        shown: Grid | None,
        viewport: Viewport,
    ) -> None:
        self._slide, self._request, self._viewport = slide, request, viewport
        self._tissue, self._grid = tissue, shown
        self._new, self._lock = threading.Event(), threading.Lock()

    def follow(self, tissue: SlideTissue) -> None:
        """Take other masks after the block at hand, which is not computed twice."""
        with self._lock:
            self._tissue = tissue
            self._new.set()

    @property
    def behind(self) -> bool:
        """Whether the masks changed since the thread took them."""
        return self._new.is_set()

    def work(self, should_stop: Callable[[], bool]) -> Generator[Any]:
        """Compute, as `Job` takes it; can be called again after the end.

        Yields
        ------
        TissueEditor, Begun, Progress or Result
            Without masks, on a large slide, first a `Begun` of a first block, then the
            masks. For each version of the masks one `Begun`, many `Progress` and a
            `Result`, which is left out if newer masks came or it was stopped.
        """
        with NETWORK.used(self._request) as (bundle, backend):
            behind, early = True, None
            while behind:
                if self._tissue is None:
                    early = self._begin_early(bundle, backend, should_stop)
                    if early is not None:
                        yield Begun.of(early, rough=True)
                if self._tissue is None:
                    found = find_tissue(self._slide, TissueParameters())
                    if self._take(found):
                        yield TissueEditor(found)
                run = self._lay_out(bundle, early)
                early = None
                yield Begun.of(run)
                yield from self._compute(run, backend, should_stop)
                stopped = should_stop()
                if not stopped and not self.behind:
                    yield run.finish(backend.name)
                behind = self.behind and not stopped
            if self._request.in_cache:
                limit = self._request.cache_limit_bytes
                clear_cache(self._request.folder, down_to_bytes=limit, keep=run.folder)

    def _take(self, found: SlideTissue) -> bool:
        """Take masks that were computed, unless others came meanwhile."""
        with self._lock:
            if self._tissue is not None:
                return False
            self._tissue = found
            return True

    def _begin_early(
        self, bundle: ModelBundle, backend: Backend, should_stop: Callable[[], bool]
    ) -> SlideRun | None:
        """Compute one block before the masks, if the slide is large; return its run."""
        if should_stop():  # before a store is begun
            return None
        run = rough_run(self._slide, bundle, *self._asked(bundle, TissueParameters()))
        if run is None:
            return None
        self._grid = run.plan.patches.grid
        rank = nearest_to_view(self._grid, self._view)
        priority = rank if self._request.view_first else None
        step = first_block(run, backend, priority, should_stop)
        return None if step is None else run

    def _lay_out(self, bundle: ModelBundle, after: SlideRun | None) -> SlideRun:
        """Lay out a run with the current masks, on the grid of the one before."""
        with self._lock:
            self._new.clear()
            tissue = self._tissue
        assert tissue is not None
        folder, options = self._asked(bundle, tissue.parameters)
        run = SlideRun(self._slide, bundle, folder, options, tissue=tissue, after=after)
        self._grid = run.plan.patches.grid
        return run

    def _asked(
        self, bundle: ModelBundle, parameters: TissueParameters
    ) -> tuple[Path, RunOptions]:
        """Return the results folder and the options of a run."""
        request = self._request
        options = RunOptions(
            stride=request.stride(bundle),
            anchor=request.anchor(self._slide, bundle, self._grid),
            tissue=parameters,
            threshold=request.threshold,
            lesion_threshold=request.lesion_threshold,
            colours=request.colours,
            network=request.network,
        )
        results = request.output_folder(self._slide, bundle)
        return result_folder(self._slide, results), options

    def _compute(
        self, run: SlideRun, backend: Backend, should_stop: Callable[[], bool]
    ) -> Iterator[Progress]:
        """Yield the run's steps until the masks change."""
        rank = nearest_to_view(run.plan.patches.grid, self._view)
        with closing(run.steps(backend, should_stop, rank)) as steps:
            began = perf_counter()
            for progress in steps:
                took = perf_counter() - began
                yield progress
                if self.behind:
                    return
                until = perf_counter() + REST * took
                while (
                    self._viewport.moving
                    and perf_counter() < until
                    and not should_stop()
                ):
                    sleep(LOOK_S)
                began = perf_counter()

    def _view(self) -> Box | None:
        return self._viewport.box if self._request.view_first else None
