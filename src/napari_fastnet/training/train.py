"""Job of training a model bundle, its output folders and its history."""

from __future__ import annotations

import csv
import errno
import os
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from napari_fastnet.errors import OptionError
from napari_fastnet.machine.files import atomic_path, output_errors, write_csv
from napari_fastnet.model.writing import check_bundle_folder
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.nn.fastnet import FastNet
from napari_fastnet.nn.options import FastNetConfig
from napari_fastnet.training.distil import KeptAnswers
from napari_fastnet.training.fit import EpochResult, Trainer
from napari_fastnet.training.options import FitOptions, PublishOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.training.batches import Teacher
    from napari_fastnet.training.data import TrainingData
    from napari_fastnet.training.distil import Teachers

HISTORY = "history.csv"
CURVES = "curves.png"
STATE = "state.safetensors"
TEACHERS = "teachers"


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A network to train, the data, and the output.

    Parameters
    ----------
    data : tuple of Path
        Tars or folders of patches with 0/ and 1/, or zarrs, of which the part for
        training is taken.
    valid : Path
        Patches of other slides, for choosing the epoch, calibration and the model card;
        of a zarr, its part for validation.
    folder : Path
        Bundle to write; ``<folder>-training`` beside it holds the history, the curves
        and the state.
    spacing_um_px : float
        µm/px of the patches.
    network : FastNetConfig
        Variant of the network.
    fit : FitOptions
        Recipe.
    model : PublishOptions
        Facts about the new model that only the user knows.
    device : str
        Device, as torch names it.
    start_from : ModelBundle or None
        Begin with this model's weights instead of drawn ones; it must be of the same
        variant.
    teachers : Teachers or None
        Networks whose probabilities of the patches are mixed into the labels.
    average_with : tuple of ModelBundle
        Models whose weights are averaged with the trained ones, in equal parts. All
        must have begun with the same weights: between such models the loss has no
        barrier.
    threads : int or None
        Threads on the CPU, of the whole process; None is all cores.
    also : tuple of Path
        More patches to evaluate the model on, as ``valid``; nothing is chosen by them.
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
        """Folder of history, curves and state."""
        return self.folder.with_name(f"{self.folder.name}-training")


def build_trainer(job: TrainingJob, data: TrainingData) -> Trainer[FastNet]:
    """Build the network and its trainer, before the first epoch.

    OptionError where the model to start from is another variant of the network.
    """
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    start = None
    if job.start_from is not None:
        start = load_weights(job.start_from.weights_path)
        if start.config != job.network:
            raise OptionError(
                f"the model to start from is {start.config} and {job.network} is asked "
                "for; give the same options of the network"
            )
    for bundle in job.average_with:
        load_weights(bundle.weights_path)  # a fault is found before hours of training
    trainer = Trainer(
        partial(FastNet, job.network),
        data.train.patches,
        data.valid.patches,
        job.fit,
        job.device,
        normalisation=job.start_from.normalisation if job.start_from else None,
        teachers=_teachers(job),
    )
    trainer.progress.context = {
        "other validation patches": data.valid.facts[0].sha256,
        "another model of --from": job.start_from.sha256 if job.start_from else "",
    }
    if start is not None:
        trainer.start_from(start)
    return trainer


def _teachers(job: TrainingJob) -> Teacher | None:
    """Return the teachers; what they say of copies, which are judged once, is kept."""
    if job.teachers is None or not job.fit.copies:
        return job.teachers
    return KeptAnswers(job.teachers, job.log_folder / TEACHERS)


def check_output(job: TrainingJob) -> None:
    """Raise OutputError now if the bundle or its log cannot be written later."""
    check_bundle_folder(job.folder)
    log = job.log_folder
    there = next(path for path in (log, *log.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        code = errno.EACCES if there.is_dir() else errno.ENOTDIR
        with output_errors(f"write {log}"):
            raise OSError(code, os.strerror(code))


def spacing_warnings(job: TrainingJob) -> Iterator[str]:
    """Yield a sentence on each model in use that was trained at another µm/px."""
    bundles = [bundle for bundle in (job.start_from, *job.average_with) if bundle]
    models = [(bundle.name, bundle.spacing_um_px) for bundle in bundles]
    for name, spacing in models + (job.teachers.spacings if job.teachers else []):
        if abs(job.spacing_um_px / spacing - 1) > 0.01:
            larger = spacing / job.spacing_um_px
            yield (
                f"the patches are at {job.spacing_um_px:g} µm/px and {name} knows "
                f"{spacing:g}: to it everything is {larger:.2g} times as large; cut "
                "patches at its µm/px, or train without it"
            )


def doubt(result: EpochResult, job: TrainingJob) -> str | None:
    """Return a warning where an early epoch's AUC is worse than chance."""
    early = (0, min(2, job.fit.epochs))
    if result.auc is None or result.auc >= 0.5 or result.epoch not in early:
        return None
    whose = "of the model it begins with" if result.epoch == 0 else "on the validation"
    return (
        f"AUC {result.auc:.4f} {whose} is worse than chance: are 0/ and 1/ exchanged? "
        "1/ is tumor"
    )


def run_training(job: TrainingJob, trainer: Trainer[FastNet]) -> Iterator[EpochResult]:
    """Train to the end; yield each epoch after its state, history and curves are stored.

    A killed run goes on after its last whole epoch, in the same files.
    """
    history = read_history(job.log_folder / HISTORY)
    for result in trainer.run(job.log_folder / STATE):
        history = [row for row in history if row.epoch < result.epoch] + [result]
        write_history(job.log_folder / HISTORY, history)
        write_curves(job.log_folder / CURVES, history)
        yield result


def write_history(path: Path, results: list[EpochResult]) -> None:
    """Write a CSV file of one line an epoch."""
    write_csv(path, map(asdict, results))


def read_history(path: Path) -> list[EpochResult]:
    """Read a file of `write_history`; empty where there is none."""
    if not path.exists():
        return []
    results = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            epoch = int(row.pop("epoch"))
            values: dict[str, Any] = {
                name: float(text) if text else None for name, text in row.items()
            }
            results.append(EpochResult(epoch, **values))
    return results


def write_curves(path: Path, results: list[EpochResult]) -> None:
    """Draw loss and validation AUC against the epoch."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.set(xlabel="epoch", ylabel="training loss")
    marker = "o" if len(results) < 3 else None  # of one epoch a line shows nothing
    for axes, name, label, colour in (
        (left, "loss", None, "#444444"),
        (right, "auc", "patches alone", "#be0a1a"),
        (right, "mosaic_auc", "among foreign neighbours", "#008048"),
    ):
        values = [(r.epoch, getattr(r, name)) for r in results]
        known = [(epoch, value) for epoch, value in values if value is not None]
        if known:
            x, y = zip(*known, strict=True)
            axes.plot(x, y, label=label, color=colour, marker=marker)
    right.set(xlabel="epoch", ylabel="validation AUC")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    with atomic_path(path) as aside:
        figure.savefig(aside, dpi=150)
