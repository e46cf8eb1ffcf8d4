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


def mosaic_side(batch_size: int, patch_px: int) -> int:
    """Return how many patches lie along a side of the mosaic of a batch.

    Parameters
    ----------
    batch_size : int
        Patches in the batch; a square number.
    patch_px : int
        Side of a patch; a multiple of 16 px, the step of the feature map.

    Returns
    -------
    int
        Side of the mosaic in patches.

    Raises
    ------
    OptionError
        The batch is no square number, or the patch no multiple of 16 px.
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
    """Lay a batch out, row by row, as one square picture.

    Parameters
    ----------
    patches : Tensor
        (S * S, H, W, 3).

    Returns
    -------
    Tensor
        (1, S * H, S * W, 3).
    """
    side = isqrt(len(patches))
    _, height, width, channels = patches.shape
    rows = patches.unflatten(0, (side, side)).permute(0, 2, 1, 3, 4)
    picture: Tensor = rows.reshape(1, side * height, side * width, channels)
    return picture


def take_apart(features: Tensor, side: int) -> Tensor:
    """Cut a mosaic's feature map into the cells that each patch has to itself.

    A patch of 16 k px alone gives k - 1 cells a side; in the mosaic patches lie k
    cells apart, and the cell that straddles two patches is dropped.

    Parameters
    ----------
    features : Tensor
        (1, C, S * k - 1, S * k - 1).
    side : int
        S, patches along a side.

    Returns
    -------
    Tensor
        (S * S, C, k - 1, k - 1), row by row.
    """
    padded = functional.pad(features[0], (0, 1, 0, 1))
    pitch = padded.shape[-1] // side
    cells = padded.unflatten(2, (side, pitch)).unflatten(1, (side, pitch))
    cells = cells[:, :, : pitch - 1, :, : pitch - 1]  # (C, S, k-1, S, k-1)
    apart: Tensor = cells.permute(1, 3, 0, 2, 4).flatten(0, 1)
    return apart


def mosaic_logits(model: PatchNetwork, patches: Tensor) -> Tensor:
    """Return the (N, 2) logits of a batch that is seen as one mosaic.

    Parameters
    ----------
    model : PatchNetwork
        A network with a cell every 16 px.
    patches : Tensor
        (N, H, W, 3) float as the network sees them; N a square number, H and W multiples of 16 px.

    Returns
    -------
    Tensor
        (N, 2) logits in the order of the patches.
    """
    side = mosaic_side(len(patches), patches.shape[1])
    features = model.extract(lay_out(patches).permute(0, 3, 1, 2))
    cells = take_apart(features, side)
    logits: Tensor = model.classify(model.pool(cells))
    return logits


def patch_logits(model: PatchNetwork, patches: Tensor) -> Tensor:
    """Return the (N, 2) logits of (N, H, W, 3) float patches, each seen alone."""
    logits: Tensor = model(patches.permute(0, 3, 1, 2))
    return logits


def mosaic_probabilities(
    model: PatchNetwork,
    patches: Tensor,
    side: int,
    prepare: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the tumour probabilities of uint8 patches seen in mosaics.

    Patches that do not fill the last mosaic are seen in one that is filled up with
    the first patches.

    Parameters
    ----------
    model : PatchNetwork
        The network, in evaluation mode.
    patches : Tensor
        (N, H, W, 3) uint8.
    side : int
        Patches along a mosaic's side.
    prepare : callable
        Maps uint8 patches to what the network sees, float, of the same shape.

    Returns
    -------
    Tensor
        (N,) float32.
    """
    size = side * side
    indices = torch.arange(-(-len(patches) // size) * size) % len(patches)
    with torch.inference_mode():
        logits = [
            mosaic_logits(model, prepare(patches[chosen]))
            for chosen in indices.split(size)
        ]
    return torch.cat(logits).float().softmax(dim=1)[: len(patches), 1]
