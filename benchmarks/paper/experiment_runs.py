"""Does the paper's experiments, and keeps a line of each training in a CSV file.

A training that has its line is not done again, so that an experiment that was stopped
goes on where it was. Several processes may share the work: each training is held by one.
"""

from __future__ import annotations

import json
import platform
import re
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator

from experiment_log import LOG, append, keys, written
from experiments import NETWORKS
from napari_fastnet import __version__
from napari_fastnet.core.metrics.intervals import METRICS
from napari_fastnet.core.metrics.patches import evaluate_probabilities
from napari_fastnet.errors import BusyError, OptionError
from napari_fastnet.nn.counts import flop_count, parameter_count
from napari_fastnet.store.lock import hold
from napari_fastnet.training.batches import Patches
from napari_fastnet.training.data import read_part, refuse_shared
from napari_fastnet.training.fit import Trainer
from napari_fastnet.training.options import Augmentation, FitOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from experiments import Run

_CLAIMS = "running"

#: The recipe of every training; a network of 40 and one of 4000 thousand parameters
#: get the same. Loss, seed and epochs are added. Of the changes to patches, only turns
#: and stains: the others cost a fifth of the time, and a short training is not long
#: enough to learn patches by heart.
RECIPE = FitOptions(
    batch_size=32,
    learning_rate=2e-3,
    mosaic_share=0.0,
    augmentation=Augmentation(
        stain_scale=0.12,
        stain_shift=0.015,
        stain_hue=0.04,
        brightness=0.025,
        blur=0,
        jpeg=0,
        zoom=0,
        shift_px=0,
    ),
)
_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class ExperimentJob:
    """On what an experiment's networks are trained, for how long, and where.

    Parameters
    ----------
    train, valid : Path
        Tars or folders of patches with 0/ and 1/, of different slides.
    folder : Path
        The log goes there.
    budget : int
        Patches that each training sees, the same ones for all: each patch once as far
        as they reach.
    device : str
        Where to compute, as torch names it.
    """

    train: Path
    valid: Path
    folder: Path
    budget: int
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class RunDone:
    """A training that has its line in the log.

    Parameters
    ----------
    run : Run
        Which.
    auc, f1 : float or None
        On the validation patches.
    seconds : float
        Time it took, pauses included.
    done, total : int
        Trainings that are in the log, and those that were asked for.
    """

    run: Run
    auc: float | None
    f1: float | None
    seconds: float
    done: int
    total: int


def run_experiments(job: ExperimentJob, runs: list[Run]) -> Iterator[RunDone]:
    """Do what the log does not have yet.

    What another process is busy with is left to it.

    Parameters
    ----------
    job : ExperimentJob
        Data, budget and folder.
    runs : list of Run
        In the order in which to do them.

    Yields
    ------
    RunDone
        After its line was written.

    Raises
    ------
    OptionError
        The budget does not fill a batch.
    DataError
        Data are missing or not to be understood, or the log is no log.
    """
    if job.budget < RECIPE.batch_size:
        raise OptionError(
            f"budget is {job.budget} patches; use at least {RECIPE.batch_size}, a batch"
        )
    log = job.folder / LOG
    if all(_key(job, run) in keys(log) for run in runs):
        return
    options, train, valid = _data(job)
    for run in runs:
        with claimed(job, run) as mine:
            if not mine or _key(job, run) in keys(log):
                continue
            row = _trained(job, run, options, train, valid)
            append(log, row)
        logged = keys(log)
        done = sum(_key(job, run) in logged for run in runs)
        yield RunDone(run, row["auc"], row["f1"], row["seconds"], done, len(runs))


def _key(job: ExperimentJob, run: Run) -> tuple[str, ...]:
    """Return what a training is told from others by."""
    return tuple(written(value) for value in (*asdict(run).values(), job.budget))


@contextmanager
def claimed(job: ExperimentJob, run: Run) -> Iterator[bool]:
    """Hold a training; yield False where another process does."""
    name = re.sub(r"[^\w.-]+", "_", "-".join(_key(job, run)))
    folder = job.folder / _CLAIMS / name
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(folder, wait_s=0))
        except BusyError:
            yield False
            return
        yield True


def _data(job: ExperimentJob) -> tuple[FitOptions, Patches, Patches]:
    """Return the recipe, the patches that all see, and those they are judged on."""
    parts = read_part([job.train], None), read_part([job.valid], None)
    refuse_shared(*parts)
    every, valid = (part.patches for part in parts)
    epochs = -(-job.budget // len(every.images))
    order = torch.randperm(len(every.images), generator=Generator().manual_seed(0))
    chosen = order[: job.budget // epochs]
    train = Patches(every.images[chosen], every.labels[chosen])
    return replace(RECIPE, epochs=epochs), train, valid


def _trained(
    job: ExperimentJob, run: Run, recipe: FitOptions, train: Patches, valid: Patches
) -> dict[str, Any]:
    """Train one network and return its line of the log."""
    began, began_cpu = perf_counter(), process_time()
    options = replace(recipe, loss=run.loss, seed=run.seed)
    if run.weight is not None and run.focusing is not None:
        options = replace(options, loss_weight=run.weight, focusing=run.focusing)
    network = NETWORKS[run.network]()
    trainer = Trainer(NETWORKS[run.network], train, valid, options, job.device)
    for epoch in trainer.run():
        loss = epoch.loss
    labels = valid.labels.numpy() > 0.5
    probabilities = trainer.probabilities(valid.images).numpy()
    metrics = evaluate_probabilities(labels, probabilities, threshold=_THRESHOLD)
    return {
        **asdict(run),
        "budget": job.budget,
        "parameters": parameter_count(network),
        "flops_256px": flop_count(network),
        "training_loss": loss,
        **_columns(metrics.to_dict()),
        "seconds": round(perf_counter() - began, 1),
        "cpu_seconds": round(process_time() - began_cpu, 1),
        "threads": torch.get_num_threads(),
        "device": job.device,
        "train": f"{len(train.images)} of {job.train.name}",
        "valid": job.valid.name,
        "options": json.dumps(asdict(options)),
        "versions": _versions(),
        "finished": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def _columns(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return each measure and the ends of its interval as columns."""
    columns = {name: metrics[name] for name in ("n", "positives", "threshold")}
    for name in METRICS:
        low, high = metrics["ci95"][name] or (None, None)
        columns |= {name: metrics[name], f"{name}_low": low, f"{name}_high": high}
    return columns


def _versions() -> str:
    found = [f"napari-fastnet {__version__}", f"Python {platform.python_version()}"]
    for name in ("torch", "pytorchcv"):
        with suppress(PackageNotFoundError):  # only the peers need the latter
            found.append(f"{name} {version(name)}")
    return ", ".join(found)
