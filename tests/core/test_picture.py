"""Pictures in memory: PNG that opens, and cells that keep their place and shape."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.core.display import enlarged, png_bytes


@pytest.mark.parametrize("channels", [3, 4])
def test_png_holds_the_pixels(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    shown = np.asarray(Image.open(BytesIO(png_bytes(pixels))))
    np.testing.assert_array_equal(shown, pixels)


def test_each_cell_becomes_a_block():
    cells = np.array([[1, 2], [3, 4]])
    shown = enlarged(cells, side_px=6)
    np.testing.assert_array_equal(shown, cells.repeat(3, 0).repeat(3, 1))


def test_cells_twice_as_wide_as_high_are_shown_so():
    assert enlarged(np.zeros((4, 4)), (1.0, 2.0), 40).shape == (20, 40)


@pytest.mark.parametrize("shape", [(1, 700), (700, 1), (3, 600), (601, 599)])
def test_no_cell_is_lost_where_there_are_more_than_px(shape):
    cells = np.arange(np.prod(shape)).reshape(shape)
    assert set(enlarged(cells, (0.5, 1.0), 512).ravel()) == set(cells.ravel())


def test_channels_go_along():
    assert enlarged(np.zeros((2, 2, 4)), side_px=10).shape == (10, 10, 4)
