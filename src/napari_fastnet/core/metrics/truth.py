"""The truth of a slide as a mask: px of one size, laid from the slide's corner.

CAMELYON16 is judged at level 5 of 0.243 µm/px, where a px is 7.776 µm. A huge slide has
some 20 million such px, and only those around the tumour are kept: the mask is a
window into the slide, and outside of it nothing is tumour.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.morphology import dilate_disk
from napari_fastnet.core.polygons import Annotations, bounds, tumour_mask
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair

#: µm/px that CAMELYON16's evaluation takes for every slide, and px of its level 5.
CAMELYON_MPP = 0.243
LEVEL_5 = 32.0
#: µm of a px in which truth and lesions are judged.
PIXEL_UM = CAMELYON_MPP * LEVEL_5
#: So far from 0.243 µm/px a slide is taken for one of CAMELYON16's two scanners (0.226
#: and 0.243), to whose slides the same numbers of px apply.
SAME_SCALE = 0.1

# Around outlines on a slide of unknown size: more than they grow.
_ROOM_PX = 16


def truth_step(mpp: Pair) -> Pair:
    """Return the level-0 px of a px of the truth.

    Parameters
    ----------
    mpp : tuple of float
        (y, x) µm per level-0 px of the slide.

    Returns
    -------
    tuple of float
        32, as CAMELYON16 has it, for a slide of about its µm/px; else what makes
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
    """Return how many px of ``step`` cover a slide of (height, width) level-0 px."""
    return ceil(shape[0] / step[0]), ceil(shape[1] / step[1])


@dataclass(frozen=True, slots=True, eq=False)
class TruthMask:
    """A window into the mask of a slide's tumour.

    Parameters
    ----------
    inside : (rows, columns) bool ndarray
        True is tumour; may be empty.
    step : tuple of float
        (y, x) level-0 px of a px of the mask. Px (0, 0) of the slide lies at its corner.
    extent : tuple of int
        Rows and columns of the whole slide.
    first : tuple of int
        (row, column) in the slide of the window's first px.
    """

    inside: NDArray[np.bool_]
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
        """Return the window that is ``margin`` px wider than the tumour on every side.

        It does not leave the slide; without tumour it is empty.
        """
        rows = np.flatnonzero(self.inside.any(axis=1))
        columns = np.flatnonzero(self.inside.any(axis=0))
        if not rows.size:
            empty = np.zeros((0, 0), bool)
            return TruthMask(empty, self.step, self.extent)
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        left, right = int(columns[0]), int(columns[-1]) + 1
        box = self.inside[top:bottom, left:right]
        starts, ends = (
            (self.first[0] + top, self.first[1] + left),
            (self.first[0] + bottom, self.first[1] + right),
        )
        pads = [
            (min(margin, start), min(margin, limit - end))
            for start, end, limit in zip(starts, ends, self.extent, strict=True)
        ]
        first = starts[0] - pads[0][0], starts[1] - pads[1][0]
        return TruthMask(np.pad(box, pads), self.step, self.extent, first)

    def index_of(
        self, points: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
        """Return rows and columns of the window's px that hold some points.

        Parameters
        ----------
        points : (n, 2) float64 ndarray
            (y, x), level-0 px.

        Returns
        -------
        tuple of (n,) ndarray
            Rows, columns, and whether the point lies in the window at all.
        """
        index = np.floor(points / self.step).astype(np.intp) - self.first
        known = np.all((index >= 0) & (index < self.inside.shape), axis=1)
        return index[:, 0], index[:, 1], known


def draw_truth(
    annotations: Annotations, *, step: Pair, shape: Pair | None = None
) -> TruthMask:
    """Return the mask that outlines make; a px is tumour where its centre is.

    Parameters
    ----------
    annotations : Annotations
        Perhaps without any outline.
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
    edges = zip((box.top, box.left), ends, step, extent, strict=True)
    (top, rows), (left, columns) = (_px_between(*axis) for axis in edges)
    grid = Grid((top * step[0], left * step[1]), step, (rows, columns))
    return TruthMask(tumour_mask(annotations, grid), step, extent, (top, left))


def _px_between(start: float, end: float, step: float, limit: int) -> tuple[int, int]:
    """Return the first px of an axis that two edges touch, and how many they do."""
    first = min(max(floor(start / step), 0), limit)
    return first, max(min(ceil(end / step), limit) - first, 0)


def nearer_than(mask: NDArray[np.bool_], limit: float) -> NDArray[np.bool_]:
    """Return the px nearer to a mask than a limit, those of the mask included.

    Parameters
    ----------
    mask : (height, width) bool ndarray
        May have no px.
    limit : float
        px, above 0, from centre to centre; those exactly as far are not included.

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
