"""Options of a training: the recipe, the changes to patches, the model card.

Free of torch and numpy, so that the command line takes its names, help and defaults from
here without loading either.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from napari_fastnet.errors import OptionError


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Strength of the random changes to training patches; 0 switches a change off.

    Parameters
    ----------
    stain_scale : float
        Standard deviation of the logarithm of each stain's amount.
    stain_shift : float
        Standard deviation of an added amount of each stain.
    stain_hue : float
        Standard deviation of the change of each stain's colour vector.
    brightness : float
        Standard deviation of the logarithm of each channel's gain.
    blur : float
        Share of patches that are blurred.
    jpeg : float
        Share of patches that are compressed.
    zoom : float
        Standard deviation of the logarithm of the magnification.
    shift_px : int
        Largest shift of a patch, px; its edge is mirrored.
    """

    stain_scale: float = 0.25
    stain_shift: float = 0.03
    stain_hue: float = 0.08
    brightness: float = 0.05
    blur: float = 0.15
    jpeg: float = 0.15
    zoom: float = 0.07
    shift_px: int = 4

    def scaled(self, factor: float) -> Augmentation:
        """Multiply all strengths by a factor, at least 0.

        Shares stop at 1; the shift is rounded to whole px.
        """
        if factor < 0:
            raise OptionError(f"augmentation is {factor}; use 0 (none) or more")
        scaled = {each.name: getattr(self, each.name) * factor for each in fields(self)}
        for share in ("blur", "jpeg"):
            scaled[share] = min(1.0, scaled[share])
        return Augmentation(**scaled | {"shift_px": round(scaled["shift_px"])})


# The digest of a training's state is taken over the repr of this: its fields, their
# order and the class's name are part of the file format.
@dataclass(frozen=True, slots=True)
class FitOptions:
    """Recipe by which a network is trained.

    Parameters
    ----------
    epochs : int
        Passes over the data.
    batch_size : int
        Patches per step; a square number for mosaics.
    learning_rate : float
        Peak of the one-cycle schedule, of AdamW; that of Muon is ten times as high.
    weight_decay : float
        Weight decay of the optimiser.
    warm_up : float
        Share of the steps in which the learning rate rises.
    loss : {"attention", "focal", "cross-entropy"}
        Loss of the paper to train with.
    loss_weight : float
        a of the loss; the paper gives no value.
    focusing : float
        g of the loss; the paper gives no value.
    label_smoothing : float
        Share s of smoothing: labels become s/2 and 1 - s/2.
    copies : int
        Augmented copies of the patches to make once and draw from, faster with teachers;
        0 augments anew for every batch.
    teachers_share : float
        Share of the teachers' probabilities in the labels, 0 to 1.
    mosaic_share : float
        Share of the batches that are seen as one mosaic, 0 to 1.
    average_decay : float
        Decay of the running mean of the weights; the mean is kept, not the weights.
    precision : {"float32", "bfloat16"}
        Arithmetic of the network.
    compiled : bool
        Compile the network first: minutes to start, then a third faster.
    seed : int
        Seed of all random draws.
    augmentation : Augmentation
        Strength of the random changes to patches; 0 is none, 1 the usual.
    foreign_stains : float
        Share of the patches in dyes of other hues, as of foreign laboratories, 0 to 1;
        others for every batch, and teachers judge the patches before.
    optimizer : {"adamw", "muon"}
        AdamW for all, or Muon for convolutions over several channels: better from drawn
        weights and with many patches, too rough for going on from a trained model.
    """

    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    warm_up: float = 0.15
    loss: Literal["attention", "focal", "cross-entropy"] = "attention"
    loss_weight: float = 1.2
    focusing: float = 4.0
    label_smoothing: float = 0.0
    copies: int = 0
    teachers_share: float = 0.5
    mosaic_share: float = 0.75
    average_decay: float = 0.998
    precision: Literal["float32", "bfloat16"] = "float32"
    compiled: bool = False
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    foreign_stains: float = 0.0
    optimizer: Literal["adamw", "muon"] = "adamw"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise OptionError(
                f"epochs is {self.epochs} and batch_size {self.batch_size}; use at "
                "least 1 epoch and 2 patches a batch"
            )
        if self.copies < 0:
            raise OptionError(f"copies is {self.copies}; use 0 or more")
        for name in ("mosaic_share", "teachers_share", "foreign_stains"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise OptionError(f"{name} is {share}; use 0 to 1")


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """Facts about a new model that only the user knows.

    Parameters
    ----------
    name : str
        Name of the model.
    version : str
        Version of the model.
    flips : bool
        Let the model average over mirror images of a patch, too.
    data_description : str or None
        Description of the data, for the model card.
    data_licence : str or None
        Licence of the data, for the model card.
    """

    name: str = "fastnet"
    version: str = "1.0"
    flips: bool = False
    data_description: str | None = None
    data_licence: str | None = None
