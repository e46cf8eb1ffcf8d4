"""What one sees: parts of the heatmap, the tissue alone, legends, the scale bar."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_fastnet.core.appearance.flags import Flag
from napari_fastnet.plugin.layers.data import (
    FLAG_COLOURS,
    REGION_COLOUR,
    VERDICT_COLOURS,
)

pytestmark = pytest.mark.gui

SHIFT = Qt.KeyboardModifier.ShiftModifier


def shown(viewer):
    return {layer.name for layer in viewer.layers if layer.visible}


@pytest.mark.slow
def test_keys_of_the_display_work_whatever_layer_is_active(
    qtbot, make_napari_viewer, add_slide, square_svs, dark_bundle, tmp_path, settings
) -> None:
    viewer = make_napari_viewer(show=True)
    add_slide(viewer, square_svs)
    _, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
    panel.detect.model_folder.value = dark_bundle
    panel.detect.results.value = tmp_path / "out"
    QTest.mouseClick(panel.detect.start.native, Qt.MouseButton.LeftButton)
    work = panel.slide.work
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=60_000)
    qtbot.waitUntil(lambda: work.layers.get("regions") is not None, timeout=20_000)
    viewer.add_points([[5, 5]], units=("um", "um"), name="points")
    viewer.add_shapes([[[5, 5], [9, 9]]], shape_type="line", units=("um", "um"))
    canvas = viewer.window._qt_viewer.canvas.native
    before = shown(viewer)
    assert {"square", "tumor probability", "tumor regions", "tissue ROI"} <= before

    modes = {
        "square": "pan_zoom",
        "tissue ROI": "paint",
        "tumor regions": "pan_zoom",
        "Shapes": "direct",
        "points": "add",
    }
    for name, mode in modes.items():
        layer = viewer.layers.selection.active = viewer.layers[name]
        layer.mode = mode
        for widget in (canvas, panel.detect.start.native):
            QTest.keyPress(widget, Qt.Key.Key_H)
            for kind in (
                QEvent.Type.KeyRelease,
                QEvent.Type.KeyPress,
            ):  # as X11 repeats
                repeated = QKeyEvent(
                    kind, Qt.Key.Key_H, Qt.KeyboardModifier.NoModifier, "h", True
                )
                QApplication.sendEvent(widget, repeated)
            assert shown(viewer) == {"square"}, name
            assert panel.detect.display.value == "all"
            QTest.keyRelease(widget, Qt.Key.Key_H)
            assert shown(viewer) == before, name
        assert layer.mode == mode

        for value in ("suspicious only", "outlines", "all"):
            QTest.keyClick(canvas, Qt.Key.Key_S, SHIFT)
            assert panel.detect.display.value == value, name
        QTest.keyClick(canvas, Qt.Key.Key_H, SHIFT)
        assert panel.detect.display.value == "outlines"
        QTest.keyClick(canvas, Qt.Key.Key_H, SHIFT)
        assert shown(viewer) == before

    QTest.keyPress(canvas, Qt.Key.Key_H)
    app = QApplication.instance()
    app.applicationStateChanged.emit(Qt.ApplicationState.ApplicationInactive)
    assert shown(viewer) == before  # its release would go to another window
    QTest.keyRelease(canvas, Qt.Key.Key_H)
    assert shown(viewer) == before


def test_parts_of_the_heatmap(qtbot, viewer, panel, detect) -> None:
    assert not panel.detect.display.enabled
    work = detect(panel)
    qtbot.waitUntil(lambda: work.layers.get("regions") is not None, timeout=20_000)
    layer, display = viewer.layers["tumor probability"], panel.detect.display
    panel.detect.threshold.value = 0.4

    def alpha(probability):
        return layer.colormap.map(np.array([probability]))[0, 3]

    assert 0 < alpha(0.3) < alpha(0.5)
    display.value = "suspicious only"
    assert alpha(0.3) == 0 < alpha(0.5)
    panel.detect.threshold.value = 0.2
    assert alpha(0.3) > 0 == alpha(0.1)
    panel.detect.opacity.value = 0.31
    assert layer.opacity == pytest.approx(0.31)

    viewer.layers["tumor regions"].visible = False
    display.value = "outlines"
    assert not layer.visible
    assert viewer.layers["tumor regions"].visible
    layer.visible = True  # as a click on the eye
    assert display.value == "suspicious only"
    display.value = "all"
    assert layer.visible
    assert alpha(0.1) > 0


def test_the_legend_of_flags_names_those_that_are_shown(
    viewer, panel, detect, monkeypatch
) -> None:
    work = detect(panel)
    legend = panel.detect._look.flags
    assert legend.value == ""
    flags = np.zeros(work.heatmap.grid.shape, np.uint8)
    flags[2:4] = Flag.PEN
    work.show_flags(flags)
    work.events.run.emit(work)
    assert FLAG_COLOURS[Flag.PEN] in legend.value
    assert "pen marks" in legend.value
    assert "blurred" not in legend.value
    viewer.layers["quality flags"].visible = False
    assert legend.value == ""


def test_the_legend_of_markers_is_there_while_there_are_markers(
    panel, compute, show_candidates
) -> None:
    legend = panel.detect._look.marks
    compute(panel)
    assert legend.native.isHidden()
    work = show_candidates(panel, 3)
    assert not legend.native.isHidden()
    for words in ("undecided", "accepted", "rejected", "unsure", "possible"):
        assert words in legend.value
    for colour in (*VERDICT_COLOURS.values(), REGION_COLOUR):
        assert colour in legend.value

    work.layers.veil(veil=True)  # as a second read does
    work.events.regions.emit(work)
    assert legend.native.isHidden()


def test_the_scale_bar_is_shown_once(viewer, panel, add_slide, square_svs) -> None:
    bar = viewer.canvas.overlays.scale_bar
    assert bar.visible
    bar.visible = False
    add_slide(viewer, square_svs)
    assert not bar.visible


def test_without_a_known_spacing_there_is_no_scale_bar(
    viewer, make_panel, add_slide, tmp_path, texture, write_svs
) -> None:
    path = write_svs(tmp_path / "unknown.svs", texture(256, 256), mpp=None)
    add_slide(viewer, path)
    panel = make_panel(viewer)
    assert not viewer.canvas.overlays.scale_bar.visible
    panel.slide.work.set_mpp(0.5)
    assert viewer.canvas.overlays.scale_bar.visible
