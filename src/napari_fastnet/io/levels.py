"""A slide's levels as geometry: how coarse each is, and which serves a request."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from napari_fastnet.core.geometry import Box, Level, Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.io.tiles import TiledLevel

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
