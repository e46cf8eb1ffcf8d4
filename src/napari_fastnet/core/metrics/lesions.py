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

from napari_fastnet.core.metrics.truth import PIXEL_UM, TruthMask, nearer_than
from napari_fastnet.core.morphology import EIGHT_NEIGHBOURS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair

#: How far the truth grows: half of 75 µm, some five tumour cells.
GROWTH_UM = 75 / 2
#: Lesions of a shorter major axis are isolated tumour cells.
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
    if not window.inside.size:
        return LesionMap(window, np.zeros((0, 0), np.int32), ())
    grown = nearer_than(window.inside, reach)
    labels, _ = ndimage.label(_without_holes(grown), EIGHT_NEIGHBOURS, output=np.int32)
    return LesionMap(window, labels, tuple(_measure(window, labels, pixel_um)))


def _without_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask and what of the background does not reach the edge."""
    # The frame joins everything that does.
    background = np.pad(~mask, 1, constant_values=True)
    labels, _ = ndimage.label(background, output=np.int32)
    filled: NDArray[np.bool_] = labels[1:-1, 1:-1] != labels[0, 0]
    return filled


def _measure(
    window: TruthMask, labels: NDArray[np.int32], pixel_um: float
) -> Iterator[Lesion]:
    """Yield what is known of each label."""
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        own = labels[box] == label
        moments = Moments.of(own)
        y, x = (
            step * (first + part.start + 0.5 + mean)
            for step, first, part, mean in zip(
                window.step, window.first, box, moments.mean, strict=True
            )
        )
        truth_px = np.count_nonzero(own & window.inside[box])
        yield Lesion(
            label=label,
            centre=(y, x),
            area_mm2=truth_px * pixel_um**2 / 1e6,
            major_axis_um=moments.major_axis * pixel_um,
            is_itc=moments.major_axis < ITC_UM / pixel_um,
        )


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the px of a region, as whole numbers.

    Parameters
    ----------
    n : int
        px, at least one.
    y, x, yy, xx, xy : int
        Sums of their rows and columns, and of the products.
    """

    n: int
    y: int
    x: int
    yy: int
    xx: int
    xy: int

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Moments:
        """Return those of the px of a (rows, columns) bool ndarray."""
        rows, columns = (np.arange(side, dtype=np.float64) for side in mask.shape)
        by_row, by_column = (mask.sum(axis=axis) for axis in (1, 0))
        # In strips: the product wants real numbers, eight times as large as the mask.
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
        return cls(*map(int, sums))

    @property
    def mean(self) -> Pair:
        """The (y, x) of the middle, from the first px' centre."""
        return self.y / self.n, self.x / self.n

    @property
    def major_axis(self) -> float:
        """Of the ellipse with the same second moments, px; 0 for a single px.

        Four times the root of the greater variance. Whole numbers grow as they must:
        nothing is lost where they nearly cancel.
        """
        n = self.n
        along_y, along_x = n * self.yy - self.y**2, n * self.xx - self.x**2
        mixed = n * self.xy - self.y * self.x
        spread = sqrt((along_y - along_x) ** 2 + 4 * mixed**2)
        return 4 * sqrt((along_y + along_x + spread) / 2) / n
