"""What a detection does in its thread, and goes on with when the masks change."""

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
from napari_fastnet.plugin.detection.viewport import nearest_to_view
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


#: While the view moves the work rests, so many times as long as each block took.
REST = 3
#: How often a rest looks whether it is over, seconds.
LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Begun:
    """A run is laid out.

    Parameters
    ----------
    run : SlideRun
        About to compute.
    known : Heatmap
        What its store holds, also of patches that are not looked at any more.
    record : RunRecord
        Of the run, of which nothing is computed but what is known.
    rough : bool
        Its masks only tell where a first block is to lie; others follow.
    """

    run: SlideRun
    known: Heatmap
    record: RunRecord
    rough: bool = False

    @classmethod
    def of(cls, run: SlideRun, *, rough: bool = False) -> Begun:
        """Return what is to be told of a run that was laid out."""
        known = run.store.heatmap()
        record = run.record(known.only(run.plan.patches.kept))
        return cls(run, known, record, rough)


class Scan:
    """Computes what the masks keep, as often as they change, with one network.

    Parameters
    ----------
    slide : Slide
        Open; stays open.
    request : Request
        What is asked for.
    tissue : SlideTissue or None
        The masks; None finds them first.
    shown : Grid or None
        Of the heatmap on screen, whose cells stay where they are if they can.
    view : callable
        Returns what is on screen, asked from the thread.
    moving : callable
        Returns whether the view moves, asked from the thread: drawing comes first then.
    """

    def __init__(
        self,
        slide: Slide,
        request: Request,
        tissue: SlideTissue | None,
        shown: Grid | None,
        view: Callable[[], Box | None],
        moving: Callable[[], bool],
    ) -> None:
        self._slide, self._request, self._view = slide, request, view
        self._moving = moving
        self._tissue, self._grid = tissue, shown
        self._new, self._lock = threading.Event(), threading.Lock()

    def follow(self, tissue: SlideTissue) -> None:
        """Take other masks; those of before are left after the block at hand.

        Not in the middle of a block: what is computed of it would be computed again.
        """
        with self._lock:
            self._tissue = tissue
            self._new.set()

    @property
    def behind(self) -> bool:
        """Whether masks were given that the work has not taken yet."""
        return self._new.is_set()

    def work(self, should_stop: Callable[[], bool]) -> Generator[Any]:
        """Do the work, as `Job` takes it; can be called again when it has ended.

        Yields
        ------
        TissueEditor, Begun, Progress or Result
            The first where no tissue was given, after a `Begun` of a first block where
            the slide is large; then for each version of the masks the others: one, many,
            and one, unless newer masks came or it was stopped.
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
                run = self._lay_out(bundle, self._newest(), early)
                early = None
                yield Begun.of(run)
                yield from self._compute(run, backend, should_stop)
                stopped = should_stop()
                if not stopped and not self.behind:
                    yield run.finish(backend.name)
                behind = self.behind and not stopped
            self._make_room(run)

    def _make_room(self, run: SlideRun) -> None:
        """Let the oldest runs go from a cache that grew too large, never this one."""
        request = self._request
        if request.in_cache:
            limit = request.cache_limit_bytes
            clear_cache(request.folder, down_to_bytes=limit, keep=run.folder)

    def _take(self, found: SlideTissue) -> bool:
        """Take masks that were found, unless others came meanwhile."""
        with self._lock:
            if self._tissue is not None:
                return False
            self._tissue = found
            return True

    def _newest(self) -> SlideTissue:
        """Return the masks of now; those that come later are newer."""
        with self._lock:
            self._new.clear()
            assert self._tissue is not None
            return self._tissue

    def _begin_early(
        self, bundle: ModelBundle, backend: Backend, should_stop: Callable[[], bool]
    ) -> SlideRun | None:
        """Return a run of which a block is known before its masks, if there is any."""
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

    def _lay_out(
        self, bundle: ModelBundle, tissue: SlideTissue, after: SlideRun | None
    ) -> SlideRun:
        """Return a run over the cells of before, where there are any."""
        folder, options = self._asked(bundle, tissue.parameters)
        run = SlideRun(self._slide, bundle, folder, options, tissue=tissue, after=after)
        self._grid = run.plan.patches.grid
        return run

    def _asked(
        self, bundle: ModelBundle, parameters: TissueParameters
    ) -> tuple[Path, RunOptions]:
        """Return where results go and what is asked of a run."""
        request = self._request
        options = RunOptions(
            stride=request.stride(bundle),
            anchor=request.anchor(self._slide, bundle, self._grid),
            tissue=parameters,
            threshold=request.threshold,
            colours=request.colours,
            network=request.network,
        )
        results = request.output_folder(self._slide, bundle)
        return result_folder(self._slide, results), options

    def _compute(
        self, run: SlideRun, backend: Backend, should_stop: Callable[[], bool]
    ) -> Iterator[Progress]:
        """Yield the run's steps until there are newer masks."""
        rank = nearest_to_view(run.plan.patches.grid, self._view)
        with closing(run.steps(backend, should_stop, rank)) as steps:
            began = perf_counter()
            for progress in steps:
                took = perf_counter() - began
                yield progress
                if self.behind:
                    return
                self._rest(REST * took, should_stop)
                began = perf_counter()

    def _rest(self, seconds: float, should_stop: Callable[[], bool]) -> None:
        """Leave the processor to the window for so long, as long as the view moves."""
        until = perf_counter() + seconds
        while self._moving() and perf_counter() < until and not should_stop():
            sleep(LOOK_S)
