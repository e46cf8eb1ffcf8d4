"""Candidates: possible lesions of a heatmap, one point for each peak."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.options import MINIMUM, RADIUS_UM
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bools, Floats, Indices
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap

# Cells that are checked together for suppression.
_AT_ONCE = 2048


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

    def __post_init__(self) -> None:
        if self.points.shape != (len(self.scores), 2):
            raise OptionError(
                f"{len(self.scores)} scores and points of shape {self.points.shape}; "
                "give one (y, x) a score"
            )
        if not ((self.scores > 0) & (self.scores <= 1)).all():
            raise OptionError("a candidate's score lies outside 0..1, or is 0")


def find_candidates(
    heatmap: Heatmap, *, radius_um: float = RADIUS_UM, minimum: float = MINIMUM
) -> Candidates:
    """Find the peaks of a heatmap by non-maximum suppression.

    The highest cell is a candidate and suppresses the cells within the radius; then the
    highest of the remaining cells is, and so on.

    Parameters
    ----------
    heatmap : Heatmap
        May have no cells.
    radius_um : float, optional
        Distance between the centres of cells, µm; 0 makes every cell a candidate.
    minimum : float, optional
        Lowest probability of a candidate, 0..1; compared in float32, as the
        probabilities are. A cell of probability 0 is never a candidate.

    Returns
    -------
    Candidates
        From the highest to the lowest; equal ones from top to bottom, then left to
        right. A point is the centre of its cell, rounded down to a whole px as in
        CAMELYON16's files.

    Raises
    ------
    OptionError
        A value lies outside its range.

    Examples
    --------
    >>> from napari_fastnet.core.geometry import Grid
    >>> from napari_fastnet.core.heatmap import Heatmap
    >>> values = np.array([[0.9, 0.8, 0.1, 0.6]], np.float32)
    >>> grid = Grid(origin=(0.0, 0.0), step=(64.0, 64.0), shape=(1, 4))
    >>> found = find_candidates(Heatmap(values, grid, mpp=(0.5, 0.5)), radius_um=64)
    >>> found.scores.round(1).tolist(), found.points.tolist()
    ([0.9, 0.6], [[32.0, 32.0], [32.0, 224.0]])
    """
    if not 0 <= minimum <= 1:
        raise OptionError(f"minimum is {minimum}; give a probability in 0..1")
    if not (isfinite(radius_um) and radius_um >= 0):
        raise OptionError(f"radius is {radius_um} µm; give one of at least 0")
    values = heatmap.probabilities
    alive = (values >= np.float32(minimum)) & (values > 0)
    cells = np.flatnonzero(alive)
    order = cells[np.argsort(-values.ravel()[cells], kind="stable")]
    peaks = _peaks(order, alive, _disk(radius_um, heatmap.cell_um))
    index = np.column_stack(np.unravel_index(peaks, values.shape))
    centres = np.asarray(heatmap.grid.origin) + (index + 0.5) * heatmap.grid.step
    return Candidates(values.ravel()[peaks].astype(np.float64), np.floor(centres))


def _disk(radius_um: float, cell_um: Pair) -> Bools:
    """Return the cells within the radius of the middle one; odd sides."""
    reach = [int(radius_um / size) for size in cell_um]
    y, x = (
        size * np.arange(-cells, cells + 1)
        for size, cells in zip(cell_um, reach, strict=True)
    )
    # A hair more, so that a cell exactly on the rim belongs to the disk.
    near: Bools = np.hypot(y[:, None], x) <= radius_um * (1 + 1e-9)
    return near


def _peaks(order: Indices, alive: Bools, disk: Bools) -> Indices:
    """Return the cells, in order, that no earlier one suppresses; clears ``alive``."""
    flat = alive.reshape(-1)
    peaks = []
    for start in range(0, len(order), _AT_ONCE):
        left = order[start : start + _AT_ONCE]
        while (left := left[flat[left]]).size:
            peaks.append(left[0])
            here, there = [], []  # the disk, as far as it lies on the grid
            centre = divmod(int(left[0]), alive.shape[1])
            for middle, side, length in zip(
                centre, disk.shape, alive.shape, strict=True
            ):
                first, end = middle - side // 2, middle + side // 2 + 1
                here.append(slice(max(first, 0), min(end, length)))
                there.append(slice(max(-first, 0), side - max(end - length, 0)))
            alive[tuple(here)] &= ~disk[tuple(there)]
    return np.array(peaks, np.intp)
