"""Training epoch by epoch: resumable, and the same for the same seed."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import numpy as np
import torch
from torch import Generator, Tensor
from torch.optim.swa_utils import AveragedModel

from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.errors import OptionError
from napari_fastnet.nn.losses import PatchLoss
from napari_fastnet.nn.network import TUMOR, PatchNetwork
from napari_fastnet.training import mosaic
from napari_fastnet.training.batches import Batches, Patches, Teacher
from napari_fastnet.training.optimiser import Optimiser
from napari_fastnet.training.state import Progress, TrainingState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.nn.classifier import Triple
    from napari_fastnet.training.options import FitOptions


_EVALUATION_BATCH = 256
Tensors = tuple[Tensor, ...] | list[Tensor]
NetworkT = TypeVar("NetworkT", bound=PatchNetwork)


def running_mean(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Return a rule for `AveragedModel` that keeps a share of the mean at each step.

    The share rises to ``decay``, 0 to 1, over the first steps, so that a short training
    is not held back by the weights it began with.
    """

    def follow(mean: Tensors, current: Tensors, steps: Tensor | int) -> None:
        kept = min(decay, (1 + float(steps)) / (10 + float(steps)))
        for old, new in zip(mean, current, strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - kept)
            else:  # batch norm's counter of batches
                old.copy_(new)

    return follow


def channel_statistics(images: Tensor) -> tuple[Triple, Triple]:
    """Return mean and standard deviation of each channel in 0..1, to 4 digits.

    ``images`` are (N, H, W, 3) uint8; a standard deviation is at least 1e-3.

    The first convolution has no bias. Fed with 0..1, which is all positive, a filter
    is either above zero everywhere or nowhere, and its ReLU is dead or does nothing:
    46 of 64 filters were dead in a network that was trained so.
    """
    # A sum over all px overflows single precision; a sample has the same statistics.
    sample = images[:: max(1, len(images) // 2000)].double().flatten(0, 2) / 255
    mean, std = sample.mean(dim=0), sample.std(dim=0).clamp(min=1e-3)
    means, stds = (tuple(round(float(v), 4) for v in part) for part in (mean, std))
    return (means[0], means[1], means[2]), (stds[0], stds[1], stds[2])


@dataclass(frozen=True, slots=True)
class EpochResult:
    """Figures of one epoch; the AUCs are those of the averaged weights.

    Parameters
    ----------
    epoch : int
        From 1; 0 is the model that training begins with.
    seconds : float
        Time of the epoch, evaluation included.
    learning_rate : float
        At the end of the epoch.
    loss : float or None
        Mean over the epoch's steps; None before the first.
    auc, mosaic_auc : float or None
        On the validation patches, each alone and each in a mosaic of others; None
        where it is undefined.
    accuracy : float
        On the validation patches at a probability of one half.
    """

    epoch: int
    seconds: float
    learning_rate: float
    loss: float | None
    auc: float | None
    mosaic_auc: float | None
    accuracy: float


class Trainer(Generic[NetworkT]):
    """A network in training: weights, their running mean, optimiser and schedule.

    Parameters
    ----------
    build : callable
        Builds the network with newly drawn weights.
    train, valid : Patches
        Patches to learn from and to watch; all of one size.
    options : FitOptions
        Recipe.
    device : str
        Where to compute, as torch names it.
    normalisation : tuple of tuples, optional
        Mean and standard deviation of each channel in 0..1, which become 0 and 1 for
        the network; those of the training patches by default.
    teachers : Teacher, optional
        Networks whose probabilities are mixed into the labels.
    """

    def __init__(
        self,
        build: Callable[[], NetworkT],
        train: Patches,
        valid: Patches,
        options: FitOptions,
        device: str = "cpu",
        *,
        normalisation: tuple[Triple, Triple] | None = None,
        teachers: Teacher | None = None,
    ) -> None:
        self.batches = Batches(train, options, teachers)
        torch.manual_seed(options.seed)
        self.train, self.valid, self.options = train, valid, options
        self.teachers = teachers
        self.normalisation = normalisation or channel_statistics(train.images)
        self.device = torch.device(device)
        self.model = build().to(self.device)
        # The layout that convolutions like best; mypy does not know the option.
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        follow = running_mean(options.average_decay)
        self.average = AveragedModel(self.model, multi_avg_fn=follow, use_buffers=True)
        self.loss = PatchLoss(options.loss, options.loss_weight, options.focusing)
        self.steps = len(train.images) // options.batch_size
        self.optimiser = Optimiser(self.model, options, self.steps * options.epochs)
        #: The averaged weights of the best epoch, by AUC on the validation patches.
        self.kept = copy.deepcopy(self.averaged)
        #: Epochs finished, and more; the caller fills `Progress.context`.
        self.progress = Progress(options=asdict(options))
        self._state = TrainingState(
            self.progress,
            {"model": self.model, "average": self.average, "kept": self.kept},
            self.optimiser.parts,
        )
        self._begun_with_a_model = False
        #: Reason why the training ended before its last epoch.
        self.stopped: str | None = None
        if options.compiled:
            # The method and not the layers: those are compiled one by one.
            compiled = torch.compile(self.model.extract, dynamic=False)
            self.model.extract = compiled  # type: ignore[method-assign]

    @property
    def averaged(self) -> NetworkT:
        """The network with the running mean of the weights, in evaluation mode."""
        return cast("NetworkT", self.average.module).eval()

    def start_from(self, network: NetworkT) -> None:
        """Begin with the weights of a network of the same variant."""
        weights = network.state_dict()
        for own in (self.model, self.averaged, self.kept):
            own.load_state_dict(weights)
        self._begun_with_a_model = True

    def resume(self, state: Path) -> int:
        """Go on from a state on disk, if there is one, and return the epochs finished.

        DataError where the state is damaged, or of other data or options.
        """
        if state.exists():
            self._state.restore(state, self._fingerprint)
            if self.progress.kept_epoch is None:  # of version 0.1, which kept the last
                self._keep(self._evaluate(None, perf_counter()))
        return self.progress.epoch

    def run(self, state: Path | None = None) -> Iterator[EpochResult]:
        """Train to the last epoch, yielding after each.

        Parameters
        ----------
        state : Path, optional
            File for the state after each epoch. If it exists, training goes on
            after the epoch it holds and ends as if it had never stopped.

        Yields
        ------
        EpochResult
            After the state was saved. Epoch 0 is the model that the training began
            with, if any.

        Raises
        ------
        OptionError
            The numbers of the first epoch overflow. Where those of a later one do, the
            training ends, with the reason in `stopped`.
        """
        progress = self.progress
        if state is not None and not progress.epoch:
            self.resume(state)
        if self._begun_with_a_model and not progress.epoch:
            yield self._keep(self._evaluate(None, perf_counter()))
        while progress.epoch < self.options.epochs:
            began = perf_counter()
            loss = self._train_epoch()
            result = self._evaluate(loss, began)
            if not np.isfinite([loss, result.accuracy]).all():
                words = (
                    f"the loss of epoch {progress.epoch + 1} is not a number; use a "
                    f"lower learning rate than {self.options.learning_rate:g}, or float32"
                )
                if not progress.epoch:
                    raise OptionError(words)
                self.stopped = words
                return
            progress.epoch += 1
            self._keep(result)
            if state is not None:
                self._state.save(state, self._fingerprint)
            yield result

    def _keep(self, result: EpochResult) -> EpochResult:
        """Keep the averaged weights if no epoch was better; of equals, the last."""
        best, auc = self.progress.kept_auc, result.auc
        if best is None or (auc is not None and auc >= best):
            self.progress.kept_epoch, self.progress.kept_auc = self.progress.epoch, auc
            self.kept.load_state_dict(self.averaged.state_dict())
        return result

    @cached_property
    def _fingerprint(self) -> str:
        """Hash of recipe and data."""
        taught_by = self.teachers.digests if self.teachers else ()
        recipe = (self.options, self.model.config, self.normalisation, taught_by)
        content = hashlib.sha256(repr(recipe).encode())
        for tensor in (self.train.images, self.train.labels):
            content.update(tensor.numpy().tobytes())
        return content.hexdigest()

    def _train_epoch(self) -> float:
        """Pass over the training patches once and return the mean loss."""
        # One generator an epoch, so that a resumed run draws what it would have.
        seed = self.options.seed * 100_003 + self.progress.epoch
        generator = Generator().manual_seed(seed)
        order = torch.randperm(len(self.train.images), generator=generator)
        batches = order.split(self.options.batch_size)[: self.steps]
        self.model.train()
        return sum(self._step(chosen, generator) for chosen in batches) / self.steps

    def _step(self, chosen: Tensor, generator: Generator) -> float:
        """Learn from one batch and return its loss."""
        options = self.options
        images, labels = self.batches.draw(chosen, generator)
        images = self._normalised(images.to(self.device))
        labels = labels.to(self.device)
        labels = labels * (1 - options.label_smoothing) + options.label_smoothing / 2
        as_mosaic = torch.rand(1, generator=generator).item() < options.mosaic_share
        predict = mosaic.logits if as_mosaic else mosaic.logits_alone
        self.optimiser.zero_grad()
        with self._arithmetic():
            logits = predict(self.model, images)
        loss: Tensor = self.loss(logits.float(), labels)
        loss.backward()
        self.optimiser.step()
        self.average.update_parameters(self.model)
        return loss.item()

    def _prepared(self, images: Tensor) -> Tensor:
        """Return uint8 patches as the network's input."""
        return self._normalised(images.float() / 255)

    def _normalised(self, images: Tensor) -> Tensor:
        """Normalise patches in 0..1, channels last."""
        mean, std = torch.tensor(self.normalisation, device=images.device)
        normalised: Tensor = (images - mean) / std
        return normalised

    def _arithmetic(self) -> torch.autocast:
        enabled = self.options.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _evaluate(self, loss: float | None, began: float) -> EpochResult:
        """Evaluate the averaged weights; the accuracy of NaN is NaN."""
        alone = self.probabilities(self.valid.images).numpy()
        labels = self.valid.labels.numpy() > 0.5
        among = None
        if self.options.mosaic_share:
            among = roc_auc(labels, self._probabilities_in_mosaics())
        right = np.where(np.isfinite(alone), (alone >= 0.5) == labels, np.nan)
        return EpochResult(
            epoch=self.progress.epoch + (loss is not None),
            seconds=perf_counter() - began,
            learning_rate=self.optimiser.learning_rate,
            loss=loss,
            auc=roc_auc(labels, alone),
            mosaic_auc=among,
            accuracy=float(np.mean(right)),
        )

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the averaged network's (N,) float32 probabilities, on the CPU.

        ``images`` are (N, H, W, 3) uint8.
        """
        model = self.averaged
        parts = []
        with torch.inference_mode(), self._arithmetic():
            for batch in images.split(_EVALUATION_BATCH):
                logits = mosaic.logits_alone(
                    model, self._prepared(batch.to(self.device))
                )
                parts.append(logits.float().softmax(dim=1)[:, TUMOR].cpu())
        return torch.cat(parts)

    def _probabilities_in_mosaics(self) -> NDArray[np.float32]:
        """Return the validation patches' probabilities among foreign neighbours."""
        images = self.valid.images
        order = torch.randperm(len(images), generator=Generator().manual_seed(0))
        side = mosaic.patches_a_side(self.options.batch_size, images.shape[1])
        shuffled = images[order].to(self.device)
        probabilities = torch.empty(len(images))
        with self._arithmetic():
            probabilities[order] = mosaic.probabilities(
                self.averaged, shuffled, side, self._prepared
            ).cpu()
        return probabilities.numpy()
