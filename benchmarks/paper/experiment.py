"""Compute the tables of the paper anew.

python benchmarks/paper/experiment.py factors
python benchmarks/paper/experiment.py all --train train.tar --valid valid.tar -o out
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_fastnet.cli.output import print_columns
from napari_fastnet.errors import FastNetError, OptionError

if TYPE_CHECKING:
    from experiment_runs import RunDone


class ExperimentName(StrEnum):
    """What can be asked for."""

    FACTORS = "factors"
    LOSSES = "losses"
    CONVOLUTIONS = "convolutions"
    BRANCHES = "branches"
    SCALES = "scales"
    SEARCH = "search"
    ALL = "all"


def experiment(
    name: Annotated[
        ExperimentName,
        typer.Argument(
            metavar="NAME",
            help="factors (Tables II and III), losses (VIII and IX: four networks, "
            "three losses), convolutions (VII), branches (VI), scales (V), search (a "
            "and g of the attention loss), or all that are trained.",
        ),
    ],
    train: Annotated[
        Path | None,
        typer.Option(help="Patches to train on: a tar or folder with 0/ and 1/."),
    ] = None,
    valid: Annotated[
        Path | None, typer.Option(help="Patches of other slides, to judge on.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the log."),
    ] = None,
    budget: Annotated[
        int, typer.Option(help="Patches that each training sees.")
    ] = 19_200,
    seeds: Annotated[int, typer.Option(help="Trainings of each kind.")] = 3,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps [the fastest here].")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="On the CPU.")] = None,
) -> None:
    """Train the paper's networks from drawn weights and log how well each does.

    Each training leaves a line in experiments.csv. Given again, the command goes on
    where it was; several processes may share a folder.
    """
    if name == ExperimentName.FACTORS:
        _print_factors()
        return
    if train is None or valid is None or output is None:
        raise OptionError(f"{name} trains networks; give --train, --valid and --output")
    import torch

    from experiment_log import LOG
    from experiment_runs import ExperimentJob, run_experiments
    from experiments import planned
    from napari_fastnet.model.backends.torch import fastest_device

    if threads is not None:
        torch.set_num_threads(threads)
    job = ExperimentJob(train, valid, output, budget, device or fastest_device())
    for done in run_experiments(job, planned(name, seeds)):
        print(_line(done), flush=True)
    print_columns([("wrote", str(output / LOG))])


def _line(done: RunDone) -> str:
    run = done.run
    loss = run.loss if run.weight is None else f"{run.loss} {run.weight} {run.focusing}"
    auc, f1 = (
        "-" if value is None else f"{value:.4f}" for value in (done.auc, done.f1)
    )
    return (
        f"{done.done} of {done.total}: {run.network}, {loss}, seed {run.seed}: "
        f"AUC {auc}, F1 {f1}, {done.seconds:.0f} s"
    )


def _print_factors() -> None:
    from loss_factors import (
        PROBABILITIES,
        attention_table,
        focal_table,
    )

    for title, table in (
        ("Table II: (1 - p)^g of the focal loss", focal_table()),
        ("Table III: 1 - p^g of the attention loss", attention_table()),
    ):
        print(title)
        header = ("g", *(f"p = {p}" for p in PROBABILITIES), "p = 0.5 over p = 0.9")
        rows = [
            (
                f"{row.focusing:g}",
                *(f"{v:.4g}" for v in row.factors),
                f"{row.ratio:.2f}",
            )
            for row in table
        ]
        print_columns([header, *rows])


if __name__ == "__main__":
    try:
        typer.run(experiment)
    except FastNetError as error:
        sys.exit(f"error: {error}")
