"""The three masks leave the screen to a detection, and come back when they are needed."""

from __future__ import annotations

import threading

import pytest

pytestmark = pytest.mark.gui

THREE = ("tissue: RGB", "tissue: HSV", "tissue: threshold")


def shown(viewer):
    return [name for name in THREE if viewer.layers[name].visible]


@pytest.fixture
def running(qtbot, viewer, panel, compute, before_inference):
    """Return the panel in the middle of a run whose masks were there before."""
    gate = threading.Event()
    before_inference(lambda _: gate.wait(0.1))
    panel.detect.stride.value = 8
    compute(panel)
    assert shown(viewer) == list(THREE)
    viewer.layers["tissue: HSV"].visible = False  # by hand, and so it stays
    panel.detect.start.native.click()
    work = panel.slide.work
    qtbot.waitUntil(lambda: work.heatmap is not None, timeout=30_000)
    yield panel
    gate.set()


def test_a_slider_brings_back_what_was_put_away(viewer, running) -> None:
    assert shown(viewer) == []
    assert viewer.layers["tissue ROI"].visible
    before = viewer.layers["tissue: RGB"].data.sum()
    running.tissue.red.value = 120
    assert shown(viewer) == ["tissue: RGB", "tissue: threshold"]
    assert viewer.layers["tissue: RGB"].data.sum() != before


def test_picking_or_painting_one_brings_them_back(viewer, running) -> None:
    viewer.layers.selection.active = viewer.layers["tissue ROI"]
    viewer.layers["tissue ROI"].paint((5, 5), 1)
    assert shown(viewer) == []
    viewer.layers.selection.active = viewer.layers["tissue: RGB"]
    assert shown(viewer) == ["tissue: RGB", "tissue: threshold"]

    work = running.slide.work
    work.masks.put_away()
    assert viewer.layers.selection.active is work.layer
    viewer.layers["tissue: threshold"].paint((5, 5), 1)
    assert shown(viewer) == ["tissue: RGB", "tissue: threshold"]
    assert work.masks.tissue().masks.roi is not None


def test_one_that_is_shown_by_hand_stays_alone_and_shown(
    qtbot, viewer, running
) -> None:
    viewer.layers["tissue: threshold"].visible = True
    assert shown(viewer) == ["tissue: threshold"]
    running.detect.start.native.click()  # pause
    running.detect.start.native.click()  # resume
    job = running.slide.work.detection.job
    running.detect.cancel.native.click()
    qtbot.waitUntil(lambda: not job.running, timeout=20_000)
    assert shown(viewer) == ["tissue: threshold"]


def test_masks_that_a_detection_finds_wait_until_they_are_asked_for(
    viewer, panel, detect, compute
) -> None:
    detect(panel)
    assert shown(viewer) == []
    panel.tissue.edited.value = "hsv"
    assert shown(viewer) == list(THREE)
    panel.slide.work.masks.put_away()
    compute(panel)
    assert shown(viewer) == list(THREE)
