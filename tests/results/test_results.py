"""What was exported comes back the same."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.errors import StoreError
from napari_fastnet.results.formats.ome_tiff import (
    write_heatmap_ome_tiff,
    write_mask_tiff,
)
from napari_fastnet.results.reading import (
    is_regions_export,
    read_heatmap_ome_tiff,
    read_mask_export,
    read_regions_geojson,
    recorded_mpp,
    tiff_export,
)
from napari_fastnet.results.record import RunRecord, SlideFacts, TissueFacts
from napari_fastnet.results.regions import write_regions_geojson

MPP = (0.243, 0.2441)
OF_TISSUE = RunRecord(
    slide=SlideFacts("/s/a.svs", "f"), tissue=TissueFacts(mpp=(8.01, 7.99))
)


@pytest.fixture
def heatmap():
    values = np.random.default_rng(0).random((7, 9)).astype(np.float32)
    values[2, 3:5] = np.nan
    return Heatmap(values, Grid((10.5, -3.25), (1053.5, 1048.75), (7, 9)), MPP)


def record_of(heatmap):
    slide = SlideFacts("/s/a.svs", "f", mpp=heatmap.mpp)
    return RunRecord(slide=slide, grid=heatmap.grid, threshold=0.5)


def export_of(path):
    with tifffile.TiffFile(path) as tif:
        return tiff_export(tif)


def test_a_heatmap_comes_back_bit_for_bit(tmp_path, heatmap):
    path = tmp_path / "heatmap.ome.tif"
    write_heatmap_ome_tiff(path, heatmap, record=record_of(heatmap))

    back, record = read_heatmap_ome_tiff(path)

    assert export_of(path) == "heatmap"
    assert back.probabilities.tobytes() == heatmap.probabilities.tobytes()
    assert (back.grid, back.mpp) == (heatmap.grid, heatmap.mpp)
    assert record.threshold == 0.5


def test_a_heatmap_without_record_lies_where_it_lay_in_um(tmp_path, heatmap):
    path = tmp_path / "heatmap.ome.tif"
    write_heatmap_ome_tiff(path, heatmap)
    back, record = read_heatmap_ome_tiff(path)
    assert record is None
    np.testing.assert_allclose(back.cell_um, heatmap.cell_um)
    np.testing.assert_allclose(
        np.multiply(back.grid.origin, back.mpp), np.multiply((10.5, -3.25), MPP)
    )


def test_a_heatmap_without_cells_comes_back_without_cells(tmp_path):
    empty = Heatmap(
        np.empty((0, 0), np.float32), Grid((0.0, 0.0), (9.0, 9.0), (0, 0)), MPP
    )
    path = tmp_path / "heatmap.ome.tif"
    write_heatmap_ome_tiff(path, empty, record=record_of(empty))
    assert read_heatmap_ome_tiff(path)[0].probabilities.shape == (0, 0)


def test_a_record_of_another_grid_is_refused(tmp_path, heatmap):
    path = tmp_path / "heatmap.ome.tif"
    record = record_of(heatmap)
    record = replace(record, grid=replace(record.grid, shape=(7, 8)))
    write_heatmap_ome_tiff(path, heatmap, record=record)
    with pytest.raises(StoreError, match="do not agree"):
        read_heatmap_ome_tiff(path)


@pytest.mark.parametrize("content", [b"", b"II*\0", b"no TIFF at all"])
def test_a_damaged_heatmap_or_mask_is_refused(tmp_path, content):
    path = tmp_path / "heatmap.ome.tif"
    path.write_bytes(content)
    for read in (read_heatmap_ome_tiff, read_mask_export):
        with pytest.raises(StoreError, match=r"heatmap\.ome\.tif: no export to open"):
            read(path)


def test_a_heatmap_of_others_is_refused(tmp_path):
    path = tmp_path / "other.ome.tif"
    tifffile.imwrite(path, np.zeros((4, 4), np.float32), ome=True)
    assert export_of(path) is None
    with pytest.raises(StoreError):
        read_heatmap_ome_tiff(path)


@pytest.mark.parametrize("record", [None, OF_TISSUE])
def test_a_mask_comes_back(tmp_path, record):
    mask = np.random.default_rng(1).random((30, 41)) > 0.5
    path = tmp_path / "tissue_roi.tif"
    write_mask_tiff(path, mask, (8.01, 7.99), record=record)

    back = read_mask_export(path)

    assert export_of(path) == "mask"
    np.testing.assert_array_equal(back.mask, mask)
    np.testing.assert_allclose(back.mpp, (8.01, 7.99), rtol=0 if record else 1e-6)
    assert back.record == record


def test_a_records_spacing_that_the_mask_contradicts_is_not_believed(tmp_path):
    path = tmp_path / "m.tif"
    write_mask_tiff(path, np.ones((3, 3), bool), (4.0, 4.0), record=OF_TISSUE)
    np.testing.assert_allclose(read_mask_export(path).mpp, (4, 4))


def test_regions_come_back(tmp_path, heatmap):
    regions = find_regions(heatmap, 0.4)
    assert any(len(region.polygons) > 1 for region in regions)
    path = tmp_path / "regions.geojson"
    write_regions_geojson(path, regions, record=record_of(heatmap))

    back, record = read_regions_geojson(path)

    assert is_regions_export(path)
    assert recorded_mpp(path, record) == MPP
    assert len(back) == len(regions)
    for one, lesion in zip(regions, back, strict=True):
        other = lesion.region
        assert (lesion.decision, lesion.status) == (None, "undecided")
        assert other.label == one.label
        assert other.area_mm2 == one.area_mm2
        assert other.max_probability == one.max_probability
        assert other.size_class == one.size_class
        np.testing.assert_allclose(other.centroid, one.centroid, atol=2e-3)
        for ours, theirs in zip(one.polygons, other.polygons, strict=True):
            for ring, same in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(same, ring, atol=1e-3)


def test_no_regions_come_back_as_none(tmp_path):
    path = tmp_path / "regions.geojson"
    write_regions_geojson(path, [])
    back, record = read_regions_geojson(path)
    assert back == []
    with pytest.raises(StoreError, match="no µm/px"):
        recorded_mpp(path, record)


def test_geojson_of_others_is_not_ours(tmp_path):
    path = tmp_path / "regions.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    assert not is_regions_export(path)
    with pytest.raises(StoreError):
        read_regions_geojson(path)


def test_a_missing_geojson_is_not_ours(tmp_path):
    assert not is_regions_export(tmp_path / "none.geojson")


def test_exports_are_known_by_their_content_not_their_name(tmp_path, heatmap):
    path = tmp_path / "heatmap.ome.tif"
    write_heatmap_ome_tiff(path, heatmap)
    renamed = shutil.copy(path, tmp_path / "renamed.tif")
    assert export_of(renamed) == "heatmap"
