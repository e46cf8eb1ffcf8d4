"""What ASAP gets: levels of factor 2 on the whole slide, regions that come back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fastnet.annotations.asap_xml import read_asap_xml, write_asap_xml
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.core.polygons import tumor_mask
from napari_fastnet.results.formats.asap import (
    asap_annotations,
    overlay_px,
    write_asap_heatmap,
)
from napari_fastnet.results.record import RunRecord, SlideFacts

RECORD = RunRecord(slide=SlideFacts("/s/a.svs", "f"), threshold=0.5)
SHAPE = (40_001, 90_010)
MPP = (0.25, 0.2501)


def heatmap_of(values, *, origin=(0.0, 0.0), step=(64.0, 64.0), mpp=MPP):
    values = np.asarray(values, np.float32)
    return Heatmap(values, Grid(origin, step, values.shape), mpp)


@pytest.fixture(scope="module")
def heatmap():
    values = np.random.default_rng(0).random((640, 1420), np.float32) * np.float32(0.9)
    values[:9] = np.nan
    values[300, 1234] = 1.0
    return heatmap_of(values, origin=(-20.5, -11.0), step=(63.91, 63.91))


@pytest.fixture(scope="module")
def path(tmp_path_factory, heatmap):
    path = tmp_path_factory.mktemp("asap") / "heatmap_asap.tif"
    write_asap_heatmap(path, heatmap, SHAPE, record=RECORD)
    return path


def test_levels_are_tiled_floats_each_half_of_the_one_before(path):
    with tifffile.TiffFile(path) as tif:
        pages = tif.pages[:]
        assert [page.shape for page in pages] == [
            (1251, 2813),
            (626, 1407),
            (313, 704),
            (157, 352),
        ]
        for page in pages:
            assert page.dtype == np.float32
            assert page.tile == (512, 512)
            assert page.compression == tifffile.COMPRESSION.LZW
        assert [bool(page.is_reduced) for page in pages] == [False, True, True, True]
        title, record = pages[0].description.split("\n")
    assert title == "napari-fastnet heatmap for ASAP"
    assert json.loads(record) == RECORD.to_dict()


def test_it_covers_the_slide_and_its_px_are_a_power_of_two_of_the_slides(path, heatmap):
    assert overlay_px(heatmap) == 32
    with tifffile.TiffFile(path) as tif:
        values = tif.asarray()
        tags = tif.pages[0].tags
        x, y = (tags[f"{axis}Resolution"].value for axis in "XY")
    assert (1e4 * y[1] / y[0], 1e4 * x[1] / x[0]) == pytest.approx(
        (8, 8.0032), rel=1e-5
    )
    assert all(
        0 <= 32 * side - of < 32 for side, of in zip(values.shape, SHAPE, strict=True)
    )
    assert values[:9].max() == 0  # not computed
    rows, columns = np.nonzero(values == 1)
    centre = heatmap.grid.cell_centre(300, 1234)
    found = (32 * (rows.mean() + 0.5), 32 * (columns.mean() + 0.5))
    assert found == pytest.approx(centre, abs=16)  # half a px: a quarter of a cell


def test_cells_of_a_power_of_two_come_back_as_they_are(tmp_path):
    values = np.random.default_rng(1).random((20, 30), np.float32)
    write_asap_heatmap(tmp_path / "h.tif", heatmap_of(values), (20 * 64, 30 * 64))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "h.tif"), values)


def test_openslide_sees_factors_of_two_and_the_slides_extent(path):
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(path) as slide:
        assert slide.level_count == 4
        assert slide.level_downsamples == pytest.approx((1, 2, 4, 8), rel=3e-3)
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(8.0032, 1e-4)


def test_tiffslide_reads_its_values(path):
    tiffslide = pytest.importorskip("tiffslide")
    with tiffslide.TiffSlide(path) as slide:
        assert slide.level_count == 4
        np.testing.assert_array_equal(slide.zarr_group["0"], tifffile.imread(path))


def ring_with_an_island():
    values = np.zeros((9, 9))
    values[1:8, 1:8] = 1
    values[2:7, 2:7] = 0
    values[4, 4] = 1
    return values


def comes_back(path, values, threshold=0.5):
    """Return the cells that an ASAP file of a heatmap's regions makes tumour."""
    heatmap = heatmap_of(values, origin=(3.5, -8.0), step=(64.08, 32.0))
    write_asap_xml(path, asap_annotations(find_regions(heatmap, threshold)))
    return tumor_mask(read_asap_xml(path), heatmap.grid)


def test_an_island_in_a_hole_stays(tmp_path):
    values = ring_with_an_island()
    np.testing.assert_array_equal(comes_back(tmp_path / "a.xml", values), values > 0.5)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.5, 0.7]))
def test_every_region_comes_back_cell_by_cell(tmp_path_factory, seed, threshold):
    values = np.random.default_rng(seed).random((12, 9), np.float32)
    path = tmp_path_factory.mktemp("asap") / "regions.xml"
    found = comes_back(path, values, threshold)
    np.testing.assert_array_equal(found, values >= np.float32(threshold))


def test_ratiopath_reads_the_same_outlines(tmp_path):
    parser = pytest.importorskip("ratiopath.parsers.asap_parser").ASAPParser
    heatmap = heatmap_of(ring_with_an_island()[:4])
    regions = find_regions(heatmap, 0.5)
    write_asap_xml(tmp_path / "a.xml", asap_annotations(regions))
    polygons = list(parser(tmp_path / "a.xml").get_polygons(part_of_group="Tumor"))
    areas_mm2 = [polygon.area * MPP[0] * MPP[1] / 1e6 for polygon in polygons]
    assert areas_mm2 == pytest.approx([region.area_mm2 for region in regions], rel=1e-6)


def test_a_comment_leaves_the_outlines_as_they_are(tmp_path):
    annotations = asap_annotations(find_regions(heatmap_of(ring_with_an_island()), 0.5))
    write_asap_xml(tmp_path / "plain.xml", annotations)
    write_asap_xml(tmp_path / "said.xml", annotations, comment="Research use only.")
    assert "<!-- Research use only. -->" in (tmp_path / "said.xml").read_text()
    said, plain = (read_asap_xml(tmp_path / name) for name in ("said.xml", "plain.xml"))
    for one, other in zip(said.positive, plain.positive, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_regions_are_an_empty_annotation(tmp_path):
    write_asap_xml(tmp_path / "a.xml", asap_annotations([]))
    assert read_asap_xml(tmp_path / "a.xml").positive == ()
