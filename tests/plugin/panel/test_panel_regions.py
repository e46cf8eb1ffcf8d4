"""The table of regions: it follows the threshold, and a click flies there."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.core.regions import find_regions

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
    assert set(layer.shape_type) == {"polygon"}
    assert len(set(layer.edge_width)) == 1


def test_a_click_on_a_row_flies_to_the_region(viewer, panel, work) -> None:
    viewer.scene.camera.center = (0, 0, 0)
    panel.regions.table.native.cellClicked.emit(0, 0)
    # The dark square, 1 µm a px, fills two fifths of the canvas of 400 px.
    y, x = viewer.scene.camera.center[-2:]
    assert (y, x) == pytest.approx((600, 720), abs=64)
    assert viewer.scene.camera.zoom == pytest.approx(0.4 * 400 / 400, rel=0.3)


def test_another_slide_has_another_table(
    viewer, panel, work, add_slide, tmp_path, write_svs
) -> None:
    glass = np.full((256, 256, 3), 244, np.uint8)
    add_slide(viewer, write_svs(tmp_path / "glass.svs", glass, mpp=1.0))
    assert rows(panel) == 0
    assert panel.regions.totals.value == ""
    viewer.layers.selection.active = viewer.layers["square"]
    assert rows(panel) == 1
