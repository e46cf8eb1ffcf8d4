"""Tables II and III of the paper: how the losses weigh easy and hard samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_fastnet.nn.losses import attention_factor, focal_factor

#: Probabilities given to the true class, the tables' columns.
PROBABILITIES = (0.5, 0.6, 0.7, 0.8, 0.9)
#: g, the tables' rows.
FOCUSINGS = (0.1, 0.2, 0.5, *map(float, range(1, 11)))

Factor = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True, slots=True)
class FactorRow:
    """One row of a table.

    Parameters
    ----------
    focusing : float
        g.
    factors : tuple of float
        Modulating factor at each of `PROBABILITIES`.
    ratio : float
        Of the hardest to the easiest: at p = 0.5 over at p = 0.9.
    """

    focusing: float
    factors: tuple[float, ...]
    ratio: float


def focal_table() -> list[FactorRow]:
    """Return Table II: (1 - p)^g, the focal loss's."""
    return _table(focal_factor)


def attention_table() -> list[FactorRow]:
    """Return Table III: 1 - p^g, the attention loss's."""
    return _table(attention_factor)


def _table(factor: Factor) -> list[FactorRow]:
    probabilities = torch.tensor(PROBABILITIES, dtype=torch.float64)
    rows = []
    for focusing in FOCUSINGS:
        factors = tuple(factor(probabilities, focusing).tolist())
        rows.append(FactorRow(focusing, factors, factors[0] / factors[-1]))
    return rows
