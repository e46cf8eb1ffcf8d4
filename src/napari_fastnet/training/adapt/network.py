"""Teaching of a network: a few steps on labelled patches, half of each batch from home."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from napari_fastnet.training import mosaic
from napari_fastnet.training.augment import augment, dye_anew
from napari_fastnet.training.options import Augmentation

if TYPE_CHECKING:
    from collections.abc import Generator as Steps
    from collections.abc import Iterator

    from napari_fastnet.nn.classifier import Triple
    from napari_fastnet.nn.fastnet import FastNet
    from napari_fastnet.training.batches import Patches

#: Layers that see colour and texture: of `FastNet.features`, the stem and two stages. They
#: differ between laboratories the most, and are taught the fastest.
EARLY_LAYERS = 7
# Share of the steps in which the learning rate rises.
_WARM_UP = 0.15


@dataclass(frozen=True, slots=True)
class Recipe:
    """Recipe of a teaching; docs/explain/teaching.md has what else was tried.

    Parameters
    ----------
    steps : int
        Batches.
    seed : int
        Seed of all random draws.
    batch_size : int
        Patches a step, a square number: most batches are seen as one mosaic.
    from_home : int
        Those of them that are from home; the others are half tumor, half normal.
    learning_rate : float
        Peak of the early layers' one-cycle schedule.
    later : float
        Share of it that the other layers get.
    kept : float
        Share of what was learned that is kept: the weights lie between the old ones, 0,
        and those that were reached, 1.
    augmentation : float
        Strength of the random changes to patches.
    mosaic_share : float
        Share of the batches that are seen as one mosaic.
    foreign_home : float
        Share of the patches from home in dyes of other hues, so that a network which bears
        foreign stains does not unlearn it.
    """

    steps: int = 100
    seed: int = 0
    batch_size: int = 16
    from_home: int = 8
    learning_rate: float = 1e-3
    later: float = 0.3
    kept: float = 0.75
    augmentation: float = 0.7
    mosaic_share: float = 0.75
    foreign_home: float = 0.8


def fit_network(
    start: FastNet,
    normalisation: tuple[Triple, Triple],
    examples: Patches,
    home: Patches,
    recipe: Recipe,
) -> Steps[int, None, FastNet]:
    """Teach a copy of a network; yield after each step, return the network at the end.

    Parameters
    ----------
    start : FastNet
        Not changed.
    normalisation : tuple of tuples
        Mean and standard deviation of each channel in 0..1.
    examples, home : Patches
        To learn, and to mix in; both classes in each, patches of one size.
    recipe : Recipe
        The recipe.

    Returns
    -------
    FastNet
        In evaluation mode. The same patches and recipe give the same weights.

    Yields
    ------
    int
        Steps done.
    """
    network = copy.deepcopy(start).eval()  # BatchNorm keeps its statistics
    mean, std = torch.tensor(normalisation)
    optimizer, schedule = _optimizer(network, recipe)
    generator = Generator().manual_seed(recipe.seed)
    batches = _batches(examples, home, recipe, generator)
    for done, (images, labels) in enumerate(batches, start=1):
        as_mosaic = torch.rand(1, generator=generator).item() < recipe.mosaic_share
        predict = mosaic.logits if as_mosaic else mosaic.logits_alone
        optimizer.zero_grad(set_to_none=True)
        logits = predict(network, (images - mean) / std)
        margin = logits[:, 1] - logits[:, 0]
        functional.binary_cross_entropy_with_logits(margin, labels).backward()
        optimizer.step()
        schedule.step()
        yield done
    with torch.no_grad():
        for new, old in zip(network.parameters(), start.parameters(), strict=True):
            new.copy_(old.lerp(new, recipe.kept))
    return network.requires_grad_(False)


def _optimizer(network: FastNet, recipe: Recipe) -> tuple[AdamW, OneCycleLR]:
    """Return an optimiser, by which the early layers learn faster, and its schedule."""
    early = list(network.features[:EARLY_LAYERS].parameters())
    later = [
        *network.features[EARLY_LAYERS:].parameters(),
        *network.classify.parameters(),
    ]
    rates = [recipe.learning_rate, recipe.learning_rate * recipe.later]
    optimizer = AdamW([{"params": early}, {"params": later}], weight_decay=0.0)
    schedule = OneCycleLR(
        optimizer, rates, total_steps=recipe.steps, pct_start=_WARM_UP
    )
    return optimizer, schedule


def _batches(
    examples: Patches, home: Patches, recipe: Recipe, generator: Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of changed patches, (N, H, W, 3) float in 0..1, and their labels."""
    classes = [
        torch.nonzero(examples.labels > 0.5),
        torch.nonzero(examples.labels <= 0.5),
    ]
    taught = recipe.batch_size - recipe.from_home
    changes = Augmentation().scaled(recipe.augmentation)
    for _ in range(recipe.steps):
        drawn = [
            each[torch.randint(len(each), (count,), generator=generator)].flatten()
            for each, count in zip(
                classes, (taught // 2, taught - taught // 2), strict=True
            )
        ]
        chosen = torch.cat(drawn)
        others = torch.randint(
            len(home.images), (recipe.from_home,), generator=generator
        )
        images = torch.cat([examples.images[chosen], home.images[others]])
        labels = torch.cat([examples.labels[chosen], home.labels[others]])
        images = augment(images, changes, generator)
        foreign = dye_anew(images[taught:], recipe.foreign_home, generator)
        images = torch.cat([images[:taught], foreign])
        order = torch.randperm(len(images), generator=generator)
        yield images[order], labels[order]
