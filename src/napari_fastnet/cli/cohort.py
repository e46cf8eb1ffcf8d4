"""``napari-fastnet detect`` on many slides: its progress and what it prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_fastnet.cli.clock import command_seconds
from napari_fastnet.cli.output import print_columns, print_json
from napari_fastnet.cli.progress import clock_text
from napari_fastnet.io.file_names import in_a_line

if TYPE_CHECKING:
    from typing import TextIO

    from napari_fastnet.engine.cohort import CohortProgress
    from napari_fastnet.engine.cohort_task import CohortOptions
    from napari_fastnet.io.cohort_findings import SlideRow

#: So many files that are left out are named.
NAMED = 3

#: Call it with every value of a cohort's progress.
Show = Callable[["CohortProgress"], None]


def are_many(places: Sequence[Path]) -> bool:
    """Return whether these are a cohort: a folder, a pattern, several of anything."""
    (first, *others) = places
    return bool(others) or first.is_dir() or _is_pattern(first)


def _is_pattern(place: Path) -> bool:
    return has_magic(str(place)) and not place.exists()


def detect_cohort(
    places: Sequence[Path],
    output: Path,
    options: CohortOptions,
    *,
    workers: int | None,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Do many slides and print what they came to.

    Parameters
    ----------
    places : sequence of Path
        Slides, folders of slides, patterns.
    output : Path
        Where results go.
    options : CohortOptions
        What is asked for every slide.
    workers : int or None
        Processes of this machine.
    scheduler : str or None
        Address of a dask cluster that does the work instead.
    as_json : bool
        Print for a machine.

    Raises
    ------
    Exit
        With code 1, where a slide failed.
    """
    progress, rows = detect_slides(
        places, output, options, workers=workers, scheduler=scheduler
    )
    print_cohort(progress, rows, output, as_json)
    if progress.failed:
        raise typer.Exit(1)


def detect_slides(
    places: Sequence[Path],
    output: Path,
    options: CohortOptions,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
) -> tuple[CohortProgress, list[SlideRow]]:
    """Do many slides while the progress is shown; parameters as for `detect_cohort`.

    Returns
    -------
    tuple of CohortProgress and list of SlideRow
        The last value, and the slides by lesion burden.
    """
    from napari_fastnet.engine.cohort import run_cohort
    from napari_fastnet.engine.cohort_slides import find_slides

    left_out: list[Path] = []

    def twice(link: Path, first: Path) -> None:
        words = f"{link}: the same file as {first}, which is done once"
        print("note:", in_a_line(words), file=sys.stderr)

    try:
        slides = find_slides(places, left_out.append, twice)
    finally:
        if left_out:
            print(in_a_line(_of_left_out(left_out)), file=sys.stderr)
    with ExitStack() as stack:
        cluster = None
        if scheduler is not None:
            from napari_fastnet.engine.cohort_cluster import Cluster

            cluster = stack.enter_context(closing(Cluster(scheduler)))
        steps = run_cohort(slides, output, options, workers=workers, cluster=cluster)
        show = stack.enter_context(cohort_progress(in_a_line(output.name)))
        rows = []
        for progress in stack.enter_context(closing(steps)):
            show(progress)
            rows += [progress.row] if progress.row else []
    return progress, sorted(rows, key=lambda row: row.rank)


def _of_left_out(paths: Sequence[Path]) -> str:
    """Return what is to be told of files in folders that are no slides."""
    names = ", ".join(str(path) for path in paths[:NAMED])
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return (
        f"note: left out {names}{more}: TIFF or DICOM, but grey, small, damaged, no "
        "microscopy or not to be read; name a file to have it tried all the same"
    )


def print_cohort(
    progress: CohortProgress, rows: Sequence[SlideRow], output: Path, as_json: bool
) -> None:
    """Print what a cohort came to and where it is written."""
    from napari_fastnet.io.cohort_report import REPORT, SUMMARY
    from napari_fastnet.io.cohort_report_page import count_classes

    files = [output / REPORT, output / SUMMARY]
    if as_json:
        totals = {"done": progress.done, "failed": progress.failed}
        totals["earlier"] = progress.earlier
        print_json({**totals, "slides": [row.values() for row in rows], "files": files})
        return
    done = f"{progress.done} done"
    if progress.earlier:
        done += f" ({progress.earlier} of them before)"
    words = [f"{number} {name}" for name, number in count_classes(rows).items()]
    others = progress.listed - progress.total
    listed = f", with {others} more of this folder" if others > 0 else ""
    print_columns(
        [
            ("slides", f"{progress.total}: {done}, {progress.failed} failed"),
            ("largest lesion", ", ".join(words)),
            ("time", clock_text(command_seconds())),
            ("wrote", f"{in_a_line(files[0])}{listed}"),
            ("", in_a_line(files[1])),
        ]
    )
    print("Research use only. Not for diagnosis.")


@contextmanager
def cohort_progress(title: str, *, stream: TextIO | None = None) -> Iterator[Show]:
    """Show how many slides are done and left on standard error, and each that fails.

    Parameters
    ----------
    title : str
        What is going on.
    stream : file, optional
        Where to write; standard error by default.

    Yields
    ------
    callable
        To be called with every `CohortProgress`. A bar on a terminal; else a line
        a slide.
    """
    stream = stream or sys.stderr
    if stream.isatty():
        with _bar(title, stream) as show:
            yield show
    else:
        yield _lines(stream)


class TimeLeft:
    """The time that the slides left will take, from those that were computed.

    Parameters
    ----------
    clock : callable, optional
        Returns seconds; for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()

    def describe(self, progress: CohortProgress) -> str:
        """Return e.g. ``"2 failed, 0:00:14 left"``; empty where nothing is known."""
        ended = progress.done + progress.failed
        computed, left = ended - progress.earlier, progress.total - ended
        words = [f"{progress.failed} failed"] if progress.failed else []
        if computed and left:
            seconds = (self._clock() - self._began) / computed * left
            words.append(f"{clock_text(seconds)} left")
        return ", ".join(words)


@contextmanager
def _bar(title: str, stream: TextIO) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(file=stream)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("slides {task.fields[left]}", markup=False),
        console=console,
    )
    left = TimeLeft()
    with bar:
        task = bar.add_task(title, total=None, left="")

        def show(progress: CohortProgress) -> None:
            for line in _messages(progress):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            ended = progress.done + progress.failed
            text = left.describe(progress)
            bar.update(task, completed=ended, total=progress.total, left=text)

        yield show


def _lines(stream: TextIO) -> Show:
    left = TimeLeft()

    def show(progress: CohortProgress) -> None:
        for line in _messages(progress):
            print(line, file=stream, flush=True)
        if progress.row is not None and progress.row.status == "done":
            ended = progress.done + progress.failed
            text = left.describe(progress)
            parts = [f"{ended} of {progress.total} slides", *([text] if text else [])]
            line = f"{in_a_line(progress.row.name)}: {', '.join(parts)}"
            print(line, file=stream, flush=True)

    return show


def _messages(progress: CohortProgress) -> Iterator[str]:
    """Return what must be said of a step, on a terminal as well as in a log."""
    if progress.row is None and progress.workers == 0:
        yield "the scheduler has no worker yet; waiting for one"
    for note in progress.notes:
        yield f"note: {in_a_line(note)}"
    if progress.row is not None and progress.row.status == "failed":
        yield f"error: {in_a_line(progress.row.error)}"
