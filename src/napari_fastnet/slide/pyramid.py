"""Levels of a slide: ratios, choice by µm/px, repair, made coarse ones, lazy arrays."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_fastnet.core.geometry import Box, Level, Pair
from napari_fastnet.errors import DriveError
from napari_fastnet.slide.resample import Read, resample
from napari_fastnet.slide.tiles import (
    WHITE,
    OnDamage,
    Pixels,
    TileCache,
    TiledLevel,
    TileKey,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A level this much coarser than asked for still serves: 0.972 µm/px where 0.97 is
#: wanted, rather than sixteen times the pixels at 0.243.
LEVEL_SLACK = 0.01

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

# A finished level has at most this share of blank tiles more than the next finer one:
# tiles of another size cut the empty parts of a slide differently.
_BLANK_SLACK = 0.02
# The filter reaches so far into a tile from outside, px.
_REACH_PX = 4


def levels_of(own: Sequence[TiledLevel], made: Sequence[TiledLevel]) -> list[Level]:
    """Return shapes and downsamples of a file's levels and of those made from them.

    The file's own have the ratios of their sizes, y and x each; the averages that readers
    report are not used. Made ones are exactly `STEP` times coarser than the one before,
    although their last px may reach beyond it.
    """
    height, width = own[0].shape
    levels = [
        Level(index, level.shape, (height / level.shape[0], width / level.shape[1]))
        for index, level in enumerate(own)
    ]
    for level in made:
        y, x = levels[-1].downsample
        levels.append(Level(level.index, level.shape, (y * STEP, x * STEP)))
    return levels


def coarsest_within(levels: Sequence[Level], scale: Pair) -> Level:
    """Return the coarsest level that is fine enough, or the finest if none is.

    Parameters
    ----------
    levels : sequence of Level
        Finest first.
    scale : (float, float)
        Level-0 px per px wanted, (y, x); 1 % less is fine enough.
    """
    y, x = (value * (1 + LEVEL_SLACK) for value in scale)
    fine = [
        level
        for level in levels
        if level.downsample[0] <= y and level.downsample[1] <= x
    ]
    return fine[-1] if fine else levels[0]


def repaired(
    levels: Sequence[TiledLevel], made: set[TileKey]
) -> tuple[TiledLevel, ...]:
    """Return a file's levels, finest first; each makes broken tiles from the one before.

    A tile that was never written counts as broken where a level has more of them than the
    next finer one: such a level was not finished. ``made`` gets the key of each tile that is
    made. A tile stays broken where the finer level cannot be decoded either.
    """
    found = [levels[0]]
    for level in levels[1:]:
        finer = found[-1]
        lacks = level.blank / level.tiles > finer.blank / finer.tiles + _BLANK_SLACK
        found.append(
            replace(
                level,
                blank=0 if lacks else level.blank,
                remake=partial(_remake, finer, made),
                is_unfinished=lacks,
            )
        )
    return tuple(found)


def _remake(
    finer: TiledLevel, made: set[TileKey], level: TiledLevel, row: int, column: int
) -> Pixels | None:
    """Make a tile of a level from a finer one, None where nothing was scanned.

    TileReadError where the finer level cannot be decoded there.
    """
    (height, width), (rows, columns) = level.shape, level.tile_shape
    top, left = row * rows, column * columns
    bottom, right = min(top + rows, height), min(left + columns, width)
    y, x = finer.shape[0] / height, finer.shape[1] / width
    box = Box(top * y, left * x, bottom * y, right * x)
    tile = resample(finer.read, finer.shape, box, (bottom - top, right - left))
    if (tile[_REACH_PX:-_REACH_PX, _REACH_PX:-_REACH_PX] == WHITE).all():
        return None  # what is not white at its rim belongs to its neighbours
    made.add((level.index, row, column))
    return tile


def coarser_levels(finest: TiledLevel) -> list[TiledLevel]:
    """Return levels 4, 16, ... times coarser than a file's coarsest, until one is small.

    Each px is the mean of 4 x 4 px of the level before, so that nothing aliases. The px are
    made when a tile is first read, and kept as long as memory lasts.
    """
    made: list[TiledLevel] = []
    below, tile = finest, (TILE_PX, TILE_PX)
    while max(below.shape) > COARSEST_PX:
        shape = (-(-below.shape[0] // STEP), -(-below.shape[1] // STEP))
        load, index = partial(_load_mean, below), below.index + 1
        below = TiledLevel(finest.name, index, shape, tile, load, TileCache())
        made.append(below)
    return made


def _load_mean(
    below: TiledLevel, row: int, column: int, on_damage: OnDamage | None
) -> Pixels:
    """Return a tile made from the level below it."""
    side = TILE_PX * STEP
    source = below.read(row * side, column * side, side, side, on_damage=on_damage)
    return np.array(Image.fromarray(source).reduce(STEP))


class LevelArray:
    """One level as an array that reads on indexing; dask wraps it.

    Its chunks are the level's tiles; strips of less than 64 rows are joined, and so are
    the tiles of a level with more than `MOST_CHUNKS`.

    Parameters
    ----------
    read : callable
        Returns the px of a region of the level, from several threads.
    level : TiledLevel
        Its shape and tiles.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, read: Read, level: TiledLevel) -> None:
        self._read = read
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
            pixels = self._read(top, left, height, width)
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
