"""The network's last layer taught alone, at once: a logistic regression near the old one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from napari_fastnet.core.metrics.patches import roc_auc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Floats, Singles

#: Weakest pull towards the old head, in squares of 3 x 3 cells: each weight may change
#: the log odds by some 0.2 for a feature's spread at home before labels must speak for it.
PULL = 10.0
#: Most that the AUC of the patches of home to mix in may fall. They are training data,
#: of which the AUC falls less: by half of what that of new patches loses.
MOST_LOST = 0.003
#: Cells that see about the same tissue, and count as one label: those of a window.
SAME = 9
# Of the pull from one attempt to the next, and how many there are.
_STRONGER, _ATTEMPTS = 2**0.5, 24


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A weighted sum of a cell's features: its log odds of tumor.

    Parameters
    ----------
    weights : (k,) ndarray of float64
        One for each feature.
    offset : float
        Log odds where all features are 0.
    """

    weights: Floats
    offset: float

    def log_odds(self, features: NDArray[np.floating]) -> Singles:
        """Compute the log odds, (...), of features (..., k); NaN where those are."""
        weights = self.weights.astype(np.float32)
        found: Singles = features.astype(np.float32, copy=False) @ weights
        return found + np.float32(self.offset)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFeatures:
    """Features of labelled cells or patches.

    Parameters
    ----------
    values : (n, k) ndarray of float32
        Their features.
    tumor : (n,) ndarray of bool
        Their labels.
    """

    values: Singles
    tumor: Bools


def fit_head(start: Head, taught: LabelledFeatures, home: LabelledFeatures) -> Head:
    """Fit a head to labels, as far from the old one as home allows.

    The classes count alike, however many cells each has, and both together as many as
    the smaller one warrants. Labels say in which direction tumor lies, but not how sure
    of it one may be: they are often of the hardest places. So the new head is as sure at
    home as the old one, whose calibration and lesion thresholds stay of use.

    Parameters
    ----------
    start : Head
        The old one, towards which the new one is drawn, the less the more labels there
        are. The offset is drawn as a log odds with a spread of 1.
    taught : LabelledFeatures
        Of the corrections; both classes occur.
    home : LabelledFeatures
        Of patches of home, whose AUC may fall by `MOST_LOST`: otherwise the pull gets
        stronger. Their spread is the measure of a feature, and the mean log odds of each
        class stay as they are. Both classes occur.

    Returns
    -------
    Head
        The same for the same labels, in any order up to rounding; the old one where
        none other is good enough at home.
    """
    spread = np.maximum(home.values.std(axis=0, dtype=np.float64), 1e-6)
    before = _auc(start, home)
    fitted = np.zeros(len(spread) + 1)
    for attempt in range(_ATTEMPTS):
        pull = PULL * _STRONGER**attempt
        fitted = _fit(start, taught, spread, pull, fitted)
        head = Head(start.weights + fitted[:-1] / spread, start.offset + fitted[-1])
        if before - _auc(head, home) <= MOST_LOST:
            return _as_sure(head, start, home)
    return start


def _as_sure(head: Head, start: Head, home: LabelledFeatures) -> Head:
    """Scale and shift log odds, so that their means at home are those of the old head."""
    (old_normal, old_tumor), (normal, tumor) = (
        [float(one.log_odds(home.values[home.tumor == kind]).mean()) for kind in (0, 1)]
        for one in (start, head)
    )
    if old_tumor <= old_normal or tumor <= normal:  # no better than chance
        return start
    scale = (old_tumor - old_normal) / (tumor - normal)
    offset = old_tumor - scale * tumor
    return Head(scale * head.weights, scale * head.offset + offset)


def _auc(head: Head, labelled: LabelledFeatures) -> float:
    found = roc_auc(labelled.tumor, head.log_odds(labelled.values))
    assert found is not None
    return found


def _fit(
    start: Head, taught: LabelledFeatures, spread: Floats, pull: float, begin: Floats
) -> Floats:
    """Return the changes of the weights, in spreads, and of the offset."""
    counts = np.array([(~taught.tumor).sum(), taught.tumor.sum()])
    labels = 2 * counts.prod() / counts.sum() / SAME  # of each class
    each = (labels / counts)[taught.tumor.astype(int)]
    inputs = np.column_stack([taught.values / spread, np.ones(len(taught.values))])
    old = taught.values @ start.weights + start.offset
    pulls = np.append(np.full(len(spread), pull), 0.5)

    def loss(change: Floats) -> tuple[float, Floats]:
        z = old + inputs @ change
        value = each @ (np.logaddexp(0, z) - taught.tumor * z) + pulls @ change**2
        slope = inputs.T @ (each * (expit(z) - taught.tumor)) + 2 * pulls * change
        return float(value), slope

    def curvature(change: Floats) -> Floats:
        p = expit(old + inputs @ change)
        bends: Floats = (inputs.T * (each * p * (1 - p))) @ inputs + np.diag(2 * pulls)
        return bends

    # Newton's method: it ends so close to the minimum that the rounding does not show.
    found: Floats = minimize(
        loss,
        begin,
        jac=True,
        hess=curvature,
        method="trust-exact",
        options={"gtol": 1e-8},
    ).x
    return found
