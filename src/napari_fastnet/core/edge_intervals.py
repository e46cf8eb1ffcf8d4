"""95 % intervals where a metric is 0 or 1, of which resamples know nothing.

Drawn again, patches that are all judged right are all judged right: the interval would be
the point 1, of two patches as of two thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.optimize import brentq

if TYPE_CHECKING:
    from napari_fastnet.core.bootstrap import Interval

# The square of the normal distribution's 97.5 % point.
_Z2 = 1.959964**2


def share_interval(share: float, count: int) -> Interval:
    """Return Wilson's interval of a share that is 0 or 1.

    Parameters
    ----------
    share : float
        0 or 1.
    count : int
        Of how many, at least 1.

    Returns
    -------
    tuple of float
        Low and high end.
    """
    return _inwards(share, _Z2 / (count + _Z2))


def f1_interval(f1: float, count: int) -> Interval:
    """Return the interval of an F1 score that is 0 or 1.

    F1 is 2 J / (1 + J), J the share of hits among all patches that are tumor or are called
    so: the ends are those of Wilson's interval of J.

    Parameters
    ----------
    f1 : float
        0 or 1.
    count : int
        Patches that are tumor or are called so, at least 1.

    Returns
    -------
    tuple of float
        Low and high end.
    """
    low, high = (2 * end / (1 + end) for end in share_interval(f1, count))
    return low, high


def auc_interval(auc: float, positives: int, negatives: int) -> Interval:
    """Return the interval of an area under the ROC curve that is 0 or 1.

    Newcombe's method 5 (Statistics in Medicine 2006, 25:559), which solves for the area
    whose standard error, by Hanley and McNeil, reaches as far as what was found: what
    Wilson does for shares.

    Parameters
    ----------
    auc : float
        0 or 1.
    positives, negatives : int
        Of each class, at least 1.

    Returns
    -------
    tuple of float
        Low and high end.
    """
    others = (positives + negatives) / 2 - 1

    def excess(area: float) -> float:
        spread = 1 + others * ((1 - area) / (2 - area) + area / (1 + area))
        return 1 - area - _Z2 * area * spread / (positives * negatives)

    return _inwards(auc, 1 - float(brentq(excess, 0, 1)))


def _inwards(end: float, width: float) -> Interval:
    """Return the interval of a width that begins at 0 or ends at 1."""
    return (0.0, width) if end == 0 else (1 - width, 1.0)
