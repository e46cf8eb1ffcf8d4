"""The truth of a slide as a mask of px of one size, laid from the slide's corner.

CAMELYON16 is evaluated at level 5 of 0.243 µm/px, where a px is 7.776 µm. A huge slide
has some 20 million such px, and only those around the tumor are kept: the mask is a
window into the slide, and outside of it nothing is tumor.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.morphology import dilate_disk
from napari_fastnet.core.polygons import Annotations, bounds, tumor_mask
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bools, Floats, Indices
    from napari_fastnet.core.geometry import Pair

#: µm/px that CAMELYON16's evaluation assumes for every slide, and the downsampling of its
#: level 5.
CAMELYON_MPP = 0.243
LEVEL_5 = 32.0
#: Size in µm of a px of truth and lesions.
PIXEL_UM = CAMELYON_MPP * LEVEL_5
#: Relative difference up to which µm/px count as those of CAMELYON16's two scanners (0.226
#: and 0.243), to whose slides the same numbers of px apply.
SAME_SCALE = 0.1

# Margin around outlines on a slide of unknown size; they grow by less.
_ROOM_PX = 16


def truth_step(mpp: Pair) -> Pair:
    """Return the size of a px of the truth in level-0 px.

    Parameters
    ----------
    mpp : tuple of float
        (y, x) µm per level-0 px of the slide.

    Returns
    -------
    tuple of float
        (y, x); 32, as in CAMELYON16, for a slide of about its µm/px; else the size of
        7.776 µm.

    Raises
    ------
    OptionError
        The µm/px are not above 0.
    """
    if not all(isfinite(value) and value > 0 for value in mpp):
        raise OptionError(f"µm/px is {mpp}; both must be above 0")
    if all(abs(value / CAMELYON_MPP - 1) <= SAME_SCALE for value in mpp):
        return LEVEL_5, LEVEL_5
    return PIXEL_UM / mpp[0], PIXEL_UM / mpp[1]


def truth_extent(shape: Pair, step: Pair) -> tuple[int, int]:
    """Return the numbers of px that cover a slide.

    Parameters
    ----------
    shape : tuple of float
        (height, width) of the slide, level-0 px.
    step : tuple of float
        (y, x) size of a px, level-0 px.

    Returns
    -------
    tuple of int
        Rows and columns.
    """
    return ceil(shape[0] / step[0]), ceil(shape[1] / step[1])


@dataclass(frozen=True, slots=True, eq=False)
class TruthMask:
    """A window into the mask of a slide's tumor.

    Parameters
    ----------
    inside : (rows, columns) bool ndarray
        True is tumor; may be empty.
    step : tuple of float
        (y, x) level-0 px of a px of the mask. Px (0, 0) of the slide lies at its corner.
    extent : tuple of int
        Rows and columns of the whole slide.
    first : tuple of int
        (row, column) in the slide of the window's first px.

    Raises
    ------
    OptionError
        The window leaves the slide.
    """

    inside: Bools
    step: Pair
    extent: tuple[int, int]
    first: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        for start, length, end in zip(
            self.first, self.inside.shape, self.extent, strict=True
        ):
            if not 0 <= start <= start + length <= end:
                raise OptionError(
                    f"a window of shape {self.inside.shape} from {self.first} leaves "
                    f"the slide's {self.extent} px"
                )

    @property
    def is_whole(self) -> bool:
        """Whether the window is the whole slide, and has px."""
        return self.inside.shape == self.extent and self.inside.size > 0

    def around(self, margin: int) -> TruthMask:
        """Return the window around the tumor.

        Parameters
        ----------
        margin : int
            px between the tumor and the window's edge, as far as the slide reaches.

        Returns
        -------
        TruthMask
            Empty without tumor.
        """
        box, pads, first = [], [], []
        for axis, limit in enumerate(self.extent):
            used = np.flatnonzero(self.inside.any(axis=1 - axis))
            if not used.size:
                return TruthMask(np.zeros((0, 0), bool), self.step, self.extent)
            begin, end = int(used[0]), int(used[-1]) + 1
            before = min(margin, self.first[axis] + begin)
            box.append(slice(begin, end))
            pads.append((before, min(margin, limit - self.first[axis] - end)))
            first.append(self.first[axis] + begin - before)
        inside = np.pad(self.inside[tuple(box)], pads)
        return TruthMask(inside, self.step, self.extent, (first[0], first[1]))

    def index_of(self, points: Floats) -> tuple[Indices, Indices, Bools]:
        """Find the px of the window that hold points.

        Parameters
        ----------
        points : (n, 2) float64 ndarray
            (y, x), level-0 px.

        Returns
        -------
        tuple of (n,) ndarray
            Rows, columns, and whether each point lies in the window at all.
        """
        index = np.floor(points / self.step).astype(np.intp) - self.first
        known = np.all((index >= 0) & (index < self.inside.shape), axis=1)
        return index[:, 0], index[:, 1], known


def draw_truth(
    annotations: Annotations, *, step: Pair, shape: Pair | None = None
) -> TruthMask:
    """Draw outlines as a mask; a px is tumor where its centre is.

    Parameters
    ----------
    annotations : Annotations
        May have no outline.
    step : tuple of float
        (y, x) level-0 px of a px of the mask.
    shape : tuple of float, optional
        (height, width) of the slide, level-0 px; outlines are cut off there. By
        default the slide goes on to the right and below.

    Returns
    -------
    TruthMask
        A window around the outlines; empty without them.
    """
    box = bounds(annotations.positive)
    ends = (0.0, 0.0) if box is None else (max(box.bottom, 0), max(box.right, 0))
    if shape is None:
        room = (_ROOM_PX * step[0], _ROOM_PX * step[1])
        shape = (ends[0] + room[0], ends[1] + room[1])
    extent = truth_extent(shape, step)
    if box is None:
        return TruthMask(np.zeros((0, 0), bool), step, extent)
    first, count = [], []
    for axis, start in enumerate((box.top, box.left)):
        begin = min(max(floor(start / step[axis]), 0), extent[axis])
        first.append(begin)
        count.append(max(min(ceil(ends[axis] / step[axis]), extent[axis]) - begin, 0))
    (top, left), (rows, columns) = first, count
    grid = Grid((top * step[0], left * step[1]), step, (rows, columns))
    return TruthMask(tumor_mask(annotations, grid), step, extent, (top, left))


def nearer_than(mask: Bools, limit: float) -> Bools:
    """Grow a mask by the px nearer to it than a limit.

    Parameters
    ----------
    mask : (height, width) bool ndarray
        May have no px.
    limit : float
        px, above 0, from centre to centre; a px exactly as far does not join.

    Returns
    -------
    (height, width) bool ndarray
        The mask, grown.
    """
    # Squares of distances between px are whole numbers; the radius lies between the
    # last one below the limit and the next.
    square = int(limit * limit) + 1
    while square and sqrt(square) >= limit:
        square -= 1
    radius = sqrt(square + 0.5)
    return dilate_disk(mask, (radius, radius)) if mask.size else mask.copy()
