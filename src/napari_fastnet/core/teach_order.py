"""Order of places to label next: the most doubtful, and the most unlike what is labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Floats, Indices, Singles


def teach_order(
    log_odds: Floats,
    centres_um: Floats,
    features: Singles | None = None,
    labelled: Singles | None = None,
) -> Indices:
    """Order candidates for teaching.

    Parameters
    ----------
    log_odds : (n,) ndarray
        Of tumor, of each candidate; 0 is the most doubtful. NaN comes last.
    centres_um : (n, 2) ndarray
        (y, x) of each, µm.
    features : (n, k) ndarray, optional
        What the network sees in each; without them, places stand for features.
    labelled : (m, k) ndarray, optional
        The features of what is labelled already.

    Returns
    -------
    (n,) ndarray of int
        Indices of all candidates, the first to label first. After one come those of
        other neighbourhoods, before any near it.
    """
    raise NotImplementedError
