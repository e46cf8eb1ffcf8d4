"""``napari-fastnet detect SLIDE... -o DIR``: one slide or many, with their report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_fastnet.cli.clock import command_seconds
from napari_fastnet.cli.output import print_columns, print_json, print_notes, wrote
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import (
    DetectionError,
    DriveError,
    OutputError,
    SlideFormatError,
    TileReadError,
)
from napari_fastnet.machine.progress import clock_text, progress_bar
from napari_fastnet.machine.remote.url import SlidePath, Url

if TYPE_CHECKING:
    from napari_fastnet.cohort.cohort import CohortProgress
    from napari_fastnet.cohort.rows import SlideRow
    from napari_fastnet.cohort.slides import Share
    from napari_fastnet.cohort.task import CohortOptions
    from napari_fastnet.machine.progress import Progress
    from napari_fastnet.results.result import Result

# Files left out that a note names.
_NAMED = 3
# Faults of the slide, not of the command.
_OF_THE_SLIDE = (DetectionError, DriveError, SlideFormatError, TileReadError)


def detect(
    slides: list[SlidePath],
    output: Path,
    options: RunOptions,
    mpp: float | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    share: str | None = None,
    as_json: bool = False,
) -> None:
    """Find tumors: heatmap, masks, regions, overview and record of each slide.

    Parameters
    ----------
    slides : list of Path or Url
        Slides, folders of slides, patterns such as *.svs; also s3://, gs://, https://.
    output : Path
        Folder for results, which go to DIR/<name of the slide>/.
    options : RunOptions
        Options of the run on each slide.
    mpp : float or None
        µm per level-0 px, where the files do not say or are wrong.
    workers : int or None
        Slides at once, of many; None is all cores.
    scheduler : str or None
        Address of a dask cluster that does the slides.
    share : str or None
        Do the I-th of N shares of the slides; the tables have all of them.
    as_json : bool
        Print JSON.
    """
    if workers is not None and scheduler is not None:
        raise typer.BadParameter("give --workers or --scheduler, not both")
    first = slides[0]
    if scheduler or share is not None or len(slides) > 1 or _stands_for_many(first):
        from napari_fastnet.cohort.slides import Share
        from napari_fastnet.cohort.task import CohortOptions

        progress, rows = detect_slides(
            slides,
            output,
            CohortOptions(options, mpp),
            workers=workers,
            scheduler=scheduler,
            share=None if share is None else Share.parse(share),
        )
        _print_cohort(progress, rows, output, as_json)
        if progress.failed:
            raise typer.Exit(1)
        return
    try:
        _detect_one(first, output, options, mpp, as_json)
    except _OF_THE_SLIDE as error:
        from napari_fastnet.cohort.report import update_report
        from napari_fastnet.cohort.rows import SlideRow
        from napari_fastnet.results.record import results_name

        line = " ".join(str(error).split())
        row = SlideRow(results_name(first), first.absolute(), "failed", line)
        with suppress(OutputError):  # the slide's fault is the one to report
            update_report(output, row)
        raise


def _stands_for_many(place: SlidePath) -> bool:
    """Return whether a path or an address is a folder or a pattern."""
    if isinstance(place, Url):
        return place.is_folder or "*" in place.text
    return place.is_dir() or (has_magic(str(place)) and not place.exists())


def _detect_one(
    slide: SlidePath,
    output: Path,
    options: RunOptions,
    mpp: float | None,
    as_json: bool,
) -> None:
    from napari_fastnet.cohort.detect import detect as detect_slide
    from napari_fastnet.machine.memory import give_back_at_once
    from napari_fastnet.slide.notes import bounds_notes, spacing_notes
    from napari_fastnet.slide.slide import open_slide

    give_back_at_once()
    with open_slide(slide, mpp=mpp) as opened, progress_bar(slide.name) as bar:
        result = detect_slide(opened, output, options=options, progress=bar.show)
        notes = (*result.notes, *spacing_notes(opened), *bounds_notes(opened))
    quality = result.record.quality
    print_notes(notes)
    if quality.warn:
        print_notes([f"{slide}: {quality.verdict}"], "warning: ")
    if as_json:
        print_json({**result.record.to_dict(), "files": result.files})
    else:
        print_result(result)


def print_result(result: Result) -> None:
    """Print the findings of a run and its files."""
    from napari_fastnet.results.record import CALIBRATED, RESEARCH_USE

    print_columns([*result.rows(command_seconds()), *wrote(result.files)])
    print(f"{CALIBRATED} {RESEARCH_USE}")


def detect_slides(
    places: Sequence[SlidePath],
    output: Path,
    options: CohortOptions,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    share: Share | None = None,
) -> tuple[CohortProgress, list[SlideRow]]:
    """Do many slides and show the progress.

    Parameters
    ----------
    places : sequence of Path
        Slides, folders of slides, patterns.
    output : Path
        Folder for results.
    options : CohortOptions
        Options for every slide.
    workers : int, optional
        Processes of this machine.
    scheduler : str, optional
        Address of a dask cluster that does the work instead.
    share : Share, optional
        Only this share of the slides.

    Returns
    -------
    tuple of CohortProgress and list of SlideRow
        The last value, and the slides by lesion burden.
    """
    from napari_fastnet.cohort.cohort import run_cohort
    from napari_fastnet.cohort.slides import find_slides
    from napari_fastnet.core.display import in_a_line

    def note(words: str) -> None:
        print_notes([in_a_line(words)], "note: ")

    left_out: list[SlidePath] = []
    try:
        slides = find_slides(
            places,
            left_out.append,
            lambda link, first: note(
                f"{link}: the same file as {first}, which is done once"
            ),
        )
    finally:
        if left_out:
            names = ", ".join(map(str, left_out[:_NAMED]))
            others = len(left_out) - _NAMED
            note(
                f"left out {names}{f' and {others} more' if others > 0 else ''}: TIFF or "
                "DICOM, but grey, small, damaged, no microscopy or unreadable; name a "
                "file to have it tried all the same"
            )
    with ExitStack() as stack:
        cluster = None
        if scheduler is not None:
            from napari_fastnet.cohort.cluster import Cluster

            cluster = stack.enter_context(closing(Cluster(scheduler)))
        steps = run_cohort(
            slides, output, options, workers=workers, cluster=cluster, share=share
        )
        bar = stack.enter_context(progress_bar(in_a_line(output.name), unit="slides"))
        rows = []
        for progress in stack.enter_context(closing(steps)):
            show_cohort(progress, bar)
            rows += [progress.row] if progress.row else []
    return progress, sorted(rows, key=lambda row: row.rank)


def show_cohort(progress: CohortProgress, bar: Progress) -> None:
    """Show the slides done and left, and say what there is to say of the last."""
    from napari_fastnet.core.display import in_a_line

    row = progress.row
    if row is None and progress.workers == 0:
        bar.say("the scheduler has no worker yet; waiting for one")
    for note in progress.notes:
        bar.say(f"note: {in_a_line(note)}")
    if row is not None and row.status == "failed":
        bar.say(f"error: {in_a_line(row.error)}")
    bar.update(
        progress.done + progress.failed + progress.left,
        progress.total,
        earlier=progress.earlier,
        note=f"{progress.failed} failed" if progress.failed else "",
        ended=in_a_line(row.name) if row and row.status == "done" else None,
    )


def _print_cohort(
    progress: CohortProgress, rows: Sequence[SlideRow], output: Path, as_json: bool
) -> None:
    from napari_fastnet.cohort.page import count_classes
    from napari_fastnet.cohort.report import REPORT
    from napari_fastnet.cohort.rows import SUMMARY
    from napari_fastnet.core.display import in_a_line
    from napari_fastnet.results.record import REGIONS_CSV, RESEARCH_USE

    files = [output / REPORT, output / SUMMARY, output / REGIONS_CSV]
    if as_json:
        print_json(
            {
                "done": progress.done,
                "failed": progress.failed,
                "earlier": progress.earlier,
                "left": progress.left,
                "slides": [row.values() for row in rows],
                "files": files,
            }
        )
        return
    done = f"{progress.done} done"
    if progress.earlier:
        done += f" ({progress.earlier} of them before)"
    left = f", {progress.left} left to other commands" if progress.left else ""
    words = [f"{number} {name}" for name, number in count_classes(rows).items()]
    others = progress.listed - progress.total
    listed = f", with {others} more of this folder" if others > 0 else ""
    print_columns(
        [
            ("slides", f"{progress.total}: {done}, {progress.failed} failed{left}"),
            ("largest lesion", ", ".join(words)),
            ("time", clock_text(command_seconds())),
            ("wrote", f"{in_a_line(files[0])}{listed}"),
            *(("", in_a_line(file)) for file in files[1:]),
        ]
    )
    print(RESEARCH_USE)
