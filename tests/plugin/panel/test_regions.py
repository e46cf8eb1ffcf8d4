"""The table of regions: it follows the threshold, and a click flies there."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from napari_fastnet.core.regions import find_regions
from napari_fastnet.plugin.panel import regions

pytestmark = pytest.mark.gui


@pytest.fixture
def work(qtbot, panel, detect):
    work = detect(panel)
    qtbot.waitUntil(lambda: bool(work.regions), timeout=5000)
    return work


def rows(panel):
    return panel.regions.table.native.rowCount()


def test_the_table_lists_the_regions(viewer, panel, work) -> None:
    wanted = find_regions(work.heatmap, 0.5)
    assert rows(panel) == len(wanted) == 1
    first = [panel.regions.table.native.item(0, c).text() for c in range(5)]
    assert first[0] == wanted[0].size_class
    assert float(first[1]) == pytest.approx(wanted[0].area_mm2, abs=1e-3)
    assert panel.regions.totals.value.startswith("1 region, 0.1")
    assert "tissue" in panel.regions.totals.value


def test_outlines_have_features(viewer, work) -> None:
    layer = viewer.layers["tumor regions"]
    assert len(layer.data) == 1
    assert layer.features["class"].tolist() == [work.regions[0].size_class]
    np.testing.assert_allclose(
        layer.data[0].min(axis=0), work.regions[0].polygons[0][0].min(axis=0)
    )


def test_table_and_outlines_follow_the_threshold(qtbot, viewer, panel, work) -> None:
    panel.detect.threshold.value = 0.99
    qtbot.waitUntil(lambda: rows(panel) == 0, timeout=2000)
    assert len(viewer.layers["tumor regions"].data) == 0
    panel.detect.threshold.value = 0.45
    qtbot.waitUntil(lambda: rows(panel) > 0, timeout=2000)
    wanted = find_regions(work.heatmap, 0.45)
    assert rows(panel) == len(wanted)
    layer = viewer.layers["tumor regions"]
    rings = sum(len(part) for region in wanted for part in region.polygons)
    assert len(layer.data) == len(layer.features) == rings
    assert set(layer.shape_type) == {"path"}
    assert len(set(layer.edge_width)) == 1


def test_a_click_on_a_row_flies_to_the_region(viewer, panel, work) -> None:
    viewer.scene.camera.center = (0, 0, 0)
    panel.regions.table.native.cellClicked.emit(0, 0)
    # The dark square, 1 µm a px, fills two fifths of the canvas of 400 px.
    y, x = viewer.scene.camera.center[-2:]
    assert (y, x) == pytest.approx((600, 720), abs=64)
    assert viewer.scene.camera.zoom == pytest.approx(0.4 * 400 / 400, rel=0.3)


def test_keys_go_from_region_to_region(viewer, panel, work, press) -> None:
    panel.detect.threshold.value = 0.36  # the pink square too, as another region
    work.region_finder.find()
    assert rows(panel) == len(work.regions) > 0
    viewer.scene.camera.center = (0, 0, 0)
    press(viewer, ".")
    first = viewer.scene.camera.center
    assert panel.regions.table.native.currentRow() == 0
    assert first != (0, 0, 0)
    for _ in range(len(work.regions) + 2):
        press(viewer, ".")
    assert panel.regions.table.native.currentRow() == rows(panel) - 1
    work.region_finder.find()  # a run goes on: the table is filled anew
    for _ in range(len(work.regions) + 2):
        press(viewer, ",")
    assert viewer.scene.camera.center == first


def test_the_table_is_saved_as_csv(panel, work, tmp_path, monkeypatch) -> None:
    path = tmp_path / "table.csv"
    monkeypatch.setattr(regions, "ask_csv_path", lambda *_: path)
    panel.regions.csv.native.click()
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["area_mm2"]) == pytest.approx(work.regions[0].area_mm2, abs=1e-5)
    assert row["size_class"] == work.regions[0].size_class


def test_thinking_better_of_it_saves_nothing(panel, work, monkeypatch, errors) -> None:
    monkeypatch.setattr(regions, "ask_csv_path", lambda *_: None)
    panel.regions.csv.native.click()
    assert errors == []


def test_a_table_that_cannot_be_saved_is_told(panel, work, tmp_path, errors) -> None:
    (tmp_path / "file").write_text("no folder")
    panel.regions.save_csv(tmp_path / "file" / "table.csv")
    assert len(errors) == 1
    assert "table.csv" in errors[0]


def test_without_a_heatmap_there_is_no_table_to_save(panel) -> None:
    assert not panel.regions.csv.enabled


def test_another_slide_has_another_table(
    viewer, panel, work, add_slide, tmp_path, write_svs
) -> None:
    glass = np.full((256, 256, 3), 244, np.uint8)
    add_slide(viewer, write_svs(tmp_path / "glass.svs", glass, mpp=1.0))
    assert rows(panel) == 0
    assert panel.regions.totals.value == ""
    viewer.layers.selection.active = viewer.layers["square"]
    assert rows(panel) == 1


def test_a_region_of_a_single_value_has_an_area_in_the_table() -> None:
    from napari_fastnet.core.geometry import Grid
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.regions import find_regions
    from napari_fastnet.plugin.panel.regions import _row

    values = np.zeros((4, 4), np.float32)
    values[1, 1] = 0.9
    heatmap = Heatmap(values, Grid((0, 0), (16, 16), (4, 4)), (0.972, 0.972))
    (region,) = find_regions(heatmap, 0.5)
    assert region.area_mm2 == pytest.approx(0.000242, rel=0.01)
    assert _row(region)[1] == "0.00024"
