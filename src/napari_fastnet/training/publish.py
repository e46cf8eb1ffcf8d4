"""From a trained network to a model bundle: calibration, metrics, model card."""

from __future__ import annotations

import platform
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch

from napari_fastnet.core.appearance.flags import measure_gamut
from napari_fastnet.core.appearance.stain import STATISTICS_MPP, estimate
from napari_fastnet.core.metrics.calibration import Calibration, calibrate
from napari_fastnet.core.metrics.patches import (
    evaluate_probabilities,
    operating_points,
    roc_auc,
)
from napari_fastnet.core.options import StainMethod
from napari_fastnet.model.backends.flips import predict_with_flips
from napari_fastnet.model.card import section_of, write_card
from napari_fastnet.model.description import ModelDescription
from napari_fastnet.model.writing import write_bundle
from napari_fastnet.nn.checkpoint import (
    average_weights,
    export_onnx,
    load_weights,
    save_weights,
)
from napari_fastnet.nn.classifier import PatchClassifier
from napari_fastnet.nn.counts import flop_count, parameter_count
from napari_fastnet.slide.resample import resize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.nn.classifier import Triple
    from napari_fastnet.nn.fastnet import FastNet
    from napari_fastnet.training.batches import Patches
    from napari_fastnet.training.data import Part, TrainingData
    from napari_fastnet.training.fit import Trainer
    from napari_fastnet.training.train import TrainingJob


def publish(
    job: TrainingJob, trainer: Trainer[FastNet], data: TrainingData, *, command: str
) -> ModelBundle:
    """Write the bundle of a trained network, as its best epoch left it.

    The calibration is fitted on the validation patches, and the metrics are those of
    the same patches: they say so in the card.

    Parameters
    ----------
    job : TrainingJob
        What was trained.
    trainer : Trainer
        After its last epoch.
    data : TrainingData
        On what.
    command : str
        The command line, for the card.

    Returns
    -------
    ModelBundle
        What was written, checked.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    network = trainer.kept.cpu().float().eval()
    if job.average_with:
        others = [load_weights(bundle.weights_path) for bundle in job.average_with]
        network = average_weights([network, *others])
    # In single precision on the processor, as users will run it.
    judge = partial(_judged, network, trainer.normalisation, job.model.flips)
    labels = trainer.valid.labels.numpy() > 0.5
    raw = judge(trainer.valid)
    calibration = calibrate(labels, raw)
    if calibration.scale <= 0:  # worse than chance: no scale mends the order
        calibration = Calibration()
    probabilities = calibration.apply(raw)
    metrics = evaluate_probabilities(
        labels, probabilities, threshold=0.5, slides=data.valid.slides
    )
    coarse = _coarse(trainer.train, job.spacing_um_px)
    description = ModelDescription(
        name=job.model.name,
        version=job.model.version,
        patch_size_pixels=int(trainer.train.images.shape[1]),
        spacing_um_px=job.spacing_um_px,
        architecture=job.network.to_dict(),
        transform=_transform(trainer),
        flips=job.model.flips,
        calibration=asdict(calibration),
        stain=stain_targets(coarse),
        quality=quality_target(coarse, list(trainer.train.images.numpy())),
        training=_training_facts(job, trainer, data, command),
        metrics={
            "data": data.valid.name,
            "parameters": parameter_count(network),
            "flops_256px": flop_count(network),
            **asdict(metrics),
            "operating_points": [
                asdict(point) for point in operating_points(labels, probabilities)
            ],
            "also": [
                _also(job, trainer, part, calibration.apply(judge(part.patches)))
                for part in data.also
            ],
        },
    )
    with TemporaryDirectory() as folder:
        weights, onnx = Path(folder) / "weights", Path(folder) / "onnx"
        save_weights(network, weights)
        export_onnx(
            network,
            onnx,
            patch_size=description.patch_size_pixels,
            calibration=description.calibration,
            normalisation=description.normalisation,
        )
        return write_bundle(
            job.folder,
            description,
            weights=weights,
            onnx=onnx,
            card=write_card(description),
        )


def _judged(
    network: FastNet,
    normalisation: tuple[Triple, Triple],
    flips: bool,
    patches: Patches,
) -> NDArray[np.float32]:
    """Return probabilities in single precision, not calibrated."""
    classifier = PatchClassifier(network, normalisation=normalisation)

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            parts = torch.from_numpy(images.copy()).split(256)
            found: NDArray[np.float32] = torch.cat(list(map(classifier, parts))).numpy()
        return found

    return predict_with_flips(predict, patches.images.numpy(), flips)


def _also(
    job: TrainingJob,
    trainer: Trainer[FastNet],
    part: Part,
    probabilities: NDArray[np.float64],
) -> dict[str, Any]:
    """Return how the model, and the one it began with, judge other patches."""
    labels = part.patches.labels.numpy() > 0.5
    metrics = evaluate_probabilities(
        labels, probabilities, threshold=0.5, slides=part.slides
    )
    before = None
    if job.start_from is not None:
        start = load_weights(job.start_from.weights_path)
        before = roc_auc(
            labels, _judged(start, trainer.normalisation, job.model.flips, part.patches)
        )
    return {**part.facts[0].to_dict(), **metrics.to_dict(), "auc_before": before}


def stain_targets(coarse: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
    """Return the training data's colours, one entry for each stain method.

    Parameters
    ----------
    coarse : sequence of (side, side, 3) uint8 ndarray
        Training patches, at the resolution at which slides are measured.

    Returns
    -------
    dict
        Method to statistics; a method whose statistics cannot be told is left out.
    """
    pixels = np.concatenate([image.reshape(-1, 3) for image in coarse])
    found = {
        method: estimate(pixels, method)
        for method in get_args(StainMethod)
        if method != "none"
    }
    return {name: item.to_dict() for name, item in found.items() if item is not None}


def quality_target(
    coarse: Sequence[NDArray[np.uint8]], patches: Sequence[NDArray[np.uint8]]
) -> dict[str, Any]:
    """Return how the training data look, for ``model.json``; empty where too few say.

    Parameters
    ----------
    coarse, patches : sequence of (side, side, 3) uint8 ndarray
        Training patches, as for `measure_gamut`.

    Returns
    -------
    dict
        Of `Gamut`.
    """
    gamut = measure_gamut(coarse, patches)
    return {} if gamut is None else gamut.to_dict()


def _coarse(patches: Patches, spacing_um_px: float) -> list[NDArray[np.uint8]]:
    """Return the patches at the resolution at which slides are measured."""
    side = patches.images.shape[1]
    small = max(1, round(side * spacing_um_px / STATISTICS_MPP))
    return [resize(image.numpy(), (small, small)) for image in patches.images]


def _transform(trainer: Trainer[FastNet]) -> list[dict[str, Any]]:
    """Return what is done to uint8 patches, in WSInfer's words."""
    mean, std = (list(part) for part in trainer.normalisation)
    arguments = {"mean": mean, "std": std}
    return [{"name": "ToTensor"}, {"name": "Normalize", "arguments": arguments}]


def _training_facts(
    job: TrainingJob, trainer: Trainer[FastNet], data: TrainingData, command: str
) -> dict[str, Any]:
    labels = trainer.train.labels
    return {
        "command": command,
        "data": [facts.name for facts in data.train.facts],
        "normal": int((labels < 0.5).sum()),
        "tumour": int((labels >= 0.5).sum()),
        "datasets": [facts.to_dict() for facts in data.train.facts],
        "valid": data.valid.facts[0].to_dict(),
        "slides_apart": data.slides_apart,
        "data_description": _said(job.model.data_description),
        "data_licence": _said(job.model.data_licence),
        "epochs": trainer.epoch,
        "kept_epoch": trainer.progress.kept_epoch,
        "stopped": trainer.stopped,
        "options": asdict(job.fit),
        "teachers": list(job.teachers.digests) if job.teachers else [],
        "teachers_share": job.fit.teachers_share if job.teachers else None,
        "averaged_with": [bundle.sha256 for bundle in job.average_with],
        "started_from": job.start_from.sha256 if job.start_from else None,
        "start": _start(job.start_from) if job.start_from else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _said(words: str | None) -> str | None:
    """Return what a user says on one line, None where that is nothing."""
    return " ".join((words or "").split()) or None


def _start(bundle: ModelBundle) -> dict[str, Any]:
    """Return what a model to begin with says of itself."""
    card = bundle.card()
    return {
        "name": bundle.name,
        "version": bundle.version,
        "spacing_um_px": bundle.spacing_um_px,
        "training": section_of(card, "Training"),
        "licence": section_of(card, "Licence"),
    }
