"""Heatmaps: one tumor probability for each grid cell, and their pyramids."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.colour import colours_of
from napari_fastnet.core.display import enlarged, png_bytes
from napari_fastnet.core.options import DEFAULT_COLOURS
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Bytes, Indices, Singles
    from napari_fastnet.core.geometry import Box, Grid, Pair
    from napari_fastnet.core.options import ColoursName

# Places in a px of a coarse picture, along either axis.
_PLACES = 6


def halved(values: NDArray[Any]) -> NDArray[Any]:
    """Halve the resolution.

    Parameters
    ----------
    values : (rows, columns) ndarray of float32 or bool
        At least one cell; NaN is unknown.

    Returns
    -------
    ((rows + 1) // 2, (columns + 1) // 2) ndarray, of the same dtype
        Each cell covers exactly 2 x 2 of the old ones, of which some may lie outside
        at the last row and column. A float is the mean of the known values, NaN
        where there is none; a bool is True where at least half of those inside are.

    Examples
    --------
    >>> halved(np.array([[0.25, 0.75], [np.nan, 0.5]], np.float32))
    array([[0.5]], dtype=float32)
    """
    rows, columns = ((side + 1) // 2 for side in values.shape)
    padding = tuple((0, side % 2) for side in values.shape)
    padded = np.pad(values.astype(np.float32), padding, constant_values=np.nan)
    cells = padded.reshape(rows, 2, columns, 2)
    known = ~np.isnan(cells)
    count = known.sum(axis=(1, 3))
    total = np.where(known, cells, 0).sum(axis=(1, 3))
    mean = np.full((rows, columns), np.nan, np.float32)
    np.divide(total, count, out=mean, where=count > 0)
    return mean >= 0.5 if values.dtype == np.bool_ else mean


def halvings(values: NDArray[Any], smallest: int = 256) -> list[NDArray[Any]]:
    """Build a pyramid.

    Parameters
    ----------
    values : (rows, columns) ndarray of float32 or bool
        At least one cell.
    smallest : int
        The last level is the first whose sides are both no longer than this.

    Returns
    -------
    list of ndarray
        One level or more, the values themselves first, then each `halved`.
    """
    levels = [values]
    while max(levels[-1].shape) > smallest:
        levels.append(halved(levels[-1]))
    return levels


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Heatmap:
    """Tumor probabilities on a grid over a slide.

    The array is not copied, so that a run can fill it while it is shown.

    Parameters
    ----------
    probabilities : (rows, columns) ndarray of float32
        0..1; NaN where nothing was computed (glass, or not yet). May have no cells.
    grid : Grid
        Places of the cells, level-0 px; its shape is that of ``probabilities``.
    mpp : tuple of float
        (y, x) µm per level-0 px, above 0.

    Raises
    ------
    OptionError
        If dtype, shape, range or ``mpp`` break these rules.
    """

    probabilities: Singles
    grid: Grid
    mpp: Pair

    def __post_init__(self) -> None:
        values = self.probabilities
        if values.dtype != np.float32:
            raise OptionError(f"heatmap values are {values.dtype}; give float32")
        if values.shape != tuple(self.grid.shape):
            raise OptionError(
                f"heatmap values have shape {values.shape} and the grid has "
                f"{tuple(self.grid.shape)}; give one value a grid cell"
            )
        if not all(isfinite(value) and value > 0 for value in self.mpp):
            raise OptionError(f"heatmap µm/px is {self.mpp}; both must be above 0")
        # fmin and fmax pass over NaN and, unlike nanmin, accept nothing but NaN
        low = np.fmin.reduce(values, axis=None, initial=0)
        high = np.fmax.reduce(values, axis=None, initial=1)
        if low < 0 or high > 1:
            raise OptionError(
                f"heatmap values reach from {low:g} to {high:g}; probabilities lie "
                "in 0..1, NaN where not computed"
            )

    def __repr__(self) -> str:
        rows, columns = self.probabilities.shape
        text = f"<Heatmap {rows} x {columns} cells of {self.cell_um[0]:.3g} µm"
        if not self.computed.any():
            return f"{text}, none computed>"
        highest = np.nanmax(self.probabilities)
        return f"{text}, {self.coverage:.0%} computed, highest {highest:.2f}>"

    def _repr_png_(self) -> bytes | None:
        """Return a PNG for notebooks; None where there are no cells."""
        if self.probabilities.size == 0:
            return None
        return png_bytes(enlarged(self.colours(), self.cell_um))

    @property
    def computed(self) -> Bools:
        """Whether each cell has a value, (rows, columns)."""
        return ~np.isnan(self.probabilities)

    @property
    def coverage(self) -> float:
        """Share of cells with a value, 0..1; 0 where there are no cells."""
        return float(self.computed.mean()) if self.probabilities.size else 0.0

    @property
    def cell_um(self) -> Pair:
        """(y, x) size of a cell in µm."""
        return self.grid.step[0] * self.mpp[0], self.grid.step[1] * self.mpp[1]

    @property
    def corner_um(self) -> Pair:
        """(y, x) of the grid's top left corner in µm from the slide's."""
        (top, left), (y, x) = self.grid.origin, self.mpp
        return float(top * y), float(left * x)

    @property
    def cell_area_mm2(self) -> float:
        """Area of one cell in mm²."""
        height_um, width_um = self.cell_um
        return height_um * width_um / 1e6

    def only(self, cells: Bools) -> Heatmap:
        """Return the heatmap with NaN in all other cells.

        Parameters
        ----------
        cells : (rows, columns) bool ndarray
            The cells that keep their value.

        Returns
        -------
        Heatmap
            A new one, on the same grid.
        """
        values = np.where(cells, self.probabilities, np.float32(np.nan))
        return Heatmap(values, self.grid, self.mpp)

    def value_at(self, point: Pair) -> float:
        """Return the probability of the cell that holds a point.

        Parameters
        ----------
        point : tuple of float
            (y, x), level-0 px.

        Returns
        -------
        float
            NaN outside the grid, and where the cell was not computed.
        """
        index = self.grid.index_of(point)
        return nan if index is None else float(self.probabilities[index])

    def resampled_to(self, box: Box, shape: tuple[int, int]) -> Singles:
        """Sample the values at the pixel centres of a picture.

        Parameters
        ----------
        box : Box
            Extent of the picture, level-0 px.
        shape : tuple of int
            Height and width of the picture in its own px.

        Returns
        -------
        ndarray of float32, of that shape
            The value of the cell that holds each pixel's centre (no interpolation);
            NaN outside the grid.
        """
        places, cells = [], []
        for index, inside in self._cells_of(box, shape):
            places.append(inside)
            cells.append(index[inside])
        values = np.full(shape, np.nan, dtype=np.float32)
        values[np.ix_(*places)] = self.probabilities[np.ix_(*cells)]
        return values

    def highest_in(self, box: Box, shape: tuple[int, int]) -> Singles:
        """Find the highest value in each pixel of a picture.

        Parameters
        ----------
        box, shape
            As for `resampled_to`.

        Returns
        -------
        ndarray of float32, of that shape
            Of the cells from the first to the last of 6 x 6 places in the pixel; NaN where
            none has a value.
        """
        finer = (shape[0] * _PLACES, shape[1] * _PLACES)
        values = np.pad(self.probabilities, ((0, 1), (0, 1)), constant_values=np.nan)
        for axis, (index, inside) in enumerate(self._cells_of(box, finer)):
            beyond = self.grid.shape[axis]  # the row or column of NaN
            places = (shape[axis], _PLACES)
            first = np.where(inside, index, beyond).reshape(places).min(axis=1)
            last = np.where(inside, index, -1).reshape(places).max(axis=1)
            # from each first to behind each last, and what lies between them left out
            ends = np.where(last < 0, beyond, last + 1)
            runs = np.fmax.reduceat(values, np.stack([first, ends], 1).ravel(), axis)
            values = runs[::2] if axis == 0 else runs[:, ::2]
        return values

    def _cells_of(
        self, box: Box, shape: tuple[int, int]
    ) -> Iterator[tuple[Indices, Bools]]:
        """Yield the cell of each row, and of each column, and whether it is in the grid."""
        sides = ((box.top, box.height), (box.left, box.width))
        for axis, (start, extent) in enumerate(sides):
            count = shape[axis]
            centres = start + (np.arange(count) + 0.5) * (extent / max(count, 1))
            index = np.floor((centres - self.grid.origin[axis]) / self.grid.step[axis])
            inside = (index >= 0) & (index < self.grid.shape[axis])
            yield index.astype(np.intp), inside

    def colours(
        self, opacity: float = 1.0, colours: ColoursName = DEFAULT_COLOURS
    ) -> Bytes:
        """Colour the cells; see `colours_of`.

        Parameters
        ----------
        opacity : float
            0..1, of the cells that were computed; the others are transparent.
        colours : {"red-green", "blue-orange"}
            See `HEATMAP_COLOURS`.

        Returns
        -------
        (rows, columns, 4) ndarray of uint8
            Red, green, blue, alpha; not premultiplied.
        """
        return colours_of(self.probabilities, opacity, colours)


def highest_probability(heatmap: Heatmap) -> float | None:
    """Return the highest probability of any cell.

    Parameters
    ----------
    heatmap : Heatmap
        May have no cells.

    Returns
    -------
    float or None
        None where nothing was computed.
    """
    highest = np.fmax.reduce(heatmap.probabilities, axis=None, initial=np.nan)
    return None if np.isnan(highest) else float(highest)
