"""Scores of whole slides: features of a heatmap that separate tumor from normal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.optimize import minimize

from napari_fastnet.core.metrics.lesions import mean_and_major_axis
from napari_fastnet.core.morphology import EIGHT_NEIGHBOURS

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bools, Floats
    from napari_fastnet.core.heatmap import Heatmap

#: Thresholds of perhaps tumor, and of almost certainly tumor.
LOW, HIGH = 0.5, 0.9

_FOLDS = 5
_RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class SlideFeatures:
    """Features of a heatmap, each higher where there is more tumor.

    All are 0 for a heatmap in which nothing was computed.

    Parameters
    ----------
    maximum : float
        The highest probability.
    smoothed_maximum : float
        The highest mean of the computed cells in 3 x 3, the middle one computed.
    share_low : float
        Share of the computed cells from `LOW` on.
    longest_um_low : float
        Major axis of the largest region from `LOW` on.
    area_mm2_high : float
        Area of all cells from `HIGH` on.
    longest_um_high : float
        Major axis of the largest region from `HIGH` on.
    """

    maximum: float = 0.0
    smoothed_maximum: float = 0.0
    share_low: float = 0.0
    longest_um_low: float = 0.0
    area_mm2_high: float = 0.0
    longest_um_high: float = 0.0


FEATURES = tuple(field.name for field in fields(SlideFeatures))


def slide_features(heatmap: Heatmap) -> SlideFeatures:
    """Compute the features of a heatmap.

    Parameters
    ----------
    heatmap : Heatmap
        May have no cells.

    Returns
    -------
    SlideFeatures
        All 0 where nothing was computed.
    """
    computed = heatmap.computed
    if not computed.any():
        return SlideFeatures()
    values = np.where(computed, heatmap.probabilities, np.float32(0))
    low, high = values >= np.float32(LOW), values >= np.float32(HIGH)
    total, count = (
        ndimage.uniform_filter(array.astype(np.float32), 3, mode="constant")
        for array in (values, computed)
    )
    return SlideFeatures(
        maximum=float(values.max()),
        # counts are at least 1/9 here, and rounding is 1e-7
        smoothed_maximum=float(np.max(total[computed] / count[computed])),
        share_low=float(low.sum() / computed.sum()),
        longest_um_low=_longest_um(low, heatmap),
        area_mm2_high=float(high.sum()) * heatmap.cell_area_mm2,
        longest_um_high=_longest_um(high, heatmap),
    )


def _longest_um(mask: Bools, heatmap: Heatmap) -> float:
    """Return the major axis of the largest region, the first of equal ones."""
    labels, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
    if not count:
        return 0.0
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    _, axis = mean_and_major_axis(labels == np.argmax(sizes))
    height_um, width_um = heatmap.cell_um
    return axis * float(np.sqrt(height_um * width_um))


def combined_scores(
    features: list[SlideFeatures], labels: Bools, *, seed: int = 0
) -> Floats | None:
    """Combine the features of each slide to one score, by cross-validation.

    A logistic regression is fitted to four fifths of the slides and scores the fifth, in
    turn, so that no slide is scored by a fit that has seen it.

    Parameters
    ----------
    features : list of SlideFeatures
        One for each of n slides.
    labels : (n,) bool ndarray
        True is tumor.
    seed : int, optional
        Of the random division into fifths with about the same share of tumor.

    Returns
    -------
    (n,) float64 ndarray or None
        Log odds; None with fewer than ten slides of either kind.
    """
    if min(labels.sum(), (~labels).sum()) < 2 * _FOLDS:
        return None
    # sizes span orders of magnitude
    table = np.log1p([list(asdict(slide).values()) for slide in features])
    fold = np.empty(len(labels), np.intp)
    generator = np.random.default_rng(seed)
    for members in (np.flatnonzero(labels), np.flatnonzero(~labels)):
        fold[generator.permutation(members)] = np.arange(len(members)) % _FOLDS
    scores = np.empty(len(labels))
    for held_back in range(_FOLDS):
        learned, held = fold != held_back, fold == held_back
        scores[held] = _logistic(table[learned], labels[learned], table[held])
    return scores


def _logistic(table: Floats, labels: Bools, asked: Floats) -> Floats:
    """Fit a ridge logistic regression and return the log odds of other rows."""
    middle, spread = table.mean(axis=0), table.std(axis=0)
    spread[spread == 0] = 1
    known, asked = (table - middle) / spread, (asked - middle) / spread
    sign = np.where(labels, 1.0, -1.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = sign * (known @ weights[1:] + weights[0])
        pull = -sign / (1 + np.exp(np.clip(margin, -500, 500)))
        value = np.logaddexp(0, -margin).sum() + _RIDGE / 2 * weights[1:] @ weights[1:]
        slope = np.concatenate([[pull.sum()], pull @ known + _RIDGE * weights[1:]])
        return float(value), slope

    start = np.zeros(known.shape[1] + 1)
    weights = minimize(loss, start, jac=True, method="L-BFGS-B").x
    scores: Floats = asked @ weights[1:] + weights[0]
    return scores
