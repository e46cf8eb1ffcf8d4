"""Parameters, operations and values of a network, counted as the paper's tables count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


def parameter_count(model: nn.Module) -> int:
    """Count the trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def flop_count(model: nn.Module, height: int = 256, width: int = 256) -> int:
    """Count the floating-point operations of one image's forward pass.

    Convolutions and dense layers count, a multiply and an add as two operations, as
    in the paper's tables; normalisation folds away and the shortcuts' additions
    (0.11 M at 256 px) are left out.

    Parameters
    ----------
    model : nn.Module
        Any network made of convolutions and dense layers.
    height, width : int
        Size of the image in px.

    Returns
    -------
    int
        Operations for a single RGB image.
    """
    return sum(
        2 * layer.weight[0].numel() * shape_out.numel()
        for layer, _, shape_out in _layers(model, height, width)
    )


def value_count(model: nn.Module, height: int = 256, width: int = 256) -> int:
    """Count the numbers that the layers read and write in one image's forward pass.

    Each convolution and dense layer reads its input and its weights and writes its
    output, whether or not a cache keeps it between two layers. With
    `flop_count` this gives the arithmetic intensity.

    Parameters
    ----------
    model : nn.Module
        Any network made of convolutions and dense layers.
    height, width : int
        Size of the image in px.

    Returns
    -------
    int
        Numbers for a single RGB image.
    """
    return sum(
        shape_in.numel() + layer.weight.numel() + shape_out.numel()
        for layer, shape_in, shape_out in _layers(model, height, width)
    )


_Layer = nn.Conv2d | nn.Linear


def _layers(
    model: nn.Module, height: int, width: int
) -> list[tuple[_Layer, torch.Size, torch.Size]]:
    """List the convolutions and dense layers with the shapes of their in- and output."""
    found: list[tuple[_Layer, torch.Size, torch.Size]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, _Layer):
            found.append((module, inputs[0].shape, output.shape))

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    was_training = model.training
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(1, 3, height, width))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return found
