"""Batches for a network in training: patches changed at random, and their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Generator, Tensor

from napari_fastnet.errors import OptionError
from napari_fastnet.training import mosaic
from napari_fastnet.training.augment import augment, dye_anew, turn

if TYPE_CHECKING:
    from napari_fastnet.training.options import FitOptions

# Patches that are augmented, and given to teachers, at once.
_PART = 512
# Keeps the draws of prepared copies apart from those of epochs.
_COPIES_SEED = 7_919


@dataclass(frozen=True, slots=True)
class Patches:
    """Labelled patches in memory.

    Parameters
    ----------
    images : Tensor
        (N, H, W, 3) uint8 RGB.
    labels : Tensor
        (N,) float32, 1 = tumor.
    """

    images: Tensor
    labels: Tensor


class Teacher(Protocol):
    """A trained network, or several."""

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of the weights."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return the (N,) probabilities of (N, H, W, 3) float patches in 0..1."""


class Batches:
    """The training patches, augmented anew for every batch or drawn from ready copies.

    To augment patches and ask teachers costs more than a step of a small network. Copies
    that were made once are used over and over, turned and flipped anew each time.

    Parameters
    ----------
    patches : Patches
        Patches to learn from.
    options : FitOptions
        Strength of the augmentation, and number of copies; 0 augments anew.
    teachers : Teacher, optional
        Networks whose probabilities of the augmented patches go into the labels.

    Raises
    ------
    OptionError
        The patches do not fill a batch, or a batch forms no mosaic.
    """

    def __init__(
        self, patches: Patches, options: FitOptions, teachers: Teacher | None
    ) -> None:
        if len(patches.images) < options.batch_size:
            raise OptionError(
                f"{len(patches.images)} training patches do not fill a batch of "
                f"{options.batch_size}; give more patches or a smaller batch"
            )
        if options.mosaic_share:
            mosaic.patches_a_side(options.batch_size, patches.images.shape[1])
        self._patches, self._options, self._teachers = patches, options, teachers
        self._copies: list[tuple[Tensor, Tensor]] = []

    def draw(self, chosen: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return a batch: (N, H, W, 3) float in 0..1, and (N,) labels in 0..1.

        ``chosen`` are the (N,) indices of its patches.
        """
        if self._options.copies:
            images, labels = self._from_copies(chosen, generator)
        else:
            images, labels = self._augmented(chosen, generator)
        if self._options.foreign_stains:  # after the teachers, and anew each time
            images = dye_anew(images, self._options.foreign_stains, generator)
        return images, labels

    def _from_copies(
        self, chosen: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        if not self._copies:
            self._copies = [self._copy(n) for n in range(self._options.copies)]
        which = int(torch.randint(len(self._copies), (1,), generator=generator))
        images, labels = self._copies[which]
        return turn(images[chosen], generator).float() / 255, labels[chosen]

    def _augmented(self, chosen: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        options = self._options
        images = augment(self._patches.images[chosen], options.augmentation, generator)
        labels = self._patches.labels[chosen]
        if self._teachers is not None:
            labels = labels.lerp(self._teachers(images), options.teachers_share)
        return images, labels

    def _copy(self, number: int) -> tuple[Tensor, Tensor]:
        """Return a copy of all patches: uint8 images and labels."""
        seed = self._options.seed * 100_003 + _COPIES_SEED + number
        generator = Generator().manual_seed(seed)
        images = torch.empty_like(self._patches.images)
        labels = torch.empty_like(self._patches.labels)
        for part in torch.arange(len(images)).split(_PART):
            augmented, labels[part] = self._augmented(part, generator)
            images[part] = (augmented * 255).round().to(torch.uint8)
        return images, labels
