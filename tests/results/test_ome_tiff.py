"""Heatmap and masks as TIFF: what other programs find in them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from defusedxml.ElementTree import fromstring

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.errors import MaskError, OutputError
from napari_fastnet.results.formats.ome_tiff import (
    RECORD_NAMESPACE,
    write_heatmap_ome_tiff,
    write_mask_tiff,
)
from napari_fastnet.results.record import RunRecord, SlideFacts

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"
RECORD = RunRecord(
    slide=SlideFacts('C:\\Präparate\\<a> & "b" {c}.svs', "f"), threshold=0.5
)


@pytest.fixture
def heatmap():
    values = np.random.default_rng(0).random((30, 40)).astype(np.float32)
    values[:5] = np.nan
    return Heatmap(values, Grid((100.0, -20.0), (64.0, 32.0), (30, 40)), (0.25, 0.5))


def ome(path):
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome
        return fromstring(tif.ome_metadata.encode())


def test_the_heatmap_comes_back_bit_for_bit_nan_included(tmp_path, heatmap):
    path = tmp_path / "heatmap.ome.tif"
    write_heatmap_ome_tiff(path, heatmap)
    values = tifffile.imread(path)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, heatmap.probabilities)


def test_the_heatmap_says_in_um_how_large_a_cell_is_and_where_the_grid_begins(
    tmp_path, heatmap
):
    path = tmp_path / "heatmap.ome.tif"
    write_heatmap_ome_tiff(path, heatmap)
    (pixels,) = ome(path).iter(f"{OME}Pixels")
    assert pixels.get("Type") == "float"
    assert (pixels.get("PhysicalSizeY"), pixels.get("PhysicalSizeYUnit")) == (
        "16.0",
        "µm",
    )
    assert (pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeXUnit")) == (
        "16.0",
        "µm",
    )
    (plane,) = pixels.iter(f"{OME}Plane")
    assert (plane.get("PositionY"), plane.get("PositionYUnit")) == ("25.0", "µm")
    assert (plane.get("PositionX"), plane.get("PositionXUnit")) == ("-10.0", "µm")


def test_the_heatmap_carries_the_record_and_the_notice(tmp_path, heatmap):
    path = tmp_path / "heatmap.ome.tif"
    write_heatmap_ome_tiff(path, heatmap, record=RECORD)
    root = ome(path)
    (note,) = root.iter(f"{OME}CommentAnnotation")
    assert note.get("Namespace") == RECORD_NAMESPACE
    assert json.loads(note.findtext(f"{OME}Value")) == RECORD.to_dict()
    assert "Not for diagnosis" in root.find(f".//{OME}Description").text


def test_the_same_heatmap_makes_the_same_identifier(tmp_path, heatmap):
    for name in ("a.ome.tif", "b.ome.tif"):
        write_heatmap_ome_tiff(tmp_path / name, heatmap, record=RECORD)
    write_heatmap_ome_tiff(tmp_path / "c.ome.tif", heatmap)
    first, second, other = (ome(tmp_path / f"{n}.ome.tif").get("UUID") for n in "abc")
    assert first == second != other


def test_a_heatmap_without_cells_is_a_single_nan(tmp_path):
    empty = Heatmap(np.empty((0, 0), np.float32), Grid((0, 0), (8, 8), (0, 0)), (1, 1))
    write_heatmap_ome_tiff(tmp_path / "h.ome.tif", empty)
    values = tifffile.imread(tmp_path / "h.ome.tif")
    assert values.shape == (1, 1)
    assert np.isnan(values).all()


def test_openslide_opens_the_heatmap_but_refuses_its_float_values(tmp_path, heatmap):
    openslide = pytest.importorskip("openslide")
    write_heatmap_ome_tiff(tmp_path / "heatmap.ome.tif", heatmap)
    with openslide.OpenSlide(tmp_path / "heatmap.ome.tif") as slide:
        assert slide.dimensions == (40, 30)
        assert float(slide.properties["openslide.mpp-x"]) == 16
        with pytest.raises(openslide.OpenSlideError, match="32-bit samples"):
            slide.read_region((0, 0), 0, (8, 8))


def test_openslide_reads_a_mask(tmp_path):
    openslide = pytest.importorskip("openslide")
    mask = np.zeros((30, 40), bool)
    mask[3, 4] = True
    write_mask_tiff(tmp_path / "m.tif", mask, (8.0, 4.0))
    with openslide.OpenSlide(tmp_path / "m.tif") as slide:
        assert float(slide.properties["openslide.mpp-y"]) == 8
        assert float(slide.properties["openslide.mpp-x"]) == 4
        image = np.asarray(slide.read_region((0, 0), 0, (40, 30)).convert("L"))
    np.testing.assert_array_equal(image, np.where(mask, 255, 0))


@pytest.mark.parametrize("shape", [(1, 1), (300, 17), (256, 512)])
def test_a_mask_comes_back_as_0_and_255_with_its_resolution_and_record(tmp_path, shape):
    mask = np.random.default_rng(1).random(shape) < 0.5
    write_mask_tiff(tmp_path / "m.tif", mask, (8.0, 10.0), record=RECORD)
    with tifffile.TiffFile(tmp_path / "m.tif") as tif:
        page = tif.pages[0]
        np.testing.assert_array_equal(page.asarray(), np.where(mask, 255, 0))
        assert page.dtype == np.uint8
        assert page.is_tiled
        assert page.tags["ResolutionUnit"].value == 3  # per cm
        assert page.tags["XResolution"].value == (1000, 1)
        assert page.tags["YResolution"].value == (1250, 1)
    assert (
        json.loads(ome(tmp_path / "m.tif").findtext(f".//{OME}Value"))
        == RECORD.to_dict()
    )


def test_a_mask_that_is_a_view_is_written_as_it_looks(tmp_path):
    mask = np.zeros((20, 30), bool)
    mask[2, ::3] = True
    write_mask_tiff(tmp_path / "m.tif", mask.T[::2], (8.0, 8.0))
    image = tifffile.imread(tmp_path / "m.tif")
    np.testing.assert_array_equal(image > 0, mask.T[::2])


@pytest.mark.parametrize(
    "mask",
    [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 1), bool), np.zeros((0, 2), bool)],
)
def test_what_is_no_mask_is_refused(tmp_path, mask):
    with pytest.raises(MaskError, match=r"m\.tif"):
        write_mask_tiff(tmp_path / "m.tif", mask, (8.0, 8.0))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path, heatmap):
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="a file stands where a folder should be"):
        write_heatmap_ome_tiff(tmp_path / "out" / "heatmap.ome.tif", heatmap)
