"""Two runs side by side: what went into them, what came out, and where that differs."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_fastnet.core.heatmap import Heatmap

#: What may explain other results, and where a record says it.
CAUSES: dict[str, tuple[str, ...]] = {
    "slide fingerprint": ("slide", "fingerprint"),
    "slide µm/px": ("slide", "mpp"),
    "µm/px taken from": ("slide", "mpp_source"),
    "model": ("model", "name"),
    "model version": ("model", "version"),
    "model hash": ("model", "sha256"),
    "back end": ("options", "backend"),
}
#: What was found; where this differs, the results are other ones.
RESULTS: dict[str, tuple[str, ...]] = {
    "grid": ("grid",),
    "threshold": ("threshold",),
    "tissue fraction": ("tissue", "fraction"),
    "tissue thresholds": ("tissue", "thresholds"),
    "patches to compute": ("counts", "kept"),
    "patches computed": ("counts", "computed"),
    "patches not readable": ("counts", "failed"),
    "regions": ("regions", "regions"),
    "tumour mm²": ("regions", "area_mm2"),
}
#: Sums of equal values may differ so much, relatively, between versions of libraries.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was.

    Parameters
    ----------
    what : str
        In words.
    then, now : object
        As JSON has them.
    is_result : bool
        Whether it was found; False for what may explain it.
    """

    what: str
    then: Any
    now: Any
    is_result: bool


@dataclass(frozen=True, slots=True)
class ValueDifferences:
    """How far apart the probabilities of two heatmaps lie.

    Parameters
    ----------
    cells : int
        Cells with a value in both.
    largest : float
        The largest difference; 0 without cells.
    beyond : int
        Cells that differ by more than the tolerance, or have a value in one only.
    """

    cells: int
    largest: float
    beyond: int


def record_differences(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[Difference, ...]:
    """Return where two run records differ, causes first.

    Parameters
    ----------
    then, now : Mapping
        As ``run.json`` has them.

    Returns
    -------
    tuple of Difference
        Of slide, model, versions and what was found; paths and seconds do not count.
    """
    places: Iterator[tuple[str, tuple[str, ...], bool]] = iter(
        [
            *((what, at, False) for what, at in CAUSES.items()),
            *(
                (name, ("versions", name), False)
                for name in sorted({*then["versions"], *now["versions"]})
            ),
            *((what, at, True) for what, at in RESULTS.items()),
        ]
    )
    found = (
        Difference(what, _value(then, at), _value(now, at), is_result)
        for what, at, is_result in places
    )
    return tuple(item for item in found if not _alike(item.then, item.now))


def value_differences(
    then: Heatmap, now: Heatmap, tolerance: float
) -> ValueDifferences | None:
    """Compare two heatmaps cell by cell.

    Parameters
    ----------
    then, now : Heatmap
        Of one slide.
    tolerance : float
        Up to and with this, probabilities are the same.

    Returns
    -------
    ValueDifferences or None
        None where the grids differ: then no cell of one is a cell of the other.
    """
    if then.probabilities.shape != now.probabilities.shape:
        return None
    both = then.computed & now.computed
    apart = np.abs(then.probabilities[both] - now.probabilities[both])
    in_one = int((then.computed != now.computed).sum())
    return ValueDifferences(
        cells=int(both.sum()),
        largest=float(apart.max(initial=0)),
        beyond=int((apart > tolerance).sum()) + in_one,
    )


def _value(record: Mapping[str, Any], at: tuple[str, ...]) -> Any:
    value: Any = record
    for key in at:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _alike(then: Any, now: Any) -> bool:
    """Return whether two values of JSON are equal, numbers up to rounding."""
    if isinstance(then, dict) and isinstance(now, dict):
        return then.keys() == now.keys() and all(
            _alike(then[key], now[key]) for key in then
        )
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(_alike, then, now))
    if isinstance(then, float) or isinstance(now, float):
        if then is None or now is None:
            return False
        return isclose(then, now, rel_tol=ROUNDING)
    return bool(then == now)
