"""Optimiser of a training: a rule for matrices, another for the rest, and their schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.optim import AdamW, Muon
from torch.optim.lr_scheduler import OneCycleLR

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from napari_fastnet.training.options import FitOptions

# Steps of Muon have the same size in all directions of a matrix, those of AdamW in all
# weights: its rate is so many times as high.
_MATRIX_RATE = 10
_MOMENTUM = 0.9


def _is_matrix(weight: Tensor) -> bool:
    """Tell a convolution over several channels; a depthwise one has one a filter."""
    return weight.ndim == 4 and weight.shape[1] > 1


class Optimiser:
    """AdamW, or Muon for the convolutions over several channels and AdamW for the rest.

    Muon (Jordan et al., 2024) makes the momentum of a matrix orthogonal before each step, so
    that directions with small gradients are learned as fast as those with large ones.

    Parameters
    ----------
    model : nn.Module
        Network on its device, with channels last in memory.
    options : FitOptions
        Kind of optimiser, learning rate, weight decay, warm-up.
    steps : int
        Steps of the whole training.
    """

    def __init__(self, model: nn.Module, options: FitOptions, steps: int) -> None:
        self._model = model
        convolutions: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for weight in model.parameters():
            by_muon = options.optimizer == "muon" and _is_matrix(weight)
            (convolutions if by_muon else rest).append(weight)
        #: Convolutions, and their weights as matrices that share memory with them: `view`
        #: fails where channels do not lie last.
        self._matrices = [
            (
                weight,
                nn.Parameter(_channels_last(weight.detach()).view(len(weight), -1)),
            )
            for weight in convolutions
        ]
        rate, decay = options.learning_rate, options.weight_decay
        #: Each with its state; what a file of a training holds.
        self.parts: list[tuple[Optimizer, OneCycleLR]] = []
        adam = AdamW(rest, rate, weight_decay=decay, fused=True)
        self._add(adam, rate, options, steps)
        if self._matrices:
            muon = Muon(
                [matrix for _, matrix in self._matrices],
                rate * _MATRIX_RATE,
                weight_decay=decay,
                momentum=_MOMENTUM,
            )
            self._add(muon, rate * _MATRIX_RATE, options, steps)

    def _add(
        self, part: Optimizer, rate: float, options: FitOptions, steps: int
    ) -> None:
        schedule = OneCycleLR(
            part,
            rate,
            total_steps=steps,
            pct_start=options.warm_up,
            cycle_momentum=isinstance(part, AdamW),
        )
        self.parts.append((part, schedule))

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step, of what AdamW trains."""
        return float(self.parts[0][1].get_last_lr()[0])

    def zero_grad(self) -> None:
        """Forget the gradients; `step` replaces those of the matrices."""
        self._model.zero_grad()

    def step(self) -> None:
        """Take a step by the gradients, and move the schedules on."""
        for weight, matrix in self._matrices:
            grad = weight.grad
            matrix.grad = None if grad is None else _channels_last(grad).flatten(1)
        for part, schedule in self.parts:
            part.step()
            schedule.step()


def _channels_last(weight: Tensor) -> Tensor:
    """Return (out, in, height, width) as (out, height, width, in), a view of it."""
    return weight.permute(0, 2, 3, 1)
