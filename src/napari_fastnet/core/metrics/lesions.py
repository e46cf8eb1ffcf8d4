"""Lesions by the rules of CAMELYON16: connected areas of grown truth.

Every px nearer than 37.5 µm to the truth joins it, holes are filled, and areas that touch
at sides or corners are one lesion. A lesion whose major axis is under 275 µm is isolated
tumor cells (ITC), which need not be found.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_fastnet.core.metrics.truth import PIXEL_UM, TruthMask, nearer_than
from napari_fastnet.core.morphology import EIGHT_NEIGHBOURS, fill_small_holes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Floats
    from napari_fastnet.core.geometry import Pair

#: Distance by which the truth grows: half of 75 µm, some five tumor cells.
GROWTH_UM = 75 / 2
#: Major axis below which a lesion is isolated tumor cells.
ITC_UM = 275.0

_STRIP_ROWS = 256


@dataclass(frozen=True, slots=True)
class Lesion:
    """One lesion of a slide.

    Parameters
    ----------
    label : int
        From 1, in reading order of the lesions' first px.
    centre : tuple of float
        (y, x) mean of its px, level-0 px.
    area_mm2 : float
        Area of the truth, before it grew.
    major_axis_um : float
        Of the ellipse with the same second moments, after it grew.
    is_itc : bool
        Whether it is isolated tumor cells.
    """

    label: int
    centre: Pair
    area_mm2: float
    major_axis_um: float
    is_itc: bool


@dataclass(frozen=True, slots=True, eq=False)
class LesionMap:
    """The lesions of a slide with their places.

    Parameters
    ----------
    window : TruthMask
        The truth, before it grew.
    labels : (rows, columns) int32 ndarray
        The lesion's label of each px of the window, 0 outside of all.
    lesions : tuple of Lesion
        Label 1, 2, and so on.
    """

    window: TruthMask
    labels: NDArray[np.int32]
    lesions: tuple[Lesion, ...]

    def labels_at(self, points: Floats) -> NDArray[np.int32]:
        """Return the lesion under each point.

        Parameters
        ----------
        points : (n, 2) float64 ndarray
            (y, x), level-0 px.

        Returns
        -------
        (n,) int32 ndarray
            Labels, 0 outside of all lesions.
        """
        rows, columns, known = self.window.index_of(points)
        found = np.zeros(len(points), np.int32)
        found[known] = self.labels[rows[known], columns[known]]
        return found


def find_lesions(truth: TruthMask, *, pixel_um: float = PIXEL_UM) -> LesionMap:
    """Find the lesions in a slide's truth.

    Parameters
    ----------
    truth : TruthMask
        May be empty.
    pixel_um : float, optional
        µm of a px of the mask, along both axes.

    Returns
    -------
    LesionMap
        Without lesions where nothing is tumor.

    Notes
    -----
    A hole is background that touches the slide's edge nowhere, not even by way of other
    background; background touches along sides only. The moments are those of the px'
    centres.
    """
    reach = GROWTH_UM / pixel_um
    window = truth.around(ceil(reach))
    if not window.inside.size:
        return LesionMap(window, np.zeros((0, 0), np.int32), ())
    grown = nearer_than(window.inside, reach)
    whole = fill_small_holes(grown, np.inf)
    labels, _ = ndimage.label(whole, EIGHT_NEIGHBOURS, output=np.int32)
    return LesionMap(window, labels, tuple(_measure(window, labels, pixel_um)))


def _measure(
    window: TruthMask, labels: NDArray[np.int32], pixel_um: float
) -> Iterator[Lesion]:
    """Measure the lesion of each label."""
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        own = labels[box] == label
        mean, major_axis_px = mean_and_major_axis(own)
        y, x = (
            window.step[axis]
            * (window.first[axis] + box[axis].start + 0.5 + mean[axis])
            for axis in (0, 1)
        )
        truth_px = np.count_nonzero(own & window.inside[box])
        yield Lesion(
            label=label,
            centre=(y, x),
            area_mm2=truth_px * pixel_um**2 / 1e6,
            major_axis_um=major_axis_px * pixel_um,
            is_itc=major_axis_px < ITC_UM / pixel_um,
        )


def mean_and_major_axis(mask: Bools) -> tuple[Pair, float]:
    """Measure a region by the second moments of its px' centres.

    Sums are whole numbers of any size, so nothing is lost where they nearly cancel.

    Parameters
    ----------
    mask : (rows, columns) bool ndarray
        At least one True px.

    Returns
    -------
    mean : tuple of float
        (y, x), px from the centre of the first px of the mask.
    major_axis : float
        Of the ellipse with the same second moments, px: four times the root of the
        greater variance, 0 for a single px.
    """
    rows, columns = (np.arange(side, dtype=np.float64) for side in mask.shape)
    by_row, by_column = (mask.sum(axis=axis) for axis in (1, 0))
    # In strips: the product needs real numbers, eight times as large as the mask.
    # Up to 2**53 they are exact.
    strips = range(0, len(rows), _STRIP_ROWS)
    in_row = [mask[first : first + _STRIP_ROWS] @ columns for first in strips]
    sums = (
        by_row.sum(),
        rows @ by_row,
        columns @ by_column,
        rows**2 @ by_row,
        columns**2 @ by_column,
        rows @ np.concatenate(in_row),
    )
    n, y, x, yy, xx, xy = map(int, sums)
    along_y, along_x, mixed = n * yy - y**2, n * xx - x**2, n * xy - y * x
    spread = sqrt((along_y - along_x) ** 2 + 4 * mixed**2)
    return (y / n, x / n), 4 * sqrt((along_y + along_x + spread) / 2) / n
