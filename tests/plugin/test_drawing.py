"""What is drawn: looked at, px by px, on a canvas."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.plugin.layers.data import (
    FAINT,
    MASK_COLOURS,
    MASK_CONTOUR_PX,
    heatmap_layer_data,
    mask_layer_data,
    regions_layer_data,
    slide_layer_data,
    to_um,
)
from napari_fastnet.slide.slide import open_slide

RED_GREEN = HEATMAP_COLOURS["red-green"]

pytestmark = [pytest.mark.gui, pytest.mark.slow]

PURPLE = (150, 90, 160)
CELL_PX = 256
GRID = Grid((0.0, 0.0), (CELL_PX, CELL_PX), (4, 5))
MPP = (0.5, 0.5)
TUMOUR, NORMAL, UNKNOWN, GLASS = (1, 1), (1, 2), (2, 2), (3, 4)


@pytest.fixture
def drawn(make_napari_viewer_proxy, tmp_path, write_svs):
    """Return a viewer with tissue in three cells, two of them computed, and a look."""
    image = np.full((4 * CELL_PX, 5 * CELL_PX, 3), 255, np.uint8)
    values = np.full(GRID.shape, np.nan, np.float32)
    values[TUMOUR], values[NORMAL] = 1.0, 0.0
    for row, column in (TUMOUR, NORMAL, UNKNOWN):
        top, left = row * CELL_PX, column * CELL_PX
        image[top : top + CELL_PX, left : left + CELL_PX] = PURPLE
    path = write_svs(tmp_path / "a.svs", image, factors=(1, 4), mpp=MPP[0])
    heatmap = Heatmap(values, GRID, MPP)

    viewer = make_napari_viewer_proxy(show=True)
    with open_slide(path) as slide:
        add(viewer, slide_layer_data(slide))
        add(viewer, heatmap_layer_data(heatmap, "a", 1.0))
        viewer.reset_view()
        yield viewer, heatmap
        viewer.layers.clear()


def add(viewer, data):
    from napari.layers import Layer

    layer = Layer.create(*data)
    viewer.add_layer(layer)
    return layer


def look(viewer):
    """Return a function from level-0 px, (y, x), to the colour drawn there."""
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    centre = np.array(viewer.scene.camera.center[-2:])
    middle = np.array(picture.shape[:2]) / 2

    def colour(point_px):
        offset = (to_um(point_px, MPP) - centre) * viewer.scene.camera.zoom
        y, x = np.floor(middle + offset).astype(int)
        return picture[y, x]

    return colour


def close_to(colour, wanted, tolerance=3):
    return np.abs(np.subtract(colour, wanted)).max() <= tolerance


def test_a_tumour_cell_is_red_and_glass_is_not_tinted(drawn):
    viewer, _ = drawn
    colour = look(viewer)
    assert close_to(colour(GRID.cell_centre(*TUMOUR)), RED_GREEN[-1][1:])
    green = np.multiply(RED_GREEN[0][1:], FAINT) + np.multiply(PURPLE, 1 - FAINT)
    assert close_to(colour(GRID.cell_centre(*NORMAL)), green)
    assert close_to(colour(GRID.cell_centre(*UNKNOWN)), PURPLE, 6)
    assert tuple(colour(GRID.cell_centre(*GLASS))) == (255, 255, 255)


@pytest.mark.parametrize("zoom", [1, 4])
def test_a_cell_covers_its_tissue_to_the_px(drawn, zoom):
    viewer, _ = drawn
    viewer.scene.camera.center = (0, *to_um(GRID.cell_centre(*TUMOUR), MPP))
    viewer.scene.camera.zoom *= zoom
    slide_layer, heat_layer = viewer.layers
    # napari places a pyramid's coarser levels up to half of their px off
    slack = 1.5 / (viewer.scene.camera.zoom * MPP[0]) + 2
    box = GRID.cell_box(*TUMOUR)
    middle_y, middle_x = box.centre
    for layer, there in ((heat_layer, RED_GREEN[-1][1:]), (slide_layer, PURPLE)):
        heat_layer.visible = layer is heat_layer
        slide_layer.visible = True
        colour = look(viewer)
        for edge, inwards in ((box.top, 1), (box.bottom, -1)):
            inside = colour((edge + inwards * slack, middle_x))
            assert close_to(inside, there, 8), (layer.name, edge)
        outside = colour((box.top - slack, middle_x))
        assert close_to(outside, (255, 255, 255)), layer.name
        outside = colour((middle_y, box.left - slack))
        assert close_to(outside, (255, 255, 255)), layer.name


def test_half_opacity_lets_the_tissue_through(drawn):
    viewer, _ = drawn
    viewer.layers["tumor probability"].opacity = 0.5
    colour = look(viewer)
    red, green, blue = colour(GRID.cell_centre(*TUMOUR))
    mixed = np.mean([RED_GREEN[-1][1:], PURPLE], axis=0)
    assert close_to((red, green, blue), mixed, 6)
    assert tuple(colour(GRID.cell_centre(*GLASS))) == (255, 255, 255)


def test_a_value_written_while_shown_appears(drawn):
    viewer, heatmap = drawn
    heatmap.probabilities[UNKNOWN] = 1.0
    layer = viewer.layers["tumor probability"]
    layer.refresh(thumbnail=False, extent=False, highlight=False)
    colour = look(viewer)
    assert close_to(colour(GRID.cell_centre(*UNKNOWN)), RED_GREEN[-1][1:])


def test_a_mask_is_an_outline_that_shows_the_tissue(drawn):
    viewer, _ = drawn
    viewer.layers["tumor probability"].visible = False
    mask = np.zeros((64, 80), bool)  # 16 level-0 px a mask px: 8 µm
    mask[16:32, 16:48] = True  # cells TUMOUR and NORMAL
    layer = add(viewer, mask_layer_data("roi", mask, (8.0, 8.0), "a"))
    layer.opacity = 1.0
    layer.contour = MASK_CONTOUR_PX

    colour = look(viewer)

    outline = tuple(bytes.fromhex(MASK_COLOURS["roi"][1:]))
    assert close_to(colour((256 + 16, 512)), outline)
    assert close_to(colour(GRID.cell_centre(*TUMOUR)), PURPLE, 6)
    assert tuple(colour(GRID.cell_centre(*GLASS))) == (255, 255, 255)


def test_regions_are_outlines_around_their_cells(drawn):
    viewer, heatmap = drawn
    regions = find_regions(heatmap, 0.5)
    layer = add(viewer, regions_layer_data(regions, MPP, "a"))
    viewer.layers["tumor probability"].visible = False

    colour = look(viewer)

    box = GRID.cell_box(*TUMOUR)
    assert max(colour((box.top, box.centre[1]))) < 90  # the dark line
    assert close_to(colour(box.centre), PURPLE, 6)  # no filling
    assert len(layer.data) == 1
