"""95 % intervals where resamples know nothing: where every draw gives the same number.

Drawn again, patches that are all judged right are all judged right: the interval would be
the point 1, of two patches as of two thousand. The same holds between 0 and 1 where a
class is all right and the other all wrong.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from scipy.optimize import brentq

if TYPE_CHECKING:
    from napari_fastnet.core.metrics.bootstrap import Interval

# The normal distribution's 97.5 % point.
_Z = 1.959964
_SMALLEST = 1e-12


def share_interval(share: float, count: int) -> Interval:
    """Return Wilson's interval of a share.

    Parameters
    ----------
    share : float
        0 to 1.
    count : int
        Of how many, at least 1.

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
    """Return the interval of an F1 score.

    F1 is 2 J / (1 + J), J the share of hits among all patches that are tumor or are called
    so: the ends are those of Wilson's interval of J.

    Parameters
    ----------
    f1 : float
        0 to 1.
    count : int
        Patches that are tumor or are called so, at least 1.

    Returns
    -------
    tuple of float
        Low and high end.
    """
    low, high = (2 * end / (1 + end) for end in share_interval(f1 / (2 - f1), count))
    return low, high


def auc_interval(auc: float, positives: int, negatives: int) -> Interval:
    """Return the interval of an area under the ROC curve.

    Newcombe's method 5 (Statistics in Medicine 2006, 25:559), which solves for the area
    whose standard error, by Hanley and McNeil, reaches as far as what was found: what
    Wilson does for shares.

    Parameters
    ----------
    auc : float
        0 to 1.
    positives, negatives : int
        Of each class, at least 1.

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
