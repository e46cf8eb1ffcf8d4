"""Metrics of patches: Eqs. 8-11 of the paper, ROC, calibration.

Tumor is the positive class, and a patch is called tumor where its probability is at
or above the threshold. An undefined metric is None, never 0 and never NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.metrics import intervals
from napari_fastnet.errors import DataError, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from napari_fastnet.core.arrays import Bools, Floats, Integers


@dataclass(frozen=True, slots=True)
class PatchMetrics:
    """Metrics of patches, from `evaluate_probabilities`.

    Parameters
    ----------
    n, positives : int
        Patches, and those of them that are tumor.
    threshold : float
        Probability from which a patch is called tumor.
    true_positives, false_positives, true_negatives, false_negatives : int
        The confusion matrix.
    auc : float or None
        Area under the ROC curve; None where all labels are the same.
    accuracy, recall, precision, f1, specificity : float or None
        Eqs. 8-11, and the recall of normal patches; None where the denominator is 0.
    ci95 : dict of str to (float, float) or None
        95 % interval of each of `METRICS`; None where the metric is None, or no
        resampling was asked for.
    slides : int or None
        Slides that the intervals were drawn from, each with all of its patches; None
        where patches were drawn, whose intervals are too narrow if several are of one
        slide.
    """

    n: int
    positives: int
    threshold: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    auc: float | None
    accuracy: float | None
    recall: float | None
    precision: float | None
    f1: float | None
    specificity: float | None
    ci95: dict[str, intervals.Interval | None]
    slides: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain JSON; the confusion matrix becomes a dict."""
        first = ("n", "positives", "threshold", *intervals.METRICS)
        return {
            **{name: getattr(self, name) for name in first},
            "ci95": {
                name: None if interval is None else list(interval)
                for name, interval in self.ci95.items()
            },
            "ci95_by": "patches" if self.slides is None else "slides",
            "slides": self.slides,
            "confusion": {
                "tp": self.true_positives,
                "fp": self.false_positives,
                "tn": self.true_negatives,
                "fn": self.false_negatives,
            },
        }


def evaluate_probabilities(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    threshold: float,
    bootstrap: int = 1000,
    seed: int = 0,
    slides: Sequence[str | None] | None = None,
) -> PatchMetrics:
    """Compute Eqs. 8-11, specificity and AUC, each with a 95 % interval.

    Where every resample gives the same value, as of a metric that is 0 or 1, the
    interval follows from a formula, see `napari_fastnet.core.metrics.intervals`.

    Parameters
    ----------
    labels : array_like
        (n,) bool, or numbers 0 and 1; 1 is tumor. One class alone is allowed.
    probabilities : array_like
        (n,) float in 0..1, of tumor.
    threshold : float
        0..1; a patch is called tumor from it on.
    bootstrap : int
        Resamples for the intervals, drawn within each class so that the share of
        tumor stays the same; 0 gives none. Resamples in which a metric is undefined
        do not count towards its interval.
    seed : int
        Of the resampling.
    slides : sequence of (str or None), optional
        The slide of each patch. Patches of one slide are alike: where all slides are
        known, and two of them at least, whole slides are drawn.

    Returns
    -------
    PatchMetrics
        Numbers with None for what is undefined.

    Raises
    ------
    DataError
        Without patches, or with labels or probabilities outside their range.
    OptionError
        With a threshold or a number of resamples outside its range.

    Examples
    --------
    >>> found = evaluate_probabilities(
    ...     [1, 1, 0, 0], [0.9, 0.4, 0.3, 0.2], threshold=0.5
    ... )
    >>> found.recall, found.precision, found.auc
    (0.5, 1.0, 1.0)
    """
    truth, scores = _checked(labels, probabilities)
    if not 0 <= threshold <= 1:
        raise OptionError(f"threshold is {threshold}; a probability lies in 0..1")
    if bootstrap < 0:
        raise OptionError(f"bootstrap is {bootstrap}; use a number of resamples from 0")
    once = np.ones((1, len(truth)), np.int64)
    ranking = intervals.Ranking(truth, scores, threshold)
    values = {
        name: None if np.isnan(value[0]) else float(value[0])
        for name, value in ranking.metrics(once).items()
    }
    tp, fp, tn, fn = (int(part[0]) for part in ranking.confusion(once))
    groups = _groups(slides)
    ci95: dict[str, intervals.Interval | None] = dict.fromkeys(intervals.METRICS)
    if bootstrap:
        ci95 = intervals.percentile_intervals(ranking, bootstrap, seed, groups)
    for name, value in values.items():
        ends = ci95[name]
        if value is None:
            ci95[name] = None
        elif ends is not None and ends[0] == ends[1]:
            ci95[name] = _by_formula(name, value, truth, scores >= threshold, groups)
    return PatchMetrics(
        n=len(truth),
        positives=int(truth.sum()),
        threshold=float(threshold),
        true_positives=tp,
        false_positives=fp,
        true_negatives=tn,
        false_negatives=fn,
        ci95=ci95,
        slides=None if groups is None else int(groups.max()) + 1,
        **values,
    )


def _groups(slides: Sequence[str | None] | None) -> Integers | None:
    """Return the slide number of each patch; None where patches are drawn instead."""
    if slides is None or None in slides or len(set(slides)) < 2:
        return None
    return np.unique(np.asarray(slides), return_inverse=True)[1]


def _by_formula(
    name: str, value: float, truth: Bools, called: Bools, groups: Integers | None
) -> intervals.Interval:
    """Return the interval of a metric; where slides are drawn, they are the sample."""

    def count(members: Bools) -> int:
        return int(members.sum()) if groups is None else len(set(groups[members]))

    if name == "auc":
        return intervals.auc_interval(value, count(truth), count(~truth))
    if name == "f1":
        return intervals.f1_interval(value, count(truth | called))
    members = {
        "accuracy": np.ones_like(truth),
        "recall": truth,
        "precision": called,
        "specificity": ~truth,
    }
    return intervals.share_interval(value, count(members[name]))


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """Compute the area under the ROC curve.

    It is the chance that a tumor patch scores above a normal one, ties counting half.

    Parameters
    ----------
    labels : array_like
        (n,) bool, or numbers 0 and 1.
    scores : array_like
        (n,) of any range.

    Returns
    -------
    float or None
        By counting pairs (Mann and Whitney); None where all labels are the same.
    """
    truth = np.asarray(labels).astype(bool)
    if truth.all() or not truth.any():
        return None
    values, group = np.unique(np.asarray(scores), return_inverse=True)
    tumor, normal = (
        np.bincount(group[members], minlength=len(values))
        for members in (truth, ~truth)
    )
    # A tumor patch's pairs count twice where the normal one is below, once in a tie.
    pairs = tumor @ (2 * np.cumsum(normal) - normal)
    return float(pairs / (2 * tumor.sum() * normal.sum()))


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Compute the ROC curve.

    Parameters
    ----------
    labels : array_like
        (n,) bool, or numbers 0 and 1, both classes among them.
    scores : array_like
        (n,) of any range.

    Returns
    -------
    false_positive_rate : (k + 1,) float64 ndarray
        The point (0, 0) of the threshold infinity, then one point for each of k distinct
        scores.
    true_positive_rate : (k + 1,) float64 ndarray
        Of the same points.
    thresholds : (k + 1,) float64 ndarray
        Scores from which on patches are called tumor, falling.

    Raises
    ------
    DataError
        Where all labels are the same.
    """
    truth = np.asarray(labels).astype(bool)
    if truth.all() or not truth.any():
        raise DataError(
            f"a ROC curve of {truth.size} patches of one class is undefined; give both"
        )
    values, group = np.unique(np.asarray(scores, np.float64), return_inverse=True)
    rates = []
    for members in (~truth, truth):
        counts = np.bincount(group[members], minlength=len(values))[::-1]
        rates.append(np.concatenate([[0.0], np.cumsum(counts) / members.sum()]))
    return rates[0], rates[1], np.concatenate([[np.inf], values[::-1]])


def expected_calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 10
) -> float:
    """Return the mean distance of probabilities from the shares of tumor they stand for.

    Parameters
    ----------
    labels, probabilities : array_like
        As for `evaluate_probabilities`.
    bins : int
        Equal parts of 0..1, at least 1, in which both are averaged. A probability on a
        limit belongs to the bin above it, and 1 to the last.

    Returns
    -------
    float
        0 (best) to 1; bins count by their patches.
    """
    truth, scores = _checked(labels, probabilities)
    if bins < 1:
        raise OptionError(f"bins is {bins}; use at least 1")
    edges = np.arange(bins + 1) / bins
    place = np.minimum(np.searchsorted(edges, scores, side="right") - 1, bins - 1)
    return float(np.abs(np.bincount(place, scores - truth)).sum() / len(truth))


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Compute the Brier score, the mean squared distance of probability and label.

    Parameters
    ----------
    labels, probabilities : array_like
        As for `evaluate_probabilities`.

    Returns
    -------
    float
        0 (best) to 1.
    """
    truth, scores = _checked(labels, probabilities)
    return float(np.mean((scores - truth) ** 2))


def _checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[Bools, Floats]:
    """Return both as (n,) arrays; DataError names the fault."""
    truth, scores = np.asarray(labels), np.asarray(probabilities, np.float64)
    if truth.ndim != 1 or truth.shape != scores.shape or not truth.size:
        raise DataError(
            f"labels have shape {truth.shape} and probabilities {scores.shape}; give "
            "one of each a patch, and at least one patch"
        )
    if not np.isin(truth, (0, 1)).all():
        raise DataError("a label is neither 0 nor 1; 1 is tumor, 0 is normal")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise DataError("a probability is NaN or lies outside 0..1")
    return truth.astype(bool), scores


#: Recalls listed in a model card.
RECALLS = (0.80, 0.85, 0.90, 0.95, 0.97, 0.99)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One point of a ROC curve, chosen by its recall.

    Parameters
    ----------
    at_least : float
        The recall that was asked for.
    threshold : float
        Highest threshold that reaches it.
    recall, specificity, precision : float
        Metrics of these patches at that threshold.
    """

    at_least: float
    threshold: float
    recall: float
    specificity: float
    precision: float


def operating_points(
    labels: ArrayLike, probabilities: ArrayLike, recalls: Sequence[float] = RECALLS
) -> list[OperatingPoint]:
    """Find the highest threshold that reaches each recall.

    Parameters
    ----------
    labels : array_like
        (n,) bool, or numbers 0 and 1, both classes among them; 1 is tumor.
    probabilities : array_like
        (n,) float in 0..1, of tumor.
    recalls : sequence of float
        Each above 0 and at most 1.

    Returns
    -------
    list of OperatingPoint
        One for each recall, in their order.

    Raises
    ------
    DataError
        Where all labels are the same.
    OptionError
        With a recall outside its range.
    """
    truth = np.asarray(labels).astype(bool)
    false_alarms, found, thresholds = roc_curve(truth, probabilities)
    points = []
    for asked in recalls:
        if not 0 < asked <= 1:
            raise OptionError(f"recall is {asked}; use a share above 0, at most 1")
        # Shares are quotients of whole numbers: 19 / 20 must reach 0.95.
        at = int(np.argmax(found >= asked - 1e-12))
        hits, alarms = found[at] * truth.sum(), false_alarms[at] * (~truth).sum()
        points.append(
            OperatingPoint(
                at_least=float(asked),
                threshold=float(thresholds[at]),
                recall=float(found[at]),
                specificity=float(1 - false_alarms[at]),
                precision=float(hits / (hits + alarms)),
            )
        )
    return points
