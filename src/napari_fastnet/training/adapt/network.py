"""Teaching of a network: a few steps on labelled patches, half of each batch from home."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor
from torch.nn import functional
from torch.optim import AdamW

from napari_fastnet.training import mosaic
from napari_fastnet.training.augment import turn

if TYPE_CHECKING:
    from collections.abc import Generator as Steps
    from collections.abc import Iterator

    from napari_fastnet.nn.classifier import Triple
    from napari_fastnet.nn.fastnet import FastNet
    from napari_fastnet.training.batches import Patches


@dataclass(frozen=True, slots=True)
class Recipe:
    """Recipe of a teaching.

    Parameters
    ----------
    steps : int
        Batches.
    seed : int
        Seed of all random draws.
    batch_size : int
        Patches a step, a square number: they are seen as one mosaic.
    from_home : int
        Those of them that are from home; the others are half tumor, half normal.
    learning_rate : float
        Of AdamW.
    """

    steps: int = 150
    seed: int = 0
    batch_size: int = 16
    from_home: int = 8
    learning_rate: float = 1e-3


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
    optimizer = AdamW(network.parameters(), recipe.learning_rate, weight_decay=0.0)
    generator = Generator().manual_seed(recipe.seed)
    for done, (images, labels) in enumerate(
        _batches(examples, home, recipe, generator), start=1
    ):
        optimizer.zero_grad(set_to_none=True)
        logits = mosaic.logits(network, (images.float() / 255 - mean) / std)
        margin = logits[:, 1] - logits[:, 0]
        functional.binary_cross_entropy_with_logits(margin, labels).backward()
        optimizer.step()
        yield done
    return network.requires_grad_(False)


def _batches(
    examples: Patches, home: Patches, recipe: Recipe, generator: Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled batches of turned patches, (N, H, W, 3) uint8, and their labels."""
    classes = [
        torch.nonzero(examples.labels > 0.5),
        torch.nonzero(examples.labels <= 0.5),
    ]
    taught = recipe.batch_size - recipe.from_home
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
        order = torch.randperm(len(images), generator=generator)
        yield turn(images[order], generator), labels[order]
