"""Publishing of a trained network as a bundle: calibration, metrics, model card."""

from __future__ import annotations

import platform
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch

from napari_fastnet.core.appearance.flags import measure_gamut
from napari_fastnet.core.appearance.stain import STATISTICS_MPP, estimate
from napari_fastnet.core.metrics import patches
from napari_fastnet.core.metrics.calibration import Calibration, calibrate
from napari_fastnet.core.options import StainMethod
from napari_fastnet.model import training_facts
from napari_fastnet.model.backends.backend import FLIPS
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import ONNX_FILE, WEIGHTS_FILE
from napari_fastnet.model.card import section_of, write_card
from napari_fastnet.model.description import ModelDescription, Transform
from napari_fastnet.model.writing import describe_anew, write_bundle
from napari_fastnet.nn import checkpoint
from napari_fastnet.nn.classifier import PatchClassifier
from napari_fastnet.nn.counts import flop_count, parameter_count
from napari_fastnet.patches.mosaics import PatchPool, measure_scale
from napari_fastnet.slide.resample import resize
from napari_fastnet.training.adapt.home import home_patches

if TYPE_CHECKING:
    from napari_fastnet.core.appearance.flags import Gamut
    from napari_fastnet.core.appearance.stain import StainStatistics
    from napari_fastnet.core.arrays import Bytes, Floats, Singles
    from napari_fastnet.core.options import EvidenceScale
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.nn.classifier import Triple
    from napari_fastnet.nn.fastnet import FastNet
    from napari_fastnet.training.data import Part, TrainingData
    from napari_fastnet.training.fit import Trainer
    from napari_fastnet.training.train import TrainingJob


def publish(
    job: TrainingJob, trainer: Trainer[FastNet], data: TrainingData, *, command: str
) -> ModelBundle:
    """Write the bundle of a trained network, with the weights of its best epoch.

    The calibration is fitted on the validation patches, and the metrics are those of
    the same patches; the card says so. The lesion thresholds are fitted on mosaics of
    one half of them and measured on the other, where there are enough.

    Parameters
    ----------
    job : TrainingJob
        The training.
    trainer : Trainer
        After its last epoch.
    data : TrainingData
        As given to the trainer.
    command : str
        The command line, for the card.

    Returns
    -------
    ModelBundle
        As written and checked.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    network = trainer.kept.cpu().float().eval()
    if job.average_with:
        others = [checkpoint.load_weights(b.weights_path) for b in job.average_with]
        network = checkpoint.average_weights([network, *others])
    predict = partial(
        predicted, normalisation=trainer.normalisation, flips=job.model.flips
    )
    raw = predict(network, data.valid.images)
    calibration = calibrate(data.valid.labels, raw)
    if calibration.scale <= 0:  # worse than chance: no scale repairs the order
        calibration = Calibration()
    probabilities = calibration.apply(raw)
    points = patches.operating_points(data.valid.labels, probabilities)
    start = None
    if job.start_from is not None:
        start = checkpoint.load_weights(job.start_from.weights_path)
    also = [
        training_facts.OtherMetrics(
            **asdict(part.facts[0])
            | _metrics(
                part, calibration.apply(predict(network, part.images))
            ).to_dict(),
            auc_before=patches.roc_auc(part.labels, predict(start, part.images))
            if start
            else None,
        )
        for part in data.also
    ]
    stain, gamut = _appearance(trainer.train.images.numpy(), job.spacing_um_px)
    description = ModelDescription(
        name=job.model.name,
        version=job.model.version,
        patch_size_pixels=int(trainer.train.images.shape[1]),
        spacing_um_px=job.spacing_um_px,
        architecture=job.network,
        transform=Transform(trainer.normalisation),
        flips=job.model.flips,
        calibration=asdict(calibration),
        stain=stain,
        gamut=gamut,
        training=_training_facts(job, trainer, data, command),
        metrics=training_facts.ModelMetrics(
            data=data.valid.name,
            parameters=parameter_count(network),
            flops_256px=flop_count(network),
            **asdict(_metrics(data.valid, probabilities)),
            operating_points=tuple(
                training_facts.PointFacts(**asdict(point)) for point in points
            ),
            also=tuple(also),
        ),
    )
    bundle = write_network(job.folder, network, description)
    if (scale := _lesion_scale(bundle, data.valid)) is None:
        return bundle
    described = replace(description, lesions=scale)
    return describe_anew(bundle, described, write_card(described))


def _lesion_scale(bundle: ModelBundle, valid: Part) -> EvidenceScale | None:
    """Measure the lesion thresholds; None with too few validation patches."""
    pool = PatchPool(valid.images, np.asarray(valid.labels, bool))
    if not pool.half(second=False).suffices:
        return None
    return measure_scale(bundle, create_backend(bundle), pool, name=valid.name)


def predicted(
    network: FastNet,
    images: Bytes,
    *,
    normalisation: tuple[Triple, Triple],
    flips: bool = False,
) -> Singles:
    """Return uncalibrated probabilities, in single precision on the CPU as users get.

    ``images`` are (N, H, W, 3) uint8; with flips, their mirror images are averaged.
    """
    classifier = PatchClassifier(network, normalisation=normalisation)

    def predict(images: Bytes) -> Singles:
        with torch.inference_mode():
            parts = torch.from_numpy(images.copy()).split(256)
            found: Singles = torch.cat(list(map(classifier, parts))).numpy()
        return found

    views = [predict(np.flip(images, axes)) for axes in FLIPS if flips or not axes]
    mean: Singles = np.mean(views, axis=0, dtype=np.float32)
    return mean


def _metrics(part: Part, probabilities: Floats) -> patches.PatchMetrics:
    return patches.evaluate_probabilities(
        part.labels, probabilities, threshold=0.5, slides=part.slides
    )


def _appearance(
    images: Bytes, spacing_um_px: float
) -> tuple[dict[str, StainStatistics], Gamut | None]:
    """Measure stain and gamut of (N, side, side, 3) training patches.

    A stain method is left out where it finds no statistics, the gamut where too few
    patches tell.
    """
    # Slides are measured at this resolution, too.
    side = max(1, round(images.shape[1] * spacing_um_px / STATISTICS_MPP))
    coarse = [resize(image, (side, side)) for image in images]
    pixels = np.concatenate([image.reshape(-1, 3) for image in coarse])
    stain = {
        method: found
        for method in get_args(StainMethod)
        if method != "none" and (found := estimate(pixels, method)) is not None
    }
    return stain, measure_gamut(coarse, list(images))


def _training_facts(
    job: TrainingJob, trainer: Trainer[FastNet], data: TrainingData, command: str
) -> training_facts.TrainingFacts:
    tumor, start = data.train.labels, job.start_from
    return training_facts.TrainingFacts(
        command=command,
        data=tuple(facts.name for facts in data.train.facts),
        normal=int((~tumor).sum()),
        tumour=int(tumor.sum()),
        datasets=tuple(data.train.facts),
        valid=data.valid.facts[0],
        slides_apart=data.slides_apart,
        data_description=_in_a_line(job.model.data_description),
        data_licence=_in_a_line(job.model.data_licence),
        epochs=trainer.progress.epoch,
        kept_epoch=trainer.progress.kept_epoch,
        stopped=trainer.stopped,
        options=asdict(job.fit),
        teachers=tuple(job.teachers.digests) if job.teachers else (),
        teachers_share=job.fit.teachers_share if job.teachers else None,
        averaged_with=tuple(bundle.sha256 for bundle in job.average_with),
        started_from=start.sha256 if start else None,
        start=start_facts(start) if start else None,
        held_back=_held_back(job),
        torch=torch.__version__,
        python=platform.python_version(),
        machine=platform.machine(),
    )


def _held_back(job: TrainingJob) -> tuple[str, ...]:
    """Return the digest of the patches of the gate, if no model before saw them."""
    gate = home_patches("gate").facts.sha256
    before = [*job.average_with, *([job.start_from] if job.start_from else [])]
    unseen = all(gate in bundle.training.held_back for bundle in before)
    return (gate,) if unseen else ()


def _in_a_line(words: str | None) -> str | None:
    return " ".join((words or "").split()) or None


def start_facts(bundle: ModelBundle) -> training_facts.StartFacts:
    """Return the facts about a model that another begins with."""
    card = bundle.card()
    return training_facts.StartFacts(
        bundle.name,
        bundle.version,
        bundle.spacing_um_px,
        training=section_of(card, "Training"),
        licence=section_of(card, "Licence"),
    )


def write_network(
    folder: Path, network: FastNet, description: ModelDescription
) -> ModelBundle:
    """Write the bundle of a network: its weights, its graph, and the card."""
    with TemporaryDirectory() as place:
        weights, onnx = Path(place) / "weights", Path(place) / "onnx"
        checkpoint.save_weights(network, weights)
        checkpoint.export_onnx(
            network,
            onnx,
            patch_size=description.patch_size_pixels,
            calibration=description.calibration,
            normalisation=description.normalisation,
        )
        return write_bundle(
            folder,
            description,
            sources={WEIGHTS_FILE: weights, ONNX_FILE: onnx},
            card=write_card(description),
        )
