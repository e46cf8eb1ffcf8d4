"""Masks in layers: they follow sliders and brushes, and keep what was painted."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.detection.tissue import find_tissue

pytestmark = pytest.mark.gui

NAMES = ["tissue: RGB", "tissue: HSV", "tissue: threshold", "tissue ROI"]


@pytest.fixture
def work(panel, compute):
    return compute(panel)


def on_screen(viewer, name):
    return np.asarray(viewer.layers[name].data) != 0


def test_four_layers_show_what_the_command_line_computes(viewer, work) -> None:
    wanted = find_tissue(work.slide).masks
    assert [layer.name for layer in viewer.layers[1:]] == NAMES
    for name, kind in zip(NAMES, ["rgb", "hsv", "threshold", "roi"], strict=True):
        np.testing.assert_array_equal(on_screen(viewer, name), getattr(wanted, kind))
        assert viewer.layers[name].contour > 0


def test_masks_and_slide_have_the_same_extent(viewer, work) -> None:
    slide = viewer.layers["square"].extent.world
    roi = viewer.layers["tissue ROI"].extent.world
    # From centre to centre; each begins and ends half of its own px further.
    np.testing.assert_allclose(slide - [[0.5], [-0.5]], roi - [[4], [-4]], atol=1e-6)


def test_sliders_show_the_automatic_values(panel, work) -> None:
    for name, value in work.editor.automatic.items():
        assert getattr(panel.tissue, name).value == pytest.approx(value, abs=0.5)


def test_moving_low_moves_its_mask_and_the_region_of_interest(
    viewer, panel, work
) -> None:
    dark = np.s_[55:95, 70:110]  # of the dark square, mask px
    before = on_screen(viewer, "tissue: threshold")
    assert before[dark].mean() > 0.9
    assert "tissue" in panel.tissue.percent.value
    percent = panel.tissue.percent.value

    panel.tissue.low.value = 75

    assert not on_screen(viewer, "tissue: threshold")[dark].any()
    assert not on_screen(viewer, "tissue ROI")[dark].any()
    assert on_screen(viewer, "tissue ROI")[60, 50]
    assert panel.tissue.percent.value != percent


def test_auto_puts_a_threshold_back(viewer, panel, work) -> None:
    before = on_screen(viewer, "tissue ROI")
    automatic = panel.tissue.saturation.value
    panel.tissue.saturation.value = 250
    assert not on_screen(viewer, "tissue ROI").any()
    assert panel.tissue.percent.value == "no tissue found"
    panel.tissue.auto["saturation"].native.click()
    assert panel.tissue.saturation.value == automatic
    np.testing.assert_array_equal(on_screen(viewer, "tissue ROI"), before)


@pytest.mark.parametrize(("moved", "pushed"), [("low", "high"), ("high", "low")])
def test_low_and_high_push_each_other(panel, work, moved, pushed) -> None:
    value = 245 if moved == "low" else 20
    getattr(panel.tissue, moved).value = value
    assert getattr(panel.tissue, moved).value == value
    assert getattr(panel.tissue, pushed).value == value


@pytest.mark.parametrize("name", NAMES[:3])
def test_erasing_on_a_mask_moves_the_region_of_interest(
    qtbot, viewer, work, name
) -> None:
    layer = viewer.layers[name]
    y, x = 60, 50
    assert on_screen(viewer, "tissue ROI")[y, x]
    layer.brush_size = 5
    layer.paint((y, x), 0)
    qtbot.waitUntil(lambda: not on_screen(viewer, "tissue ROI")[y, x], timeout=20_000)


def test_painting_survives_thresholds_and_can_be_undone_and_dropped(
    qtbot, viewer, panel, work
) -> None:
    roi = viewer.layers["tissue ROI"]
    roi.brush_size = 7
    roi.paint((10, 10), 1)
    qtbot.waitUntil(lambda: "by hand" in panel.tissue.percent.value, timeout=20_000)

    panel.tissue.low.value = 70
    assert on_screen(viewer, "tissue ROI")[10, 10]

    panel.tissue.edited.value = "roi"
    panel.tissue.undo.native.click()
    assert not on_screen(viewer, "tissue ROI")[10, 10]
    qtbot.waitUntil(lambda: work.editor.edited_px == 0, timeout=20_000)
    assert "by hand" not in panel.tissue.percent.value

    roi.paint((20, 20), 1)
    panel.tissue.drop.native.click()
    assert not on_screen(viewer, "tissue ROI")[20, 20]
    assert work.editor.edited_px == 0


def test_strokes_in_quick_succession_all_count(viewer, work) -> None:
    for name in NAMES:
        viewer.layers[name].paint((5, 5), 1)
    tissue = work.masks.tissue()
    for kind in ("rgb", "hsv", "threshold", "roi"):
        assert getattr(tissue.masks, kind)[5, 5]


def test_what_a_script_writes_into_a_mask_counts_as_painted(
    qtbot, viewer, work
) -> None:
    layer = viewer.layers["tissue ROI"]
    layer.data[0:5, 0:5] = 1
    layer.refresh()
    qtbot.waitUntil(lambda: work.editor.mask("roi")[0:5, 0:5].all(), timeout=20_000)


def test_tools_choose_the_layer_and_its_mode(viewer, panel, work) -> None:
    panel.tissue.edited.value = "hsv"
    panel.tissue.brush.native.click()
    layer = viewer.layers["tissue: HSV"]
    assert viewer.layers.selection.active is layer
    assert layer.mode == "paint"
    panel.tissue.erase.native.click()
    assert layer.mode == "erase"


def test_masks_stay_the_same_layers_when_computed_again(
    viewer, panel, work, compute
) -> None:
    before = list(viewer.layers)
    compute(panel)
    assert list(viewer.layers) == before


def test_a_slide_without_tissue_is_told_so(
    viewer, make_panel, add_slide, tmp_path, write_svs, compute
) -> None:
    glass = np.full((256, 256, 3), 244, np.uint8)
    add_slide(viewer, write_svs(tmp_path / "glass.svs", glass, mpp=1.0))
    panel = make_panel(viewer)
    compute(panel)
    assert panel.tissue.percent.value == "no tissue found"
