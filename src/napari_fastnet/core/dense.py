"""Geometry of dense scanning: one pass of the network over a large picture.

FastNet (Table IV of the paper) is convolutional up to its final average. Run once over
a large picture, it gives a feature map of one cell every 16 px, the product of its four
strides. The average over the cells that a patch would have had is that patch's value,
so one pass gives a value every 16 px.

Only the padding differs. Around a lone patch the padded convolutions see zeros; here
they see the tissue that is there, and zeros at the picture's edge only. Cells that
those zeros reach are left out, so the result does not depend on how a slide is cut
into pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_fastnet.core.arrays import Bools, Indices, Singles


#: px of the input from one cell of the feature map to the next: four strides of 2.
CELL_PX = 16
# Cells at the edge of a feature map that the zeros around its picture reach. The blocks
# of a stage reach 3 cells; each stage halves the spoilt rim: 3, then 2 + 3, then 3 + 3.
SPOILT_CELLS = 6
#: The first two convolutions, half of the network's time, are FastNet's *stem*. It is
#: computed in tiles of this many cells, each of which shows `STEM_RIM_PX` beyond them and
#: gives `STEM_VALUES` values a cell along an axis.
STEM_CELLS = (8, 16)
STEM_RIM_PX = 3
STEM_VALUES = 4
# Cost of a picture besides its cells, in cells: a library prepares for each new shape
# (OpenVINO: 17 ms of a core, the time of 1,700 cells).
_PICTURE_COST = 1000


@dataclass(frozen=True, slots=True)
class DenseScan:
    """The place of a patch in a feature map.

    Parameters
    ----------
    patch_px : int
        Side of a patch, px of the model; at least 31.
    pool_cells : int or None
        Side of the central part of a patch's map that is averaged; None is all of it.

    Raises
    ------
    OptionError
        The patch is too small for a single cell.
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
        """Side, in cells, of the part of that map that is averaged."""
        return min(self.pool_cells or self.patch_cells, self.patch_cells)

    @property
    def overhead(self) -> int:
        """Cells of a picture's feature map in excess of its values, along an axis."""
        return self.window - 1 + 2 * SPOILT_CELLS

    @property
    def corner_px(self) -> int:
        """Begin of the first value's patch in its picture, px, along either axis."""
        return CELL_PX * (SPOILT_CELLS - (self.patch_cells - self.window) // 2)

    def picture_px(self, values: int) -> int:
        """Return the side, px, of the picture that gives ``values`` along an axis."""
        return CELL_PX * (values + self.overhead) + CELL_PX - 1

    def picture_box(
        self, grid: Grid, first: tuple[int, int], shape: tuple[int, int]
    ) -> Box:
        """Return the part of a slide that gives the values of some cells of a grid.

        Parameters
        ----------
        grid : Grid
            Cells of 16 px of the model; a patch is centred on each.
        first, shape : tuple of int
            First cell (row, column), and numbers of rows and columns.

        Returns
        -------
        Box
            Level-0 px; may leave the slide.
        """
        height, width = map(self.picture_px, shape)
        return self.box(grid, first, (height / CELL_PX, width / CELL_PX))

    def box(self, grid: Grid, first: tuple[int, int], size: tuple[float, float]) -> Box:
        """Return a part of a slide that begins with the picture of a cell.

        Parameters
        ----------
        grid : Grid
            Cells of 16 px of the model; a patch is centred on each.
        first : tuple of int
            The cell, (row, column).
        size : tuple of float
            Height and width, cells.

        Returns
        -------
        Box
            Level-0 px; may leave the slide.
        """
        # From a cell's corner to its patch's, then to the first cell that is needed.
        shift_px = CELL_PX / 2 - self.patch_px / 2 - self.corner_px
        scale = (grid.step[0] / CELL_PX, grid.step[1] / CELL_PX)
        top, left = (
            grid.origin[axis] + grid.step[axis] * first[axis] + scale[axis] * shift_px
            for axis in (0, 1)
        )
        height, width = (grid.step[axis] * size[axis] for axis in (0, 1))
        return Box(top, left, top + height, left + width)

    def reach(self, wanted: Bools) -> Bools:
        """Return the cells of a picture that the wanted values depend on.

        Parameters
        ----------
        wanted : (h, w) bool ndarray
            The values of the picture that are asked for.

        Returns
        -------
        (h + overhead + 1, w + overhead + 1) bool ndarray
            The picture in squares of 16 px, of which its last row and column cut the last
            px off.
        """
        for _ in range(2):  # along the rows, then along the columns
            height, width = wanted.shape
            reached = np.zeros((width, height + self.overhead + 1), bool)
            for shift in range(self.overhead + 1):
                reached[:, shift : shift + height] |= wanted.T
            wanted = reached
        return wanted

    def pool(self, cells: Singles) -> Singles:
        """Average a picture's map over the window of each patch.

        Parameters
        ----------
        cells : (h, w) float32 ndarray
            A value of each cell of the feature map.

        Returns
        -------
        (h - overhead, w - overhead) float32 ndarray
            A value of each patch.
        """
        inner = cells[SPOILT_CELLS:-SPOILT_CELLS, SPOILT_CELLS:-SPOILT_CELLS]
        windows = np.lib.stride_tricks.sliding_window_view(
            inner, (self.window, self.window)
        )
        # A running sum would be faster, but carries rounding errors from cell to cell.
        mean: Singles = windows.mean(axis=(2, 3), dtype=np.float64).astype(np.float32)
        return mean

    def probabilities(self, cells: Singles) -> Singles:
        """Return the probability of each patch, from log odds as for `pool`."""
        found: Singles = expit(self.pool(cells))
        return found


def feature_cells(side_px: int) -> int:
    """Return the side of FastNet's feature map of a picture.

    Parameters
    ----------
    side_px : int
        Side of the picture.

    Returns
    -------
    int
        Cells; 0 where the picture is too small.
    """
    for _ in range(4):
        side_px = max(0, (side_px - 1) // 2)
    return side_px


def cover(
    wanted: Bools, overhead: int, largest: int | None = None
) -> list[tuple[slice, slice]]:
    """Cover the wanted cells of a block by rectangles of a low total cost.

    A rectangle of h x w cells costs ``(h + overhead) * (w + overhead)`` plus the cost
    of 1000 cells for the picture: cutting one in two leaves out unwanted cells, but pays
    for two more edges and one more picture.

    Parameters
    ----------
    wanted : (h, w) bool ndarray
        The cells whose value is asked for.
    overhead : int
        Cells that each rectangle costs more along an axis; at least 0.
    largest : int, optional
        Longest side of a rectangle in cells, at least 1.

    Returns
    -------
    list of tuple of slice
        Rows and columns of rectangles that share no cell and hold every wanted one;
        none where nothing is wanted.

    Examples
    --------
    >>> wanted = np.zeros((40, 40), bool)
    >>> wanted[0, 0] = wanted[39, 39] = True
    >>> cover(wanted, overhead=5)
    [(slice(0, 1, None), slice(0, 1, None)), (slice(39, 40, None), slice(39, 40, None))]
    """
    return list(_rectangles(wanted, (0, 0), overhead, largest))


def _rectangles(
    wanted: Bools, corner: tuple[int, int], overhead: int, largest: int | None
) -> Iterator[tuple[slice, slice]]:
    """Yield the rectangles of `cover`, moved by the corner of ``wanted``."""
    rows, columns = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(0))
    if not len(rows):
        return
    inner = wanted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    top, left = corner[0] + int(rows[0]), corner[1] + int(columns[0])
    best, cut = _costs(inner, overhead)[-1], None
    for axis, part in enumerate((inner, inner.T)):
        upper, lower = _costs(part, overhead), _costs(part[::-1], overhead)
        costs = upper[:-1] + lower[-2::-1]  # of a cut behind each row but the last
        if costs.size and costs.min() < best:
            best, cut = costs.min(), (axis, int(costs.argmin()) + 1)
    longer = int(inner.shape[1] > inner.shape[0])
    if cut is None and largest is not None and inner.shape[longer] > largest:
        cut = longer, inner.shape[longer] // 2
    if cut is None:
        height, width = inner.shape
        yield slice(top, top + height), slice(left, left + width)
        return
    axis, at = cut
    first, second = np.split(inner, [at], axis)
    yield from _rectangles(first, (top, left), overhead, largest)
    corner = (top, left + at) if axis else (top + at, left)
    yield from _rectangles(second, corner, overhead, largest)


def _costs(wanted: Bools, overhead: int) -> Indices:
    """Return, for each row r, the cost of the box of wanted cells in rows 0..r.

    Row 0 has a wanted cell.
    """
    height, width = wanted.shape
    held = wanted.any(axis=1)
    first = np.where(held, wanted.argmax(axis=1), width)
    end = np.where(held, width - wanted[:, ::-1].argmax(axis=1), 0)
    widths = np.maximum.accumulate(end) - np.minimum.accumulate(first)
    heights = np.maximum.accumulate(np.where(held, np.arange(1, height + 1), 0))
    costs: Indices = (heights + overhead) * (widths + overhead) + _PICTURE_COST
    return costs
