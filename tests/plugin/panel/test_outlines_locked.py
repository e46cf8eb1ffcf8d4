"""Outlines of regions: on screen what is in the table and in the files, always."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_fastnet.core.lesions.regions import find_regions

pytestmark = [pytest.mark.gui, pytest.mark.slow]


@pytest.fixture
def window(
    qtbot, make_napari_viewer, add_slide, square_svs, dark_bundle, tmp_path, settings
):
    viewer = make_napari_viewer(show=True)
    add_slide(viewer, square_svs)
    _, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
    panel.detect.model_folder.value = dark_bundle
    panel.detect.results.value = tmp_path / "out"
    QTest.mouseClick(panel.detect.start.native, Qt.MouseButton.LeftButton)
    work = panel.slide.work
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=60_000)
    qtbot.waitUntil(lambda: work.layers.get("regions") is not None, timeout=20_000)
    return viewer, panel, work


def test_an_outline_cannot_be_moved_and_deleting_it_rejects_it(
    qtbot, window, told
) -> None:
    viewer, panel, work = window
    layer = viewer.layers["tumor regions"]
    (before,) = [ring.copy() for ring in layer.data]
    totals = panel.regions.totals.value
    viewer.layers.selection.active = layer
    assert any("cannot be moved here" in message for message in told)
    assert not layer.editable

    told.clear()
    canvas = viewer.window._qt_viewer.canvas.native
    for key in (Qt.Key.Key_5, Qt.Key.Key_A, Qt.Key.Key_Delete):  # select, all, delete
        QTest.keyClick(canvas, key)
    qtbot.waitUntil(lambda: len(layer.data) == 1, timeout=20_000)
    assert any("1 candidate is not tumor" in message for message in told)
    assert [one.status for one in work.review.reviewed] == ["not tumor"]
    panel.review.undo.native.click()
    assert [one.status for one in work.review.reviewed] == ["undecided"]

    told.clear()
    layer.data = [before + 50]
    qtbot.waitUntil(lambda: np.array_equal(layer.data[0], before), timeout=20_000)
    assert sum("cannot be moved here" in message for message in told) == 1
    viewer.dims.ndisplay = 3
    viewer.dims.ndisplay = 2
    assert not layer.editable  # napari unlocks
    assert panel.regions.totals.value == totals
    assert len(work.regions) == 1


def test_a_threshold_in_the_3d_view_reaches_outlines_and_table(
    qtbot, viewer, panel, detect, told
) -> None:
    work = detect(panel)
    qtbot.waitUntil(lambda: work.layers.get("regions") is not None, timeout=20_000)
    layer = viewer.layers["tumor regions"]
    viewer.dims.ndisplay = 3
    panel.detect.threshold.value = 0.36
    wanted = find_regions(work.heatmap, 0.36)
    area = f"{sum(region.area_mm2 for region in wanted):.2f} mm²"
    qtbot.waitUntil(lambda: area in panel.regions.totals.value, timeout=20_000)
    assert len(layer.data) == 0  # not those of 0.5
    assert any("2D view" in message for message in told)

    viewer.dims.ndisplay = 2
    rings = [ring for region in wanted for part in region.polygons for ring in part]
    assert len(layer.data) == len(rings)
    for drawn, ring in zip(layer.data, rings, strict=True):
        np.testing.assert_allclose(drawn[:-1], ring)
