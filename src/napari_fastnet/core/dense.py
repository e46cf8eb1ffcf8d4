"""Dense scanning: where the cells of a feature map lie, and what each of them means.

FastNet is convolutional up to its final average. Run once over a large picture, it
gives a feature map of one cell every 16 px; the average over the cells that a patch
would have had is that patch's value, so one pass gives a value every 16 px.

Only the padding differs. Around a lone patch the padded convolutions see zeros; here
they see the tissue that is there, and zeros at the picture's edge only. What those
zeros reach is left out, so that it does not matter how a slide is cut into pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Grid, Pair

#: px of the input from one cell of the feature map to the next: four strides of 2.
CELL_PX = 16
# Cells at the edge of a feature map that the zeros around its picture reach. The blocks
# of a stage look 3 cells far; a stage halves what is spoilt: 3, then 2 + 3, then 3 + 3.
SPOILT_CELLS = 6
# What a picture costs besides its cells, in cells: a library that meets a new shape gets
# ready for it first (OpenVINO: 17 ms of a core, in which it looks at 1,700 cells).
_PICTURE_COST = 1000


@dataclass(frozen=True, slots=True)
class DenseScan:
    """What a patch is in a feature map.

    Parameters
    ----------
    patch_px : int
        Side of a patch, px of the model.
    pool_cells : int or None
        Side of the middle of a patch's map that is averaged; None is all of it.
    """

    patch_px: int
    pool_cells: int | None = None

    def __post_init__(self) -> None:
        if self.patch_cells < 1:
            raise OptionError(
                f"a patch is {self.patch_px} px; FastNet needs at least 31 px"
            )

    @property
    def patch_cells(self) -> int:
        """Side of the feature map of a lone patch."""
        return feature_cells(self.patch_px)

    @property
    def window(self) -> int:
        """Side of the part of it that is averaged."""
        return min(self.pool_cells or self.patch_cells, self.patch_cells)

    @property
    def overhead(self) -> int:
        """Cells that a picture's feature map has more than values, along an axis."""
        return self.window - 1 + 2 * SPOILT_CELLS

    @property
    def corner_px(self) -> int:
        """Where the first value's patch begins in its picture, along either axis."""
        return CELL_PX * (SPOILT_CELLS - (self.patch_cells - self.window) // 2)

    def picture_px(self, values: int) -> int:
        """Return the side of the picture that gives so many values along an axis."""
        return CELL_PX * (values + self.overhead) + CELL_PX - 1

    def picture_box(
        self, grid: Grid, first: tuple[int, int], shape: tuple[int, int]
    ) -> Box:
        """Return the part of a slide to look at for some cells of a grid.

        Parameters
        ----------
        grid : Grid
            Cells of 16 px of the model; a patch is centred on each.
        first, shape : tuple of int
            First cell (row, column), and how many of them.

        Returns
        -------
        Box
            Level-0 px; may leave the slide.
        """
        scale: Pair = (grid.step[0] / CELL_PX, grid.step[1] / CELL_PX)
        before = (self.patch_cells - self.window) // 2 - SPOILT_CELLS
        # From a cell's corner to its patch's, then to the first cell that is needed.
        shift_px = CELL_PX / 2 - self.patch_px / 2 + CELL_PX * before
        top, left = (
            origin + step * index + part * shift_px
            for origin, step, index, part in zip(
                grid.origin, grid.step, first, scale, strict=True
            )
        )
        height, width = (
            part * self.picture_px(count)
            for part, count in zip(scale, shape, strict=True)
        )
        return Box(top, left, top + height, left + width)

    def pool(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """Average a picture's map over the window of each patch.

        Parameters
        ----------
        cells : ndarray
            float32 (h, w), a value of each cell of the feature map.

        Returns
        -------
        ndarray
            float32 (h - overhead, w - overhead), a value of each patch.
        """
        inner = cells[SPOILT_CELLS:-SPOILT_CELLS, SPOILT_CELLS:-SPOILT_CELLS]
        windows = np.lib.stride_tricks.sliding_window_view(
            inner, (self.window, self.window)
        )
        # Every mean is of its own cells alone: a running sum would carry errors along.
        mean: NDArray[np.float32] = windows.mean(axis=(2, 3), dtype=np.float64).astype(
            np.float32
        )
        return mean


def feature_cells(side_px: int) -> int:
    """Return the side of FastNet's feature map of a picture, 0 where it is too small."""
    for _ in range(4):
        side_px = max(0, (side_px - 1) // 2)
    return side_px


def cover(
    wanted: NDArray[np.bool_], overhead: int, largest: int | None = None
) -> list[tuple[slice, slice]]:
    """Cut what is wanted of a block into rectangles that together cost little.

    A rectangle of h x w cells costs ``(h + overhead) * (w + overhead)`` and as much as
    1000 cells besides: cutting it in two leaves out what nobody wants, but pays for two
    edges and for a picture more.

    Parameters
    ----------
    wanted : ndarray
        bool (h, w).
    overhead : int
        Cells that each rectangle costs more along an axis; at least 0.
    largest : int, optional
        Side in cells that no rectangle may pass, at least 1.

    Returns
    -------
    list of tuple of slice
        Rows and columns of rectangles that share no cell and hold every wanted one;
        none where nothing is wanted.
    """
    rows, columns = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    bottom, right = int(rows[-1]) + 1, int(columns[-1]) + 1
    inner = wanted[top:bottom, left:right]
    best, parts = _costs(inner, overhead)[-1], None
    for axis in (0, 1):
        costs = _cut_costs(inner if axis == 0 else inner.T, overhead)
        if costs.size and costs.min() < best:
            best, parts = costs.min(), (axis, int(costs.argmin()) + 1)
    longer = int(inner.shape[1] > inner.shape[0])
    if parts is None and largest is not None and inner.shape[longer] > largest:
        parts = longer, inner.shape[longer] // 2
    if parts is None:
        return [(slice(top, bottom), slice(left, right))]
    axis, at = parts
    found = []
    for number, half in enumerate(np.split(inner, [at], axis)):
        shift = [top, left]
        shift[axis] += number * at
        for down, across in cover(half, overhead, largest):
            found.append((_moved(down, shift[0]), _moved(across, shift[1])))
    return found


def _cut_costs(wanted: NDArray[np.bool_], overhead: int) -> NDArray[np.intp]:
    """Return what two rectangles cost, for each row but the last the upper may end at.

    The first and the last row hold what is wanted.
    """
    upper, lower = _costs(wanted, overhead), _costs(wanted[::-1], overhead)
    total: NDArray[np.intp] = upper[:-1] + lower[-2::-1]
    return total


def _costs(wanted: NDArray[np.bool_], overhead: int) -> NDArray[np.intp]:
    """Return what the box around what is wanted of the rows up to each costs.

    The first row holds what is wanted.
    """
    height, width = wanted.shape
    held = wanted.any(axis=1)
    first = np.where(held, wanted.argmax(axis=1), width)
    end = np.where(held, width - wanted[:, ::-1].argmax(axis=1), 0)
    widths = np.maximum.accumulate(end) - np.minimum.accumulate(first)
    heights = np.maximum.accumulate(np.where(held, np.arange(1, height + 1), 0))
    costs: NDArray[np.intp] = (heights + overhead) * (widths + overhead) + _PICTURE_COST
    return costs


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
