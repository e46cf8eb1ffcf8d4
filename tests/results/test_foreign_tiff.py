"""OME-TIFF in the readers of others: values, sizes and places in µm."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.results.formats.ome_tiff import (
    write_heatmap_ome_tiff,
    write_mask_tiff,
)
from napari_fastnet.results.record import RunRecord, SlideFacts

GRID = Grid((100.5, -20.0), (64.08, 32.0), (300, 520))
MPP = (0.25, 0.5)
#: A cell that stands out, and where its centre lies: µm from the slide's corner.
HOT = (123, 457)
HOT_UM = tuple(v * m for v, m in zip(GRID.cell_centre(*HOT), MPP, strict=True))
CELL_UM = (64.08 * 0.25, 16.0)
MASK_MPP = (8.002, 7.998)


@pytest.fixture(scope="module")
def heatmap():
    values = np.random.default_rng(0).random(GRID.shape, np.float32) * np.float32(0.9)
    values[:5] = np.nan
    values[HOT] = 1.0
    return Heatmap(values, GRID, MPP)


@pytest.fixture(scope="module")
def heatmap_file(tmp_path_factory, heatmap):
    path = tmp_path_factory.mktemp("tiff") / "heatmap.ome.tif"
    write_heatmap_ome_tiff(
        path,
        heatmap,
        record=RunRecord(slide=SlideFacts("/s/a.svs", "f"), threshold=0.5),
    )
    return path


@pytest.fixture(scope="module")
def mask():
    """Return a mask with a disc whose middle is at px (400, 150)."""
    rows, columns = np.ogrid[:700, :301]
    return (rows - 400) ** 2 + (columns - 150) ** 2 < 80**2


@pytest.fixture(scope="module")
def mask_file(tmp_path_factory, mask):
    path = tmp_path_factory.mktemp("tiff") / "tissue_roi.tif"
    write_mask_tiff(path, mask, MASK_MPP)
    return path


def bioio_image(name, path):
    reader = pytest.importorskip(f"bioio_{name}").Reader
    return pytest.importorskip("bioio").BioImage(path, reader=reader)


@pytest.mark.parametrize("name", ["ome_tiff", "tifffile"])
@pytest.mark.filterwarnings("ignore")  # remarks of theirs on each other's packages
def test_bioio_finds_values_and_sizes_of_the_heatmap(heatmap_file, heatmap, name):
    image = bioio_image(name, heatmap_file)
    np.testing.assert_array_equal(
        image.get_image_data("YX"), heatmap.probabilities, strict=True
    )
    sizes = image.physical_pixel_sizes
    np.testing.assert_allclose((sizes.Y, sizes.X), CELL_UM, rtol=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_bioio_finds_the_cell_where_it_lies(heatmap_file):
    image = bioio_image("ome_tiff", heatmap_file)
    (plane,) = image.metadata.images[0].pixels.planes
    values = image.get_image_data("YX")
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    sizes = image.physical_pixel_sizes
    found_um = (
        plane.position_y + (row + 0.5) * sizes.Y,
        plane.position_x + (column + 0.5) * sizes.X,
    )
    assert found_um == pytest.approx(HOT_UM, abs=1e-6)


@pytest.mark.parametrize("name", ["ome_tiff", "tifffile"])
@pytest.mark.filterwarnings("ignore")
def test_bioio_finds_values_and_sizes_of_a_mask(mask_file, mask, name):
    image = bioio_image(name, mask_file)
    np.testing.assert_array_equal(image.get_image_data("YX") > 0, mask)
    sizes = image.physical_pixel_sizes
    np.testing.assert_allclose((sizes.Y, sizes.X), MASK_MPP, rtol=1e-9)


def test_ome_types_finds_the_cell_where_it_lies(heatmap_file):
    ome_types = pytest.importorskip("ome_types")
    ome = ome_types.from_tiff(heatmap_file)  # checks it against the schema
    pixels = ome.images[0].pixels
    (plane,) = pixels.planes
    hot = np.unravel_index(
        np.nanargmax(tifffile.imread(heatmap_file)), (pixels.size_y, pixels.size_x)
    )
    found_um = (
        plane.position_y + (hot[0] + 0.5) * pixels.physical_size_y,
        plane.position_x + (hot[1] + 0.5) * pixels.physical_size_x,
    )
    assert found_um == pytest.approx(HOT_UM, abs=1e-6)
    units = (pixels.physical_size_x_unit, plane.position_x_unit)
    assert [unit.value for unit in units] == ["µm", "µm"]


def test_tifffile_finds_levels_each_half_as_fine(heatmap_file, heatmap):
    with tifffile.TiffFile(heatmap_file) as tif:
        (series,) = tif.series
        assert [level.shape for level in series.levels] == [
            (300, 520),
            (150, 260),
            (75, 130),
        ]
        level = series.levels[1].asarray()
        resolution = level_um(series.levels[1].pages[0])
    quarter = heatmap.probabilities[10:12, 20:22]
    assert level[5, 10] == pytest.approx(quarter.mean(), rel=1e-6)
    assert np.isnan(level[:2]).all()
    assert resolution == pytest.approx([2 * um for um in CELL_UM], rel=1e-6)


def level_um(page):
    """Return (y, x) µm per px of the resolution tags, px per cm."""
    tags = (page.tags[f"{axis}Resolution"].value for axis in "YX")
    return [1e4 * below / above for above, below in tags]


def test_tiffslide_reads_values_levels_and_um_of_the_heatmap(heatmap_file, heatmap):
    tiffslide = pytest.importorskip("tiffslide")
    with tiffslide.TiffSlide(heatmap_file) as slide:
        assert slide.level_dimensions == ((520, 300), (260, 150), (130, 75))
        assert slide.properties["tiffslide.mpp-y"] == pytest.approx(CELL_UM[0], 1e-4)
        assert slide.properties["tiffslide.mpp-x"] == pytest.approx(CELL_UM[1], 1e-4)
        values = np.asarray(slide.zarr_group["0"])
    np.testing.assert_array_equal(values, heatmap.probabilities)


def test_openslide_reads_a_mask_where_it_lies(mask_file, mask):
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(mask_file) as slide:
        mpp = [float(slide.properties[f"openslide.mpp-{axis}"]) for axis in "yx"]
        region = slide.read_region((0, 0), 0, slide.dimensions).convert("L")
    image = np.asarray(region)
    np.testing.assert_array_equal(image, np.where(mask, 255, 0))
    np.testing.assert_allclose(mpp, MASK_MPP, rtol=1e-6)
    middle_um = [(np.nonzero(image)[axis].mean() + 0.5) * mpp[axis] for axis in (0, 1)]
    assert middle_um == pytest.approx([400.5 * 8.002, 150.5 * 7.998], abs=4)


def test_tiffslide_reads_a_mask_and_its_levels(mask_file, mask):
    tiffslide = pytest.importorskip("tiffslide")
    with tiffslide.TiffSlide(mask_file) as slide:
        assert slide.level_dimensions == ((301, 700), (151, 350), (76, 175))
        region = slide.read_region((0, 0), 0, (301, 700), as_array=True)
        mpp = [slide.properties[f"tiffslide.mpp-{axis}"] for axis in "yx"]
    inside = region.reshape(700, 301) > 0
    np.testing.assert_array_equal(inside, mask)
    middle_um = [(np.nonzero(inside)[axis].mean() + 0.5) * mpp[axis] for axis in (0, 1)]
    assert middle_um == pytest.approx([400.5 * 8.002, 150.5 * 7.998], abs=4)
