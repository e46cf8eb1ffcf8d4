"""From training patches to the gamut that slides are compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_fastnet.core.quality import Gamut, colour_features, colour_planes, judge
from napari_fastnet.core.sharpness import patch_sharpness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Share of the training patches that lies inside.
INSIDE = 0.99
#: Blur that is to be found, standard deviation in px of the model.
BLUR_PX = 1.0
#: Fewer patches than this cannot say where 99 % of them lie.
FEWEST = 200


def measure_gamut(
    coarse: Sequence[NDArray[np.uint8]], patches: Sequence[NDArray[np.uint8]]
) -> Gamut | None:
    """Measure what a model was trained on.

    Parameters
    ----------
    coarse, patches : sequence of (side, side, 3) uint8 ndarray
        The training patches at 8 µm/px, and as the model saw them.

    Returns
    -------
    Gamut or None
        None where fewer than 200 of them are tissue, or all are of one colour.
    """
    sums = np.array([[float(q.sum()) for q in colour_planes(p)] for p in coarse])
    if len(sums) < FEWEST:
        return None
    stained, _ = judge(sums, np.full(len(sums), float(coarse[0].size // 3)))
    features = colour_features(sums[stained, :4])
    covariance = np.cov(features.T) if len(features) >= FEWEST else np.zeros((3, 3))
    if np.linalg.matrix_rank(covariance) < 3:
        return None
    mean = features.mean(axis=0)
    precision = np.linalg.inv(covariance)
    gamut = Gamut(
        len(sums),
        tuple(mean.tolist()),
        tuple(map(tuple, precision.tolist())),
        distance=1.0,
        sharpness=float(np.quantile([blurred_sharpness(p) for p in patches], INSIDE)),
    )
    limit = float(np.quantile(gamut.distances(features), INSIDE))
    return replace(gamut, distance=limit)


def blurred_sharpness(patch: NDArray[np.uint8], sigma_px: float = BLUR_PX) -> float:
    """Return the sharpness of one patch after a Gaussian blur."""
    blurred = gaussian_filter(patch, (sigma_px, sigma_px, 0))
    side = len(patch)
    found = patch_sharpness(blurred, (1, 1), patch_px=side, stride_px=side)
    return float(found[0, 0])
