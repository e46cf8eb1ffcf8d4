"""From a network's certainty to a probability: Platt's scaling of the logit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Certainty is kept finite.
_SMALLEST = 1e-7


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the logit margin becomes a probability: ``sigmoid(scale * z + offset)``.

    Parameters
    ----------
    scale, offset : float
        Platt's two numbers.
    """

    scale: float = 1.0
    offset: float = 0.0

    def apply(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return calibrated probabilities, same shape."""
        margin = logit_of(probabilities)
        calibrated: NDArray[np.float64] = expit(self.scale * margin + self.offset)
        return calibrated


def logit_of(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logit of probabilities, (n,); certainty is kept finite."""
    values: NDArray[np.float64] = logit(
        np.clip(probabilities.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    )
    return values


def calibrate(
    labels: NDArray[np.bool_], probabilities: NDArray[np.floating]
) -> Calibration:
    """Fit Platt's scaling by maximum likelihood.

    Of n patches of a class one more is supposed of either, as Platt did: otherwise a
    few patches that are told apart without a fault would make every probability 0 or 1.

    The attention and focal losses are not proper scores, so what a network trained
    with them gives is an order of patches, not yet a probability.

    Parameters
    ----------
    labels : ndarray
        (n,) bool, true = tumour; both classes occur.
    probabilities : ndarray
        (n,) of the network.

    Returns
    -------
    Calibration
        The fit.
    """
    margin = logit_of(probabilities)
    tumor = int(labels.sum())
    normal = len(labels) - tumor
    wanted = np.where(labels, (tumor + 1) / (tumor + 2), 1 / (normal + 2))

    def loss(numbers: NDArray[np.float64]) -> float:
        z = numbers[0] * margin + numbers[1]
        each = wanted * np.logaddexp(0, -z) + (1 - wanted) * np.logaddexp(0, z)
        return float(each.mean())

    fitted = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead")
    return Calibration(*map(float, fitted.x))
