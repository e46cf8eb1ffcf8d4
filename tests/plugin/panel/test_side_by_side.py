"""Several slides, and results before their slide: what shows, and whose it is."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_fastnet.plugin.reader import read_layers

pytestmark = pytest.mark.gui


@pytest.fixture
def other_svs(tmp_path, write_svs):
    image = np.full((800, 800, 3), 244, np.uint8)
    image[100:700, 100:700] = (120, 60, 120)
    return write_svs(tmp_path / "other.svs", image, mpp=1.0)


def shown(viewer):
    return {layer.name for layer in viewer.layers if layer.visible}


def test_the_slide_chosen_shows_and_names_tell_whose_a_layer_is(
    viewer, panel, compute, add_slide, other_svs
) -> None:
    first = compute(panel)
    viewer.layers["tissue: RGB"].visible = False
    add_slide(viewer, other_svs)
    assert shown(viewer) == {"other"}
    assert {layer.name for layer in viewer.layers} >= {"tissue ROI (square)"}
    second = compute(panel)
    masks = ["tissue: RGB", "tissue: HSV", "tissue: threshold", "tissue ROI"]
    assert shown(viewer) == {"other", *(f"{name} (other)" for name in masks)}

    panel.slide.choice.value = first
    assert shown(viewer) == {"square", *(f"{name} (square)" for name in masks[1:])}
    viewer.layers.selection.active = second.layers.get("hsv")  # as a click in the list
    assert shown(viewer) == {"other", *(f"{name} (other)" for name in masks)}
    viewer.canvas.grid.enabled = True
    assert shown(viewer) >= {"square", "other"}
    viewer.canvas.grid.enabled = False
    assert "square" not in shown(viewer)

    viewer.layers.remove(second.layer)
    assert "square" in shown(viewer)


def test_a_run_that_begins_and_ends_behind_another_slide_stays_behind(
    qtbot, viewer, panel, add_slide, other_svs, before_inference
) -> None:
    gate = threading.Event()
    before_inference(lambda _: gate.wait(20))
    first = panel.slide.work
    panel.detect.start.native.click()
    add_slide(viewer, other_svs)
    second = panel.slide.work
    assert first.layers.get("heatmap") is None
    gate.set()
    qtbot.waitUntil(lambda: not first.detection.job.running, timeout=60_000)
    assert panel.slide.work is second
    assert viewer.layers.selection.active is second.layer
    assert shown(viewer) == {"other"}
    panel.slide.choice.value = first
    assert "tumor probability (square)" in shown(viewer)


def test_results_that_were_opened_before_their_slide_lie_on_it_and_count(
    qtbot, panel, detect, add_slide, square_svs, tmp_path, make_panel
) -> None:
    from napari.components import ViewerModel

    work = detect(panel)
    qtbot.waitUntil(lambda: bool(work.regions), timeout=20_000)
    qtbot.waitUntil(lambda: "tissue" in panel.regions.totals.value, timeout=20_000)
    totals = panel.regions.totals.value

    later = ViewerModel()
    later.canvas.size = (400, 400)
    again = make_panel(later)
    for data in read_layers(tmp_path / "out" / "square"):
        later._add_layer_from_data(*data)
    add_slide(later, square_svs)
    assert later.layers[0].name == "square"
    qtbot.waitUntil(lambda: again.slide.work.editor is not None, timeout=20_000)
    qtbot.waitUntil(lambda: again.regions.totals.value == totals, timeout=20_000)


def test_two_copies_of_a_slide_have_masks_of_their_own(
    qtbot, viewer, panel, compute, add_slide, square_svs
) -> None:
    first = compute(panel)
    told = panel.tissue.percent.value
    add_slide(viewer, square_svs)
    second = panel.slide.work
    assert second is not first
    assert panel.tissue.percent.value == ""
    compute(panel)
    panel.tissue.low.value = 200
    qtbot.wait(300)
    assert panel.tissue.percent.value == "no tissue found"
    panel.slide.choice.value = first
    assert panel.tissue.percent.value == told
    assert first.editor.edited_px == second.editor.edited_px == 0
    assert first.layers.get("roi") is not second.layers.get("roi")


def test_any_label_that_is_painted_counts_and_shows(viewer, panel, compute) -> None:
    work = compute(panel)
    roi = viewer.layers["tissue ROI"]
    roi.paint((5, 5), 7)
    assert work.masks.tissue().masks.roi[5, 5]
    np.testing.assert_array_equal(*roi.colormap.map(np.array([1, 7])))
