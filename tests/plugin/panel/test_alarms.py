"""The lesion threshold in the panel, chosen by name or by number."""

from __future__ import annotations

import pytest

from napari_fastnet.cohort.detect import detect
from napari_fastnet.detection.options import RunOptions

pytestmark = pytest.mark.gui


def test_a_run_that_is_open_before_the_panel_keeps_its_lesion_threshold(
    qtbot, make_napari_viewer, add_slide, square_svs, dark_bundle, tmp_path, settings
):
    options = RunOptions(lesion_threshold=1.5)
    run = detect(square_svs, tmp_path, model=dark_bundle, options=options)
    viewer = make_napari_viewer()
    add_slide(viewer, square_svs)
    viewer.open(str(run.folder), plugin="napari-fastnet")

    _, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
    qtbot.wait(100)

    work = panel.slide.work
    assert work.rule == run.record.rule
    assert (panel.detect.evidence.value, panel.detect.alarms.value) == (1.5, "other")
    assert work.chosen_lesion_threshold is None

    panel.detect.alarms.value = "balanced"
    assert panel.detect.evidence.value == work.rule.lesion_threshold == -50
    qtbot.waitUntil(lambda: len(work.regions) == 1, timeout=20_000)
    panel.detect.evidence.value = 6
    assert (work.regions, panel.detect.alarms.value) == ([], "other")
