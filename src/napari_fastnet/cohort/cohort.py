"""Detection on many slides, by processes of this machine or by a dask cluster."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import warn

from napari_fastnet.cohort.detect import with_keywords
from napari_fastnet.cohort.folders import result_folders
from napari_fastnet.cohort.report import CohortReport
from napari_fastnet.cohort.rows import SlideRow
from napari_fastnet.cohort.slides import Share, find_slides
from napari_fastnet.cohort.task import (
    CohortOptions,
    Outcome,
    SlideTask,
    failed,
    run_task,
)
from napari_fastnet.errors import OptionError, OutputError
from napari_fastnet.machine.memory import physical_cores
from napari_fastnet.machine.processes import map_in_processes
from napari_fastnet.machine.remote.url import Url, path_of
from napari_fastnet.model.backends.create import uses_gpu
from napari_fastnet.model.bundle import load_bundle, shipped
from napari_fastnet.results.loading import load

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from napari_fastnet.cohort.cluster import Cluster
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.detection.options import RunOptions, Stride
    from napari_fastnet.machine.remote.url import SlidePath
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.results.result import Result

#: Slides at once on one GPU.
GPU_WORKERS = 4


@dataclass(frozen=True, slots=True)
class CohortProgress:
    """Progress of a cohort after a slide.

    Parameters
    ----------
    total : int
        Number of slides.
    done : int
        Finished slides, those of an earlier start included.
    earlier : int
        Slides that an earlier start had finished.
    failed : int
        Slides that failed; the others go on.
    left : int
        Slides that other commands were computing when all else was done.
    workers : int
        Slides computed at once; 0 on a cluster that has no worker yet.
    row : SlideRow or None
        The slide that ended; None in the first value.
    notes : tuple of str
        Notes about that slide for the user.
    listed : int
        Slides in the tables of the folder, those of other commands included.
    """

    total: int
    done: int = 0
    earlier: int = 0
    failed: int = 0
    left: int = 0
    workers: int = 0
    row: SlideRow | None = None
    notes: tuple[str, ...] = ()
    listed: int = 0

    def after(self, outcome: Outcome, *notes: str) -> CohortProgress:
        """Return the progress with one more slide ended."""
        return replace(
            self,
            done=self.done + (outcome.row.status == "done"),
            earlier=self.earlier + outcome.earlier,
            failed=self.failed + (outcome.row.status == "failed"),
            left=self.left + outcome.left,
            row=outcome.row,
            notes=(*outcome.notes, *notes),
        )


def run_cohort(
    slides: Sequence[str | SlidePath],
    output: str | Path,
    options: CohortOptions | None = None,
    *,
    workers: int | None = None,
    cluster: Cluster | None = None,
    share: Share | None = None,
) -> Generator[CohortProgress]:
    """Find the tumors of many slides.

    Each slide's results go to a folder of their own, see `result_folders`;
    ``summary.csv`` and ``report.html`` beside them are kept up to date and have all
    slides of the folder, those of other commands included. A slide that an
    earlier start finished with the same model and options is not computed again, and
    one that it began goes on. A slide that fails is reported, and the others go on. One
    that another command is computing is tried again in the end, and then left to that.

    The processes of this machine are spawned, so a script that calls this needs the
    guard ``if __name__ == "__main__":``.

    Parameters
    ----------
    slides : sequence of str, Path or Url
        Different files; `find_slides` finds those of folders.
    output : str or Path
        Folder of the results.
    options : CohortOptions, optional
        Options of every slide.
    workers : int, optional
        Processes of this machine; by default as many as it has cores, or `GPU_WORKERS`
        on a GPU. They share the cores unless the options give the threads of each.
    cluster : Cluster, optional
        Computes the slides instead; stays open.
    share : Share, optional
        Only this share of the slides; the tables have all.

    Yields
    ------
    CohortProgress
        At once, and after each slide. To stop, close the generator: computed blocks are
        kept.

    Raises
    ------
    OptionError
        There is no slide, fewer than one worker, or one mask for several slides.
    BundleError
        The model is missing or damaged.
    OutputError
        The summary or the report cannot be written, at the beginning or at the end.
        In between there is one note, and writing is tried again.
    """
    options = options or CohortOptions()
    if not slides:
        raise OptionError("no slide is given; name at least one")
    if len(slides) > 1 and options.run.mask is not None:
        raise OptionError(
            f"{options.run.mask} is the mask of one slide and {len(slides)} are given; "
            "run each slide with its own"
        )
    model = options.run.network.model
    bundle = load_bundle(model)  # one error, not one for every slide
    if model not in shipped():
        options = _with_network(options, model=bundle.folder)
    number = len(slides if share is None else share.of(slides))
    options, workers = _shared_out(options, bundle, workers, number, cluster)
    report = CohortReport(Path(output))
    with report.alone():  # so that two commands never take the same folder
        tasks = _tasks([path_of(slide) for slide in slides], report, options)
        report.add(SlideRow(task.folder.name, task.slide) for task in tasks)
        report.write_alone()
    own = tasks if share is None else share.of(tasks)
    progress = CohortProgress(len(own), workers=workers, listed=len(report.rows))
    yield progress
    noted = False
    try:
        with closing(_outcomes(own, workers, cluster)) as outcomes:
            for outcome in outcomes:
                notes = []
                if (trouble := report.put(outcome.row)) is not None and not noted:
                    notes.append(f"{trouble}; the slides go on, and it is tried again")
                    noted = True
                progress = progress.after(outcome, *notes)
                yield replace(progress, listed=len(report.rows))
    except BaseException:  # a table that is open elsewhere must not hide it
        with suppress(OutputError):
            report.write()
        raise
    try:
        report.write()
    except OutputError as error:
        raise OutputError(
            f"{error}; the results of the slides are there, start again for the table"
        ) from error


def _outcomes(
    tasks: Sequence[SlideTask], workers: int, cluster: Cluster | None
) -> Generator[Outcome]:
    """Do the tasks; try again those that other commands were at, while some come free."""
    while tasks:
        left = {}
        ended = (
            map_in_processes(run_task, tasks, workers, given_up=failed)
            if cluster is None
            else cluster.run(tasks)
        )
        with closing(ended):
            for outcome in ended:
                if outcome.left:
                    left[outcome.row.name] = outcome
                else:
                    yield outcome
        if len(left) == len(tasks):  # nothing else is to be done here
            yield from left.values()
            return
        tasks = [task for task in tasks if task.folder.name in left]


def _with_network(options: CohortOptions, **changes: Any) -> CohortOptions:
    """Return options with another model, or with other threads."""
    network = replace(options.run.network, **changes)
    return replace(options, run=replace(options.run, network=network))


def _shared_out(
    options: CohortOptions,
    bundle: ModelBundle,
    workers: int | None,
    slides: int,
    cluster: Cluster | None,
) -> tuple[CohortOptions, int]:
    """Return the options with the threads of a worker, and the number of workers."""
    if cluster is not None:
        threads = options.run.network.threads or 1
        if threads == 1:  # exactly what a worker was given: no thread that reads, too
            options = replace(options, run=replace(options.run, readers=0))
        return _with_network(options, threads=threads), cluster.threads
    if workers is not None and workers < 1:
        raise OptionError(f"workers is {workers}; use at least 1")
    cores = physical_cores()
    if workers is None:
        on_gpu = uses_gpu(bundle, options.run.network)
        workers = GPU_WORKERS if on_gpu else cores
    workers = max(1, min(workers, slides))
    threads = options.run.network.threads or max(1, cores // workers)
    return _with_network(options, threads=threads), workers


def _tasks(
    slides: Sequence[SlidePath], report: CohortReport, options: CohortOptions
) -> list[SlideTask]:
    """Return the tasks, large files first, so that none is left for the end."""
    if options.run.mask is not None:
        mask = options.run.mask.absolute()
        options = replace(options, run=replace(options.run, mask=mask))
    folders = result_folders(slides, report.folder.absolute(), report.promised())
    tasks = [
        SlideTask(slide.absolute(), folder, options)
        for slide, folder in zip(slides, folders, strict=True)
    ]
    return sorted(tasks, key=lambda task: (-_bytes(task.slide), task.folder))


def _bytes(path: SlidePath) -> int:
    """Return a file's size; 0 for a missing one, which fails when its turn comes."""
    if isinstance(path, Url):
        return 0  # a request each would keep the first slide waiting
    try:
        return path.stat().st_size
    except OSError:
        return 0


def detect_many(  # noqa: PLR0913  # plain keywords: what scripts ask for most
    slides: str | SlidePath | Iterable[str | SlidePath],
    output: str | Path,
    *,
    threshold: float | None = None,
    stride: Stride = None,
    model: str | Path | None = None,
    device: str | None = None,
    mpp: float | Pair | None = None,
    workers: int | None = None,
    options: RunOptions | None = None,
) -> Iterator[Result]:
    """Find the tumors of many slides, several at a time.

    The folder gets a ``summary.csv`` and a ``report.html``, which are kept up to date,
    and a folder for each slide. A slide that is finished there, with the same model and
    options, is not computed again, and one that was interrupted goes on.

    The slides are computed in processes of their own, so a script needs the guard
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    slides : str, Path or iterable of them
        Slides, folders of slides, or patterns such as ``"slides/*.svs"``; also addresses
        such as ``s3://bucket/slides/``.
    output : str or Path
        The folder of all results.
    threshold, stride, model, device : optional
        As for `detect`.
    mpp : float or (float, float), optional
        µm/px of the slides if their files state none, or a wrong one.
    workers : int, optional
        Slides at a time; as many as there are cores by default.
    options : Options, optional
        As for `detect`.

    Yields
    ------
    Result
        Of each slide, as soon as it is finished. A slide that cannot be computed has
        none: a warning and the table say why.

    Raises
    ------
    FastNetError
        There is no slide, or model, options or output folder are at fault.
    """
    places = [slides] if isinstance(slides, str | Path | Url) else slides
    run = with_keywords(options, threshold, None, stride, model, device)
    asked = CohortOptions(run, mpp)
    with closing(
        run_cohort(find_slides(places), output, asked, workers=workers)
    ) as cohort:
        for progress in cohort:
            row = progress.row
            if row is None:
                continue
            if row.status == "done":
                yield load(Path(output) / row.name)
            else:
                words = row.error or "; ".join(progress.notes)
                warn(f"{row.slide}: {words}", stacklevel=2)
