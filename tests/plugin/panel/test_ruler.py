"""The ruler on the canvas, with a real mouse: mm, the lesion's size, and no side effects."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_fastnet.results.decisions import Decisions

pytestmark = [pytest.mark.gui, pytest.mark.slow]

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def window(
    qtbot, make_napari_viewer, add_slide, square_svs, dark_bundle, tmp_path, settings
):
    viewer = make_napari_viewer(show=True)
    add_slide(viewer, square_svs)
    _, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
    panel.detect.model_folder.value = dark_bundle
    panel.detect.results.value = tmp_path / "out"
    QTest.mouseClick(panel.detect.start.native, LEFT)
    work = panel.slide.work
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=60_000)
    qtbot.waitUntil(lambda: bool(work.regions), timeout=20_000)
    qtbot.wait(300)  # the board is docked, the canvas has its size
    viewer.scene.camera.center = (0, 600, 700)
    viewer.scene.camera.zoom = 0.25
    return viewer, panel, work


def canvas_of(viewer):
    return viewer.window._qt_viewer.canvas.native


def at(viewer, y_um, x_um):
    """Return the point of the canvas where a place of the slide is."""
    canvas, camera = canvas_of(viewer), viewer.scene.camera
    y, x = (np.array((y_um, x_um)) - camera.center[-2:]) * camera.zoom
    return QPoint(round(canvas.width() / 2 + x), round(canvas.height() / 2 + y))


def drag(viewer, begin, end):
    canvas = canvas_of(viewer)
    QTest.mousePress(canvas, LEFT, pos=at(viewer, *begin))
    for share in (0.3, 0.7, 1.0):
        place = np.add(begin, share * np.subtract(end, begin))
        QTest.mouseMove(canvas, at(viewer, *place))
        QTest.qWait(20)
    QTest.mouseRelease(canvas, LEFT, pos=at(viewer, *end))


def on_disk(work):
    return Decisions.open(work.review.decisions.path, work.fingerprint).decisions


def texts(viewer):
    return [text for text in viewer.layers["measures"].features["text"] if text]


def mm(text):
    return float(text.replace("largest ", "").split()[0])


def test_a_line_across_the_lesion_is_its_size_and_any_other_says_mm(
    qtbot, window
) -> None:
    viewer, panel, work = window
    canvas, ruler = canvas_of(viewer), panel.review.ruler.native
    (before,) = texts(viewer)
    assert before.startswith("largest")
    assert "measured" not in before

    QTest.mouseClick(ruler, LEFT)
    assert ruler.isChecked()
    centre = viewer.scene.camera.center
    drag(viewer, (100, 1300), (100, 1500))  # on glass; nothing is current
    assert viewer.scene.camera.center == centre
    assert not ruler.isChecked()
    assert mm(texts(viewer)[1]) == pytest.approx(0.2, abs=0.01)

    for key in (Qt.Key.Key_N, Qt.Key.Key_R):  # the first candidate; the ruler
        shift = Qt.KeyboardModifier.ShiftModifier
        none = Qt.KeyboardModifier.NoModifier
        QTest.keyClick(canvas, key, shift if key == Qt.Key.Key_R else none)
    assert ruler.isChecked()
    assert texts(viewer) == [before]  # the free line is gone
    viewer.scene.camera.zoom = 0.25
    QTest.mouseClick(canvas, LEFT, pos=at(viewer, 600, 600))
    QTest.mouseMove(canvas, at(viewer, 600, 800))
    qtbot.waitUntil(
        lambda: len(texts(viewer)) == 2, timeout=20_000
    )  # follows the mouse
    QTest.mouseClick(canvas, LEFT, pos=at(viewer, 600, 900))
    assert not ruler.isChecked()
    qtbot.waitUntil(lambda: texts(viewer)[0].endswith("measured"), timeout=20_000)
    (text,) = texts(viewer)
    assert text.startswith("largest")
    assert mm(text) == pytest.approx(0.3, abs=0.02)
    (decision,) = on_disk(work)
    np.testing.assert_allclose(decision.line, ((600, 600), (600, 900)), atol=5)
    assert decision.verdict is None
    assert work.review.reviewed[0].region.longest_axis_mm == pytest.approx(
        0.3, abs=0.02
    )
    assert panel.review.current.longest.endswith(" (yours)")
    QTest.mouseClick(panel.review.undo.native, LEFT)
    qtbot.waitUntil(lambda: texts(viewer) == [before], timeout=20_000)


def test_the_ruler_neither_paints_nor_chooses_and_can_be_put_away(
    qtbot, window
) -> None:
    viewer, panel, work = window
    canvas, ruler = canvas_of(viewer), panel.review.ruler.native
    roi = viewer.layers["tissue ROI"]
    QTest.mouseClick(panel.tissue.brush.native, LEFT)
    painted = roi.data.copy()
    QTest.mouseClick(ruler, LEFT)
    QTest.mouseClick(canvas, LEFT, pos=at(viewer, 600, 600))
    assert panel.review.current is None
    QTest.mouseClick(ruler, LEFT)  # thought better of it
    assert not ruler.isChecked()
    assert len(texts(viewer)) == 1
    np.testing.assert_array_equal(roi.data, painted)

    centre = np.array(viewer.scene.camera.center)
    drag(viewer, (600, 600), (600, 900))  # pans, as without a ruler
    assert np.abs(viewer.scene.camera.center - centre).max() > 100
    assert on_disk(work) == ()

    QTest.mouseClick(ruler, LEFT)
    viewer.layers.selection.active = roi  # to paint
    assert not ruler.isChecked()
    viewer.dims.ndisplay = 3
    QTest.mouseClick(ruler, LEFT)
    assert not ruler.isChecked()
