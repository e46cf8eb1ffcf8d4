"""A detection as the panel runs it: started, paused, stopped, and told of on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.tissue import TissueParameters
from napari_fastnet.engine.backends import BackendName, create_backend
from napari_fastnet.engine.detect import Progress
from napari_fastnet.engine.runs import RunOptions, RunResult, SlideRun
from napari_fastnet.engine.tissue import find_tissue, slide_facts
from napari_fastnet.engine.tissue_editor import TissueEditor
from napari_fastnet.io.bundle import load_bundle
from napari_fastnet.plugin.viewport import Viewport, nearest_to_view
from napari_fastnet.plugin.worker import Job, Work

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Box
    from napari_fastnet.engine.plan import Stride
    from napari_fastnet.engine.tissue import SlideTissue
    from napari_fastnet.io.bundle import ModelBundle
    from napari_fastnet.io.slide import Slide
    from napari_fastnet.plugin.slide_work import SlideWork

#: Length of the model's and the slide's digests in the name of a run's folder.
DIGITS = 12


@dataclass(frozen=True, slots=True)
class Request:
    """What the panel asks for.

    Parameters
    ----------
    model : str or Path
        A shipped model's name or a bundle's folder.
    backend : {"auto", "onnx", "torch"}
        What runs the network.
    threads : int or None
        Of the network on a CPU.
    strides_per_patch : int
        1: patch beside patch; 2: every half patch, and so on.
    threshold : float or None
        From which a patch is tumour; None is the model's.
    folder : Path
        The run is kept in ``folder/<slide>/``, or in a folder of its own inside
        ``cache`` if that is asked for.
    in_cache : bool
        Whether ``folder`` is the cache, shared by all slides and models.
    view_first : bool
        Whether what is on screen is looked at first.
    """

    model: str | Path
    backend: BackendName
    threads: int | None
    strides_per_patch: int
    threshold: float | None
    folder: Path
    in_cache: bool
    view_first: bool

    def stride_px(self, bundle: ModelBundle) -> Stride:
        """Return the stride in px of the model."""
        parts = self.strides_per_patch
        return "patch" if parts == 1 else max(1, bundle.patch_size_pixels // parts)

    def output_folder(self, slide: Slide, bundle: ModelBundle) -> Path:
        """Return what the command line would be given as ``-o``."""
        if not self.in_cache:
            return self.folder
        parts = (slide.fingerprint[:DIGITS], bundle.sha256[:DIGITS])
        return self.folder / "runs" / "-".join((*parts, str(self.strides_per_patch)))


@dataclass(frozen=True, slots=True)
class Begun:
    """The run is laid out; what an earlier one computed is already there."""

    run: SlideRun
    heatmap: Heatmap


def work_of(
    slide: Slide,
    request: Request,
    tissue: SlideTissue | None,
    view: Callable[[], Box | None],
) -> Work:
    """Return a detection as `Job` takes it.

    It yields a `TissueEditor` where no tissue was given, a `Begun`, many `Progress`
    and, unless it was stopped, the `RunResult`.
    """

    def work(should_stop: Callable[[], bool]) -> Iterator[Any]:
        bundle = load_bundle(request.model)
        backend = create_backend(bundle, name=request.backend, threads=request.threads)
        found = tissue
        if found is None:
            found = find_tissue(slide, TissueParameters())
            yield TissueEditor(found)
        options = RunOptions(
            stride=request.stride_px(bundle),
            tissue=found.parameters,
            threshold=request.threshold,
        )
        folder = request.output_folder(slide, bundle) / slide.path.stem
        run = SlideRun(slide, bundle, folder, options, tissue=found)
        yield Begun(run, shown(run))
        rank = nearest_to_view(run.plan.patches.grid, view)
        yield from run.steps(backend, should_stop, rank)
        if not should_stop():
            yield run.finish(backend.name)

    return work


def shown(run: SlideRun) -> Heatmap:
    """Return what a run knows of the patches it is to look at, the others NaN."""
    known = run.store.heatmap()
    values = np.where(run.plan.patches.kept, known.probabilities, np.float32(np.nan))
    return Heatmap(values, known.grid, known.mpp)


class Detection:
    """A detection of one slide.

    Parameters
    ----------
    work : SlideWork
        Where masks and heatmap go.
    request : Request
        What is asked for.

    Attributes
    ----------
    run : SlideRun or None
        Once it is laid out.
    progress : Progress or None
        The last step.
    result : RunResult or None
        Once it has ended by itself.
    """

    def __init__(self, work: SlideWork, request: Request) -> None:
        self.work, self.request = work, request
        self.run: SlideRun | None = None
        self.progress: Progress | None = None
        self.result: RunResult | None = None
        self._began, self._done_before = perf_counter(), 0
        self._viewport = Viewport(work.viewer, work.layer)
        self.job = Job(
            work_of(work.slide, request, work.tissue(), self._view),
            on_value=self._take,
            on_end=self._ended,
        )

    def start(self) -> None:
        """Begin."""
        self.job.start()

    @property
    def seconds(self) -> float:
        """Since the first patch could be looked at."""
        return perf_counter() - self._began

    @property
    def patches_per_second(self) -> float:
        """Of this run, not counting what an earlier one left."""
        done = 0 if self.progress is None else self.progress.done - self._done_before
        return done / max(self.seconds, 1e-3)

    def abandon(self) -> None:
        """Stop without another word."""
        self._viewport.close()
        self.job.abandon()

    def _view(self) -> Box | None:
        return self._viewport.box if self.request.view_first else None

    def _take(self, value: Any) -> None:
        if isinstance(value, TissueEditor):
            self.work.set_editor(value)
        elif isinstance(value, Begun):
            self._lay_out(value)
        elif isinstance(value, Progress):
            self._fill(value)
        elif isinstance(value, RunResult):
            self.result = value
            self.work.set_record(value.record.to_dict())
        self.work.events.run.emit(self.work)

    def _lay_out(self, begun: Begun) -> None:
        self.run = begun.run
        self._done_before = int(begun.heatmap.computed.sum())
        self._began = perf_counter()
        self.work.suggest_threshold(begun.run.bundle.threshold)
        slide = asdict(slide_facts(begun.run.slide))
        self.work.set_heatmap(begun.heatmap, {"slide": slide})

    def _fill(self, progress: Progress) -> None:
        assert self.run is not None
        assert self.work.heatmap is not None
        self.progress = progress
        place = progress.block.slices
        kept = self.run.plan.patches.kept[place]
        values = np.where(kept, progress.values, np.float32(np.nan))
        self.work.heatmap.probabilities[place] = values
        self.work.refresh_heatmap_soon()

    def _ended(self, complete: bool) -> None:
        self._viewport.close()
        self.work.refresh_heatmap()
        self.work.events.run.emit(self.work)
