"""How often a second things can be done, measured turn by turn so that all are fair."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Turns that each gets: a machine that slows down meanwhile slows all of them down.
ROUNDS = 5

# Large enough that its edges do not count, small enough for many in a second.
_MATRIX_SIDE = 2048
_COPY_BYTES = 2**27  # well beyond any cache


def rates(
    contestants: Mapping[str, Callable[[], object]], seconds: float
) -> dict[str, float]:
    """Measure how often a second each can be called.

    Parameters
    ----------
    contestants : Mapping
        Name to what is called, once in vain to warm up.
    seconds : float
        For each, in `ROUNDS` turns of at least one call.

    Returns
    -------
    dict
        Name to calls a second, the median of the turns.
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        call()
    for _ in range(ROUNDS):
        for name, call in contestants.items():
            found[name].append(_rate(call, seconds / ROUNDS))
    return {name: median(values) for name, values in found.items()}


def _rate(call: Callable[[], object], seconds: float) -> float:
    """Return calls a second over some time."""
    calls, elapsed, began = 0, 0.0, perf_counter()
    while not calls or elapsed < seconds:
        call()
        calls += 1
        elapsed = perf_counter() - began
    return calls / elapsed


class MatrixProduct:
    """A product of two square matrices by torch, the most a processor can be put to.

    Parameters
    ----------
    kind : torch.dtype
        Of the numbers.
    """

    #: Floating-point operations of one call, a multiply and an add being two.
    flops = 2 * _MATRIX_SIDE**3

    def __init__(self, kind: torch.dtype) -> None:
        side = (_MATRIX_SIDE, _MATRIX_SIDE)
        self._factors = [torch.rand(side).to(kind) for _ in range(2)]
        self._product = torch.empty(side, dtype=kind)

    def __call__(self) -> None:
        """Multiply."""
        torch.mm(*self._factors, out=self._product)


class MemoryCopy:
    """A copy of more than fits a cache, which says how fast memory is."""

    #: Bytes read and written by one call.
    moved = 2 * _COPY_BYTES

    def __init__(self) -> None:
        self._source = torch.zeros(_COPY_BYTES, dtype=torch.uint8)
        self._copy = torch.empty_like(self._source)

    def __call__(self) -> None:
        """Copy."""
        self._copy.copy_(self._source)
