"""A training from its data to the bundle, for the command line and for Python."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_fastnet.nn.options import FastNetConfig
from napari_fastnet.training import train
from napari_fastnet.training.data import read_training_data
from napari_fastnet.training.publish import publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.training.fit import EpochResult


def train_model(
    job: train.TrainingJob,
    *,
    command: str,
    progress: Callable[[EpochResult], object],
    warn: Callable[[str], object],
    resumed: Callable[[int], object] = lambda epochs: None,
) -> ModelBundle:
    """Train a network and write its bundle, or go on with a training that was interrupted.

    Parameters
    ----------
    job : TrainingJob
        The training. The network is a variant of the model to start from where no
        option of the network is set.
    command : str
        The command line, for the card.
    progress : callable
        Called with the figures of each epoch.
    warn : callable
        Called with each reason to doubt the data or the model, a sentence.
    resumed : callable, optional
        Called with the number of epochs that were finished before, if any.

    Returns
    -------
    ModelBundle
        As written and checked.
    """
    if job.start_from is not None and job.network == FastNetConfig():
        job = replace(job, network=job.start_from.architecture)
    train.check_output(job)
    for sentence in train.spacing_warnings(job):
        warn(sentence)
    data = read_training_data(job.data, job.valid, job.also)
    for sentence in data.warnings:
        warn(sentence)
    trainer = train.build_trainer(job, data)
    if begun := trainer.resume(job.log_folder / train.STATE):
        resumed(begun)
    for result in train.run_training(job, trainer):
        progress(result)
        if (doubt := train.doubt(result, job)) is not None:
            warn(doubt)
    if trainer.stopped:
        warn(
            f"the training ended after epoch {trainer.progress.epoch}: {trainer.stopped}"
        )
    bundle = publish(job, trainer, data, command=command)
    if bundle.training.kept_epoch == 0:
        warn(
            "no epoch was better than the model it began with, whose weights are kept; "
            "use a lower learning rate or more patches, and see that 1/ is tumor in both "
            "parts"
        )
    auc = bundle.metrics.auc
    if auc is not None and auc < 0.5:
        warn(
            f"the model is worse than chance on {bundle.metrics.data}, AUC {auc:.4f}: are "
            "0/ and 1/ exchanged? 1/ is tumor"
        )
    return bundle
