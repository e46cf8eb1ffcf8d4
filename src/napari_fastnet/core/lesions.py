"""Lesions as CAMELYON16 counts them: truth that grew together, and isolated cells.

Every px nearer than 37.5 µm to the truth joins it, holes are filled, and what touches at
sides or corners is one lesion. A lesion whose major axis is under 275 µm is isolated
tumour cells (ITC), which nobody is asked to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_fastnet.core.morphology import fill_small_holes
from napari_fastnet.core.regions import EIGHT_NEIGHBOURS
from napari_fastnet.core.truth import PIXEL_UM, TruthMask, nearer_than

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair

#: How far the truth grows: half of 75 µm, some five tumour cells.
GROWTH_UM = 75 / 2
#: Lesions of a shorter major axis are isolated tumour cells.
ITC_UM = 275.0


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
        Of the truth, before it grew.
    major_axis_um : float
        Of the ellipse with the same second moments, after it grew.
    is_itc : bool
        Whether it is isolated tumour cells.
    """

    label: int
    centre: Pair
    area_mm2: float
    major_axis_um: float
    is_itc: bool


@dataclass(frozen=True, slots=True, eq=False)
class LesionMap:
    """The lesions of a slide and where they lie.

    Parameters
    ----------
    window : TruthMask
        The truth, before it grew.
    labels : (rows, columns) int32 ndarray
        Of the window's px: the lesion's label, 0 outside of all.
    lesions : tuple of Lesion
        Label 1, 2, and so on.
    """

    window: TruthMask
    labels: NDArray[np.int32]
    lesions: tuple[Lesion, ...]

    def labels_at(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return the label under each (y, x) of level-0 px, 0 outside of all."""
        rows, columns, known = self.window.index_of(points)
        found = np.zeros(len(points), np.int32)
        found[known] = self.labels[rows[known], columns[known]]
        return found


def find_lesions(truth: TruthMask, *, pixel_um: float = PIXEL_UM) -> LesionMap:
    """Return the lesions that a slide's truth makes.

    Parameters
    ----------
    truth : TruthMask
        May be empty.
    pixel_um : float, optional
        µm of a px of the mask, along both axes.

    Returns
    -------
    LesionMap
        Without a lesion where nothing is tumour.

    Notes
    -----
    A hole is background that touches the slide's edge nowhere, not even by way of other
    background; background touches along sides only. The moments are those of the px'
    centres.
    """
    reach = GROWTH_UM / pixel_um
    window = truth.around(ceil(reach))
    grown = nearer_than(window.inside, reach)
    filled = fill_small_holes(grown, np.inf)
    labels, count = ndimage.label(filled, EIGHT_NEIGHBOURS, output=np.int32)
    lesions = tuple(_measure(window, labels, count, pixel_um))
    return LesionMap(window, labels, lesions)


def _measure(
    window: TruthMask, labels: NDArray[np.int32], count: int, pixel_um: float
) -> list[Lesion]:
    """Return what is known of each label."""
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    sizes = np.maximum(np.bincount(owner, minlength=count + 1), 1)
    middles = [
        step * (first + 0.5 + np.bincount(owner, index, count + 1) / sizes)
        for step, first, index in zip(
            window.step, window.first, (rows, columns), strict=True
        )
    ]
    truth = np.bincount(labels[window.inside], minlength=count + 1)
    axes = major_axes(owner, rows, columns, count)
    return [
        Lesion(
            label=label,
            centre=(float(middles[0][label]), float(middles[1][label])),
            area_mm2=float(truth[label]) * pixel_um**2 / 1e6,
            major_axis_um=axes[label - 1] * pixel_um,
            is_itc=axes[label - 1] < ITC_UM / pixel_um,
        )
        for label in range(1, count + 1)
    ]


def major_axes(
    owner: NDArray[np.integer],
    rows: NDArray[np.integer],
    columns: NDArray[np.integer],
    count: int,
) -> list[float]:
    """Return the major axes of the ellipses with the same second moments as regions.

    Parameters
    ----------
    owner : (n,) ndarray of int
        Region of each px, 1 to ``count``, each at least once.
    rows, columns : (n,) ndarray of int
        Where the px lie.
    count : int
        Regions.

    Returns
    -------
    list of float
        px, of region 1, 2, and so on; 0 for a region of one px.
    """
    columns = columns.astype(np.float64)
    rows = rows.astype(np.float64)
    sums = [
        np.bincount(owner, weights, count + 1)[1:].tolist()
        for weights in (None, rows, columns, rows**2, columns**2, rows * columns)
    ]
    return [_major_axis(*map(int, moments)) for moments in zip(*sums, strict=True)]


def _major_axis(n: int, y: int, x: int, yy: int, xx: int, xy: int) -> float:
    """Return four times the root of the greater variance, from sums over n px.

    Whole numbers of any size: nothing is lost where a small lesion lies far out.
    """
    along_y, along_x, mixed = n * yy - y * y, n * xx - x * x, n * xy - x * y
    spread = sqrt((along_y - along_x) ** 2 + 4 * mixed**2)
    return 4 * sqrt((along_y + along_x + spread) / 2) / n
