"""A teaching as the panel runs it: a new model and its heatmap, to be kept or dropped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_warning

from napari_fastnet.detection.compute import Progress
from napari_fastnet.errors import FastNetError
from napari_fastnet.plugin.detection.live_heatmap import LiveHeatmap
from napari_fastnet.plugin.detection.scan import Begun
from napari_fastnet.plugin.detection.viewport import Viewport
from napari_fastnet.plugin.teach.ahead import Ahead
from napari_fastnet.plugin.teach.lesson import (
    Glance,
    Lesson,
    Step,
    Taught,
    write_kept,
)
from napari_fastnet.plugin.teach.trial import Trial
from napari_fastnet.plugin.threads.job import Job
from napari_fastnet.results.labels import labels_of
from napari_fastnet.results.result import Result

if TYPE_CHECKING:
    from napari_fastnet.detection.run import SlideRun
    from napari_fastnet.plugin.detection.request import Request
    from napari_fastnet.plugin.work.slide import SlideWork
    from napari_fastnet.results.labels import Labels
    from napari_fastnet.training.adapt.adapt import Adapted
    from napari_fastnet.training.adapt.options import AdaptOptions


@dataclass(frozen=True, slots=True)
class Fault:
    """An error that a user can mend, in words."""

    words: str


class Teaching:
    """A model taught by the labels of a slide and of others, until it is kept or dropped.

    Parameters
    ----------
    work : SlideWork
        The slide, whose labels are taught and whose heatmap is computed anew.
    request : Request
        Its model is taught.
    others : sequence of Path
        Runs of other slides, whose labels are taught, too.
    options : AdaptOptions
        Steps, seed and part.

    Attributes
    ----------
    trial : Trial
        The new heatmap.
    adapted : Adapted or None
        The taught model.
    words : str
        What is being done, then the gate's figures.
    per_cent : int
        Of the steps, then of the patches.
    """

    def __init__(
        self,
        work: SlideWork,
        request: Request,
        others: Sequence[Path],
        options: AdaptOptions,
    ) -> None:
        self._work = work
        self._base = Path(request.network.model).name
        self._model = ""  # its name once it is kept
        self.trial = Trial(work)
        self.adapted: Adapted | None = None
        self.words, self.per_cent = "", 0
        self._live: LiveHeatmap | None = None
        self._run: SlideRun | None = None
        self._result: Result | None = None
        self._dropped = False
        self._lesson = replace(lesson_of(work, request), others=others, options=options)
        self._job = Job(self._teach, on_value=self._take, on_end=self._ended)
        self._keeping: Job | None = None

    @property
    def running(self) -> bool:
        """Whether it teaches, computes the heatmap, or writes the model."""
        return self._job.running or self.keeping

    @property
    def keeping(self) -> bool:
        """Whether the model is being written."""
        return self._keeping is not None and self._keeping.running

    @property
    def may_keep(self) -> bool:
        """Whether there is a model to keep."""
        return self.adapted is not None and not (self.keeping or self._model)

    def start(self) -> None:
        """Begin."""
        self._job.start()

    def cancel(self) -> None:
        """Stop; a model that is taught by then can still be kept."""
        self._job.cancel()

    def abandon(self) -> None:
        """Stop without further callbacks: the slide is being closed."""
        self._dropped = True
        self._job.abandon()
        self._lesson.viewport.close()
        self.trial.close()

    def drop(self) -> None:
        """Stop, and leave nothing of the model."""
        running = self._job.running
        self.abandon()
        if not running:  # else the thread does, at its end
            self._clear()

    def keep(self, name: str, then: Callable[[str], None]) -> None:
        """Write the model to the user's own; then take its heatmap for the slide's.

        Parameters
        ----------
        name : str
            Name of the laboratory.
        then : callable
            Gets the model's name.
        """
        adapted = self.adapted
        assert adapted is not None

        def write(should_stop: Callable[[], bool]) -> Generator[str]:
            yield write_kept(adapted, name)

        def kept(model: str) -> None:
            self._model = model
            self.words = f"kept as {model}: {adapted.words}"
            if self._result is not None:
                self._take_over()
            then(model)

        self._keeping = Job(write, on_value=kept, on_end=lambda _: self._tell())
        self._keeping.start()
        self._tell()

    # --- in the thread ------------------------------------------------------------

    def _teach(self, should_stop: Callable[[], bool]) -> Generator[Any]:
        try:
            yield from self._lesson.teach(should_stop)
        except FastNetError as error:
            yield Fault(str(error))
        finally:
            if self._dropped:
                self._clear()

    # --- in the window ------------------------------------------------------------

    def _take(self, value: Any) -> None:
        """Take what the lesson yields."""
        take: dict[type, Callable[[Any], None]] = {
            Step: self._step,
            Taught: self._taught,
            Fault: self._fail,
            tuple: self._note,
            Ahead: self._look,
            Glance: self._glance,
            Begun: self._begin,
            Progress: self._fill,
            Result: self._finish,
        }
        take[type(value)](value)
        self._tell()

    def _fail(self, fault: Fault) -> None:
        self.words, self.per_cent = fault.words, 0
        show_error(fault.words)

    def _note(self, notes: tuple[str, ...]) -> None:
        if notes:
            show_warning("\n".join(notes))

    def _look(self, ahead: Ahead) -> None:
        self._work.ahead = ahead

    def _glance(self, glance: Glance) -> None:
        self.trial.show(glance.heatmap, glance.rule)

    def _step(self, step: Step) -> None:
        self.words, self.per_cent = step.words, step.per_cent

    def _taught(self, taught: Taught) -> None:
        self.adapted, self.per_cent = taught.adapted, 0
        self.words = f"{self._base} was taught: {taught.adapted.words}"

    def _begin(self, begun: Begun) -> None:
        """Show the heatmap that is about to fill in."""
        self._run = begun.run
        self._live = LiveHeatmap(begun.run, begun.known)
        self.trial.show(self._live.heatmap, begun.run.rule)

    def _fill(self, progress: Progress) -> None:
        assert self._live is not None
        self._live.fill(progress.block, progress.values)
        self.per_cent = int(100 * progress.done / max(progress.total, 1))
        self.trial.refresh(filling=True)

    def _finish(self, result: Result) -> None:
        self._result, self.per_cent = result, 100
        self.trial.refresh()
        if self._model:
            self._take_over()

    def _ended(self, complete: bool) -> None:
        self._lesson.viewport.close()
        if not complete and self.adapted is None:
            self.words = "stopped; your labels are kept"
        self._tell()

    def _tell(self) -> None:
        self._work.events.teaching.emit(self._work)

    def _take_over(self) -> None:
        """Make the heatmap of the model that was kept that of the slide."""
        work, result = self._work, self._result
        assert self._live is not None
        assert result is not None
        record = result.record
        assert record.model is not None
        record = replace(record, model=replace(record.model, name=self._model))
        if work.detection is not None:
            work.detection.abandon()
            work.detection = None
        self.trial.close()
        work.take_rule(record.rule)
        work.set_heatmap(self._live.heatmap, record)
        if result.flags is not None:
            work.show_flags(result.flags)
        work.teaching = None
        work.events.run.emit(work)
        self._tell()

    def _clear(self) -> None:
        """Remove the run of a model that was dropped from the cache."""
        if self._run is not None and self._run.folder is not None and not self._model:
            shutil.rmtree(self._run.folder, ignore_errors=True)


def look_ahead(work: SlideWork, request: Request) -> Job:
    """Compute in a thread what teaching a slide will need first; return the job."""
    lesson = lesson_of(work, request)

    def take(ahead: Ahead) -> None:
        work.ahead = ahead

    job = Job(
        lesson.look_ahead, on_value=take, on_end=lambda _: lesson.viewport.close()
    )
    job.start()
    return job


def lesson_of(work: SlideWork, request: Request, others: Sequence[Path] = ()) -> Lesson:
    """Return the lesson of a slide as it is now."""
    write, decisions = work.corrections.to_disk(), copy(work.review.decisions)

    def labels() -> Labels:
        painted = write()
        assert painted is not None
        return labels_of(decisions, painted)

    return Lesson(
        slide=work.slide,
        request=request,
        labels=labels,
        tissue=work.masks.tissue(),
        viewport=Viewport(work.viewer, work.layer),
        ahead=work.ahead,
    )
