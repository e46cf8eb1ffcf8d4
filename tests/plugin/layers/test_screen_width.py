"""Outlines of regions are as wide on the screen at every zoom."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.plugin.layers.data import regions_layer_data
from napari_fastnet.plugin.layers.screen_width import OUTLINE_PX, keep_thin

pytestmark = pytest.mark.gui


@pytest.fixture
def outlines(qapp, viewer_model, heatmap, add):
    """Return the outlines of regions in a viewer that keeps them thin."""
    keep_thin(viewer_model)
    heat = heatmap((12, 12))
    layer = add(regions_layer_data(find_regions(heat, 0.5), heat.mpp, "a"))
    assert layer.nshapes > 3
    return layer


def width_px(viewer, layer):
    (width,) = set(layer.edge_width)
    return width * viewer.scene.camera.zoom


def test_outlines_follow_the_zoom_and_not_the_hand(
    qtbot, viewer_model, outlines
) -> None:
    camera, drawn = viewer_model.scene.camera, []
    for zoom in (0.01, 1.0, 40.0):
        camera.zoom = zoom
        qtbot.waitUntil(
            lambda: np.isclose(width_px(viewer_model, outlines), OUTLINE_PX, rtol=0.1),
            timeout=20_000,
        )
    outlines.events.set_data.connect(lambda _: drawn.append(1))
    for x in range(20):
        camera.center = (0, x, x)
    qtbot.wait(300)
    assert drawn == []
    camera.zoom *= 1.04  # nobody sees it
    qtbot.wait(300)
    assert drawn == []


def test_other_shapes_are_left_alone(qtbot, viewer_model, outlines) -> None:
    other = viewer_model.add_shapes([np.eye(2)], shape_type="line", edge_width=7)
    viewer_model.scene.camera.zoom = 30
    qtbot.waitUntil(lambda: outlines.edge_width[0] < 0.1, timeout=20_000)
    assert other.edge_width == [7]
