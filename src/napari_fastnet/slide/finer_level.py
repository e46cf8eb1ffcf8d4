"""Tiles that are broken or missing, made from the next finer level that can be read."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_fastnet.core.geometry import Box
from napari_fastnet.slide.resample import resample
from napari_fastnet.slide.tiles import WHITE, Pixels, TiledLevel

if TYPE_CHECKING:
    from collections.abc import Sequence


# A finished level has at most this share of blank tiles more than the next finer one:
# tiles of another size cut the empty parts of a slide differently.
_BLANK_SLACK = 0.02
# The filter reaches so far into a tile from outside, px.
_REACH_PX = 4


class FinerTiles:
    """A file's levels, each of which is repaired from the next finer one; thread-safe.

    Parameters
    ----------
    levels : sequence of TiledLevel
        The file's own, finest first.

    Attributes
    ----------
    levels : tuple of TiledLevel
        The same. A tile that cannot be decoded is made from the next finer level where
        all of that can be decoded. So are tiles that were never written, where a level
        has more of them than the next finer one: such a level was not finished.
    """

    def __init__(self, levels: Sequence[TiledLevel]) -> None:
        self._made: set[tuple[int, int, int]] = set()
        repaired = [levels[0]]
        for level in levels[1:]:
            finer = repaired[-1]
            lacks = level.blank / level.tiles > finer.blank / finer.tiles + _BLANK_SLACK
            repaired.append(
                replace(
                    level,
                    blank=0 if lacks else level.blank,
                    remake=partial(self._remake, finer),
                    is_unfinished=lacks,
                )
            )
        self.levels = tuple(repaired)

    @property
    def counts(self) -> dict[int, int]:
        """The number of tiles made so far, by the index of their level."""
        made = [index for index, _, _ in self._made.copy()]  # threads may add to it
        return {index: made.count(index) for index in sorted(set(made))}

    def _remake(
        self, finer: TiledLevel, level: TiledLevel, row: int, column: int
    ) -> Pixels | None:
        """Make a tile of a level from a finer one, None where nothing was scanned.

        Raises
        ------
        TileReadError
            The finer level cannot be decoded there.
        """
        (height, width), (rows, columns) = level.shape, level.tile_shape
        top, left = row * rows, column * columns
        bottom, right = min(top + rows, height), min(left + columns, width)
        y, x = finer.shape[0] / height, finer.shape[1] / width
        box = Box(top * y, left * x, bottom * y, right * x)
        shape = (bottom - top, right - left)
        tile = resample(finer.read, finer.shape, box, shape)
        if (tile[_REACH_PX:-_REACH_PX, _REACH_PX:-_REACH_PX] == WHITE).all():
            return None  # what is not white at its rim belongs to its neighbours
        self._made.add((level.index, row, column))
        return tile
