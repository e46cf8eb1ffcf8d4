"""The one coordinate convention: ``(y, x)``, level-0 pixels, half-open boxes.

Positions are real numbers. Pyramid levels of real slides are 16.002 times smaller,
not 16, and a model's pixel is rarely a whole number of a slide's, so positions are
rounded only when pixels are cut out of an array.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, isfinite

from napari_fastnet.errors import OptionError

#: A pair of numbers in the order (y, x).
Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle, half-open: ``top <= y < bottom``, ``left <= x < right``.

    Parameters
    ----------
    top, left, bottom, right : float
        Edges in level-0 px; ``top <= bottom`` and ``left <= right``.

    Raises
    ------
    OptionError
        An edge is not finite, or the box ends before it begins.
    """

    top: float
    left: float
    bottom: float
    right: float

    def __post_init__(self) -> None:
        if not all(map(isfinite, (self.top, self.left, self.bottom, self.right))):
            raise OptionError(f"box {self} has an edge that is not a finite number")
        if self.bottom < self.top or self.right < self.left:
            raise OptionError(f"box {self} ends before it begins; give top <= bottom")

    @classmethod
    def of_shape(cls, shape: Pair, origin: Pair = (0, 0)) -> Box:
        """Return the box of a shape at a corner.

        Parameters
        ----------
        shape : tuple of float
            (height, width) in level-0 px.
        origin : tuple of float, optional
            (y, x) of the top left corner.

        Returns
        -------
        Box
            From the corner to corner plus shape.
        """
        (top, left), (height, width) = origin, shape
        return cls(top, left, top + height, left + width)

    @property
    def height(self) -> float:
        """Extent along y in level-0 px."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """Extent along x in level-0 px."""
        return self.right - self.left

    @property
    def centre(self) -> Pair:
        """The middle, (y, x)."""
        return (self.top + self.bottom) / 2, (self.left + self.right) / 2

    @property
    def is_empty(self) -> bool:
        """Whether no point lies in the box."""
        return self.height <= 0 or self.width <= 0

    def intersect(self, other: Box) -> Box:
        """Return the common part of two boxes.

        Parameters
        ----------
        other : Box
            In the same coordinates.

        Returns
        -------
        Box
            Empty, at the nearer edge, where the boxes do not overlap.
        """
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Box(
            top,
            left,
            max(top, min(self.bottom, other.bottom)),
            max(left, min(self.right, other.right)),
        )

    def contains(self, point: Pair) -> bool:
        """Return whether a (y, x) lies inside; the bottom and right edges do not."""
        y, x = point
        return self.top <= y < self.bottom and self.left <= x < self.right


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a slide's pyramid.

    Parameters
    ----------
    index : int
        0 is the finest.
    shape : tuple of int
        (height, width) in the level's own px.
    downsample : tuple of float
        Level-0 px per level px, (y, x); real numbers, 16.002 occurs.
    """

    index: int
    shape: tuple[int, int]
    downsample: Pair


@dataclass(frozen=True, slots=True)
class Grid:
    """Equal cells over a slide, one for each value of a heatmap.

    A cell covers ``origin + index * step`` up to ``origin + (index + 1) * step``, and
    its value belongs to its centre.

    Parameters
    ----------
    origin : tuple of float
        (y, x) of the top left corner of cell (0, 0), level-0 px; may be negative.
    step : tuple of float
        (y, x) size of a cell, level-0 px.
    shape : tuple of int
        Rows and columns, each at least 0.

    Raises
    ------
    OptionError
        A number is not finite, a step not above 0 or a shape negative.
    """

    origin: Pair
    step: Pair
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        if not all(map(isfinite, (*self.origin, *self.step))):
            raise OptionError(
                f"grid of origin {self.origin} and step {self.step}; both are finite "
                "numbers of px"
            )
        if min(self.step) <= 0 or min(self.shape) < 0:
            raise OptionError(
                f"grid of step {self.step} and shape {self.shape}; a step is above 0 "
                "px and a shape at least 0"
            )

    @property
    def box(self) -> Box:
        """The box that all cells cover together."""
        return self.cells_box((0, 0), self.shape)

    def cell_box(self, row: int, column: int) -> Box:
        """Return the box of one cell."""
        return self.cells_box((row, column), (row + 1, column + 1))

    def cells_box(self, first: tuple[int, int], end: tuple[int, int]) -> Box:
        """Return the box of a rectangle of cells.

        Parameters
        ----------
        first, end : tuple of int
            (row, column) of the first cell, and one past the last.

        Returns
        -------
        Box
            Level-0 px.
        """
        edges = (
            self.origin[axis] + self.step[axis] * index[axis]
            for index in (first, end)
            for axis in (0, 1)
        )
        return Box(*edges)

    def cell_centre(self, row: int, column: int) -> Pair:
        """Return the (y, x) of a cell's centre, level-0 px."""
        return self.cell_box(row, column).centre

    def index_of(self, point: Pair) -> tuple[int, int] | None:
        """Return the cell that holds a point.

        Parameters
        ----------
        point : tuple of float
            (y, x), level-0 px.

        Returns
        -------
        tuple of int or None
            (row, column); None outside the grid, and for NaN.
        """
        axes = zip(point, self.origin, self.step, self.shape, strict=True)
        row, column = (_index_on_axis(*axis) for axis in axes)
        return None if row is None or column is None else (row, column)


def _index_on_axis(
    position: float, origin: float, step: float, count: int
) -> int | None:
    """Return the index of the cell of an axis that holds a position, or None."""
    quotient = (position - origin) / step
    if not -1 < quotient < count + 1:  # NaN lies in no cell either
        return None
    index = floor(quotient)
    # The quotient is rounded and may lie across an edge; the edges decide.
    if position < origin + step * index:
        index -= 1
    elif position >= origin + step * (index + 1):
        index += 1
    return index if 0 <= index < count else None
