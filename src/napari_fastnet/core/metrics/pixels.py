"""How well a heatmap covers the truth, px by px: Dice, IoU and ROC.

A px of the truth has the probability of the cell that holds its centre, and is tumour
where its own centre is. Cells that were not computed call nothing tumour: tumour there
is missed, at a probability of 0, and normal px there are not counted, since a ROC over
bare glass would flatter every model.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logit

from napari_fastnet.core.metrics.truth import nearer_than
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.metrics.truth import TruthMask

#: Scores are counted in bins of equal log odds; those within one count as equal.
BINS = 1 << 16
LARGEST_LOG_ODDS = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class PixelCounts:
    """Px of one slide or more, by what they are and what the heatmap says; they add up.

    Parameters
    ----------
    tumour, normal : (BINS,) int64 ndarray
        px by the bin of their probability.
    true_positives, false_positives, false_negatives : int
        px at the threshold.
    """

    tumour: NDArray[np.int64]
    normal: NDArray[np.int64]
    true_positives: int
    false_positives: int
    false_negatives: int

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(
            self.tumour + other.tumour,
            self.normal + other.normal,
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def dice(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None where nothing is tumour and nothing called."""
        return _share(2 * self.true_positives, self._wrong)

    @property
    def iou(self) -> float | None:
        """TP / (TP + FP + FN), the Jaccard index; None as for Dice."""
        return _share(self.true_positives, self._wrong)

    @property
    def auc(self) -> float | None:
        """Area under the ROC curve, ties half; None where all px are of one kind."""
        if not self.tumour.any() or not self.normal.any():
            return None
        below = np.cumsum(self.normal) - self.normal
        # Real numbers: the pairs of some 1e9 px exceed a whole number of 64 bits.
        pairs = self.tumour @ (below + self.normal / 2)
        return float(pairs / (float(self.tumour.sum()) * float(self.normal.sum())))

    def roc(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return false and true positive rates, rising from (0, 0); NaN if undefined."""
        used = (self.tumour > 0) | (self.normal > 0)
        rates = []
        for counts in (self.normal, self.tumour):
            total = np.concatenate([[0], np.cumsum(counts[used][::-1])])
            rates.append(
                total / total[-1] if total[-1] else np.full(len(total), np.nan)
            )
        return rates[0], rates[1]

    @property
    def _wrong(self) -> int:
        return self.false_positives + self.false_negatives


def _share(right: int, wrong: int) -> float | None:
    return right / (right + wrong) if right + wrong else None


def count_pixels(
    heatmap: Heatmap,
    truth: TruthMask,
    *,
    threshold: float,
    boundary_px: float = 0.0,
) -> PixelCounts:
    """Compare a heatmap with the truth.

    Parameters
    ----------
    heatmap : Heatmap
        May have no cells.
    truth : TruthMask
        Of the same slide.
    threshold : float
        A probability equal to it calls tumour, 0..1; compared in float32.
    boundary_px : float, optional
        px of the truth nearer than this to a px of the other kind are not counted.

    Returns
    -------
    PixelCounts
        Of the slide.

    Raises
    ------
    OptionError
        A number lies outside its range.
    """
    if not 0 < threshold <= 1:
        raise OptionError(f"threshold is {threshold}; give a probability above 0")
    if not 0 <= boundary_px < 1000:
        raise OptionError(f"boundary is {boundary_px} px; give one from 0 to 1000")
    computed = heatmap.computed
    values = heatmap.probabilities[computed]
    per_cell, missed = _per_cell(heatmap, truth, boundary_px)
    tumour, normal = (counts[computed] for counts in per_cell)
    missed += int(per_cell[0].sum()) - int(tumour.sum())
    called = values >= np.float32(threshold)
    found = int(tumour[called].sum())
    bins = _bins(values)
    tumour_by_bin, normal_by_bin = (
        np.bincount(bins, counts, BINS).astype(np.int64) for counts in (tumour, normal)
    )
    tumour_by_bin[0] += missed
    return PixelCounts(
        tumour=tumour_by_bin,
        normal=normal_by_bin,
        true_positives=found,
        false_positives=int(normal[called].sum()),
        false_negatives=int(tumour_by_bin.sum()) - found,
    )


def _bins(values: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the bin of each probability; 0 is in the first and 1 in the last."""
    odds = np.clip(
        logit(values.astype(np.float64)), -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS
    )
    place = (odds / LARGEST_LOG_ODDS + 1) / 2 * (BINS - 1)
    bins: NDArray[np.intp] = np.rint(place).astype(np.intp)
    return bins


def _per_cell(
    heatmap: Heatmap, truth: TruthMask, boundary_px: float
) -> tuple[list[NDArray[np.int64]], int]:
    """Return px of tumour and normal px by cell, and px of tumour outside the grid."""
    window = truth.around(ceil(boundary_px))
    counted = np.ones_like(window.inside)
    if boundary_px:
        near, far = (
            nearer_than(mask, boundary_px) for mask in (window.inside, ~window.inside)
        )
        counted = ~(near & far)
    shape = heatmap.grid.shape
    cells = [_cell_of_px(heatmap, truth, axis) for axis in (0, 1)]
    total = np.outer(
        *(
            np.bincount(c[c >= 0], minlength=n)
            for c, n in zip(cells, shape, strict=True)
        )
    )
    inside = _sum_by_cell(window, window.inside & counted, cells, shape)
    not_normal = _sum_by_cell(window, window.inside | ~counted, cells, shape)
    outside = int((window.inside & counted).sum()) - int(inside.sum())
    return [inside, total - not_normal], outside


def _cell_of_px(heatmap: Heatmap, truth: TruthMask, axis: int) -> NDArray[np.intp]:
    """Return the cell that holds each px' centre along an axis, -1 outside the grid."""
    grid = heatmap.grid
    centres = (np.arange(truth.extent[axis]) + 0.5) * truth.step[axis]
    places = np.floor((centres - grid.origin[axis]) / grid.step[axis])
    cells: NDArray[np.intp] = places.astype(np.intp)
    cells[(cells < 0) | (cells >= grid.shape[axis])] = -1
    return cells


def _sum_by_cell(
    window: TruthMask,
    mask: NDArray[np.bool_],
    cells: list[NDArray[np.intp]],
    shape: tuple[int, int],
) -> NDArray[np.int64]:
    """Return how many px of a mask over the window lie in each cell."""
    index = np.nonzero(mask)
    row, column = (
        cell[first + place]
        for cell, first, place in zip(cells, window.first, index, strict=True)
    )
    known = (row >= 0) & (column >= 0)
    flat = row[known] * shape[1] + column[known]
    return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)
