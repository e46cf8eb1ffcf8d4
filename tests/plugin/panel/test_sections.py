"""Sections fold and remember it; what matters is seen on a laptop's screen."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget

from napari_fastnet.plugin.settings import remembered_fold
from napari_fastnet.plugin.widgets.place import CONTROLS, dock_of

pytestmark = pytest.mark.gui


@pytest.fixture
def window(qtbot, make_napari_viewer, add_slide, square_svs, settings):
    """Return a viewer of a laptop's size, and a function that opens its panel."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    add_slide(viewer, square_svs)

    def open_panel():
        _, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
        # the first picture of a slide may take a while
        qtbot.waitUntil(lambda: panel.native.isVisible(), timeout=10_000)
        qtbot.wait(300)
        return panel

    return viewer, open_panel


def is_tab(viewer, panel):
    """Return whether a panel is a tab beside the layer controls."""
    main = viewer.window._qt_window
    (controls,) = main.findChildren(QDockWidget, CONTROLS)
    return controls in main.tabifiedDockWidgets(dock_of(panel.native))


def test_the_panel_is_a_tab_beside_the_layer_controls(qtbot, window) -> None:
    viewer, open_panel = window
    panel = open_panel()
    qtbot.waitUntil(lambda: is_tab(viewer, panel), timeout=10_000)
    main = viewer.window._qt_window
    canvas = viewer.window._qt_viewer.canvas.native
    assert canvas.width() >= 0.55 * main.width()


def test_it_comes_back_where_a_person_moved_it(with_settings, qtbot, window) -> None:
    viewer, open_panel = window
    panel = open_panel()
    qtbot.waitUntil(lambda: is_tab(viewer, panel), timeout=10_000)
    main, right = viewer.window._qt_window, Qt.DockWidgetArea.RightDockWidgetArea
    dock = dock_of(panel.native)
    main.addDockWidget(right, dock)
    viewer.window.remove_dock_widget(dock)
    again = open_panel()
    assert main.dockWidgetArea(dock_of(again.native)) == right


def test_a_section_is_folded_by_a_click_and_stays_so(with_settings, window) -> None:
    viewer, open_panel = window
    panel = open_panel()
    fold = panel.detect.fold
    assert panel.detect.start.native.isVisible()
    QTest.mouseClick(fold.heading, Qt.MouseButton.LeftButton)
    assert not panel.detect.start.native.isVisible()
    assert remembered_fold("Detect tumors")
    viewer.window.remove_dock_widget(dock_of(panel.native))
    again = open_panel()
    assert again.detect.fold.folded
    QTest.mouseClick(again.detect.fold.heading, Qt.MouseButton.LeftButton)
    assert remembered_fold("Detect tumors") is False


def test_tissue_folds_once_its_masks_are_there(qtbot, window) -> None:
    _, open_panel = window
    panel = open_panel()
    assert not panel.tissue.fold.folded
    panel.tissue.compute.native.click()
    qtbot.waitUntil(lambda: panel.slide.work.editor is not None, timeout=20_000)
    qtbot.waitUntil(lambda: panel.tissue.fold.folded, timeout=5_000)
    assert panel.tissue.fold.heading.text().startswith("Tissue: ")


def test_tissue_that_was_unfolded_by_hand_stays_unfolded(qtbot, window) -> None:
    _, open_panel = window
    panel = open_panel()
    for _ in range(2):
        QTest.mouseClick(panel.tissue.fold.heading, Qt.MouseButton.LeftButton)
    panel.tissue.compute.native.click()
    qtbot.waitUntil(lambda: panel.slide.work.editor is not None, timeout=20_000)
    qtbot.wait(100)
    assert not panel.tissue.fold.folded


def test_the_tour_frames_five_parts(qtbot, window) -> None:
    _, open_panel = window
    panel = open_panel()
    QTest.mouseClick(panel.help, Qt.MouseButton.LeftButton)
    tour, seen = panel.tour, []
    for _ in range(5):
        seen.append(tour.text.text())
        assert tour._frame.isVisible()
        QTest.mouseClick(tour.next, Qt.MouseButton.LeftButton)
    assert len(set(seen)) == 5
    assert "{" not in "".join(seen)


def test_files_of_lesions_stay_however_others_are_folded(with_settings, window) -> None:
    viewer, open_panel = window
    panel = open_panel()
    for _ in range(2):
        panel.export.files.heading.click()
    viewer.window.remove_dock_widget(dock_of(panel.native))
    again = open_panel()
    assert again.export.files.folded
    assert not again.regions.fold.folded


def test_a_missing_spacing_unfolds_the_slide(
    qtbot, tmp_path, write_svs, texture, viewer, add_slide, make_panel
) -> None:
    panel = make_panel(viewer)
    panel.slide.fold.heading.click()
    assert panel.slide.fold.folded
    add_slide(viewer, write_svs(tmp_path / "a.svs", texture(256, 256), mpp=None))
    assert not panel.slide.fold.folded
    assert panel.detect.status.value.startswith("µm/px unknown")


def test_a_long_name_does_not_widen_the_panel(
    tmp_path, write_svs, texture, viewer, add_slide, make_panel
) -> None:
    panel = make_panel(viewer)
    width = panel.native.widget().minimumSizeHint().width()
    name = f"TCGA-{'A1B2-' * 18}.svs"
    add_slide(viewer, write_svs(tmp_path / name, texture(256, 256), mpp=0.5))
    panel.slide.fold.heading.click()
    assert "…" in panel.slide.fold.heading.text()
    assert name[:-4] in panel.slide.fold.heading.toolTip()
    assert panel.native.widget().minimumSizeHint().width() <= width + 20
