"""Layers that were removed come back when they are asked for, with what they showed."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.gui


def test_a_removed_mask_comes_back_with_its_strokes_when_it_is_painted_on(
    qtbot, viewer, panel, compute
) -> None:
    work = compute(panel)
    roi = viewer.layers["tissue ROI"]
    roi.paint((5, 5), 1)
    work.masks.take_painting()
    mask = work.editor.mask("roi").copy()
    viewer.layers.remove(roi)
    panel.tissue.brush.native.click()
    again = viewer.layers["tissue ROI"]
    np.testing.assert_array_equal(again.data != 0, mask)
    assert viewer.layers.selection.active is again
    again.paint((30, 5), 1)
    qtbot.waitUntil(lambda: work.editor.mask("roi")[30, 5], timeout=20_000)


@pytest.mark.parametrize("way", ["key", "threshold", "opacity"])
def test_a_removed_heatmap_comes_back(viewer, panel, detect, press, way) -> None:
    work = detect(panel)
    viewer.layers.remove(viewer.layers["tumor probability"])
    if way == "key":
        press(viewer, "Shift-H")
    else:
        getattr(panel.detect, way).value = 0.4
    again = viewer.layers["tumor probability"]
    np.testing.assert_array_equal(again.data, work.heatmap.probabilities)
    assert again.visible
    names = [layer.name for layer in viewer.layers]
    assert names.index("tumor probability") > names.index("square")


def test_thumbnails_follow(qtbot, viewer, panel, detect) -> None:
    detect(panel)
    heatmap, roi = viewer.layers["tumor probability"], viewer.layers["tissue ROI"]
    assert heatmap.thumbnail[..., :3].max() > 60
    before = roi.thumbnail.copy()
    panel.tissue.low.value = 200
    qtbot.waitUntil(lambda: not np.array_equal(roi.thumbnail, before), timeout=20_000)


def test_removed_outlines_and_markers_come_back_with_either_threshold(
    qtbot, viewer, panel, detect
) -> None:
    work = detect(panel)
    qtbot.waitUntil(lambda: bool(work.regions), timeout=20_000)
    for way in ("evidence", "threshold"):
        for name in ("tumor regions", "lesion markers", "measures"):
            viewer.layers.remove(viewer.layers[name])
        slider = getattr(panel.detect, way)
        slider.value = slider.value - 0.1
        qtbot.waitUntil(lambda: "tumor regions" in viewer.layers, timeout=20_000)
        qtbot.waitUntil(lambda: "lesion markers" in viewer.layers, timeout=20_000)
        assert viewer.layers["tumor regions"].nshapes
        assert viewer.layers["measures"].nshapes
        names = [layer.name for layer in viewer.layers]
        assert names.index("lesion markers") > names.index("tumor regions")
