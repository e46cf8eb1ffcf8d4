"""The reader takes slides and our own files, and leaves everything else alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.utils.notifications import notification_manager

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.core.options import EvidenceScale
from napari_fastnet.errors import FastNetError, StoreError
from napari_fastnet.plugin.layers.info import info_of, slide_of
from napari_fastnet.plugin.reader import get_reader, read_layers
from napari_fastnet.results.formats.ome_tiff import (
    write_heatmap_ome_tiff,
    write_mask_tiff,
)
from napari_fastnet.results.record import (
    RunRecord,
    SlideFacts,
    TissueFacts,
    record_json,
)
from napari_fastnet.results.regions import write_regions_geojson
from napari_fastnet.store.format import RunDescription, chunk_path
from napari_fastnet.store.store import open_store

MPP = (0.25, 0.25)
GRID = Grid((0.0, 64.0), (64.0, 64.0), (4, 4))
RECORD = RunRecord(
    slide=SlideFacts("/slides/tumor_026.svs", "f", mpp=MPP),
    threshold=0.25,
    lesion_threshold=-9.0,  # a lesion of few cells
    evidence=EvidenceScale(more=-9.0),
    tissue=TissueFacts(mpp=(8.0, 8.0)),
)


@pytest.fixture
def run(tmp_path):
    """Return a function that writes a run.zarr and returns it with its values."""

    def write(record):
        folder = tmp_path / "tumor_026" / "run.zarr"
        store = open_store(
            folder, RunDescription(key={}, grid=GRID, mpp=MPP, block_cells=4)
        )
        values = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
        values[0, 0] = np.nan
        (block,) = store.blocks()
        store.write(block, values)
        if record:
            store.set_record(record_json(record))
        return folder, values

    return write


def opened(path, add):
    """Return the layers of a path, opened as napari does."""
    reader = get_reader(str(path))
    assert reader is not None
    return [add(data) for data in reader(str(path))]


def test_a_slide_becomes_one_layer(tmp_path, texture, write_svs, add):
    path = write_svs(tmp_path / "a.svs", texture(200, 300))
    (layer,) = opened(path, add)
    assert layer.name == "a"
    np.testing.assert_array_equal(np.asarray(layer.data[0]), texture(200, 300))
    assert slide_of(layer).path == path


def test_what_is_damaged_in_a_run_is_told_once(run, add):
    folder, _ = run(None)
    chunk_path(folder, 0, 0).write_bytes(b"\xff" * 10)
    told = []
    notification_manager.notification_ready.connect(told.append)
    (layer,) = opened(folder, add)
    notification_manager.notification_ready.disconnect(told.append)
    assert np.isnan(layer.data).all()
    assert len(told) == 1
    assert "damaged" in told[0].message


def test_a_path_or_a_list_of_one_will_do(tmp_path, texture, write_svs):
    path = write_svs(tmp_path / "a.svs", texture(64, 64))
    for given in (path, str(path), [str(path)], (path,)):
        reader = get_reader(given)
        assert reader is not None
        assert reader(given)[0][1]["name"] == "a"


def test_several_files_are_no_slide(tmp_path, texture, write_svs):
    path = str(write_svs(tmp_path / "a.svs", texture(64, 64)))
    assert get_reader([path, path]) is None
    assert get_reader([]) is None


def test_plain_images_and_folders_are_declined(tmp_path, texture):
    tifffile.imwrite(tmp_path / "photo.tif", texture(64, 64), photometric="rgb")
    (tmp_path / "text.tif").write_text("text")
    for name in ("photo.tif", "text.tif", "none.tif", "none.svs", "none.zarr", "."):
        assert get_reader(str(tmp_path / name)) is None


def test_a_damaged_slide_says_why_it_does_not_open(tmp_path):
    path = tmp_path / "a.svs"
    path.write_bytes(b"nothing of a slide")
    reader = get_reader(str(path))
    assert reader is not None
    with pytest.raises(FastNetError, match=r"a\.svs.*give"):
        reader(str(path))


def test_a_slide_that_went_away_says_so(tmp_path):
    with pytest.raises(FastNetError, match="no such file"):
        read_layers(tmp_path / "a.svs")


def test_a_finished_run_comes_back_as_heatmap_and_regions(run, add):
    folder, values = run(RECORD)
    heat, regions = opened(folder, add)

    assert (heat.name, regions.name) == ("tumor probability", "tumor regions")
    np.testing.assert_array_equal(heat.data, values)
    np.testing.assert_allclose(heat._extent_world_augmented, [[0, 16], [64, 80]])
    assert regions.features["region"].tolist() == [1]
    assert regions.data[0].max() == pytest.approx(80)
    assert (info_of(heat).slide_name, info_of(heat).fingerprint) == ("tumor_026", "f")
    assert info_of(regions).record.threshold == 0.25


def test_an_unfinished_run_comes_back_as_the_heatmap_so_far(run, add):
    folder, values = run(None)
    (heat,) = opened(folder, add)
    np.testing.assert_array_equal(heat.data, values)
    assert info_of(heat).slide_name == "tumor_026"


def test_the_folder_of_a_run_brings_its_masks(run, add):
    folder, _ = run(RECORD)
    for kind in ("rgb", "roi"):
        path = folder.parent / f"tissue_{kind}.tif"
        write_mask_tiff(path, np.eye(5, dtype=bool), (8.0, 8.0), record=RECORD)
    layers = opened(folder.parent, add)
    assert [layer.name for layer in layers] == [
        "tissue: RGB",
        "tissue ROI",
        "tumor probability",
    ]
    assert {info_of(layer).fingerprint for layer in layers} == {"f"}


def test_the_store_of_a_finished_run_brings_all_that_is_in_its_folder(run, add):
    folder, values = run(RECORD)
    path = folder.parent / "tissue_roi.tif"
    write_mask_tiff(path, np.eye(5, dtype=bool), (8.0, 8.0), record=RECORD)
    values[3, 3] = np.nan  # taken out of the region of interest: the store keeps it
    record = replace(RECORD, grid=Grid((0, 64), (64, 64), (4, 4)))
    heatmap = Heatmap(values, GRID, MPP)
    write_heatmap_ome_tiff(folder.parent / "heatmap.ome.tif", heatmap, record=record)

    roi, heat = opened(folder, add)

    assert (roi.name, heat.name) == ("tissue ROI", "tumor probability")
    np.testing.assert_array_equal(heat.data, values)


def test_the_store_of_an_unfinished_run_is_not_what_is_left_of_an_older_one(run, add):
    folder, values = run(None)
    write_heatmap_ome_tiff(
        folder.parent / "heatmap.ome.tif", Heatmap(1 - values, GRID, MPP)
    )
    (heat,) = opened(folder, add)
    np.testing.assert_array_equal(heat.data, values)


@pytest.mark.parametrize(("threshold", "is_red"), [(0.3, True), (0.6, False)])
def test_the_colours_are_those_of_the_threshold_it_was_saved_with(
    run, add, threshold, is_red
):
    folder, _ = run(replace(RECORD, threshold=threshold))
    red, green, *_ = opened(folder, add)[0].colormap.map([0.45])[0]
    assert (red > green + 0.15) == is_red


def test_a_folder_of_exports_comes_back(tmp_path, heatmap, add):
    heat = heatmap(mpp=MPP)
    regions = find_regions(heat, 0.5)
    record = replace(RECORD, grid=heat.grid)
    write_heatmap_ome_tiff(tmp_path / "heatmap.ome.tif", heat, record=record)
    write_regions_geojson(tmp_path / "regions.geojson", regions, record=record)

    heat_layer, regions_layer = opened(tmp_path, add)

    np.testing.assert_array_equal(heat_layer.data, heat.probabilities)
    assert info_of(heat_layer).grid == heat.grid
    assert regions_layer.features["region"].max() == len(regions)


def test_a_renamed_mask_is_a_region_of_interest(tmp_path, add):
    path = tmp_path / "drawn.tif"
    write_mask_tiff(path, np.eye(4, dtype=bool), (8.0, 8.0))
    (layer,) = opened(path, add)
    assert layer.name == "tissue ROI"
    assert layer.data.tolist() == np.eye(4).tolist()
    np.testing.assert_allclose(layer._extent_world_augmented, [[0, 0], [32, 32]])


def test_regions_that_state_no_spacing_are_refused(tmp_path):
    path = tmp_path / "regions.geojson"
    write_regions_geojson(path, [])
    with pytest.raises(StoreError, match="no µm/px"):
        read_layers(path)


def test_relative_paths_work(run, monkeypatch):
    folder, _ = run(None)
    monkeypatch.chdir(folder)
    reader = get_reader(".")
    assert reader is not None
    assert reader(".")[0][1]["metadata"]
    assert Path.cwd() == folder
