"""From labelled patches to a model bundle: training, calibration, model card."""

from __future__ import annotations

import csv
import errno
import os
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING

import torch

from napari_fastnet.errors import OptionError, OutputError
from napari_fastnet.machine.files import atomic_path, reason
from napari_fastnet.model.writing import check_bundle_folder
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.nn.fastnet import FastNet, FastNetConfig
from napari_fastnet.training.fit import EpochResult, Trainer
from napari_fastnet.training.options import FitOptions, PublishOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.training.data import TrainingData
    from napari_fastnet.training.distil import Teachers

HISTORY = "history.csv"
CURVES = "curves.png"
STATE = "state.safetensors"


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What is trained, on what, and where it goes.

    Parameters
    ----------
    data : tuple of Path
        Tars or folders of patches with 0/ and 1/, or zarrs of which the part for
        training is taken; all are trained on.
    valid : Path
        Patches of other slides, for watching, calibration and the model card; of a
        zarr, its part for validation.
    folder : Path
        The bundle that is written; ``<folder>-training`` beside it holds the history,
        the curves and the state.
    spacing_um_px : float
        µm/px of the patches.
    network : FastNetConfig
        Variant of the network.
    fit : FitOptions
        Recipe.
    model : PublishOptions
        Facts about the new model that only the user knows.
    device : str
        Where to compute, as torch names it.
    start_from : ModelBundle or None
        Begin with this model's weights instead of drawn ones; it must be of the same
        variant.
    teachers : Teachers or None
        Networks whose judgement of the patches is mixed into the labels.
    average_with : tuple of ModelBundle
        Models whose weights are averaged with those that were trained, equal parts.
        All must have begun with the same weights: between such there is no barrier.
    threads : int or None
        Of the CPU; None is all cores.
    also : tuple of Path
        Patches to judge the model on once more, as ``valid``; nothing is chosen by
        them.
    """

    data: tuple[Path, ...]
    valid: Path
    folder: Path
    spacing_um_px: float
    network: FastNetConfig = field(default_factory=FastNetConfig)
    fit: FitOptions = field(default_factory=FitOptions)
    model: PublishOptions = field(default_factory=PublishOptions)
    device: str = "cpu"
    start_from: ModelBundle | None = None
    teachers: Teachers | None = None
    average_with: tuple[ModelBundle, ...] = ()
    threads: int | None = None
    also: tuple[Path, ...] = ()

    @property
    def log_folder(self) -> Path:
        """Where history, curves and state lie."""
        return self.folder.with_name(f"{self.folder.name}-training")


def use_threads(count: int) -> None:
    """Let torch use so many threads on the CPU, for the whole process."""
    torch.set_num_threads(count)


def build_trainer(job: TrainingJob, data: TrainingData) -> Trainer[FastNet]:
    """Build the network, as it begins.

    Raises
    ------
    OptionError
        The model to start from is another variant of the network.
    """
    start = None
    if job.start_from is not None:
        start = load_weights(job.start_from.weights_path)
        if start.config != job.network:
            raise OptionError(
                f"the model to start from is {start.config} and {job.network} is asked "
                "for; give the same options of the network"
            )
    for bundle in job.average_with:
        load_weights(bundle.weights_path)  # a fault is said before hours of training
    normalisation = job.start_from.normalisation if job.start_from else None
    trainer = Trainer(
        job.network,
        data.train.patches,
        data.valid.patches,
        job.fit,
        job.device,
        normalisation,
        teachers=job.teachers,
    )
    trainer.progress.context = {
        "other validation patches": data.valid.facts[0].sha256,
        "another model of --from": job.start_from.sha256 if job.start_from else "",
    }
    if start is not None:
        trainer.start_from(start)
    return trainer


def check_output(job: TrainingJob) -> None:
    """See that the bundle can be written, before hours of training.

    Raises
    ------
    OutputError
        Its folder, or the one of the log, holds something else or cannot be made.
    """
    check_bundle_folder(job.folder)
    _make(job.log_folder, only_look=True)


def _make(folder: Path, *, only_look: bool = False) -> None:
    """Make a folder, or see that it is there or can be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not only_look:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {reason(error)}") from error


def spacing_warnings(job: TrainingJob) -> Iterator[str]:
    """Yield which models the training uses that know patches of another µm/px."""
    models = [(b.name, b.spacing_um_px) for b in (job.start_from,) if b is not None]
    models += [(bundle.name, bundle.spacing_um_px) for bundle in job.average_with]
    models += job.teachers.spacings if job.teachers else []
    for name, spacing in models:
        if abs(job.spacing_um_px / spacing - 1) > 0.01:
            larger = spacing / job.spacing_um_px
            yield (
                f"the patches are at {job.spacing_um_px:g} µm/px and {name} knows "
                f"{spacing:g}: to it everything is {larger:.2g} times as large; cut "
                "patches at its µm/px, or train without it"
            )


def doubt(result: EpochResult, job: TrainingJob) -> str | None:
    """Return what an epoch's AUC gives cause to ask, if anything."""
    asked_after = (0, min(2, job.fit.epochs))
    if result.auc is None or result.auc >= 0.5 or result.epoch not in asked_after:
        return None
    whose = "of the model it begins with" if result.epoch == 0 else "on the validation"
    return (
        f"AUC {result.auc:.4f} {whose} is worse than chance: are 0/ and 1/ exchanged? "
        "1/ is tumor"
    )


def run_training(job: TrainingJob, trainer: Trainer[FastNet]) -> Iterator[EpochResult]:
    """Train to the end, writing state, history and curves after each epoch.

    A run that was killed goes on after its last whole epoch; its history then goes on
    in the same file.

    Yields
    ------
    EpochResult
        After its epoch was stored.
    """
    _make(job.log_folder)
    for result in trainer.run(job.log_folder / STATE):
        history = [
            row
            for row in read_history(job.log_folder / HISTORY)
            if row.epoch < result.epoch
        ]
        history.append(result)
        write_history(job.log_folder / HISTORY, history)
        write_curves(job.log_folder / CURVES, history)
        yield result


def write_history(path: Path, results: list[EpochResult]) -> None:
    """Write one line an epoch."""
    names = [column.name for column in fields(EpochResult)]
    with atomic_path(path) as aside, aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(asdict(result) for result in results)


def read_history(path: Path) -> list[EpochResult]:
    """Read what `write_history` wrote; nothing where there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            EpochResult(
                epoch=int(row["epoch"]),
                seconds=float(row["seconds"]),
                learning_rate=float(row["learning_rate"]),
                loss=_optional(row["loss"]),
                auc=_optional(row["auc"]),
                mosaic_auc=_optional(row["mosaic_auc"]),
                accuracy=float(row["accuracy"]),
            )
            for row in csv.DictReader(file)
        ]


def _optional(text: str) -> float | None:
    return float(text) if text else None


def write_curves(path: Path, results: list[EpochResult]) -> None:
    """Draw loss and validation AUC against the epoch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    epochs = [result.epoch for result in results]
    # Of a single epoch a line shows nothing.
    marker = "o" if len(epochs) < 3 else None
    losses = [(r.epoch, r.loss) for r in results if r.loss is not None]
    left.plot(
        [epoch for epoch, _ in losses],
        [loss for _, loss in losses],
        color="#444444",
        marker=marker,
    )
    left.set(xlabel="epoch", ylabel="training loss")
    for name, label, colour in (
        ("auc", "patches alone", "#be0a1a"),
        ("mosaic_auc", "among foreign neighbours", "#008048"),
    ):
        values = [getattr(result, name) for result in results]
        if all(value is not None for value in values):
            right.plot(epochs, values, label=label, color=colour, marker=marker)
    right.set(xlabel="epoch", ylabel="validation AUC")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    with atomic_path(path) as aside:
        figure.savefig(aside, dpi=150)
