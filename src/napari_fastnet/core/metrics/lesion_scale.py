"""Lesions against the truth: the fit of a model's evidence, and the curve of its alarms.

A candidate is right if it covers a part of a true lesion, and false if it covers none; a
lesion is found if a candidate covers a part of it. (CAMELYON16's own measure is in
`core.metrics.froc`.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from scipy.optimize import minimize
from scipy.special import expit

from napari_fastnet.core.lesions.evidence import beside_certain, evidence_of
from napari_fastnet.core.lesions.matching import polygon_of, shapes_of
from napari_fastnet.core.lesions.regions import longest_axes
from napari_fastnet.core.options import CurvePoint, EvidenceScale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.core.arrays import Bools, Floats
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.lesions.regions import Region

#: False lesions per 10 mm² of normal tissue from which the named thresholds are made.
FALSE_PER_10_MM2 = {"fewer": 0.5, "balanced": 1.5, "more": 15.0}
#: Evidence that is its own strength, and leaves out no candidate.
STRENGTH = EvidenceScale(
    scale=1, offset=0, beside=0, certain=1e6, fewer=-1e6, balanced=-1e6, more=-1e6
)
#: Distance of a certain candidate from the strongest false one.
MARGIN = 0.5
#: Step of the curve's thresholds, log odds, and their largest number.
STEP, MOST_POINTS = 0.5, 24
# Limits of the sizes that the curve tells apart, mm.
_LIMITS = (0.0, 0.2, 0.3, np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class KnownSlide:
    """Candidates of a slide of which the truth is known.

    Parameters
    ----------
    strengths : (n,) ndarray of float64
        Of the candidates, their evidence on the scale `STRENGTH`.
    covers : (n, m) ndarray of bool
        Whether a candidate covers a part of a true lesion.
    lesions_mm : (m,) ndarray of float64
        Longest axis of each true lesion.
    normal_mm2 : float
        Area of the normal tissue.
    """

    strengths: Floats
    covers: Bools
    lesions_mm: Floats
    normal_mm2: float

    @classmethod
    def of(
        cls,
        candidates: Sequence[Region],
        lesions: Sequence[shapely.Geometry],
        normal_mm2: float,
        mpp: Pair,
    ) -> KnownSlide:
        """Compare candidates with true lesions.

        Parameters
        ----------
        candidates : sequence of Region
            Found with the scale `STRENGTH`.
        lesions : sequence of shapely.Geometry
            Areas in level-0 px; their x is y here, and their y is x.
        normal_mm2 : float
            Area of the normal tissue.
        mpp : tuple of float
            (y, x) µm per level-0 px.
        """
        shapes = shapes_of([each.polygons for each in candidates])
        common = shapely.intersection(shapes[:, None], np.array(lesions, object))
        covers = shapely.area(common) > 0
        outlines = [tuple(map(polygon_of, shapely.get_parts(one))) for one in lesions]
        axes = longest_axes(outlines, mpp) if outlines else []
        return cls(
            np.array([each.evidence for each in candidates], np.float64),
            covers,
            np.array([length_mm for length_mm, _ in axes], np.float64),
            normal_mm2,
        )

    @property
    def right(self) -> Bools:
        """Whether each candidate is right, (n,)."""
        return np.asarray(self.covers.any(axis=1))


def fit_scale(slides: Sequence[KnownSlide]) -> EvidenceScale | None:
    """Fit the scale of evidence, and choose the thresholds by their false lesions.

    Parameters
    ----------
    slides : sequence of KnownSlide
        Some without lesions.

    Returns
    -------
    EvidenceScale or None
        Without a curve. None where right and false candidates cannot be told apart by
        their strength, or there are none of one kind.
    """
    right = np.concatenate([slide.right for slide in slides])
    if not right.any() or right.all():
        return None
    false = np.concatenate([slide.strengths[~slide.right] for slide in slides])
    scale = replace(STRENGTH, certain=float(false.max()) + MARGIN)
    strengths = [slide.strengths for slide in slides]
    beside = np.concatenate([beside_certain(s, scale.certain) for s in strengths])
    features = np.column_stack((np.concatenate(strengths), np.ones(len(right)), beside))
    slope, offset, bonus = _logistic(features, right)
    if slope <= 0:
        return None
    scale = replace(scale, scale=slope, offset=offset, beside=max(bonus, 0.0))
    area = sum(slide.normal_mm2 for slide in slides)
    wrong = np.concatenate(
        [evidence_of(slide.strengths, scale)[~slide.right] for slide in slides]
    )
    wrong = np.sort(wrong)[::-1]
    thresholds: dict[str, Any] = {}
    for name, rate in FALSE_PER_10_MM2.items():
        allowed = int(rate * area / 10)  # so many may be at or above it
        at = wrong[min(allowed, len(wrong) - 1)]
        thresholds[name] = float(np.ceil(at * 100 + 1) / 100)
    return replace(scale, **thresholds)


def _logistic(features: Floats, right: Bools) -> tuple[float, float, float]:
    """Fit a logistic regression with a weak pull to 0, which keeps it finite."""
    sign = np.where(right, 1.0, -1.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = sign * (features @ weights)
        slope = -sign * expit(-margin)
        value = np.logaddexp(0, -margin).sum() + 0.01 * (weights @ weights)
        return float(value), features.T @ slope + 0.02 * weights

    found = minimize(loss, np.zeros(features.shape[1]), jac=True, method="BFGS").x
    slope, offset, bonus = found.tolist()
    return slope, offset, bonus


def alarm_curve(
    slides: Sequence[KnownSlide], scale: EvidenceScale
) -> tuple[CurvePoint, ...]:
    """Measure found and false lesions over the lesion threshold.

    Parameters
    ----------
    slides : sequence of KnownSlide
        That nothing was chosen on.
    scale : EvidenceScale
        Fitted on others.

    Returns
    -------
    tuple of CurvePoint
        From the highest threshold to that of "more", with the named ones among them.
    """
    named = {scale.fewer, scale.balanced, scale.more}
    steps = scale.more + STEP * np.arange(MOST_POINTS)
    thresholds = sorted({*np.round(steps, 2).tolist(), *named}, reverse=True)
    return tuple(point_at(slides, scale, threshold) for threshold in thresholds)


def point_at(
    slides: Sequence[KnownSlide], scale: EvidenceScale, threshold: float
) -> CurvePoint:
    """Measure found and false lesions at a lesion threshold; see `alarm_curve`."""
    false, found, sizes = 0, [], []
    for slide in slides:
        alarm = evidence_of(slide.strengths, scale) >= threshold
        false += int((alarm & ~slide.right).sum())
        found.append(slide.covers[alarm].any(axis=0))
        sizes.append(slide.lesions_mm)
    hit, mm = np.concatenate(found), np.concatenate(sizes)

    def share(of: Bools) -> float | None:
        return round(float(hit[of].mean()), 4) if of.any() else None

    area = sum(slide.normal_mm2 for slide in slides)
    small, medium, large = (
        share((mm >= low) & (mm < high)) for low, high in pairwise(_LIMITS)
    )
    return CurvePoint(
        lesion_threshold=threshold,
        false_per_10_mm2=round(10 * false / area, 4),
        sensitivity=share(np.ones(len(hit), bool)) or 0.0,
        below_02_mm=small,
        from_02_mm=medium,
        from_03_mm=large,
    )
