"""``napari-fastnet evaluate``: how good a model is on data with known truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_fastnet.cli.options import with_options
from napari_fastnet.cli.output import print_columns, print_json, print_notes, wrote
from napari_fastnet.evaluation.options import (
    CaseEvaluationOptions,
    EvaluationOptions,
    SlideEvaluationOptions,
)
from napari_fastnet.machine.progress import progress_bar
from napari_fastnet.model.options import NetworkChoice

if TYPE_CHECKING:
    from napari_fastnet.core.metrics.patches import PatchMetrics
    from napari_fastnet.evaluation.cases import CaseEvaluation
    from napari_fastnet.evaluation.summary import SlideEvaluation

_NAMED = 5  # slides that a line for people names; --json has them all

evaluate = typer.Typer(
    help="Measure how good a model is where the truth is known.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@evaluate.command()
@with_options
def patches(
    data: Path,
    network: NetworkChoice,
    options: EvaluationOptions,
    csv: Path | None = None,
    as_json: bool = False,
) -> None:
    """Evaluate on labelled patches: accuracy, recall, precision, F1, ROC AUC.

    Parameters
    ----------
    data : Path
        A tar, zip or folder with images in 0/ (or normal/) and 1/ (or tumor/), or what
        `patches` wrote.
    network : NetworkChoice
        Model, and the library that runs it.
    options : EvaluationOptions
        Options of the evaluation.
    csv : Path or None
        Table of the patches' probabilities to write.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.evaluation.patches import evaluate_patches, write_probabilities
    from napari_fastnet.model.backends.create import create_backend
    from napari_fastnet.model.bundle import load_bundle

    bundle = load_bundle(network.model)
    backend = create_backend(bundle, network)
    found = evaluate_patches(data, bundle=bundle, backend=backend, options=options)
    print_notes(found.warnings, "warning: ")
    if csv is not None:
        write_probabilities(csv, found)
    if as_json:
        print_json(found.to_dict())
    else:
        _print_metrics(found.metrics)


@evaluate.command()
@with_options
def slides(
    runs: list[Path],
    truth: list[Path],
    options: SlideEvaluationOptions,
    output: Path | None = None,
    model: str | None = None,
    as_json: bool = False,
) -> None:
    """Evaluate on whole slides: FROC as in CAMELYON16, slide AUC, Dice and IoU.

    Parameters
    ----------
    runs : list of Path
        Folders that detect wrote, or CSV files of candidates (p,x,y), or folders of
        either; with --model slides, or folders of slides.
    truth : list of Path
        A folder of outlines (ASAP's XML, JSON, GeoJSON) or of mask TIFFs, or
        CAMELYON16's reference.csv; may be repeated.
    options : SlideEvaluationOptions
        Options of the evaluation.
    output : Path or None
        Folder for tables and curve; None is nowhere.
    model : str or None
        Model that detects first, into runs/ of -o; RUNS are slides then.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.annotations.truth_files import find_truths
    from napari_fastnet.evaluation.output import write_evaluation
    from napari_fastnet.evaluation.slides import evaluate_slides
    from napari_fastnet.evaluation.sources import find_sources
    from napari_fastnet.evaluation.summary import summarise_slides

    truths, failed = find_truths(truth), 0
    if model is not None:
        if output is None:
            raise typer.BadParameter(
                "with --model give -o DIR, where the runs are kept"
            )
        runs, failed = _detected(runs, output / "runs", model, options.mpp)
    sources = find_sources(runs)
    with progress_bar("evaluate", unit="slides") as bar:

        def counted() -> Iterator[Any]:
            for done, outcome in enumerate(
                evaluate_slides(sources, truths, options), 1
            ):
                bar.update(done, len(sources))
                yield outcome

        found = summarise_slides(counted(), truths, options)
    files = [] if output is None else write_evaluation(output, found)
    if as_json:
        print_json({**found.to_dict(), "files": files})
    else:
        _print_evaluation(found, files)
    if failed:
        raise typer.Exit(1)


@evaluate.command()
@with_options
def cases(
    places: Annotated[list[Path], typer.Argument(metavar="RUN...|CASES.csv")],
    truth: Annotated[Path, typer.Option(metavar="FILE")],
    options: CaseEvaluationOptions,
    as_json: bool = False,
) -> None:
    """Evaluate the stages of cases: quadratic-weighted kappa, as in CAMELYON17.

    Parameters
    ----------
    places : list of Path
        Folders that detect left, each slide a node of the patient with whose name its own
        begins; or a CSV file with the columns case, slide and node.
    truth : Path
        CAMELYON17's CSV of patient,stage.
    options : CaseEvaluationOptions
        Options of the interval.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.evaluation.cases import evaluate_cases, read_stages

    found = evaluate_cases(places, read_stages(truth), options)
    if as_json:
        print_json(found.to_dict())
    else:
        _print_cases(found)


def _print_cases(found: CaseEvaluation) -> None:
    """Print kappa, and what was found by what is true."""
    values = found.to_dict()
    rows = [
        ("cases", f"{values['cases']}: {values['right']} right"),
        ("kappa", _number(found.kappa, found.kappa_ci95)),
    ]
    if found.slides:
        rows += [
            ("slides", f"{values['slides']}: {values['slides_right']} right"),
            ("kappa", _number(found.slide_kappa, found.slide_kappa_ci95)),
        ]
    for truth, counts in values["confusion"].items():
        said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        rows += [(f"true {truth}", f"found {said}")] if said else []
    if found.skipped:
        more = ", ..." if len(found.skipped) > _NAMED else ""
        names = ", ".join(case.name for case in found.skipped[:_NAMED])
        rows.append(("skipped", f"{len(found.skipped)}: {names}{more}"))
    rows += [("", f"{case.name}: {case.reason}") for case in found.skipped[:_NAMED]]
    print_columns(rows)
    print("Research use only. Not for diagnosis.")


def _detected(
    slides: list[Path], folder: Path, model: str, mpp: float | None
) -> tuple[list[Path], int]:
    """Run the model on slides; return the runs, and the number of slides that failed."""
    from napari_fastnet.cli.detect import detect_slides
    from napari_fastnet.cohort.task import CohortOptions
    from napari_fastnet.detection.options import RunOptions
    from napari_fastnet.errors import DataError

    options = CohortOptions(RunOptions(network=NetworkChoice(model)), mpp)
    progress, rows = detect_slides(slides, folder, options)
    if not progress.done:
        raise DataError(f"no slide of {len(rows)} could be done; see what stands above")
    done = [folder / row.name for row in rows if row.status == "done"]
    return done, progress.failed + progress.left


def _print_evaluation(found: SlideEvaluation, files: list[Path]) -> None:
    """Print the numbers, and the slides left out."""
    values = found.to_dict()
    lesions, odd = values["lesions"], values["odd_outlines"]
    rows = [
        (
            "slides",
            f"{values['slides']}: {values['tumour']} tumor, {values['normal']} normal",
        )
    ]
    if found.curve is not None:
        rows += [
            (
                "lesions",
                f"{lesions['counted']}, and {lesions['isolated']} of isolated tumor "
                "cells that do not count",
            ),
            ("FROC", _number(values["froc"], values["froc_ci95"])),
            ("sensitivity", "at so many false positives"),
            *(
                (f"  {rate} a slide", _number(value))
                for rate, value in values["sensitivity"].items()
            ),
        ]
    rows.append(("slide AUC", _number(values["slide_auc"], values["slide_auc_ci95"])))
    if values["slide_auc_combined"] is not None:
        rows.append(("  combined", _number(values["slide_auc_combined"])))
    rows += [
        (f"pixel {name}", _number(value))
        for name, value in (values["pixels"] or {}).items()
    ]
    for title, names, reasons in (
        ("taken as normal", found.assumed_normal, ()),
        ("no outlines", found.without_outlines, ()),
        ("truth, no slide", found.without_slide, ()),
        (
            "skipped",
            [slide.name for slide in found.skipped],
            [(slide.name, slide.reason) for slide in found.skipped],
        ),
        (
            "odd outlines",
            sorted({note["slide"] for note in odd}),
            [(note["slide"], note["reason"]) for note in odd],
        ),
    ):
        if names:
            more = ", ..." if len(names) > _NAMED else ""
            rows.append((title, f"{len(names)}: {', '.join(names[:_NAMED])}{more}"))
        rows += [("", f"{name}: {reason}") for name, reason in reasons[:_NAMED]]
    print_columns([*rows, *wrote(files)])
    print("Research use only. Not for diagnosis.")


def _number(value: float | None, interval: tuple[float, float] | None = None) -> str:
    if value is None:
        return "undefined"
    text = f"{value:.4f}"
    if interval is not None:
        text += f"  ({interval[0]:.4f} to {interval[1]:.4f})"
    return text


def _print_metrics(metrics: PatchMetrics) -> None:
    values, normal = metrics.to_dict(), metrics.n - metrics.positives
    rows = [
        ("patches", f"{metrics.n:,}: {metrics.positives:,} tumor, {normal:,} normal"),
        *((name, _number(values[name], ci)) for name, ci in metrics.ci95.items()),
        ("threshold", f"{metrics.threshold:.4g}"),
    ]
    if any(metrics.ci95.values()):
        drawn = (
            "patches; too narrow where several are of one slide"
            if metrics.slides is None
            else f"{metrics.slides:,} slides"
        )
        rows.append(("intervals", f"95 %, of {drawn}"))
    print_columns(rows)
