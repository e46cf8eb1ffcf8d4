"""Tiles are decoded once while they are kept, and joined without a gap."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.errors import TileReadError
from napari_fastnet.slide.tiles import DamagedTileError, TileCache, TiledLevel


@pytest.fixture
def image(texture):
    return texture(100, 90)


def tiled(image, calls, *, budget=10**6, missing=(), broken=()):
    def load(row, column, on_damage):
        calls.append((row, column))
        if (row, column) in broken:
            raise DamagedTileError("no such luck")
        if (row, column) in missing:
            return None
        return image[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32].copy()

    return TiledLevel("a.svs", 2, image.shape[:2], (32, 32), load, TileCache(budget))


@pytest.mark.parametrize("region", [(0, 0, 100, 90), (31, 33, 2, 40), (5, 60, 95, 30)])
def test_a_region_is_joined_from_its_tiles_alone(image, region):
    calls = []
    top, left, height, width = region

    pixels = tiled(image, calls).read(*region)

    np.testing.assert_array_equal(
        pixels, image[top : top + height, left : left + width]
    )
    rows = (top + height - 1) // 32 - top // 32 + 1
    columns = (left + width - 1) // 32 - left // 32 + 1
    assert len(calls) == rows * columns


def test_kept_tiles_are_not_decoded_again(image):
    calls = []
    level = tiled(image, calls)

    for _ in range(3):
        level.read(10, 10, 30, 30)

    assert len(calls) == 4


def test_the_cache_keeps_to_its_budget_and_drops_the_oldest(image):
    calls = []
    level = tiled(image, calls, budget=2 * 32 * 32 * 3)

    for column in (0, 1, 0, 2, 0, 1):
        level.read(0, column * 32, 8, 8)

    assert calls == [(0, 0), (0, 1), (0, 2), (0, 1)]


def test_a_tile_larger_than_the_budget_is_not_kept(image):
    calls = []
    level = tiled(image, calls, budget=10)

    level.read(0, 0, 8, 8)
    level.read(0, 0, 8, 8)

    assert len(calls) == 2


def test_missing_tiles_and_all_outside_are_white(image):
    pixels = tiled(image, [], missing=[(0, 1)]).read(-5, 0, 40, 200)

    assert (pixels[:5] == 255).all()
    assert (pixels[5:37, 32:64] == 255).all()
    assert (pixels[:, 90:] == 255).all()
    np.testing.assert_array_equal(pixels[5:, :32], image[:35, :32])


def test_a_region_outside_decodes_nothing(image):
    calls = []

    assert (tiled(image, calls).read(-50, 500, 40, 40) == 255).all()
    assert calls == []


def test_a_broken_tile_names_file_level_and_place(image):
    with pytest.raises(
        TileReadError,
        match=r"a\.svs: level 2, rows 32 to 64, columns 0 to 32 .* \(no such luck\)",
    ):
        tiled(image, [], broken=[(1, 0)]).read(0, 0, 64, 64)


def test_a_broken_tile_may_be_white_instead(image):
    noted = []

    pixels = tiled(image, [], broken=[(1, 0)]).read(
        0,
        0,
        64,
        64,
        on_damage=lambda level, *place: noted.append((level.index, *place)),
    )

    assert noted == [(2, 1, 0)]
    assert (pixels[32:, :32] == 255).all()
    np.testing.assert_array_equal(pixels[:32], image[:32, :64])


def test_what_was_made_with_a_hole_is_not_kept(image):
    below = tiled(image, [], broken=[(0, 0)])

    def load(row, column, on_damage):
        return below.read(0, 0, 64, 64, on_damage=on_damage)

    made = TiledLevel("a.svs", 3, (64, 64), (64, 64), load, TileCache())

    assert (made.read(0, 0, 32, 32, on_damage=lambda *place: None) == 255).all()
    with pytest.raises(TileReadError, match="level 2, rows 0 to 32"):
        made.read(0, 0, 64, 64)
