"""Metrics of a heatmap against the truth, px by px: Dice, IoU and ROC.

A px of the truth has the probability of the cell that holds its centre, and is tumor
where its own centre is. In cells that were not computed tumor counts as missed, at a
probability of 0, and normal px are not counted, since a ROC over bare glass would
flatter every model.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logit

from napari_fastnet.core.metrics.truth import nearer_than
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bools, Floats, Indices, Integers
    from napari_fastnet.core.geometry import Grid
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.metrics.truth import TruthMask

#: Scores are counted in bins of equal log odds; scores in one bin count as equal.
BINS = 1 << 16
LARGEST_LOG_ODDS = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class PixelCounts:
    """Counts of px of one slide or more, by truth and probability; they add up.

    Parameters
    ----------
    tumor, normal : (BINS,) int64 ndarray
        px by the bin of their probability.
    true_positives, false_positives, false_negatives : int
        px at the threshold.
    """

    tumor: Integers
    normal: Integers
    true_positives: int
    false_positives: int
    false_negatives: int

    def __add__(self, other: PixelCounts) -> PixelCounts:
        names = (field.name for field in fields(self))
        return PixelCounts(*(getattr(self, n) + getattr(other, n) for n in names))

    @property
    def dice(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None where nothing is tumor and nothing called."""
        return self._overlap(2 * self.true_positives)

    @property
    def iou(self) -> float | None:
        """TP / (TP + FP + FN), the Jaccard index; None as for Dice."""
        return self._overlap(self.true_positives)

    def _overlap(self, right: int) -> float | None:
        whole = right + self.false_positives + self.false_negatives
        return right / whole if whole else None

    @property
    def auc(self) -> float | None:
        """Area under the ROC curve, ties half; None where all px are of one kind."""
        if not self.tumor.any() or not self.normal.any():
            return None
        below = np.cumsum(self.normal) - self.normal
        # Real numbers: the pairs of some 1e9 px exceed a whole number of 64 bits.
        pairs = self.tumor @ (below + self.normal / 2)
        return float(pairs / (float(self.tumor.sum()) * float(self.normal.sum())))

    def roc(self) -> tuple[Floats, Floats]:
        """Return false and true positive rates, rising from 0; NaN where undefined."""
        used = (self.tumor > 0) | (self.normal > 0)
        rates = []
        for counts in (self.normal, self.tumor):
            total = np.concatenate([[0], np.cumsum(counts[used][::-1])])
            rates.append(
                total / total[-1] if total[-1] else np.full(len(total), np.nan)
            )
        return rates[0], rates[1]


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
        A px is called tumor from it on, above 0 to 1; compared in float32.
    boundary_px : float, optional
        px of the truth nearer than this to a px of the other kind are not counted.

    Returns
    -------
    PixelCounts
        Counts of the slide.

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
    tumor, normal = (counts[computed] for counts in per_cell)
    missed += int(per_cell[0].sum()) - int(tumor.sum())
    called = values >= np.float32(threshold)
    found = int(tumor[called].sum())
    # 0 is in the first bin and 1 in the last
    odds = logit(values.astype(np.float64)).clip(-LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
    bins = np.rint((odds / LARGEST_LOG_ODDS + 1) / 2 * (BINS - 1)).astype(np.intp)
    tumor_by_bin, normal_by_bin = (
        np.bincount(bins, counts, BINS).astype(np.int64) for counts in (tumor, normal)
    )
    tumor_by_bin[0] += missed
    return PixelCounts(
        tumor=tumor_by_bin,
        normal=normal_by_bin,
        true_positives=found,
        false_positives=int(normal[called].sum()),
        false_negatives=int(tumor_by_bin.sum()) - found,
    )


def _per_cell(
    heatmap: Heatmap, truth: TruthMask, boundary_px: float
) -> tuple[list[Integers], int]:
    """Count tumor and normal px of each cell, and tumor px outside the grid."""
    window = truth.around(ceil(boundary_px))
    counted = np.ones_like(window.inside)
    if boundary_px:
        near, far = (
            nearer_than(mask, boundary_px) for mask in (window.inside, ~window.inside)
        )
        counted = ~(near & far)
    grid = heatmap.grid
    rows, columns = (  # cells that hold the px' centres, -1 outside the grid
        _cells_of_px(truth.extent[axis], truth.step[axis], grid, axis)
        for axis in (0, 1)
    )
    total = np.outer(
        np.bincount(rows[rows >= 0], minlength=grid.shape[0]),
        np.bincount(columns[columns >= 0], minlength=grid.shape[1]),
    )

    def per_cell(mask: Bools) -> Integers:
        """Count the px of a mask over the window in each cell."""
        down, across = np.nonzero(mask)
        row, column = rows[window.first[0] + down], columns[window.first[1] + across]
        known = (row >= 0) & (column >= 0)
        cells = row[known] * grid.shape[1] + column[known]
        return np.bincount(cells, minlength=total.size).reshape(grid.shape)

    inside = per_cell(window.inside & counted)
    not_normal = per_cell(window.inside | ~counted)
    outside = int((window.inside & counted).sum()) - int(inside.sum())
    return [inside, total - not_normal], outside


def _cells_of_px(count: int, step: float, grid: Grid, axis: int) -> Indices:
    """Return the cell that holds each px' centre along an axis, -1 outside the grid."""
    centres = (np.arange(count) + 0.5) * step
    cells = np.floor((centres - grid.origin[axis]) / grid.step[axis]).astype(np.intp)
    return np.where((cells >= 0) & (cells < grid.shape[axis]), cells, -1)
