"""Repair of broken or missing tiles from the next finer level that can be read."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_fastnet.core.geometry import Box
from napari_fastnet.slide.resample import resample
from napari_fastnet.slide.tiles import WHITE, Pixels, TiledLevel, TileKey

if TYPE_CHECKING:
    from collections.abc import Sequence


# A finished level has at most this share of blank tiles more than the next finer one:
# tiles of another size cut the empty parts of a slide differently.
_BLANK_SLACK = 0.02
# The filter reaches so far into a tile from outside, px.
_REACH_PX = 4


def repaired(
    levels: Sequence[TiledLevel], made: set[TileKey]
) -> tuple[TiledLevel, ...]:
    """Return a file's levels, each of which makes its broken tiles from the one before.

    A tile that was never written counts as broken where a level has more of them than
    the next finer one: such a level was not finished.

    Parameters
    ----------
    levels : sequence of TiledLevel
        The file's own, finest first.
    made : set
        Gets the (level, row, column) of each tile that is made.

    Returns
    -------
    tuple of TiledLevel
        A tile of theirs is broken where the finer level cannot be decoded either.
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
    tile = resample(finer.read, finer.shape, box, (bottom - top, right - left))
    if (tile[_REACH_PX:-_REACH_PX, _REACH_PX:-_REACH_PX] == WHITE).all():
        return None  # what is not white at its rim belongs to its neighbours
    made.add((level.index, row, column))
    return tile
