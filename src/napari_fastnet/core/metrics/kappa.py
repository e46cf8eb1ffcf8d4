"""Agreement of two graders on an ordered scale: Cohen's kappa with quadratic weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.metrics.intervals import ratio

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Floats, Integers
    from napari_fastnet.core.metrics.intervals import Interval

# Resamples of cases that are in memory at once.
_RESAMPLES = 1000


def quadratic_kappa(truth: Integers, found: Integers) -> float | None:
    """Compute Cohen's kappa with quadratic weights, CAMELYON17's score.

    Parameters
    ----------
    truth, found : (n,) int ndarray
        Each case's place on the scale, from 0; whole steps are equally far apart.

    Returns
    -------
    float or None
        1 where all agree, 0 where as much as by chance, below where less. None where it is
        undefined: no case, or one grade alone on both sides.

    Examples
    --------
    >>> quadratic_kappa(np.array([0, 1, 2]), np.array([0, 1, 2]))
    1.0
    """
    value = _kappas(np.asarray(truth)[None], np.asarray(found)[None])[0]
    return None if np.isnan(value) else float(value)


def kappa_interval(
    truth: Integers, found: Integers, *, resamples: int, seed: int
) -> Interval | None:
    """Compute the 95 % interval of `quadratic_kappa` by drawing cases with replacement.

    Parameters
    ----------
    truth, found : (n,) int ndarray
        As for `quadratic_kappa`.
    resamples, seed : int
        Number of resamples, 0 for none, and their seed.

    Returns
    -------
    tuple of float or None
        The 2.5 and 97.5 % points of the resamples in which kappa is defined; None without
        such, and of fewer than two cases.
    """
    truth, found = np.asarray(truth), np.asarray(found)
    if len(truth) < 2 or resamples < 1:
        return None
    generator = np.random.default_rng(seed)
    parts = []
    for first in range(0, resamples, _RESAMPLES):
        rows = min(_RESAMPLES, resamples - first)
        drawn = generator.integers(0, len(truth), (rows, len(truth)))
        parts.append(_kappas(truth[drawn], found[drawn]))
    values = np.concatenate(parts)
    values = values[~np.isnan(values)]
    if not values.size:
        return None
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def _kappas(truth: Integers, found: Integers) -> Floats:
    """Return (m,): kappa of each row of (m, n) grades; NaN where undefined.

    The squared distances that chance gives are those of all pairs of a truth and a grade,
    so no table of grades is needed.
    """
    if not truth.shape[1]:
        return np.full(len(truth), np.nan)
    first, second = truth.astype(np.float64), found.astype(np.float64)
    seen = np.square(first - second).mean(axis=1)
    apart = first.mean(axis=1) - second.mean(axis=1)
    by_chance = first.var(axis=1) + second.var(axis=1) + np.square(apart)
    return 1 - ratio(seen, by_chance)
