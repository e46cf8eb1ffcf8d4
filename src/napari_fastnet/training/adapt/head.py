"""The network's last layer taught alone, at once: a logistic regression near the old one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Floats, Singles


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
    """Fit a head to labels; without any it stays as it is.

    Parameters
    ----------
    start : Head
        The old one, towards which the new one is drawn.
    taught : LabelledFeatures
        Of the corrections; both classes occur.
    home : LabelledFeatures
        Of patches of home, where the new one must stay good; both classes occur.

    Returns
    -------
    Head
        The same for the same labels, in any order up to rounding.
    """
    raise NotImplementedError
