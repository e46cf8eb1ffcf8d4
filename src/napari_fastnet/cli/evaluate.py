"""``napari-fastnet evaluate``: how good a model is on data with known truth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from napari_fastnet.cli.evaluate_slides import slides
from napari_fastnet.cli.options import (
    AsJson,
    BackendName,
    Device,
    Flips,
    Model,
    Stain,
    Threads,
    Threshold,
)
from napari_fastnet.cli.output import print_columns, print_json

if TYPE_CHECKING:
    from napari_fastnet.core.metrics import PatchMetrics

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
    from napari_fastnet.engine.backends import create_backend
    from napari_fastnet.engine.evaluate import (
        EvaluationOptions,
        evaluate_patches,
        write_probabilities,
    )
    from napari_fastnet.io.bundle import load_bundle

    bundle = load_bundle(model)
    network = create_backend(bundle, name=backend, device=device, threads=threads)
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
