"""``napari-fastnet detect SLIDE... -o DIR``: from slides to heatmaps and regions."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_fastnet.cli.clock import command_seconds
from napari_fastnet.cli.cohort import are_many, detect_cohort
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
from napari_fastnet.cli.output import print_columns, print_json
from napari_fastnet.cli.progress import progress_bar
from napari_fastnet.errors import (
    DetectionError,
    DriveError,
    FastNetError,
    OutputError,
    SlideFormatError,
    TileReadError,
)

if TYPE_CHECKING:
    from napari_fastnet.engine.cohort_task import CohortOptions
    from napari_fastnet.engine.plan import Stride
    from napari_fastnet.engine.run_result import RunResult


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
    from napari_fastnet.core.tissue import preset_with
    from napari_fastnet.engine.cohort_task import CohortOptions
    from napari_fastnet.engine.runs import RunOptions

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
    )
    options = CohortOptions(run, model, mpp, backend, device, threads)
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
    from napari_fastnet.io.cohort_findings import SlideRow
    from napari_fastnet.io.cohort_report import update_report
    from napari_fastnet.io.file_names import results_name

    line = " ".join(str(error).split())
    row = SlideRow(results_name(slide), slide.absolute(), "failed", line)
    with suppress(OutputError):  # of the two faults the slide's is the one to be told
        update_report(output, row)


def detect_one(
    slide: Path, output: Path, options: CohortOptions, *, as_json: bool
) -> None:
    """Do one slide and print what it came to."""
    from napari_fastnet.engine.backends import create_backend
    from napari_fastnet.engine.memory import give_back_at_once
    from napari_fastnet.engine.whole_slide import detect as detect_slide
    from napari_fastnet.io.bundle import load_bundle
    from napari_fastnet.io.slide import open_slide
    from napari_fastnet.io.slide_facts import bounds_notes, spacing_notes

    give_back_at_once()
    bundle = load_bundle(options.model)
    network = partial(
        create_backend,
        bundle,
        name=options.backend,
        device=options.device,
        threads=options.threads,
    )
    with (
        open_slide(slide, mpp=options.mpp) as opened,
        progress_bar(slide.name) as update,
    ):
        result = detect_slide(
            opened,
            output,
            model=bundle,
            options=options.run,
            backend=network,
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


def print_result(result: RunResult) -> None:
    """Print what a run found and where it wrote it."""
    from napari_fastnet.io.record import CALIBRATED, RESEARCH_USE

    rows = result.rows(command_seconds())
    rows += [
        ("wrote" if index == 0 else "", str(path))
        for index, path in enumerate(result.files)
    ]
    print_columns(rows)
    print(f"{CALIBRATED} {RESEARCH_USE}")
