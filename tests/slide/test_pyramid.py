"""Levels: the coarsest that is fine enough, lazy arrays, made ones until one is small."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest

from napari_fastnet.core.geometry import Level
from napari_fastnet.slide import pyramid
from napari_fastnet.slide.pyramid import LevelArray, coarsest_within, levels_of
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.slide.tiles import TileCache, TiledLevel


@pytest.fixture(scope="module")
def image(texture):
    return texture(2300, 300)


@pytest.fixture
def slide(tmp_path, image, write_svs):
    with open_slide(write_svs(tmp_path / "single.svs", image)) as opened:
        yield opened


def test_a_single_level_gets_coarser_ones(slide, image):
    levels = slide.pyramid()

    assert [level.shape for level in levels] == [(2300, 300, 3), (575, 75, 3)]
    assert all(level.dtype == np.uint8 for level in levels)
    np.testing.assert_array_equal(levels[0].compute(), image)
    means = image.reshape(575, 4, 75, 4, 3).mean(axis=(1, 3))
    assert np.abs(levels[1].compute() - means).max() <= 0.5


def test_chunks_are_the_files_tiles(slide):
    chunks = slide.pyramid()[0].chunks

    assert chunks[0][:-1] == (64,) * 35
    assert chunks[1] == (64, 64, 64, 64, 44)
    assert chunks[2] == (3,)


@pytest.mark.parametrize(
    ("most", "side"), [(180, 64), (179, 128), (45, 128), (44, 192)]
)
def test_many_tiles_are_joined_to_fewer_chunks(slide, image, monkeypatch, most, side):
    monkeypatch.setattr(pyramid, "MOST_CHUNKS", most)  # the slide has 36 x 5 tiles
    finest = slide.pyramid()[0]

    assert finest.chunksize == (side, side, 3)
    np.testing.assert_array_equal(finest[100:400, 30:].compute(), image[100:400, 30:])


def test_strips_are_joined_to_chunks(tmp_path, image, write_tiff):
    path = write_tiff(tmp_path / "strips.tif", image, tile=None, rowsperstrip=10)

    with open_slide(path) as slide:
        first = slide.pyramid()[0]
        assert first.chunks[0][:2] == (260, 260)
        np.testing.assert_array_equal(first.compute(), image)


def test_levels_are_made_until_one_is_small(tmp_path, monkeypatch, image, write_svs):
    monkeypatch.setattr(pyramid, "COARSEST_PX", 50)
    path = write_svs(tmp_path / "a.svs", image, factors=(1, 2))

    with open_slide(path) as slide:
        shapes = [level.shape[:2] for level in slide.pyramid()]
        coarsest = slide.pyramid()[-1].compute()

    assert shapes == [(2300, 300), (1150, 150), (288, 38), (72, 10), (18, 3)]
    inner = image[:2176, :256].reshape(17, 128, 2, 128, 3).mean(axis=(1, 3))
    assert np.abs(coarsest[:17, :2] - inner).max() < 3


def test_the_rest_of_the_last_cells_is_white(tmp_path, monkeypatch, write_svs):
    monkeypatch.setattr(pyramid, "COARSEST_PX", 30)
    path = write_svs(tmp_path / "a.svs", np.zeros((42, 40, 3), np.uint8))

    with open_slide(path) as slide:
        made = slide.pyramid()[1].compute()

    assert made.shape == (11, 10, 3)
    assert (made[:10] == 0).all()
    assert np.abs(made[10].astype(int) - 128).max() <= 1


def test_a_tile_that_cannot_be_read_is_white_and_noted(
    tmp_path, image, write_svs, tile_place, overwrite
):
    path = write_svs(tmp_path / "a.svs", image, compression="jpeg")
    offset, count = tile_place(path, 0)
    overwrite(path, offset, b"\xab" * count)

    with open_slide(path) as slide:
        fine, made = slide.pyramid()
        assert (made[:16, :16].compute() == 255).all()
        assert (fine[:64, :64].compute() == 255).all()
        assert [(box.bottom, box.right) for box in slide.damaged] == [(64, 64)]


@pytest.mark.parametrize(
    "key",
    [
        np.s_[5:9, 7:300],
        np.s_[70],
        np.s_[-3:, 2],
        np.s_[100:10:-7, ::3],
        np.s_[..., 1],
        np.s_[50:50],
        np.s_[2:2000:50, 10:20, ::-1],
    ],
)
def test_indexing_is_that_of_numpy(slide, image, key):
    np.testing.assert_array_equal(slide.pyramid()[0][key].compute(), image[key])


def test_a_level_array_takes_whole_numbers(slide, image):
    array = LevelArray(partial(slide.read_level, 0), slide._tiles[0])

    np.testing.assert_array_equal(array[7, 2:5, 0], image[7, 2:5, 0])
    np.testing.assert_array_equal(array[(slice(3, 4),)], image[3:4])


def test_arrays_can_be_sent_to_other_processes(slide):
    sent = pickle.loads(pickle.dumps(slide.pyramid()[1]))

    np.testing.assert_array_equal(sent.compute(), slide.pyramid()[1].compute())


@pytest.mark.real
def test_the_single_level_aperio_slide(real_slides):
    path = real_slides / "CMU-1-Small-Region.svs"
    if not path.exists():
        pytest.skip(f"no {path.name}")
    with open_slide(path) as slide:
        shapes = [level.shape for level in slide.pyramid()]

    assert shapes == [(2967, 2220, 3), (742, 555, 3)]


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
