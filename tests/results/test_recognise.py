"""Slides and our own files are taken, images of others are left to others."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.results import recognise
from napari_fastnet.results.formats.ome_tiff import (
    write_heatmap_ome_tiff,
    write_mask_tiff,
)
from napari_fastnet.results.recognise import content_of
from napari_fastnet.results.regions import write_regions_geojson
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import open_store

GRID = Grid((0.0, 0.0), (64.0, 64.0), (3, 3))
STRIPS = {"tile": None, "rowsperstrip": 16}


@pytest.fixture
def image(texture):
    return texture(128, 192)


def test_an_aperio_slide_is_a_slide(tmp_path, image, write_svs):
    assert content_of(write_svs(tmp_path / "a.svs", image)) == "slide"
    assert content_of(write_svs(tmp_path / "b.tif", image)) == "slide"


@pytest.mark.parametrize("suffix", [".svs", ".SVS", ".ndpi", ".scn", ".bif"])
def test_a_scanners_suffix_is_enough(tmp_path, suffix):
    # so that a damaged slide is told why it does not open
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"cut short")
    assert content_of(path) == "slide"


@pytest.mark.parametrize("suffix", [".tif", ".TIFF"])
def test_a_tiled_colour_tiff_is_a_slide(tmp_path, image, write_tiff, suffix):
    assert content_of(write_tiff(tmp_path / f"a{suffix}", image)) == "slide"


@pytest.mark.parametrize("sub_ifds", [False, True])
def test_a_pyramid_in_strips_is_a_slide(tmp_path, image, write_tiff, sub_ifds):
    path = tmp_path / "a.tif"
    write_tiff(path, image, factors=(1, 4), sub_ifds=sub_ifds, **STRIPS)
    assert content_of(path) == "slide"


@pytest.mark.parametrize(
    ("mpp", "wanted"), [(None, None), (352.8, None), (5.01, None), (4.99, "slide")]
)
def test_a_small_image_in_strips_must_say_its_spacing(
    tmp_path, image, write_tiff, mpp, wanted
):
    path = write_tiff(tmp_path / "a.tif", image, mpp=mpp, **STRIPS)
    assert content_of(path) == wanted


def test_a_large_image_in_strips_is_a_slide(tmp_path, image, write_tiff, monkeypatch):
    path = write_tiff(tmp_path / "a.tif", image, **STRIPS)
    monkeypatch.setattr(recognise, "LARGE_PX", 128 * 192 + 1)
    assert content_of(path) is None
    monkeypatch.setattr(recognise, "LARGE_PX", 128 * 192)
    assert content_of(path) == "slide"


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((128, 128), np.uint8),
        np.zeros((128, 128), np.uint16),
        np.zeros((4, 128, 128), np.uint8),
        np.zeros((128, 128, 3), np.uint16),
        np.zeros((128, 128), np.float32),
    ],
    ids=["grey", "16-bit grey", "stack", "16-bit colour", "float"],
)
def test_tiled_images_that_are_no_stained_slides_are_left_alone(tmp_path, values):
    path = tmp_path / "a.tif"
    photometric = "rgb" if values.shape[-1] == 3 else "minisblack"
    tifffile.imwrite(path, values, tile=(64, 64), photometric=photometric)
    assert content_of(path) is None


@pytest.mark.parametrize("content", [b"", b"II", b"II*\0\x08\0\0\0", b"text"])
def test_a_file_that_is_no_tiff_is_left_alone(tmp_path, content):
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    assert content_of(path) is None


@pytest.mark.parametrize("name", ["a.png", "a.geojson", "a.svs", "a.zarr", "a\0.tif"])
def test_what_is_not_there_is_nothing(tmp_path, name):
    assert content_of(tmp_path / name) is None


def test_our_files_are_told_apart(tmp_path):
    heatmap = Heatmap(np.zeros((3, 3), np.float32), GRID, (0.25, 0.25))
    write_heatmap_ome_tiff(tmp_path / "heatmap.ome.tif", heatmap)
    write_mask_tiff(tmp_path / "tissue_roi.tif", np.ones((2, 2), bool), (8.0, 8.0))
    write_regions_geojson(tmp_path / "regions.geojson", [])

    assert content_of(tmp_path / "heatmap.ome.tif") == "heatmap"
    assert content_of(tmp_path / "tissue_roi.tif") == "mask"
    assert content_of(tmp_path / "regions.geojson") == "regions"
    assert content_of(tmp_path) == "results"


def test_a_run_and_its_folder_are_told_apart(tmp_path):
    folder = tmp_path / "a" / "run.zarr"
    open_store(
        folder, RunDescription(key={}, grid=GRID, mpp=(0.25, 0.25), block_cells=2)
    )
    assert content_of(folder) == "run"
    assert content_of(tmp_path / "a") == "results"
    assert content_of(tmp_path) is None


@pytest.mark.parametrize("described", ["{}", "[]", "nonsense", '{"attributes": {}}'])
def test_zarr_of_others_is_left_alone(tmp_path, described):
    folder = tmp_path / "other.zarr"
    folder.mkdir()
    (folder / "zarr.json").write_text(described)
    assert content_of(folder) is None


def test_geojson_of_others_is_left_alone(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    assert content_of(path) is None
