"""``napari-fastnet evaluate``: how good a model is on data with known truth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from napari_fastnet.cli.options import (
    AsJson,
    BackendName,
    BoundsOffset,
    Device,
    Flips,
    Model,
    QupathOrigin,
    Stain,
    Threads,
    Threshold,
    TumorClass,
    outline_options,
)
from napari_fastnet.cli.output import print_columns, print_json, progress_bar
from napari_fastnet.core.options import MINIMUM, RADIUS_UM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_fastnet.cli.output import Update
    from napari_fastnet.core.metrics.patches import PatchMetrics
    from napari_fastnet.evaluation.summary import SlideEvaluation


T = TypeVar("T")

_NAMED = 5  # slides that a line for people names; --json has them all


def slides(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUNS...",
            help="Folders that detect wrote, or CSV files of candidates (p,x,y), or "
            "folders of either; with --model slides, or folders of slides.",
        ),
    ],
    truth: Annotated[
        list[Path],
        typer.Option(
            metavar="PATH",
            help="A folder of outlines (ASAP's XML, JSON, GeoJSON) or of mask TIFFs, or "
            "CAMELYON16's reference.csv. May be given again.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Write tables and the curve there."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="RUNS are slides: let this model detect first, into runs/ of -o.",
        ),
    ] = None,
    radius_um: Annotated[
        float, typer.Option(help="Candidates are farther apart than this, µm.")
    ] = RADIUS_UM,
    minimum: Annotated[
        float, typer.Option(help="Lowest probability of a candidate.")
    ] = MINIMUM,
    threshold: Annotated[
        float | None,
        typer.Option(help="Dice and IoU: tumour from here on [the run's]."),
    ] = None,
    boundary_um: Annotated[
        float,
        typer.Option(help="Dice, IoU: leave out what is nearer to an outline, µm."),
    ] = 0.0,
    mpp: Annotated[
        float | None,
        typer.Option(
            metavar="UM_PER_PX",
            help="µm/px of level 0 where candidates come as CSV [0.243], or where "
            "slides do not say it.",
        ),
    ] = None,
    mask_value: Annotated[
        int | None,
        typer.Option(help="What stands for tumour in masks [all above 0]."),
    ] = None,
    tumor_class: TumorClass = None,
    bounds_offset: BoundsOffset = None,
    qupath_origin: QupathOrigin = False,
    unannotated: Annotated[
        Literal["normal", "skip"] | None,
        typer.Option(
            help="What a slide without truth is, without a reference [normal among "
            "outlines, skip among masks]."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="SLIDE", help="Leave this slide out. May be given again."),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples for the 95 % intervals; 0 is none.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Judge whole slides: FROC as in CAMELYON16, slide AUC, Dice and IoU."""
    from napari_fastnet.annotations.truth_files import find_truths
    from napari_fastnet.evaluation.options import SlideEvaluationOptions
    from napari_fastnet.evaluation.output import write_evaluation
    from napari_fastnet.evaluation.slides import evaluate_slides
    from napari_fastnet.evaluation.sources import find_sources
    from napari_fastnet.evaluation.summary import summarise_slides

    options = SlideEvaluationOptions(
        radius_um=radius_um,
        minimum=minimum,
        threshold=threshold,
        boundary_um=boundary_um,
        mpp=mpp,
        mask_value=mask_value,
        unannotated=unannotated,
        exclude=tuple(exclude or ()),
        outlines=outline_options(tumor_class, bounds_offset, qupath_origin),
        bootstrap=bootstrap,
        seed=seed,
    )
    truths, failed = find_truths(truth), 0
    if model is not None:
        if output is None:
            raise typer.BadParameter(
                "with --model give -o DIR, where the runs are kept"
            )
        runs, failed = _detected(runs, output / "runs", model, mpp)
    sources = find_sources(runs)
    outcomes = evaluate_slides(sources, truths, options)
    with progress_bar("evaluate", unit="slides") as update:
        found = summarise_slides(
            _counted(outcomes, update, len(sources)), truths, options
        )
    files = [] if output is None else write_evaluation(output, found)
    if as_json:
        print_json({**found.to_dict(), "files": files})
    else:
        _print_evaluation(found, files)
    if failed:
        raise typer.Exit(1)


def _detected(
    slides: list[Path], folder: Path, model: str, mpp: float | None
) -> tuple[list[Path], int]:
    """Run the model on slides; return the runs, and how many slides failed."""
    from napari_fastnet.cli.detect import detect_slides
    from napari_fastnet.cohort.task import CohortOptions
    from napari_fastnet.detection.options import RunOptions
    from napari_fastnet.errors import DataError
    from napari_fastnet.model.options import NetworkChoice

    options = CohortOptions(RunOptions(network=NetworkChoice(model)), mpp)
    progress, rows = detect_slides(slides, folder, options)
    if progress.failed == len(rows):
        raise DataError(
            f"no slide of {len(rows)} could be done; mend what is said above"
        )
    return [folder / row.name for row in rows if row.status == "done"], progress.failed


def _counted(outcomes: Iterator[T], update: Update, total: int) -> Iterator[T]:
    """Say how many have passed by."""
    for done, outcome in enumerate(outcomes, 1):
        update(done, total)
        yield outcome


def _print_evaluation(found: SlideEvaluation, files: list[Path]) -> None:
    """Print the numbers, and what was left out."""
    values = found.to_dict()
    rows = [
        (
            "slides",
            f"{values['slides']}: {values['tumour']} tumour, {values['normal']} normal",
        )
    ]
    lesions = values["lesions"]
    if found.curve is not None:
        rows += [
            (
                "lesions",
                f"{lesions['counted']}, and {lesions['isolated']} of isolated tumour "
                "cells that do not count",
            ),
            ("FROC", _number(values["froc"], values["froc_ci95"])),
            ("sensitivity", "at so many false positives"),
        ]
        rows += [
            (f"  {rate} a slide", _number(value))
            for rate, value in values["sensitivity"].items()
        ]
    rows.append(("slide AUC", _number(values["slide_auc"], values["slide_auc_ci95"])))
    if values["slide_auc_combined"] is not None:
        rows.append(("  combined", _number(values["slide_auc_combined"])))
    for name, value in (values["pixels"] or {}).items():
        rows.append((f"pixel {name}", _number(value)))
    for title, names in (
        ("taken as normal", found.assumed_normal),
        ("no outlines", found.without_outlines),
        ("truth, no slide", found.without_slide),
        ("skipped", [slide.name for slide in found.skipped]),
    ):
        if names:
            rows.append((title, _named(names)))
    rows += [("", f"{slide.name}: {slide.reason}") for slide in found.skipped[:_NAMED]]
    if values["odd_outlines"]:
        odd = values["odd_outlines"]
        rows.append(("odd outlines", _named(sorted({note["slide"] for note in odd}))))
        rows += [("", f"{note['slide']}: {note['reason']}") for note in odd[:_NAMED]]
    rows += [("wrote" if path is files[0] else "", str(path)) for path in files]
    print_columns(rows)
    print("Research use only. Not for diagnosis.")


def _number(value: float | None, interval: tuple[float, float] | None = None) -> str:
    if value is None:
        return "undefined"
    text = f"{value:.4f}"
    if interval is not None:
        text += f"  ({interval[0]:.4f} to {interval[1]:.4f})"
    return text


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{len(names)}: {shown}" + (", ..." if len(names) > _NAMED else "")


evaluate = typer.Typer(
    help="Measure how good a model is where the truth is known.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@evaluate.command()
def patches(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A tar, zip or folder with images in 0/ (or normal/) and 1/ (or tumor/), "
            "or what `patches` wrote.",
        ),
    ],
    model: Model = "fastnet-pcam",
    mpp: Annotated[
        float | None,
        typer.Option(
            metavar="UM_PER_PX", help="µm/px of the patches [as `patches` wrote]."
        ),
    ] = None,
    part: Annotated[
        Literal["train", "valid", "test"],
        typer.Option(help="Of what `patches` wrote: the part to judge."),
    ] = "valid",
    stain: Stain = "none",
    threshold: Threshold = None,
    flips: Flips = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples for the 95 % intervals; 0 is none.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write each patch's probability there."),
    ] = None,
    backend: BackendName = "auto",
    device: Device = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Judge labelled patches: accuracy, recall, precision, F1, ROC AUC."""
    from napari_fastnet.evaluation.options import EvaluationOptions
    from napari_fastnet.evaluation.patches import evaluate_patches, write_probabilities
    from napari_fastnet.model.backends.create import create_backend
    from napari_fastnet.model.bundle import load_bundle
    from napari_fastnet.model.options import NetworkChoice

    bundle = load_bundle(model)
    network = create_backend(bundle, NetworkChoice(model, backend, device, threads))
    options = EvaluationOptions(
        mpp=mpp,
        stain=stain,
        threshold=threshold,
        bootstrap=bootstrap,
        seed=seed,
        flips=flips,
        part=part,
    )
    found = evaluate_patches(data, bundle=bundle, backend=network, options=options)
    for words in found.warnings:
        print(f"warning: {words}", file=sys.stderr)
    if csv is not None:
        write_probabilities(csv, found)
    if as_json:
        print_json(found.to_dict())
    else:
        _print_metrics(found.metrics)


evaluate.command()(slides)


def _print_metrics(metrics: PatchMetrics) -> None:
    values = metrics.to_dict()
    normal = metrics.n - metrics.positives
    rows = [
        ("patches", f"{metrics.n:,}: {metrics.positives:,} tumour, {normal:,} normal")
    ]
    for name, interval in metrics.ci95.items():
        value = values[name]
        if value is None:
            text = "undefined"
        elif interval is None:
            text = f"{value:.4f}"
        else:
            text = f"{value:.4f}  ({interval[0]:.4f} to {interval[1]:.4f})"
        rows.append((name, text))
    rows.append(("threshold", f"{metrics.threshold:.4g}"))
    if any(metrics.ci95.values()):
        rows.append(("intervals", _drawn(metrics)))
    print_columns(rows)


def _drawn(metrics: PatchMetrics) -> str:
    """Return what the intervals hold for."""
    if metrics.slides is not None:
        return f"95 %, of {metrics.slides:,} slides"
    return "95 %, of patches; too narrow where several are of one slide"
