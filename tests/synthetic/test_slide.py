"""The synthetic slide reads as an Aperio slide, and its truth is true."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.errors import OptionError, OutputError
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.synthetic.layout import GLASS, NORMAL, TUMOR, Layout
from napari_fastnet.synthetic.slide import SHAPE, write_slide

SMALL = (2048, 2560)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("slide") / "a.svs"


@pytest.fixture(scope="module")
def truth(path):
    return write_slide(path, shape=SMALL)


@pytest.fixture
def slide(path, truth):
    with open_slide(path) as opened:
        yield opened


def cells(shape, step):
    return Grid((0, 0), (step, step), (shape[0] // step, shape[1] // step))


def test_it_reads_as_an_aperio_slide(slide):
    assert slide.vendor == "aperio"
    assert slide.shape == SMALL
    assert (slide.mpp, slide.mpp_source) == ((0.243, 0.243), "vendor")
    assert [level.downsample for level in slide.levels] == [(1, 1), (4, 4), (16, 16)]
    assert slide.level_for(0.972).index == 1


def test_openslide_reads_the_same(slide, path):
    openslide = pytest.importorskip("openslide", exc_type=ImportError)

    with openslide.OpenSlide(path) as other:
        assert other.properties["openslide.objective-power"] == "40"
        assert other.level_dimensions == ((2560, 2048), (640, 512), (160, 128))
        assert "thumbnail" in other.associated_images
        pixels = np.asarray(other.read_region((640, 512), 0, (300, 200)))[..., :3]
    difference = np.abs(slide.read_level(0, 512, 640, 200, 300).astype(int) - pixels)
    assert difference.max() <= 2


def test_it_says_that_it_is_drawn(path, truth):
    with tifffile.TiffFile(path) as tif:
        assert "Synthetic slide, drawn, no tissue" in tif.pages[0].description
        assert "Seed = 0" in tif.pages[0].description


def test_levels_show_the_same_picture(slide):
    coarse = slide.read_level(2, 0, 0, 128, 160).astype(int)
    fine = slide.read_level(0, 0, 0, *SMALL).reshape(128, 16, 160, 16, 3).mean((1, 3))
    differences = {
        shift: np.abs(np.roll(coarse, shift, axis=(0, 1)) - fine).mean()
        for shift in [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]
    }

    assert min(differences, key=differences.get) == (0, 0)
    assert abs(coarse.mean() - fine.mean()) < 1


def test_the_truth_agrees_with_the_picture(slide, truth):
    # Lesions are paler and redder than the lymphocytes around, glass is white.
    labels = truth.labels(cells(SMALL, 64))
    picture = slide.read(Box.of_shape(SMALL), 0.243 * 64)
    middle = {
        value: np.median(picture[labels == value], axis=0) for value in (-1, 0, 1)
    }

    assert picture.shape[:2] == labels.shape
    assert middle[GLASS].min() > 235
    assert middle[TUMOR][0] > middle[NORMAL][0] + 10
    assert middle[TUMOR].mean() < 215


def test_the_lesions_lie_in_tissue_apart_from_each_other(truth):
    grid = cells(SMALL, 16)
    none = Layout(truth.shape, truth.nodes, ())
    alone = [
        Layout(truth.shape, (), (lesion,)).labels(grid) == TUMOR
        for lesion in truth.lesions
    ]

    assert len(alone) == 4
    assert all(area.sum() > 20 for area in alone)
    assert np.sum(alone, axis=0).max() == 1
    assert (none.labels(grid)[np.any(alone, axis=0)] == NORMAL).all()


@pytest.mark.parametrize("seed", range(20))
def test_every_seed_keeps_its_outlines_on_the_slide(seed):
    layout = Layout.drawn(SHAPE, np.random.default_rng(seed))
    nodes = np.concatenate(layout.nodes)

    assert nodes.min() > 0
    assert (nodes.max(axis=0) < SHAPE).all()
    labels = layout.labels(cells(SHAPE, 128))
    assert set(np.unique(labels)) == {GLASS, NORMAL, TUMOR}


def test_a_cell_gets_the_label_of_its_centre():
    square = np.array([(0, 0), (0, 100), (100, 100), (100, 0)], float)
    layout = Layout((200, 200), (square,), ())

    labels = layout.labels(Grid((-50, 20), (60, 50), (3, 3)))

    # centres: y = -20, 40, 100 (the edge) and x = 45, 95, 145
    assert labels[0].tolist() == [GLASS] * 3
    assert labels[1].tolist() == [NORMAL, NORMAL, GLASS]


def test_a_seed_is_a_slide(tmp_path, path, truth):
    again, different = tmp_path / "again.svs", tmp_path / "other.svs"
    write_slide(again, shape=SMALL)
    other = write_slide(different, shape=SMALL, seed=1)

    assert again.read_bytes() == path.read_bytes()
    assert different.read_bytes() != path.read_bytes()
    assert not np.array_equal(other.lesions[0], truth.lesions[0])


@pytest.mark.parametrize("shape", [(1000, 1024), (768, 1024), (1024, 1100)])
def test_other_shapes_are_refused(tmp_path, shape):
    with pytest.raises(OptionError, match="multiples of 256"):
        write_slide(tmp_path / "a.svs", shape=shape)
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_of_a_folder_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(OutputError):
        write_slide(tmp_path / "file" / "a.svs", shape=(1024, 1024))
