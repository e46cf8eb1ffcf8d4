"""The panel in a real window: drawn, closed and taken away in the middle of a run."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from qtpy.QtWidgets import QLabel

from napari_fastnet.plugin.panel.activity import CALM_PER_CENT

pytestmark = [pytest.mark.gui, pytest.mark.slow]


@pytest.fixture
def window(make_napari_viewer, add_slide, square_svs, dark_bundle, tmp_path, settings):
    """Return a viewer on screen and its docked panel."""
    viewer = make_napari_viewer(show=True)
    add_slide(viewer, square_svs)
    dock, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
    panel.detect.model_folder.value = dark_bundle
    panel.detect.results.value = tmp_path / "out"
    return viewer, dock, panel


@pytest.fixture
def running(qtbot, window, before_inference):
    """Return the window in the middle of a run, and what lets the network go on."""
    viewer, dock, panel = window
    gate = threading.Event()
    before_inference(lambda _: gate.wait(0.1))
    panel.detect.stride.value = 8
    panel.detect.start.native.click()
    work = panel.slide.work
    qtbot.waitUntil(lambda: work.heatmap is not None, timeout=30_000)
    yield viewer, dock, panel, work.detection.job
    gate.set()


def readers():
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("fastnet-read")]


def colour_at(viewer, y, x):
    """Return (red, green, blue) of the canvas where a point of the slide is, µm."""
    viewer.scene.camera.center = (0, y, x)
    picture = viewer.screenshot(flash=False).astype(int)
    return picture[picture.shape[0] // 2, picture.shape[1] // 2, :3]


def test_napari_turns_its_wheel_slowly_meanwhile(qtbot, running) -> None:
    _, _, panel, _ = running
    labels = panel.native.window().findChildren(QLabel)
    (wheel,) = [label.movie() for label in labels if label.movie() is not None]
    qtbot.waitUntil(lambda: wheel.speed() == CALM_PER_CENT, timeout=20_000)
    panel.detect.cancel.native.click()
    qtbot.waitUntil(lambda: wheel.speed() == 100, timeout=30_000)


def test_tumour_is_red_and_glass_is_clear_on_the_canvas(qtbot, window, detect) -> None:
    viewer, _, panel = window
    work = detect(panel)
    qtbot.waitUntil(lambda: bool(work.regions), timeout=20_000)
    for layer in viewer.layers:
        layer.visible = layer.name in ("square", "tumor probability")
    panel.detect.opacity.value = 1.0
    viewer.scene.camera.zoom = 0.5
    red, green, _ = colour_at(viewer, 600, 720)  # the dark square
    assert red > green + 30
    pink = colour_at(viewer, 600, 400)  # just below: tissue shows through
    assert np.abs(pink - (170, 90, 150)).max() < 50
    assert min(colour_at(viewer, 1100, 1450)) > 230


def test_keys_work_on_the_canvas_and_on_the_panel(qtbot, window) -> None:
    from qtpy.QtCore import Qt

    viewer, _, panel = window
    work, shift = panel.slide.work, Qt.KeyboardModifier.ShiftModifier
    canvas = viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(canvas, Qt.Key.Key_M, shift)
    qtbot.waitUntil(lambda: work.editor is not None, timeout=20_000)
    qtbot.keyClick(panel.detect.start.native, Qt.Key.Key_D, shift)
    qtbot.waitUntil(lambda: work.detection is not None, timeout=20_000)
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=60_000)
    viewer.layers.selection.active = viewer.layers["tissue ROI"]  # has keys of its own
    qtbot.keyClick(canvas, Qt.Key.Key_H, shift)
    assert not viewer.layers["tumor probability"].visible


def test_closing_the_window_stops_the_run(qtbot, running) -> None:
    viewer, _, _, job = running
    viewer.close()
    qtbot.waitUntil(lambda: not job.running, timeout=20_000)
    qtbot.waitUntil(lambda: not readers(), timeout=20_000)


def test_taking_the_panel_away_stops_the_run(qtbot, running) -> None:
    viewer, dock, _, job = running
    viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    qtbot.waitUntil(lambda: not job.running, timeout=20_000)
    qtbot.waitUntil(lambda: not readers(), timeout=20_000)
    viewer.scene.camera.zoom *= 2
    viewer.layers.clear()
    qtbot.wait(200)


def test_removing_the_slide_stops_the_run(
    qtbot, viewer, panel, before_inference
) -> None:
    before_inference(lambda _: time.sleep(0.1))
    panel.detect.stride.value = 8
    panel.detect.start.native.click()
    work = panel.slide.work
    qtbot.waitUntil(lambda: work.heatmap is not None, timeout=30_000)
    job = work.detection.job
    viewer.layers.remove(viewer.layers["square"])
    qtbot.waitUntil(lambda: not job.running, timeout=20_000)
    assert panel.slide.work is None


def test_a_fitted_view_is_fitted_again_beside_the_panel(qtbot, window) -> None:
    viewer, _, panel = window

    camera = viewer.scene.camera

    def is_fitted():
        center, zoom = camera.center, camera.zoom
        viewer.reset_view()
        fitted = camera.zoom
        camera.center, camera.zoom = center, zoom
        return zoom == pytest.approx(fitted)

    qtbot.waitUntil(lambda: panel.native.isVisible(), timeout=10_000)
    qtbot.wait(500)  # it moves beside the layer controls
    qtbot.waitUntil(is_fitted, timeout=5_000)
