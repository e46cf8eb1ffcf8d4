"""The level that serves a request is the coarsest that is fine enough."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.core.geometry import Level
from napari_fastnet.slide.pyramid import (
    coarsest_within,
    levels_of,
)
from napari_fastnet.slide.tiles import TileCache, TiledLevel


def tiled(index, shape):
    return TiledLevel("a", index, shape, (64, 64), lambda *place: None, TileCache())


OWN = [tiled(0, (3200, 1600)), tiled(1, (800, 400)), tiled(2, (200, 99))]
LEVELS = levels_of(OWN, [])


def test_downsamples_are_real_and_separate():
    assert [level.downsample for level in LEVELS] == [(1, 1), (4, 4), (16, 1600 / 99)]


def test_made_levels_are_exactly_so_much_coarser():
    made = levels_of(OWN, [tiled(3, (50, 25)), tiled(4, (13, 7))])[3:]

    assert [level.index for level in made] == [3, 4]
    assert made[0].downsample == (64, 4 * 1600 / 99)
    assert made[1].downsample == (256, 16 * 1600 / 99)


@pytest.mark.parametrize(
    ("scale", "index"),
    [
        (0.2, 0),
        (1, 0),
        (np.nextafter(4 / 1.01, 0), 0),
        (4 / 1.01 + 1e-9, 1),
        (4, 1),
        (15, 1),
        (16.002, 2),  # the wider px, 16.16 along x, is within 1 %
        (15.99, 1),
        (1e4, 2),
    ],
)
def test_one_percent_is_allowed(scale, index):
    assert coarsest_within(LEVELS, (scale, scale)).index == index


def test_both_axes_must_be_fine_enough():
    levels = (Level(0, (9, 9), (1, 1)), Level(1, (4, 3), (2, 3)))

    assert coarsest_within(levels, (2, 2)).index == 0
    assert coarsest_within(levels, (3, 3)).index == 1
