"""Means over seeds, their intervals, and what they say of the paper's claims."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from scipy import stats

from experiment_log import read_log, written

if TYPE_CHECKING:
    from pathlib import Path

    from experiments import Run

#: Fewer seeds say nothing of what another seed would give.
ENOUGH_SEEDS = 3

Line = dict[str, str]
#: Network, loss, a and g, as the log has them.
Kind = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds with its 95 % interval; ``low`` and ``high`` may be unknown."""

    mean: float
    low: float | None
    high: float | None


class Log:
    """The lines of one budget, by what was trained and with which seed."""

    def __init__(self, path: Path) -> None:
        rows = read_log(path)
        budgets = {row["budget"] for row in rows}
        if len(budgets) != 1:
            raise SystemExit(f"{path} has budgets {sorted(budgets)}; give one of one")
        self.rows = rows
        self.budget = int(budgets.pop())
        self._lines: dict[Kind, dict[int, Line]] = {}
        for row in rows:
            kind = (row["network"], row["loss"], row["weight"], row["focusing"])
            self._lines.setdefault(kind, {})[int(row["seed"])] = row

    def lines(self, run: Run) -> dict[int, Line]:
        """Return what was logged of a training, by seed."""
        kind = (run.network, run.loss, written(run.weight), written(run.focusing))
        return self._lines.get(kind, {})

    def common(self, *runs: Run) -> list[list[Line]]:
        """Return each training's lines with the seeds that all of them have."""
        by_seed = [self.lines(run) for run in runs]
        seeds = sorted(set.intersection(*map(set, by_seed)))
        return [[lines[seed] for seed in seeds] for lines in by_seed]


def estimate(lines: list[Line], measure: str) -> Estimate | None:
    """Return mean and interval of a measure; None where it is undefined.

    From three seeds on, the interval is Student's over seeds. Before, it is that of
    the validation patches, which knows nothing of other seeds.
    """
    if not lines or not all(line[measure] for line in lines):
        return None
    values = [float(line[measure]) for line in lines]
    if len(values) >= ENOUGH_SEEDS:
        return _student(values)
    ends = (f"{measure}_low", f"{measure}_high")
    low, high = (fmean(float(line[end]) for line in lines) for end in ends)
    return Estimate(fmean(values), low, high)


def difference(first: list[Line], second: list[Line], measure: str) -> Estimate | None:
    """Return how much a measure of the first is above the second's, seed by seed."""
    pairs = list(zip(first, second, strict=True))
    if not pairs or not all(a[measure] and b[measure] for a, b in pairs):
        return None
    values = [float(a[measure]) - float(b[measure]) for a, b in pairs]
    if len(values) >= ENOUGH_SEEDS:
        return _student(values)
    return Estimate(fmean(values), None, None)


def _student(values: list[float]) -> Estimate:
    """Return the mean of independent values with Student's interval."""
    quantile = float(stats.t.ppf(0.975, len(values) - 1))
    half = quantile * stdev(values) / sqrt(len(values))
    mean = fmean(values)
    return Estimate(mean, mean - half, mean + half)


def verdict(found: Estimate | None, expected: float) -> str:
    """Return whether a difference has the sign it has in the paper."""
    if found is None or found.low is None or found.high is None:
        return "not yet"
    if found.low <= 0 <= found.high:
        return "open"
    return "agrees" if (found.mean > 0) == (expected > 0) else "contradicts"


def read_paper(path: Path) -> list[Line]:
    """Return the figures that the paper prints."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
