"""Metrics of many resamples of the same patches at once, and their intervals.

`napari_fastnet.core.metrics.patches` is what callers use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Metrics that `Ranking.metrics` gives.
METRICS = ("auc", "accuracy", "recall", "precision", "f1", "specificity")

#: Low and high end.
Interval = tuple[float, float]

# Resamples are drawn in parts of at most this many patch counts (32 MB).
_CELLS_AT_ONCE = 4_000_000


class Ranking:
    """Patches sorted by score, so that resamples are judged without sorting again.

    A resample is a row of counts: how often each patch was drawn.

    Parameters
    ----------
    truth : (n,) bool ndarray
        True is tumour.
    scores : (n,) float64 ndarray
        Not NaN.
    threshold : float
        A score equal to it is a call of tumour.
    """

    def __init__(
        self, truth: NDArray[np.bool_], scores: NDArray[np.float64], threshold: float
    ) -> None:
        self.order = order = np.argsort(scores, kind="stable")
        self.truth, ordered = truth[order], scores[order]
        self.called = ordered >= threshold
        starts = np.flatnonzero(np.diff(ordered, prepend=-np.inf))
        self._ties = starts if len(starts) < len(ordered) else None

    def confusion(self, counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Return (m,) TP, FP, TN and FN of (m, n) counts."""
        called, truth = self.called, self.truth
        kinds = (called & truth, called & ~truth, ~called & ~truth, ~called & truth)
        return tuple(counts[:, kind].sum(axis=1) for kind in kinds)

    def metrics(self, counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Return (m,) of each of `METRICS`, NaN where undefined, of (m, n) counts."""
        tp, fp, tn, fn = self.confusion(counts)
        recall, precision = ratio(tp, tp + fn), ratio(tp, tp + fp)
        # Eq. 11 is 0/0 where nothing is found; its limit, 2 TP / (2 TP + FP + FN), is 0.
        f1 = ratio(2 * tp, 2 * tp + fp + fn)
        f1[np.isnan(recall) | np.isnan(precision)] = np.nan
        return {
            "auc": self._auc(counts),
            "accuracy": ratio(tp + tn, tp + fp + tn + fn),
            "recall": recall,
            "precision": precision,
            "f1": f1,
            "specificity": ratio(tn, tn + fp),
        }

    def _auc(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (m,): the share of pairs in right order, ties counted half."""
        positives = np.where(self.truth, counts, 0)
        negatives = counts - positives
        if self._ties is not None:
            positives = np.add.reduceat(positives, self._ties, axis=1)
            negatives = np.add.reduceat(negatives, self._ties, axis=1)
        below = np.cumsum(negatives, axis=1)
        # Twice the number of pairs, to stay in whole numbers.
        pairs = np.einsum("ij,ij->i", positives, 2 * below - negatives)
        return ratio(pairs, 2 * positives.sum(axis=1) * below[:, -1])


def percentile_intervals(
    ranking: Ranking,
    resamples: int,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> dict[str, Interval | None]:
    """Return the 2.5 and 97.5 % points of each metric over resamples.

    Parameters
    ----------
    ranking : Ranking
        The patches.
    resamples, seed : int
        How many, at least 1, and their seed.
    groups : (n,) int64 ndarray, optional
        Each patch's slide, from 0: slides are drawn, with all their patches. Patches are
        drawn within each class by default.

    Returns
    -------
    dict
        None for what is undefined in every resample.
    """
    if groups is None:
        drawn = resampled(ranking.truth, resamples, seed)
    else:
        drawn = resampled_groups(groups[ranking.order], resamples, seed)
    parts = [ranking.metrics(counts) for counts in drawn]
    found: dict[str, Interval | None] = {}
    for name in METRICS:
        values = np.concatenate([part[name] for part in parts])
        values = values[~np.isnan(values)]
        low, high = np.percentile(values, (2.5, 97.5)) if values.size else (0.0, 0.0)
        found[name] = (float(low), float(high)) if values.size else None
    return found


def resampled_groups(
    groups: NDArray[np.int64], resamples: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Yield (m, n) counts of draws of whole groups, numbered from 0, with replacement."""
    every = np.ones(int(groups.max()) + 1, np.bool_)
    rows = max(1, _CELLS_AT_ONCE // len(groups))
    for counts in resampled(every, resamples, seed):
        for first in range(0, len(counts), rows):
            yield counts[first : first + rows, groups]


def resampled(
    truth: NDArray[np.bool_], resamples: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Yield (m, n) counts of draws with replacement within each class."""
    generator = np.random.default_rng(seed)
    step = max(1, _CELLS_AT_ONCE // len(truth))
    for first in range(0, resamples, step):
        rows = min(step, resamples - first)
        counts = np.zeros((rows, len(truth)), np.int64)
        for members in (np.flatnonzero(truth), np.flatnonzero(~truth)):
            drawn = generator.integers(0, max(1, len(members)), (rows, len(members)))
            drawn += np.arange(rows)[:, None] * len(members)
            times = np.bincount(drawn.ravel(), minlength=drawn.size)
            counts[:, members] = times.reshape(rows, len(members))
        yield counts


def ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> NDArray[np.float64]:
    """Return part / whole, NaN where the whole is 0."""
    quotient = np.full(part.shape, np.nan)
    np.divide(part, whole, out=quotient, where=whole != 0)
    return quotient
