"""Which threshold finds how much tumour, and what it costs in false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.metrics import roc_curve
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

#: The recalls that a model card lists.
RECALLS = (0.80, 0.85, 0.90, 0.95, 0.97, 0.99)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One point of a ROC curve, as one who chooses a threshold asks for it.

    Parameters
    ----------
    at_least : float
        The recall that was asked for.
    threshold : float
        Highest probability from which calling tumour reaches it.
    recall, specificity, precision : float
        What that threshold gives on these patches.
    """

    at_least: float
    threshold: float
    recall: float
    specificity: float
    precision: float


def operating_points(
    labels: ArrayLike, probabilities: ArrayLike, recalls: Sequence[float] = RECALLS
) -> list[OperatingPoint]:
    """Return the highest threshold that reaches each recall.

    Parameters
    ----------
    labels : array_like
        (n,) bool, or numbers 0 and 1, both classes among them; 1 is tumour.
    probabilities : array_like
        (n,) float in 0..1, of tumour.
    recalls : sequence of float
        Each above 0 and at most 1.

    Returns
    -------
    list of OperatingPoint
        One for each recall, in their order.

    Raises
    ------
    DataError
        Where all labels are the same.
    OptionError
        With a recall outside its range.
    """
    truth = np.asarray(labels).astype(bool)
    false_alarms, found, thresholds = roc_curve(truth, probabilities)
    points = []
    for asked in recalls:
        if not 0 < asked <= 1:
            raise OptionError(f"recall is {asked}; use a share above 0, at most 1")
        # Shares are quotients of whole numbers: 19 / 20 must reach 0.95.
        at = int(np.argmax(found >= asked - 1e-12))
        hits, alarms = found[at] * truth.sum(), false_alarms[at] * (~truth).sum()
        points.append(
            OperatingPoint(
                at_least=float(asked),
                threshold=float(thresholds[at]),
                recall=float(found[at]),
                specificity=float(1 - false_alarms[at]),
                precision=float(hits / (hits + alarms)),
            )
        )
    return points
