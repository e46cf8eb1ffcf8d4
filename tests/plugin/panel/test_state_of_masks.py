"""Masks computed again, and with another µm/px: nothing painted is lost or invented."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

pytestmark = [pytest.mark.gui, pytest.mark.slow]

NAMES = ["tissue: RGB", "tissue: HSV", "tissue: threshold", "tissue ROI"]


@pytest.fixture
def window(make_napari_viewer, add_slide, square_svs, dark_bundle, tmp_path, settings):
    viewer = make_napari_viewer(show=True)
    add_slide(viewer, square_svs)
    _, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
    panel.detect.model_folder.value = dark_bundle
    panel.detect.results.value = tmp_path / "out"
    return viewer, panel


def click(button):
    QTest.mouseClick(button.native, Qt.MouseButton.LeftButton)


def wait_for_masks(qtbot, panel):
    job = panel.slide.work.tissue_job
    qtbot.waitUntil(lambda: not job.running, timeout=30_000)
    qtbot.wait(250)  # longer than the painting is followed


def stroke(viewer, qtbot, start_um, end_um):
    """Draw on the canvas with the mouse, between two points in µm."""
    canvas = viewer.window._qt_viewer.canvas.native
    centre = np.array(viewer.scene.camera.center[-2:])
    middle = np.array([canvas.height(), canvas.width()]) / 2
    points = []
    for point in (start_um, end_um):
        y, x = middle + (np.array(point) - centre) * viewer.scene.camera.zoom
        points.append(QPoint(round(x), round(y)))
    left = Qt.MouseButton.LeftButton
    QTest.mousePress(canvas, left, Qt.KeyboardModifier.NoModifier, points[0])
    qtbot.wait(20)
    for share in np.linspace(0, 1, 5):
        at = points[0] + (points[1] - points[0]) * share
        QTest.mouseMove(canvas, at)
        qtbot.wait(10)
    QTest.mouseRelease(canvas, left, Qt.KeyboardModifier.NoModifier, points[1])
    qtbot.wait(250)


def test_masks_computed_again_are_those_computed_first(qtbot, viewer, panel) -> None:
    click(panel.tissue.compute)
    wait_for_masks(qtbot, panel)
    first = {name: viewer.layers[name].data.copy() for name in NAMES}
    told = panel.tissue.percent.value

    panel.tissue.low.value = 150
    qtbot.wait(250)
    assert panel.tissue.percent.value != told
    click(panel.tissue.compute)
    wait_for_masks(qtbot, panel)

    assert panel.tissue.percent.value == told
    assert "by hand" not in told
    for name in NAMES:
        np.testing.assert_array_equal(viewer.layers[name].data, first[name])
    assert panel.slide.work.editor.edited_px == 0
    assert panel.tissue.question is None


def test_strokes_are_asked_about_and_kept_or_dropped(qtbot, viewer, panel) -> None:
    click(panel.tissue.compute)
    wait_for_masks(qtbot, panel)
    roi = viewer.layers["tissue ROI"]
    computed = roi.data.copy()
    click(panel.tissue.brush)
    roi.paint((135, 175), 1)  # on glass
    qtbot.wait(250)
    painted = roi.data.copy()
    edited = panel.slide.work.editor.edited_px
    assert edited == (painted != computed).sum() > 100

    panel.tissue.low.value = 150
    click(panel.tissue.compute)
    QTest.keyClick(panel.tissue.question, Qt.Key.Key_Escape)
    qtbot.wait(50)
    assert panel.tissue.low.value == 150  # thought better of it

    click(panel.tissue.compute)
    QTest.keyClick(panel.tissue.question, Qt.Key.Key_Return)  # keep is the default
    wait_for_masks(qtbot, panel)
    np.testing.assert_array_equal(viewer.layers["tissue ROI"].data, painted)
    assert panel.slide.work.editor.edited_px == edited

    click(panel.tissue.compute)
    QTest.mouseClick(panel.tissue.question.drop, Qt.MouseButton.LeftButton)
    wait_for_masks(qtbot, panel)
    np.testing.assert_array_equal(viewer.layers["tissue ROI"].data, computed)
    assert panel.slide.work.editor.edited_px == 0


def test_a_stroke_while_masks_are_computed_is_kept(qtbot, viewer, panel) -> None:
    click(panel.tissue.compute)
    wait_for_masks(qtbot, panel)
    click(panel.tissue.compute)
    viewer.layers["tissue ROI"].paint((5, 5), 1)
    wait_for_masks(qtbot, panel)
    assert viewer.layers["tissue ROI"].data[5, 5]
    assert panel.slide.work.editor.edited_px > 0


def test_another_spacing_keeps_layers_and_strokes(qtbot, window) -> None:
    viewer, panel = window
    click(panel.detect.start)
    work = panel.slide.work
    qtbot.waitUntil(lambda: bool(work.regions), timeout=60_000)
    qtbot.wait(500)  # the review is docked, the canvas has its size
    click(panel.tissue.brush)
    stroke(viewer, qtbot, (1050, 1300), (1100, 1500))
    roi = viewer.layers["tissue ROI"]
    painted = np.argwhere(roi.data)[-1] * 8  # level-0 px
    layers = list(viewer.layers)
    roi.opacity = 0.33

    panel.slide.mpp.value = 0.5
    click(panel.slide.use)
    qtbot.wait(300)

    assert list(viewer.layers) == layers
    assert work.editor is work.heatmap is None
    assert not any(viewer.layers[name].data.any() for name in NAMES)
    assert np.isnan(viewer.layers["tumor probability"].data).all()
    assert len(viewer.layers["tumor regions"].data) == 0
    extents = [viewer.layers[name].extent.world for name in ("square", "tissue ROI")]
    # from centre to centre; a px of the mask is 4 µm now
    np.testing.assert_allclose(extents[0] - [[0.25], [-0.25]], extents[1] - [[2], [-2]])

    click(panel.tissue.compute)
    wait_for_masks(qtbot, panel)
    assert roi.opacity == 0.33
    assert work.editor.mpp == pytest.approx((8, 8), rel=0.01)
    y, x = painted // 16
    assert roi.data[y, x]
    assert "by hand" in panel.tissue.percent.value
    viewer.reset_view()
    qtbot.wait(100)


def test_the_four_masks_are_deleted_and_the_view_is_reset(qtbot, window) -> None:
    viewer, panel = window
    click(panel.tissue.compute)
    wait_for_masks(qtbot, panel)
    delete = viewer.window._qt_viewer.layerButtons.deleteButton
    for name in NAMES:
        viewer.layers.selection.active = viewer.layers[name]
        QTest.mouseClick(delete, Qt.MouseButton.LeftButton)
    canvas = viewer.window._qt_viewer.canvas.native
    QTest.keyClick(canvas, Qt.Key.Key_Home)
    viewer.reset_view()
    qtbot.wait(300)
    viewer.scene.camera.zoom *= 1.5
    qtbot.wait(100)
    assert [layer.name for layer in viewer.layers] == ["square"]
