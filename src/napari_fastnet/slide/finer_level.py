"""Tiles that are broken or missing, made from the next finer level that can be read."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import TileReadError
from napari_fastnet.slide.resample import resample
from napari_fastnet.slide.tiles import WHITE, DamagedTileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.slide.tiles import OnDamage, Pixels, TiledLevel


# A coarser level lacks a tile only where all finer ones of it do; so many more of all
# are told from a difference of tile sizes.
_BLANK_SLACK = 0.02
# So far the filter reaches into a tile from outside, px.
_REACH_PX = 4


class FinerTiles:
    """A file's levels, of which a broken one is read from the next finer; thread-safe.

    Parameters
    ----------
    levels : sequence of TiledLevel
        The file's own, finest first.

    Attributes
    ----------
    levels : tuple of TiledLevel
        The same; a tile that cannot be decoded is made from the level before, where
        that can be decoded all over it, and else is damaged as ever. So are tiles that
        were never written, where a level lacks more of them than the one before: a
        level that shows less than a finer one was not finished.
    """

    def __init__(self, levels: Sequence[TiledLevel]) -> None:
        self._made: set[tuple[int, int, int]] = set()
        self._lock = threading.Lock()
        mended = [levels[0]]
        for level in levels[1:]:
            mended.append(self._mended(level, mended[-1]))
        self.levels = tuple(mended)

    @property
    def counts(self) -> dict[int, int]:
        """How many tiles of each level were made so far, where there are any."""
        with self._lock:
            made = [index for index, _, _ in self._made]
        return {index: made.count(index) for index in sorted(set(made))}

    def _mended(self, level: TiledLevel, finer: TiledLevel) -> TiledLevel:
        lacks = _share_blank(level) > _share_blank(finer) + _BLANK_SLACK

        def made(row: int, column: int) -> Pixels | None:
            tile = _tile_from(finer, level, row, column)
            if (tile[_REACH_PX:-_REACH_PX, _REACH_PX:-_REACH_PX] == WHITE).all():
                return None  # nothing was scanned there, but for what lies beside it
            with self._lock:
                self._made.add((level.index, row, column))
            return tile

        def load(row: int, column: int, on_damage: OnDamage | None) -> Pixels | None:
            try:
                tile = level.load(row, column, on_damage)
            except DamagedTileError as error:
                try:
                    return made(row, column)
                except TileReadError:
                    raise error from None
            if tile is not None or not lacks:
                return tile
            try:
                return made(row, column)
            except TileReadError as error:
                raise DamagedTileError("was never written") from error

        return replace(level, load=load, blank=0 if lacks else level.blank)


def _share_blank(level: TiledLevel) -> float:
    return level.blank / level.tiles


def _tile_from(finer: TiledLevel, level: TiledLevel, row: int, column: int) -> Pixels:
    """Return a tile of a level, made from a finer one.

    Raises
    ------
    TileReadError
        That one cannot be decoded there either.
    """
    (height, width), (rows, columns) = level.shape, level.tile_shape
    top, left = row * rows, column * columns
    bottom, right = min(top + rows, height), min(left + columns, width)
    y, x = finer.shape[0] / height, finer.shape[1] / width
    box = Box(top * y, left * x, bottom * y, right * x)
    return resample(finer.read, finer.shape, box, (bottom - top, right - left))
