"""Files from the panel: what is ticked, as it is shown, and a full disk is told."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

pytestmark = pytest.mark.gui

ALL = {
    "tissue_rgb.tif",
    "tissue_hsv.tif",
    "tissue_threshold.tif",
    "tissue_roi.tif",
    "heatmap.ome.tif",
    "quality.tif",
    "regions.geojson",
    "regions.csv",
    "overview.png",
    "run.json",
}


@pytest.fixture
def export(qtbot):
    def press(panel, folder):
        panel.export.folder.value = folder
        panel.export.save.native.click()
        qtbot.waitUntil(lambda: panel.export.save.enabled, timeout=30_000)
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    return press


def test_everything_that_is_shown_is_written(
    viewer, panel, detect, export, tmp_path
) -> None:
    detect(panel)
    panel.detect.threshold.value = 0.55
    folder = tmp_path / "files"
    assert export(panel, folder) == ALL
    heatmap = tifffile.imread(folder / "heatmap.ome.tif")
    np.testing.assert_array_equal(heatmap, viewer.layers["tumor probability"].data)
    roi = tifffile.imread(folder / "tissue_roi.tif")
    np.testing.assert_array_equal(roi > 0, viewer.layers["tissue ROI"].data > 0)
    record = json.loads((folder / "run.json").read_text())
    assert record["threshold"] == 0.55
    assert record["model"]["name"] == "dark"
    geojson = json.loads((folder / "regions.geojson").read_text())
    assert len(geojson["features"]) == record["regions"]["regions"]


@pytest.mark.parametrize(
    ("which", "count"), [("all regions", 1), ("micro and macro", 1), ("macro only", 0)]
)
def test_regions_are_written_from_a_size_on(
    panel, detect, export, tmp_path, which, count
) -> None:
    detect(panel)  # the dark square is 0.6 mm from corner to corner
    panel.export.which.value = which
    export(panel, tmp_path / "files")
    geojson = json.loads((tmp_path / "files" / "regions.geojson").read_text())
    assert len(geojson["features"]) == count
    totals = geojson["napari_fastnet"]["regions"]
    assert totals["regions"] == count
    assert "macro" in totals["size_classes"]


def test_formats_are_ticked_in_a_menu(panel, detect, export, tmp_path) -> None:
    detect(panel)
    section = panel.export
    assert section.formats.text == "ome-tiff, geojson, csv"
    section.formats.formats = ("asap", "patches-csv")
    section.overview.value = False
    names = export(panel, tmp_path / "files")
    assert names == {"heatmap_asap.tif", "regions.xml", "patches.csv", "run.json"}
    section.formats.formats = ()
    assert section.formats.text == "no format"


def test_only_what_is_ticked_is_written(panel, compute, export, tmp_path) -> None:
    compute(panel)
    panel.export.heatmap.value = False
    names = export(panel, tmp_path / "files")
    assert names == {name for name in ALL if name.startswith("tissue")} | {"run.json"}


def test_nothing_of_what_is_ticked_is_told(
    panel, compute, export, errors, tmp_path
) -> None:
    compute(panel)
    panel.export.masks.value = False
    assert export(panel, tmp_path / "files") == set()
    assert "nothing to export" in errors[0]


def test_without_a_folder_nothing_is_written(panel, compute, errors) -> None:
    compute(panel)
    panel.export.save.native.click()
    assert errors == ["no folder to export to; choose one in the Export section"]


def test_a_disk_that_refuses_is_told_and_saving_can_be_tried_again(
    panel, compute, export, errors, tmp_path
) -> None:
    compute(panel)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    export(panel, blocked)
    assert len(errors) == 1
    assert "file" in errors[0]
    assert panel.export.save.enabled
