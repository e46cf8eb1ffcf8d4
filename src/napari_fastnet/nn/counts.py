"""Parameters and floating-point operations, counted as the paper's tables count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def flop_count(model: nn.Module, height: int = 256, width: int = 256) -> int:
    """Return the floating-point operations of one image's forward pass.

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
    total = 0

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            per_output = module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            per_output = module.in_features
        else:
            return
        total += 2 * per_output * output[0].numel()

    hooks = [module.register_forward_hook(count) for module in model.modules()]
    was_training = model.training
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(1, 3, height, width))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return total
