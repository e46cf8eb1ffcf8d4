"""The slide as lazy arrays, one a level, with coarse levels made where it has none."""

from __future__ import annotations

import threading
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image

from napari_fastnet.core.geometry import Box, Level, Pair
from napari_fastnet.errors import DriveError
from napari_fastnet.slide.tiles import (
    WHITE,
    Damaged,
    OnDamage,
    Pixels,
    TileCache,
    TiledLevel,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import dask.array


#: A level this much coarser than asked for still serves: 0.972 µm/px where 0.97 is
#: wanted, rather than sixteen times the pixels at 0.243.
LEVEL_SLACK = 0.01


def own_levels(tiles: Sequence[TiledLevel]) -> list[Level]:
    """Return a file's levels: shapes and real downsamples, y and x on their own.

    Parameters
    ----------
    tiles : sequence of TiledLevel
        Finest first.

    Returns
    -------
    list of Level
        The ratios of their sizes; the averages that readers report are not used.
    """
    height, width = tiles[0].shape
    return [
        Level(index, level.shape, (height / level.shape[0], width / level.shape[1]))
        for index, level in enumerate(tiles)
    ]


def made_levels(tiles: Sequence[TiledLevel], coarsest: Level, step: int) -> list[Level]:
    """Return the levels made from the coarsest of a file, each by whole blocks.

    Parameters
    ----------
    tiles : sequence of TiledLevel
        Finest first.
    coarsest : Level
        What the first was made from.
    step : int
        Side of the blocks of px that each averages of the one before.

    Returns
    -------
    list of Level
        Exactly ``step`` times coarser each, although the last px may reach beyond.
    """
    y, x = coarsest.downsample
    return [
        Level(level.index, level.shape, (y * step**power, x * step**power))
        for power, level in enumerate(tiles, start=1)
    ]


def coarsest_within(levels: Sequence[Level], scale: Pair) -> Level:
    """Return the coarsest level that is fine enough, or the finest if none is.

    Parameters
    ----------
    levels : sequence of Level
        Finest first.
    scale : (float, float)
        Level-0 px per px wanted, (y, x); 1 % less is fine enough.

    Returns
    -------
    Level
        One of ``levels``.
    """
    y, x = (value * (1 + LEVEL_SLACK) for value in scale)
    fine = [
        level
        for level in levels
        if level.downsample[0] <= y and level.downsample[1] <= x
    ]
    return fine[-1] if fine else levels[0]


class DamageLog:
    """Where tiles could not be decoded; thread-safe.

    Parameters
    ----------
    levels : sequence of Level
        The slide's own levels.
    """

    def __init__(self, levels: Sequence[Level]) -> None:
        self._levels = levels
        self._boxes: dict[tuple[int, int, int], Box] = {}
        self._lock = threading.Lock()

    def note(self, tiles: TiledLevel, row: int, column: int) -> None:
        """Note a tile of a level; a second time changes nothing."""
        height, width = tiles.tile_shape
        y, x = self._levels[tiles.index].downsample
        corner = (row * height * y, column * width * x)
        tile = Box.of_shape((height * y, width * x), corner)
        box = tile.intersect(Box.of_shape(self._levels[0].shape))
        with self._lock:
            self._boxes[tiles.index, row, column] = box

    def count(self, level: int) -> int:
        """Return how many tiles of a level are damaged."""
        with self._lock:
            return sum(index == level for index, _, _ in self._boxes)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The tiles' boxes, level-0 px."""
        with self._lock:
            return tuple(self._boxes.values())


#: Longest side that a pyramid's coarsest level may have, px.
COARSEST_PX = 2048

#: A made level is this much coarser than the one before, as Aperio's are.
STEP = 4

#: Side of a made level's tiles, px.
TILE_PX = 256

# Strips of fewer rows than the first are joined to chunks of at least the second.
_STRIP_ROWS_PX, _CHUNK_ROWS_PX = 64, 256

#: dask looks at every chunk of an array whenever a part is asked for: 300,000 cost
#: 0.15 s each time. Beyond this many, several tiles are one chunk.
MOST_CHUNKS = 2**14


class _Readable(Protocol):
    """What a lazy array needs of a `Slide`."""

    def read_level(
        self,
        level: int,
        top: int,
        left: int,
        height: int,
        width: int,
        *,
        damaged: Damaged,
    ) -> Pixels:
        """Return a region of a level in the level's px."""


def coarser_levels(finest: TiledLevel) -> list[TiledLevel]:
    """Return levels 4, 16, ... times coarser, until one is small.

    Each px is the mean of 4 x 4 px of the level before, so that nothing aliases. The
    px are made when a tile is first read, and kept as long as memory lasts.

    Parameters
    ----------
    finest : TiledLevel
        The coarsest level of the file itself.

    Returns
    -------
    list of TiledLevel
        Empty where ``finest`` is small already.
    """
    made: list[TiledLevel] = []
    below = finest
    while max(below.shape) > COARSEST_PX:
        shape = (-(-below.shape[0] // STEP), -(-below.shape[1] // STEP))
        below = TiledLevel(
            below.name,
            below.index + 1,
            shape,
            (TILE_PX, TILE_PX),
            _mean_of(below),
            TileCache(),
        )
        made.append(below)
    return made


def _mean_of(
    below: TiledLevel,
) -> Callable[[int, int, OnDamage | None], Pixels]:
    """Return the function that makes a tile from the level below it."""
    side = TILE_PX * STEP

    def load(row: int, column: int, on_damage: OnDamage | None) -> Pixels:
        source = below.read(row * side, column * side, side, side, on_damage=on_damage)
        return np.array(Image.fromarray(source).reduce(STEP))

    return load


class LevelArray:
    """One level as an array that reads on indexing; what dask wraps.

    Parameters
    ----------
    slide : Slide
        Read by several threads; it is pickled by path.
    level : TiledLevel
        Its shape and tiles; its index may lie behind the file's own levels.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, slide: _Readable, level: TiledLevel) -> None:
        self._slide = slide
        self._index = level.index
        self.shape = (*level.shape, 3)
        rows, columns = level.tile_shape
        if rows < _STRIP_ROWS_PX:
            rows *= -(-_CHUNK_ROWS_PX // rows)
        tiles = -(-level.shape[0] // rows) * -(-level.shape[1] // columns)
        joined = ceil(sqrt(tiles / MOST_CHUNKS))
        rows, columns = rows * joined, columns * joined
        self.chunks = (min(rows, level.shape[0]), min(columns, level.shape[1]), 3)

    def __getitem__(self, key: tuple[Any, ...]) -> Pixels:
        """Return the px of up to three indices, each a slice or a whole number."""
        y, x, *channels = key + (slice(None),) * (3 - len(key))
        top, bottom, rows = _span(y, self.shape[0])
        left, right, columns = _span(x, self.shape[1])
        height, width = bottom - top, right - left
        try:
            pixels = self._slide.read_level(
                self._index, top, left, height, width, damaged="white"
            )
        except DriveError:  # a viewer goes on, and asks again when it comes back here
            pixels = np.full((height, width, 3), WHITE, np.uint8)
        return pixels[(rows, columns, *channels)]


def _span(key: slice | int, size: int) -> tuple[int, int, slice | int]:
    """Return first, end and the key within them of an index into ``size`` px."""
    picked = range(size)[key]
    if isinstance(picked, int):
        return picked, picked + 1, 0
    if not picked:
        return 0, 0, slice(None)
    first, last = sorted((picked[0], picked[-1]))
    return first, last + 1, slice(None, None, picked.step)


def lazy_levels(
    slide: _Readable, levels: Sequence[TiledLevel], token: str
) -> list[dask.array.Array]:
    """Return the levels as dask arrays, ``uint8 (height, width, 3)``.

    Parameters
    ----------
    slide : Slide
        Reads the px.
    levels : sequence of TiledLevel
        Finest first.
    token : str
        Names the contents; equal tokens share dask's cached results.

    Returns
    -------
    list of dask.array.Array
        A chunk is a tile of the file; strips of less than 64 rows are joined, and so
        are the tiles of a level with more than `MOST_CHUNKS`.
    """
    import dask.array

    arrays = (LevelArray(slide, level) for level in levels)
    wrap: Callable[..., dask.array.Array] = dask.array.from_array  # it has no types
    options = {
        "meta": np.empty((0, 0, 0), np.uint8),
        "asarray": False,
        "fancy": False,
    }
    return [
        wrap(array, array.chunks, name=f"slide-{token}-{index}", **options)
        for index, array in enumerate(arrays)
    ]
