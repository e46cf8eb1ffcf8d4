"""Order of places to label next: the most doubtful, and the most unlike what is labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Floats, Indices, Singles

#: Candidates closer than this are of one neighbourhood, µm.
APART_UM = 500.0
#: Candidates that are chosen one by one; no person labels more. Then doubt alone decides.
CHOSEN = 200


def teach_order(
    log_odds: Floats,
    centres_um: Floats,
    features: Singles | None = None,
    labelled: Singles | None = None,
    *,
    apart_um: float = APART_UM,
) -> Indices:
    """Order candidates for teaching.

    Doubt times distance decides: the distance, among features of equal spread, to the
    nearest that is labelled or comes before.

    Parameters
    ----------
    log_odds : (n,) ndarray
        Of tumor, of each candidate, or its evidence above the lesion threshold; 0 is the
        most doubtful. NaN comes last.
    centres_um : (n, 2) ndarray
        (y, x) of each, µm.
    features : (n, k) ndarray, optional
        What the network sees in each; without them doubt alone decides. Rows of NaN
        count as average.
    labelled : (m, k) ndarray, optional
        The features of what is labelled already; rows of NaN are left out.
    apart_um : float, optional
        Width of a neighbourhood.

    Returns
    -------
    (n,) ndarray of int
        Indices of all candidates, the first to label first. After one come those of
        other neighbourhoods, before any near it.
    """
    doubt = np.nan_to_num(1 / (1 + np.abs(log_odds)), nan=0.0)
    left = doubt > 0
    here = left.copy()  # of neighbourhoods that this round has not been in
    unlike = np.ones(len(doubt))
    values, known = _of_equal_spread(features, labelled)
    if values is not None and known is not None:
        unlike = np.full(len(doubt), np.inf)
        for one in known:
            unlike = np.minimum(unlike, _distances(values, one))
    order: list[int] = []
    while left.any() and len(order) < CHOSEN:
        if not (left & here).any():
            here[:] = True
        best = int(np.argmax(np.where(left & here, doubt * unlike, -1.0)))
        if values is not None:
            reached = _distances(values, values[best])
            first = not order and known is None
            unlike = reached if first else np.minimum(unlike, reached)
        near = np.hypot(*(centres_um - centres_um[best]).T) < apart_um
        here &= ~near
        left[best] = False
        order.append(best)
    by_doubt = np.argsort(-doubt, kind="stable")
    rest = by_doubt[~np.isin(by_doubt, order)]
    return np.concatenate([np.array(order, np.intp), rest])


def _of_equal_spread(
    features: Singles | None, labelled: Singles | None
) -> tuple[Singles | None, Singles | None]:
    """Return both in units of the features' spread, or None where there are none."""
    if features is None:
        return None, None
    found = np.asarray(np.isfinite(features).all(axis=1))
    if not found.any():
        return None, None
    spread = np.maximum(features[found].std(axis=0), 1e-6)
    mean = features[found].mean(axis=0)
    values = np.where(found[:, np.newaxis], features, mean) / spread
    if labelled is None:
        return values, None
    known = labelled[np.isfinite(labelled).all(axis=1)] / spread
    return values, known if len(known) else None


def _distances(values: Singles, one: Singles) -> Floats:
    distances: Floats = np.sqrt(np.mean((values - one) ** 2, axis=1, dtype=np.float64))
    return distances
