"""Training on mosaics, so that a patch's neighbours do not change its probability.

FastNet pads its blocks with zeros, and a network that only ever saw single patches
learns to lean on that frame. In a slide there is no frame: the neighbours of a patch
are tissue. Laying a batch out as one square mosaic and pooling each patch over its
own cells of the feature map costs nothing and takes the frame away.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from napari_fastnet.core.dense import CELL_PX
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fastnet.nn.network import PatchNetwork


def patches_a_side(batch_size: int, patch_px: int) -> int:
    """Return the side of a batch's mosaic in patches.

    OptionError where the batch is no square number, or the patch no multiple of 16 px,
    the step of the feature map.
    """
    side = isqrt(batch_size)
    if side * side != batch_size:
        raise OptionError(
            f"a mosaic needs a square number of patches, got a batch of {batch_size}; "
            f"use {side * side}, or a mosaic share of 0"
        )
    if patch_px % CELL_PX:
        raise OptionError(
            f"patches of {patch_px} px cannot form a mosaic; use a multiple of "
            f"{CELL_PX} px, or a mosaic share of 0"
        )
    return side


def lay_out(patches: Tensor) -> Tensor:
    """Lay (S * S, H, W, 3) patches out, row by row, as a (1, S * H, S * W, 3) picture."""
    side = isqrt(len(patches))
    _, height, width, channels = patches.shape
    rows = patches.unflatten(0, (side, side)).permute(0, 2, 1, 3, 4)
    picture: Tensor = rows.reshape(1, side * height, side * width, channels)
    return picture


def take_apart(features: Tensor, side: int) -> Tensor:
    """Cut a mosaic's feature map into the cells that each patch has to itself.

    From (1, C, S * k - 1, S * k - 1) to (S * S, C, k - 1, k - 1), row by row; ``side`` is
    S. A patch of 16 k px alone gives k - 1 cells a side; in the mosaic patches lie k
    cells apart, and the cell that straddles two patches is dropped.
    """
    padded = functional.pad(features[0], (0, 1, 0, 1))
    pitch = padded.shape[-1] // side
    cells = padded.unflatten(2, (side, pitch)).unflatten(1, (side, pitch))
    cells = cells[:, :, : pitch - 1, :, : pitch - 1]  # (C, S, k-1, S, k-1)
    apart: Tensor = cells.permute(1, 3, 0, 2, 4).flatten(0, 1)
    return apart


def logits(model: PatchNetwork, patches: Tensor) -> Tensor:
    """Return the (N, 2) logits of normalised (N, H, W, 3) patches in one mosaic.

    The network has a cell every 16 px; N is a square number, H and W multiples of 16 px.
    """
    side = patches_a_side(len(patches), patches.shape[1])
    features = model.extract(lay_out(patches).permute(0, 3, 1, 2))
    cells = take_apart(features, side)
    found: Tensor = model.classify(model.pool(cells))
    return found


def logits_alone(model: PatchNetwork, patches: Tensor) -> Tensor:
    """Return the (N, 2) logits of normalised (N, H, W, 3) patches, each alone."""
    found: Tensor = model(patches.permute(0, 3, 1, 2))
    return found


def probabilities(
    model: PatchNetwork,
    patches: Tensor,
    side: int,
    prepare: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the (N,) float32 probabilities of (N, H, W, 3) uint8 patches in mosaics.

    ``side`` is that of a mosaic in patches; ``prepare`` normalises patches. The last
    mosaic is filled up with the first patches.
    """
    size = side * side
    indices = torch.arange(-(-len(patches) // size) * size) % len(patches)
    with torch.inference_mode():
        found = [
            logits(model, prepare(patches[chosen])) for chosen in indices.split(size)
        ]
    return torch.cat(found).float().softmax(dim=1)[: len(patches), 1]
