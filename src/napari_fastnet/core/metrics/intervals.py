"""95 % intervals of metrics: by resampling, and by formula where resamples are all alike.

Patches that are all classified right stay all right when they are drawn again: the
interval would be the point 1, of two patches as of two thousand. The same holds between 0
and 1 where one class is all right and the other all wrong.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Floats, Integers

#: Metrics that `Ranking.metrics` gives.
METRICS = ("auc", "accuracy", "recall", "precision", "f1", "specificity")

#: Low and high end.
Interval = tuple[float, float]

# Resamples are drawn in parts of at most this many patch counts (32 MB).
_COUNTS_AT_ONCE = 4_000_000
# The normal distribution's 97.5 % point.
_Z = 1.959964
_SMALLEST = 1e-12


class Ranking:
    """Patches sorted by score, so that resamples need no sorting.

    A resample is a row of counts: the number of times each patch was drawn.

    Parameters
    ----------
    truth : (n,) bool ndarray
        True is tumor.
    scores : (n,) float64 ndarray
        Not NaN.
    threshold : float
        A patch is called tumor from this score on.
    """

    def __init__(self, truth: Bools, scores: Floats, threshold: float) -> None:
        self.order = order = np.argsort(scores, kind="stable")
        self.truth, ordered = truth[order], scores[order]
        self.called = ordered >= threshold
        starts = np.flatnonzero(np.diff(ordered, prepend=-np.inf))
        self._ties = starts if len(starts) < len(ordered) else None

    def confusion(self, counts: Integers) -> tuple[Integers, ...]:
        """Count the confusion matrix of each resample.

        Parameters
        ----------
        counts : (m, n) int64 ndarray
            m resamples of the n patches.

        Returns
        -------
        tuple of four (m,) int64 ndarray
            TP, FP, TN and FN.
        """
        called, truth = self.called, self.truth
        kinds = (called & truth, called & ~truth, ~called & ~truth, ~called & truth)
        return tuple(counts[:, kind].sum(axis=1) for kind in kinds)

    def metrics(self, counts: Integers) -> dict[str, Floats]:
        """Compute the metrics of each resample; Eqs. 8-11, AUC and specificity.

        Parameters
        ----------
        counts : (m, n) int64 ndarray
            m resamples of the n patches.

        Returns
        -------
        dict of str to (m,) float64 ndarray
            Each of `METRICS`; NaN where undefined.
        """
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

    def _auc(self, counts: Integers) -> Floats:
        """Return (m,): the share of pairs in the right order; ties count half."""
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
    ranking: Ranking, resamples: int, seed: int, groups: Integers | None = None
) -> dict[str, Interval | None]:
    """Compute the 2.5 and 97.5 % points of each metric over resamples.

    Parameters
    ----------
    ranking : Ranking
        The patches.
    resamples, seed : int
        Number of resamples, at least 1, and their seed.
    groups : (n,) int64 ndarray, optional
        Number of each patch's slide, from 0: slides are drawn, with all their patches.
        By default patches are drawn within each class.

    Returns
    -------
    dict
        None for metrics that are undefined in every resample.
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


def resampled_groups(groups: Integers, resamples: int, seed: int) -> Iterator[Integers]:
    """Draw whole groups with replacement.

    Parameters
    ----------
    groups : (n,) int64 ndarray
        Group of each patch, numbered from 0.
    resamples, seed : int
        Number of resamples, and their seed.

    Yields
    ------
    (m, n) int64 ndarray
        Number of times that each patch was drawn, in some of the resamples.
    """
    every = np.ones(int(groups.max()) + 1, np.bool_)
    rows = max(1, _COUNTS_AT_ONCE // len(groups))
    for counts in resampled(every, resamples, seed):
        for first in range(0, len(counts), rows):
            yield counts[first : first + rows, groups]


def resampled(truth: Bools, resamples: int, seed: int) -> Iterator[Integers]:
    """Draw patches with replacement, within each class.

    Parameters
    ----------
    truth : (n,) bool ndarray
        The class of each patch.
    resamples, seed : int
        Number of resamples, and their seed.

    Yields
    ------
    (m, n) int64 ndarray
        Number of times that each patch was drawn, in some of the resamples.
    """
    generator = np.random.default_rng(seed)
    step = max(1, _COUNTS_AT_ONCE // len(truth))
    for first in range(0, resamples, step):
        rows = min(step, resamples - first)
        counts = np.zeros((rows, len(truth)), np.int64)
        for members in (np.flatnonzero(truth), np.flatnonzero(~truth)):
            drawn = generator.integers(0, max(1, len(members)), (rows, len(members)))
            drawn += np.arange(rows)[:, None] * len(members)
            times = np.bincount(drawn.ravel(), minlength=drawn.size)
            counts[:, members] = times.reshape(rows, len(members))
        yield counts


def ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Floats:
    """Divide, giving NaN where the whole is 0.

    Parameters
    ----------
    part, whole : ndarray
        Of one shape.

    Returns
    -------
    float64 ndarray of that shape
        ``part / whole``.
    """
    quotient = np.full(part.shape, np.nan)
    np.divide(part, whole, out=quotient, where=whole != 0)
    return quotient


def share_interval(share: float, count: int) -> Interval:
    """Compute Wilson's interval of a share.

    Parameters
    ----------
    share : float
        0 to 1.
    count : int
        Size of the sample, at least 1.

    Returns
    -------
    tuple of float
        Low and high end.
    """
    whole = 1 + _Z**2 / count
    middle = (share + _Z**2 / (2 * count)) / whole
    half = _Z / whole * sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    low = 0.0 if share == 0 else middle - half
    high = 1.0 if share == 1 else middle + half
    return low, high


def f1_interval(f1: float, count: int) -> Interval:
    """Compute the interval of an F1 score.

    F1 is 2 J / (1 + J), where J is the share of hits among all patches that are tumor or
    called tumor, so its ends follow from Wilson's interval of J.

    Parameters
    ----------
    f1 : float
        0 to 1.
    count : int
        Patches that are tumor or called tumor, at least 1.

    Returns
    -------
    tuple of float
        Low and high end.
    """
    low, high = (2 * end / (1 + end) for end in share_interval(f1 / (2 - f1), count))
    return low, high


def auc_interval(auc: float, positives: int, negatives: int) -> Interval:
    """Compute the interval of an area under the ROC curve.

    Newcombe's method 5 (Statistics in Medicine 2006, 25:559) is Wilson's idea for shares:
    an end is the area whose standard error, by Hanley and McNeil, reaches just to the
    area found.

    Parameters
    ----------
    auc : float
        0 to 1.
    positives, negatives : int
        Patches of each class, at least 1.

    Returns
    -------
    tuple of float
        Low and high end.
    """
    others = (positives + negatives) / 2 - 1

    def low(found: float) -> float:
        def excess(area: float) -> float:
            spread = 1 + others * ((1 - area) / (2 - area) + area / (1 + area))
            variance = area * (1 - area) * spread / (positives * negatives)
            return found - area - _Z * sqrt(variance)

        if found <= _SMALLEST:
            return 0.0
        return float(brentq(excess, 0, found - _SMALLEST))

    return low(auc), 1 - low(1 - auc)
