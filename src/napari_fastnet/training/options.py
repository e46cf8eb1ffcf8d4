"""What training is asked for, what it learns from, and what an epoch of it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from napari_fastnet.errors import OptionError
from napari_fastnet.training.augment import Augmentation

if TYPE_CHECKING:
    from torch import Tensor

    from napari_fastnet.nn.losses import LossName


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How FastNet is trained; every field is an option of the command line.

    Parameters
    ----------
    epochs, batch_size : int
        Passes over the data; patches a step.
    learning_rate, weight_decay : float
        Peak of the one-cycle schedule, and AdamW's decay.
    warm_up : float
        Share of the steps in which the learning rate rises.
    loss : {"attention", "focal", "cross-entropy"}
        See `PatchLoss`.
    loss_weight, focusing : float
        a and g of the loss.
    label_smoothing : float
        Labels become s/2 and 1 - s/2.
    copies : int
        Changed copies of the patches that are made once and drawn from; 0 changes
        patches anew for every batch.
    teachers_share : float
        Of the teachers' judgement in the labels, where there are teachers; 0 to 1.
    mosaic_share : float
        Share of the batches that are seen as one mosaic.
    average_decay : float
        Decay of the running mean of the weights, which is what is kept.
    precision : {"float32", "bfloat16"}
        Arithmetic of the network; bfloat16 where the processor has it.
    compiled : bool
        Compile the network first: minutes to start, then a third faster.
    seed : int
        Of all draws.
    augmentation : Augmentation
        How strongly patches are changed.
    """

    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    warm_up: float = 0.15
    loss: LossName = "attention"
    loss_weight: float = 1.2
    focusing: float = 2.0
    label_smoothing: float = 0.0
    copies: int = 0
    teachers_share: float = 0.5
    mosaic_share: float = 0.75
    average_decay: float = 0.998
    precision: Literal["float32", "bfloat16"] = "float32"
    compiled: bool = False
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise OptionError(
                f"epochs is {self.epochs} and batch_size {self.batch_size}; use at "
                "least 1 epoch and 2 patches a batch"
            )
        if self.copies < 0:
            raise OptionError(f"copies is {self.copies}; use 0 or more")
        for name in ("mosaic_share", "teachers_share"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise OptionError(f"{name} is {share}; use 0 to 1")


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What one epoch did; the AUCs are those of the averaged weights.

    Parameters
    ----------
    epoch : int
        From 1; 0 is what the training begins with.
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


@dataclass(frozen=True, slots=True)
class Patches:
    """Labelled patches in memory.

    Parameters
    ----------
    images : Tensor
        (N, H, W, 3) uint8 RGB.
    labels : Tensor
        (N,) float32, 1 = tumour.
    """

    images: Tensor
    labels: Tensor
