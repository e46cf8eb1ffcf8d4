"""Calibration of a network's output to probabilities: Platt's scaling of the logit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Floats

# Probabilities closer to 0 or 1 are clipped, so that logits stay finite.
_SMALLEST = 1e-7


@dataclass(frozen=True, slots=True)
class Calibration:
    """A map from the logit z to a probability: ``sigmoid(scale * z + offset)``.

    Parameters
    ----------
    scale, offset : float
        Platt's two numbers; the defaults change nothing.
    """

    scale: float = 1.0
    offset: float = 0.0

    def apply(self, probabilities: NDArray[np.floating]) -> Floats:
        """Calibrate probabilities of any shape."""
        logits = logit_of(probabilities)
        calibrated: Floats = expit(self.scale * logits + self.offset)
        return calibrated


def at_share(probability: float, share: float, fitted: float = 0.5) -> float:
    """Move a calibrated probability to patches of which another share is tumor.

    Bayes' rule: the log odds change by as much as those of the share do, as long as tumor
    looks the same, and normal tissue too.

    Parameters
    ----------
    probability : float
        Of one patch, 0..1.
    share, fitted : float
        Tumor among the patches, there and where the calibration was fitted; between 0
        and 1.
    """
    there = probability * share / fitted
    return there / (there + (1 - probability) * (1 - share) / (1 - fitted))


def logit_of(probabilities: NDArray[np.floating]) -> Floats:
    """Compute the logit of probabilities.

    Parameters
    ----------
    probabilities : ndarray
        0..1, any shape.

    Returns
    -------
    float64 ndarray of that shape
        Finite: certainty is clipped at 1e-7.
    """
    values: Floats = logit(
        np.clip(probabilities.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    )
    return values


def calibrate(labels: Bools, probabilities: NDArray[np.floating]) -> Calibration:
    """Fit Platt's scaling by maximum likelihood.

    The attention and focal losses (Eqs. 6 and 7 of the paper) are not proper scores: a
    network trained with them orders patches, but gives no probabilities yet.

    One more patch of each class is supposed, as Platt did: otherwise a few patches that
    are separated without a fault would make every probability 0 or 1.

    Parameters
    ----------
    labels : (n,) bool ndarray
        True is tumor; both classes occur.
    probabilities : (n,) ndarray
        Of the network.

    Returns
    -------
    Calibration
        The fit.
    """
    logits = logit_of(probabilities)
    tumor = int(labels.sum())
    normal = len(labels) - tumor
    wanted = np.where(labels, (tumor + 1) / (tumor + 2), 1 / (normal + 2))

    def loss(numbers: Floats) -> float:
        z = numbers[0] * logits + numbers[1]
        each = wanted * np.logaddexp(0, -z) + (1 - wanted) * np.logaddexp(0, z)
        return float(each.mean())

    fitted = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead")
    return Calibration(*map(float, fitted.x))
