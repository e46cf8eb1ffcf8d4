"""``napari-fastnet detect SLIDE... -o DIR``: one slide or many, with their report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_fastnet.cli.clock import command_seconds
from napari_fastnet.cli.options import (
    AsJson,
    BackendName,
    BoundsOffset,
    Channels,
    ClosingUm,
    Colours,
    Device,
    Flips,
    High,
    Low,
    Memory,
    Model,
    OutputFolder,
    Preset,
    QupathOrigin,
    SlideMpp,
    SlidePaths,
    Stain,
    Threads,
    Threshold,
    offset_of,
)
from napari_fastnet.cli.output import (
    clock_text,
    print_columns,
    print_json,
    progress_bar,
)
from napari_fastnet.errors import (
    DetectionError,
    DriveError,
    FastNetError,
    OutputError,
    SlideFormatError,
    TileReadError,
)

if TYPE_CHECKING:
    from typing import TextIO

    from napari_fastnet.cohort.cohort import CohortProgress
    from napari_fastnet.cohort.rows import SlideRow
    from napari_fastnet.cohort.task import CohortOptions
    from napari_fastnet.detection.plan import Stride
    from napari_fastnet.results.result import Result


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
    from napari_fastnet.cohort.cohort import run_cohort
    from napari_fastnet.cohort.slides import find_slides
    from napari_fastnet.results.record import in_a_line

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
            from napari_fastnet.cohort.cluster import Cluster

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
    from napari_fastnet.cohort.page import count_classes
    from napari_fastnet.cohort.report import REPORT, SUMMARY
    from napari_fastnet.results.record import in_a_line

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
        from napari_fastnet.results.record import in_a_line

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
    from napari_fastnet.results.record import in_a_line

    if progress.row is None and progress.workers == 0:
        yield "the scheduler has no worker yet; waiting for one"
    for note in progress.notes:
        yield f"note: {in_a_line(note)}"
    if progress.row is not None and progress.row.status == "failed":
        yield f"error: {in_a_line(progress.row.error)}"


def detect(
    slides: SlidePaths,
    output: OutputFolder,
    model: Model = "fastnet-pcam",
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            "--roi",
            metavar="FILE",
            help="Look only here: a TIFF or PNG of the whole slide, above 0 inside, or "
            "outlines: GeoJSON or ASAP's XML.",
        ),
    ] = None,
    bounds_offset: BoundsOffset = None,
    qupath_origin: QupathOrigin = False,
    stride: Annotated[
        str | None,
        typer.Option(
            metavar="dense|patch|N",
            help="A value every 16 px from one look at a large picture, one value a "
            "patch, or a patch every N px of the model [dense where the model can].",
        ),
    ] = None,
    anchor: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="Y X",
            help="A corner of a cell of the heatmap, level-0 px [the tissue's corner; "
            "dense: the slide's].",
        ),
    ] = None,
    mpp: SlideMpp = None,
    threshold: Threshold = None,
    stain: Stain = "none",
    flips: Flips = None,
    preset: Preset = "default",
    low: Low = None,
    high: High = None,
    channels: Channels = None,
    closing_um: ClosingUm = None,
    colours: Colours = "red-green",
    backend: BackendName = "auto",
    device: Device = None,
    threads: Threads = None,
    memory: Memory = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Slides at once, where there are many [all cores]."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Let this dask cluster do the slides."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compute anew what a run left here.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find tumours: heatmap, masks, regions, overview and record of each slide."""
    from napari_fastnet.cohort.task import CohortOptions
    from napari_fastnet.core.options import preset_with
    from napari_fastnet.detection.options import RunOptions
    from napari_fastnet.model.options import NetworkChoice

    if workers is not None and scheduler is not None:
        raise typer.BadParameter("give --workers or --scheduler, not both")
    run = RunOptions(
        stride=None if stride is None else stride_of(stride),
        anchor=anchor,
        tissue=preset_with(
            preset, low=low, high=high, channels=channels, closing_um=closing_um
        ),
        mask=mask,
        bounds_offset=offset_of(bounds_offset, qupath_origin),
        stain=stain,
        flips=flips,
        threshold=threshold,
        fresh=fresh,
        memory_mb=memory,
        colours=colours,
        network=NetworkChoice(model, backend, device, threads),
    )
    options = CohortOptions(run, mpp)
    if scheduler is not None or are_many(slides):
        detect_cohort(
            slides,
            output,
            options,
            workers=workers,
            scheduler=scheduler,
            as_json=as_json,
        )
    else:
        try:
            detect_one(slides[0], output, options, as_json=as_json)
        except OF_THE_SLIDE as error:
            _tell_cohort(slides[0], output, error)
            raise


#: Faults that are not of the words that were typed.
OF_THE_SLIDE = (DetectionError, DriveError, SlideFormatError, TileReadError)


def _tell_cohort(slide: Path, output: Path, error: FastNetError) -> None:
    """Say in the table of a cohort, if there is one, that a slide failed."""
    from napari_fastnet.cohort.report import update_report
    from napari_fastnet.cohort.rows import SlideRow
    from napari_fastnet.results.record import results_name

    line = " ".join(str(error).split())
    row = SlideRow(results_name(slide), slide.absolute(), "failed", line)
    with suppress(OutputError):  # of the two faults the slide's is the one to be told
        update_report(output, row)


def detect_one(
    slide: Path, output: Path, options: CohortOptions, *, as_json: bool
) -> None:
    """Do one slide and print what it came to."""
    from napari_fastnet.cohort.detect import detect as detect_slide
    from napari_fastnet.machine.memory import give_back_at_once
    from napari_fastnet.slide.notes import bounds_notes, spacing_notes
    from napari_fastnet.slide.slide import open_slide

    give_back_at_once()
    with (
        open_slide(slide, mpp=options.mpp) as opened,
        progress_bar(slide.name) as update,
    ):
        result = detect_slide(
            opened,
            output,
            options=options.run,
            progress=lambda step: update(step.done, step.total),
        )
        notes = (*result.notes, *spacing_notes(opened), *bounds_notes(opened))
    for note in notes:
        print(note, file=sys.stderr)
    quality = result.record.quality
    if quality.get("warn"):
        print(f"warning: {slide}: {quality['verdict']}", file=sys.stderr)
    if as_json:
        print_json({**result.record.to_dict(), "files": result.files})
    else:
        print_result(result)


def stride_of(text: str) -> Stride:
    """Return what ``--stride`` asks for."""
    from napari_fastnet.errors import OptionError

    if text == "patch":
        return "patch"
    if text == "dense":
        return "dense"
    if text.isdecimal():
        return int(text)
    raise OptionError(f"stride is {text!r}; use dense, patch or a whole number of px")


def print_result(result: Result) -> None:
    """Print what a run found and where it wrote it."""
    from napari_fastnet.results.record import CALIBRATED, RESEARCH_USE

    rows = result.rows(command_seconds())
    rows += [
        ("wrote" if index == 0 else "", str(path))
        for index, path in enumerate(result.files)
    ]
    print_columns(rows)
    print(f"{CALIBRATED} {RESEARCH_USE}")
