"""Which slide the panel is about, and what it says of it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.plugin.layers.info import info_of

pytestmark = pytest.mark.gui


@pytest.fixture
def unknown_svs(tmp_path, write_svs):
    image = np.full((256, 256, 3), 244, np.uint8)
    image[64:192, 64:192] = (170, 110, 150)
    return write_svs(tmp_path / "unknown.svs", image, mpp=None)


def test_size_and_source_of_the_spacing_are_told(panel) -> None:
    facts = panel.slide.facts.value
    assert "1,600 x 1,200 px, 2 levels" in facts
    assert "1.6 x 1.2 mm, 1 µm/px (vendor)" in facts
    assert panel.slide.choice.value.layer.name == "square"


def test_without_a_slide_nothing_can_be_pressed(viewer, make_panel) -> None:
    panel = make_panel(viewer)
    assert "Open a slide" in panel.slide.facts.value
    for button in (panel.tissue.compute, panel.detect.start, panel.export.save):
        assert not button.enabled


def test_unknown_spacing_asks_and_work_waits(
    viewer, make_panel, add_slide, unknown_svs, compute
) -> None:
    layer = add_slide(viewer, unknown_svs)
    panel = make_panel(viewer)
    assert "µm/px unknown" in panel.slide.facts.value
    assert not panel.slide.mpp.native.isHidden()
    assert not panel.tissue.compute.enabled
    assert not panel.detect.start.enabled

    panel.slide.mpp.value = 0.5
    panel.slide.use.native.click()
    assert "0.5 µm/px (user)" in panel.slide.facts.value
    np.testing.assert_allclose(layer.scale, 0.5)
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 2
    assert panel.detect.start.enabled
    assert compute(panel).editor.mask("roi").any()


def test_another_spacing_takes_what_was_computed_with_the_old_one(
    qtbot, viewer, panel, compute, detect
) -> None:
    work = detect(panel)
    qtbot.waitUntil(lambda: bool(work.regions), timeout=20_000)
    layers = list(viewer.layers)
    panel.slide.mpp.value = 0.5
    panel.slide.use.native.click()
    assert work.editor is work.heatmap is None
    assert panel.review.table.model().rowCount() == 0
    assert panel.detect.status.value == panel.tissue.percent.value == ""
    assert list(viewer.layers) == layers
    assert [layer for layer in viewer.layers if info_of(layer)] == [work.layer]
    again = compute(panel)
    assert again.editor.mpp == pytest.approx((8, 8), rel=0.01)


@pytest.fixture(params=[0.24308, 0.2430812345, 0.25])
def spaced_svs(request, write_svs, texture, tmp_path):
    """Return a slide of some µm/px."""
    return write_svs(tmp_path / "a.svs", texture(256, 256), mpp=request.param)


def test_a_spacing_that_is_used_unchanged_begins_nothing_anew(
    viewer, make_panel, add_slide, spaced_svs, compute
) -> None:
    add_slide(viewer, spaced_svs)
    panel = make_panel(viewer)
    work = compute(panel)
    editor, before = work.editor, work.slide.mpp
    panel.slide.edit.native.click()
    panel.slide.use.native.click()
    assert work.editor is editor
    assert work.slide.mpp == before
    assert panel.slide.mpp.native.isHidden() or panel.slide._field.native.isHidden()
    panel.slide.mpp.value = 0.2432
    panel.slide.use.native.click()
    assert work.editor is None
    assert work.slide.mpp == (0.2432, 0.2432)


def test_the_panel_follows_the_selected_layer(
    viewer, panel, add_slide, unknown_svs, compute
) -> None:
    square = compute(panel)
    other = add_slide(viewer, unknown_svs)
    assert panel.slide.work.layer is other
    assert panel.tissue.percent.value == ""
    viewer.layers.selection.active = viewer.layers["tissue ROI (square)"]
    assert panel.slide.work is square
    assert "tissue" in panel.tissue.percent.value
    panel.slide.choice.value = panel.slide.workspace.works[1]
    assert panel.slide.work.layer is other


def test_a_removed_slide_is_forgotten(viewer, panel) -> None:
    viewer.layers.remove(viewer.layers["square"])
    assert panel.slide.work is None
    assert not panel.detect.start.enabled


def test_sections_work_on_their_own_and_share_the_slide(viewer, panel, compute) -> None:
    from napari_fastnet.plugin.panel.tissue import TissueSection

    compute(panel)
    alone = TissueSection(viewer)
    assert alone.percent.value == panel.tissue.percent.value != ""
    alone.low.value = 90
    assert panel.tissue.low.value == 90
    alone.leave()


def test_asynchronous_loading_is_offered_and_not_forced(viewer, make_panel) -> None:
    from napari.settings import get_settings

    experimental = get_settings().experimental
    before = experimental.async_
    panel = make_panel(viewer)
    assert experimental.async_ == panel.slide.background.value == before
    try:
        panel.slide.background.value = not before
        assert experimental.async_ != before
    finally:
        panel.slide.background.value = before
    assert experimental.async_ == before
