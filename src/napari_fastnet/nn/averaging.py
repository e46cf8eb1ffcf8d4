"""The running mean of the weights, which is what a training keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

Tensors = tuple[Tensor, ...] | list[Tensor]


def running_mean(
    decay: float,
) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """Return the rule by which averaged tensors follow the current ones.

    The decay rises to its value over the first steps, so that a short training is
    not held back by the weights it began with.

    Parameters
    ----------
    decay : float
        Share of the mean that a step keeps, in the long run; 0 to 1.

    Returns
    -------
    callable
        As `torch.optim.swa_utils.AveragedModel` takes it.
    """

    def follow(mean: Tensors, current: Tensors, steps: Tensor | int) -> None:
        kept = min(decay, (1 + float(steps)) / (10 + float(steps)))
        for old, new in zip(mean, current, strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - kept)
            else:  # batch norm's counter of batches
                old.copy_(new)

    return follow
