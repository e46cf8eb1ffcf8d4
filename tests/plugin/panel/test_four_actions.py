"""From an empty window to files in four actions, with real events, on a laptop's screen."""

from __future__ import annotations

import shutil

import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialogButtonBox

pytestmark = [pytest.mark.gui, pytest.mark.slow]

LAPTOP = (1366, 768)
FILES = {
    "heatmap.ome.tif",
    "overview.png",
    "quality.tif",
    "regions.csv",
    "regions.geojson",
    "run.json",
    "tissue_hsv.tif",
    "tissue_rgb.tif",
    "tissue_roi.tif",
    "tissue_threshold.tif",
}


@pytest.fixture
def slide(tmp_path, square_svs):
    folder = tmp_path / "slides"
    folder.mkdir()
    return shutil.copy(square_svs, folder / "node.svs")


@pytest.fixture
def viewer(qtbot, make_napari_viewer, settings):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*LAPTOP)
    qtbot.wait(200)
    return viewer


@pytest.fixture
def click(qtbot):
    """Return a function that clicks on a button, once it is seen."""

    def click(button):
        def seen():
            part = button.visibleRegion().boundingRect()
            return part.contains(button.rect().center()) and button.isEnabled()

        qtbot.waitUntil(seen, timeout=10_000)
        centre = button.rect().center()
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=centre)

    return click


def drop(viewer, path):
    """Drop a file; answer napari's question for a reader, if there is one, by Return."""
    target = viewer.window._qt_viewer
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    copy, left = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    none, asked = Qt.KeyboardModifier.NoModifier, []

    def answer():
        dialog = QApplication.activeModalWidget()
        if dialog is not None:
            asked.append(dialog)
            QTest.keyClick(dialog, Qt.Key.Key_Return)

    QTimer.singleShot(500, answer)
    entered = QDragEnterEvent(QPoint(9, 9), copy, mime, left, none)
    QApplication.sendEvent(target, entered)
    QApplication.sendEvent(target, QDropEvent(QPointF(9, 9), copy, mime, left, none))
    return len(asked)


def offer_in(viewer):
    from napari_fastnet.plugin.offer import Offer

    found = viewer.window._qt_window.findChildren(Offer)
    return found[0] if found else None


def test_drop_find_export_ok(with_settings, qtbot, viewer, slide, click) -> None:
    from napari_fastnet.plugin.panel.panel import panel_of

    drop(viewer, slide)  # 1
    qtbot.waitUntil(lambda: offer_in(viewer) is not None, timeout=10_000)
    click(offer_in(viewer).begin)  # 2
    panel = panel_of(viewer)
    work = panel.slide.work
    qtbot.waitUntil(
        lambda: work.detection is not None and work.detection.result is not None,
        timeout=120_000,
    )
    qtbot.waitUntil(lambda: panel.slide.fold.folded, timeout=10_000)
    canvas = viewer.window._qt_viewer.canvas.native
    assert canvas.width() >= 0.55 * viewer.window._qt_window.width()
    click(panel.export.save.native)  # 3
    question = panel.export.question
    folder = slide.parent / "node-fastnet"
    assert question.field.text() == str(folder)
    click(question.buttons.button(QDialogButtonBox.StandardButton.Ok))  # 4
    qtbot.waitUntil(lambda: panel.export.save.enabled, timeout=60_000)
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_panel_is_offered_once(with_settings, qtbot, viewer, slide, click) -> None:
    drop(viewer, slide)
    qtbot.waitUntil(lambda: offer_in(viewer) is not None, timeout=10_000)
    click(offer_in(viewer).not_now)
    qtbot.waitUntil(lambda: offer_in(viewer) is None, timeout=10_000)
    drop(viewer, slide)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=10_000)
    qtbot.wait(600)
    assert offer_in(viewer) is None


def test_napari_asks_for_the_reader_once(viewer, slide) -> None:
    assert drop(viewer, slide) == 1
    assert drop(viewer, slide) == 0
    assert len(viewer.layers) == 2


def test_a_reader_that_was_chosen_before_stays(viewer, slide) -> None:
    from napari.settings import get_settings

    from napari_fastnet.plugin.reader import remember_reader

    get_settings().plugins.extension2reader = {"*.svs": "napari"}
    remember_reader(slide)
    assert get_settings().plugins.extension2reader == {"*.svs": "napari"}
