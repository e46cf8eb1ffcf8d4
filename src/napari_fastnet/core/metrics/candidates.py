"""Candidates as points with scores, for CAMELYON16's free-response curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.lesions.evidence import confidence
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.core.arrays import Floats
    from napari_fastnet.core.lesions.regions import Region

#: Least score, for evidence so low that its confidence is 0 but for rounding.
SMALLEST = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Points of a slide, each with the probability that a lesion is there.

    Parameters
    ----------
    scores : (n,) float64 ndarray
        Above 0, up to 1; a probability of 0 is no candidate.
    points : (n, 2) float64 ndarray
        (y, x), level-0 px.

    Raises
    ------
    OptionError
        Scores and points do not match, or a score is out of range.
    """

    scores: Floats
    points: Floats

    @classmethod
    def of(cls, regions: Sequence[Region]) -> Candidates:
        """Return the candidates that `core.lesions.evidence.find_candidates` found as points.

        Parameters
        ----------
        regions : sequence of Region
            With evidence.

        Returns
        -------
        Candidates
            In the same order. A score is the confidence, a point the centre of the
            strongest cell, rounded down to a whole px as in CAMELYON16's files.
        """
        scores = [max(confidence(each.evidence), SMALLEST) for each in regions]
        points = [each.peak or each.centroid for each in regions]
        return cls(
            np.array(scores, np.float64),
            np.floor(np.array(points, np.float64).reshape(-1, 2)),
        )

    def __post_init__(self) -> None:
        if self.points.shape != (len(self.scores), 2):
            raise OptionError(
                f"{len(self.scores)} scores and points of shape {self.points.shape}; "
                "give one (y, x) a score"
            )
        if not ((self.scores > 0) & (self.scores <= 1)).all():
            raise OptionError("a candidate's score lies outside 0..1, or is 0")
