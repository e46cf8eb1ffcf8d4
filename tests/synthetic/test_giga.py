"""A slide of any size is small on disk, and every reader sees it whole."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from scipy.ndimage import binary_erosion

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import OptionError
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.synthetic.giga import (
    SQUARE_PX,
    UNIT_PX,
    giga_shape,
    write_giga_slide,
)

# No multiple of anything.
SHAPE = (24 * UNIT_PX + 1000, 33 * UNIT_PX + 321)
TISSUE = 0.2


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the slide's file and which units are tissue."""
    path = tmp_path_factory.mktemp("giga") / "giga.svs"
    return path, write_giga_slide(path, shape=SHAPE, tissue=TISSUE)


@pytest.fixture
def slide(written):
    with open_slide(written[0]) as opened:
        yield opened


@pytest.fixture
def inside(written):
    """Return the corner of a unit amid tissue, level-0 px."""
    return np.argwhere(binary_erosion(written[1]))[-1] * UNIT_PX


def test_it_reads_as_an_aperio_slide(slide):
    assert slide.vendor == "aperio"
    assert slide.shape == SHAPE
    assert (slide.mpp, slide.mpp_source) == ((0.243, 0.243), "vendor")
    shapes = [level.shape for level in slide.levels]
    assert shapes == [tuple(side // step for side in SHAPE) for step in (1, 4, 16, 64)]


def test_gigapixels_cost_megabytes(written):
    assert np.prod(SHAPE) > 0.8e9
    assert written[0].stat().st_size < 25e6


def test_so_much_of_it_is_tissue(written):
    share = written[1].sum() * UNIT_PX**2 / np.prod(SHAPE)
    assert share == pytest.approx(TISSUE, abs=UNIT_PX**2 / np.prod(SHAPE))


def test_tissue_is_where_it_is_said_to_be(slide, written):
    units = written[1]
    extent = tuple(side * UNIT_PX for side in units.shape)
    picture = slide.read(Box.of_shape(extent), 0.243 * UNIT_PX)
    dark = picture.mean(axis=-1) < 215

    assert picture.shape[:2] == units.shape
    assert np.array_equal(dark, units)


def test_every_level_shows_the_same_tissue_at_the_same_place(slide, inside):
    pictures = []
    for level, step in ((0, 1), (1, 4), (2, 16), (3, 64)):
        top, left = (int(corner) // step for corner in inside - UNIT_PX)
        side = 2 * UNIT_PX // step
        pixels = slide.read_level(level, top, left, side, side)
        cell = side // 8  # JPEG changes single px of the coarsest
        pictures.append(pixels.reshape(8, cell, 8, cell, 3).mean(axis=(1, 3)))

    assert pictures[0].std() > 10
    for picture in pictures[1:]:
        assert np.abs(picture - pictures[0]).mean() < 2


def test_the_square_is_repeated_seamlessly_in_place(slide, written):
    units = written[1]
    period = SQUARE_PX // UNIT_PX
    row, column = np.argwhere(units[:-period] & units[period:])[0] * UNIT_PX

    one = slide.read_level(0, row, column, UNIT_PX, UNIT_PX)
    assert one.std() > 10
    below = slide.read_level(0, row + SQUARE_PX, column, UNIT_PX, UNIT_PX)
    assert np.array_equal(one, below)


def test_what_lies_at_the_edge_is_glass(slide):
    corner = slide.read_level(0, SHAPE[0] - 10, SHAPE[1] - 10, 20, 20)

    assert (np.abs(corner[:10, :10].astype(int) - (244, 243, 245)) <= 2).all()
    assert (corner[10:] == 255).all()


def test_tifffile_and_tiffslide_read_it(slide, written, inside):
    tiffslide = pytest.importorskip("tiffslide")
    y, x = (int(corner) for corner in inside)
    expected = slide.read_level(0, y, x, 300, 200)

    with tiffslide.TiffSlide(written[0]) as other:
        assert other.dimensions == SHAPE[::-1]
        assert other.level_count == 4
        thumbnail = other.associated_images["thumbnail"]
        read = np.asarray(other.read_region((x, y), 0, (200, 300)))
    assert np.array_equal(read[..., :3], expected)
    assert thumbnail.width / thumbnail.height == pytest.approx(
        SHAPE[1] / SHAPE[0], 0.01
    )
    with tifffile.TiffFile(written[0]) as tif:
        assert tif.series[0].levels[1].shape == (SHAPE[0] // 4, SHAPE[1] // 4, 3)


@pytest.mark.parametrize("gigapixels", [0.1, 0.5, 8, 800])
def test_a_size_is_met_nearly(gigapixels):
    height, width = giga_shape(gigapixels)

    assert height * width == pytest.approx(gigapixels * 1e9, rel=0.05)
    assert height / width == pytest.approx(0.8, rel=0.06)


@pytest.mark.parametrize("gigapixels", [0, 0.0999, 801, float("nan")])
def test_other_sizes_are_refused(gigapixels):
    with pytest.raises(OptionError, match="gigapixels is"):
        giga_shape(gigapixels)


@pytest.mark.parametrize(
    "shape",
    [(SQUARE_PX - 1, SQUARE_PX), (SQUARE_PX, SQUARE_PX - 1), (SQUARE_PX, 2**20 + 1)],
)
def test_other_shapes_are_refused(tmp_path, shape):
    with pytest.raises(OptionError, match="both sides are"):
        write_giga_slide(tmp_path / "a.svs", shape=shape)


@pytest.mark.parametrize("tissue", [-0.5, 0.6, float("nan")])
def test_tissue_that_does_not_fit_is_refused(tmp_path, tissue):
    shape = (SQUARE_PX, SQUARE_PX)
    with pytest.raises(OptionError, match=r"takes 0 to 0\.56"):
        write_giga_slide(tmp_path / "a.svs", shape=shape, tissue=tissue)
    assert not list(tmp_path.iterdir())
