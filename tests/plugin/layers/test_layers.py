"""Layers lie where the slide's pixels lie, in µm, and say whose they are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.errors import OutputError
from napari_fastnet.plugin.layers.data import (
    HEATMAP_NAME,
    MASK_NAMES,
    REGIONS_NAME,
    SLIDE_KEY,
    heatmap_colormap,
    heatmap_layer_data,
    mask_layer_data,
    place_slide_layer,
    regions_layer_data,
    slide_layer_data,
    to_px,
    to_um,
)
from napari_fastnet.plugin.layers.info import info_of, result_layers, slide_of
from napari_fastnet.plugin.layers.regions import regions_of
from napari_fastnet.slide.slide import Slide, open_slide

MPP = (0.25, 0.25)


def outer_extent(layer):
    """Return the corners of a layer's px, not the centres that `extent.world` has."""
    return layer._extent_world_augmented


def units_of(layer):
    return [str(unit) for unit in layer.units]


@pytest.fixture
def ring_heatmap():
    """Return a heatmap with a ring of tumour around a normal cell, and a cell apart."""
    values = np.zeros((5, 6), np.float32)
    values[:3, :3] = 0.9
    values[1, 1] = 0.1
    values[4, 5] = 0.8
    return Heatmap(values, Grid((0.0, 0.0), (64.0, 64.0), (5, 6)), MPP)


def test_slide_layer_is_lazy_in_um_and_named_after_the_file(slide, add):
    layer = add(slide_layer_data(slide))

    assert layer.name == "tumor_026"
    assert layer.multiscale
    assert layer.rgb
    assert units_of(layer) == ["micrometer", "micrometer"]
    assert layer.scale.tolist() == [0.25, 0.25]
    assert tuple(layer.contrast_limits) == (0, 255)
    assert layer.level_shapes.tolist() == [[300, 500], [75, 125]]
    info = layer.metadata[SLIDE_KEY]
    assert (info.path, info.mpp, info.mpp_source) == (slide.path, MPP, "vendor")
    assert slide_of(layer) is slide


def test_making_a_slide_layer_reads_no_pixels(slide, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("read pixels")

    monkeypatch.setattr(Slide, "read_level", refuse)
    levels, _, kind = slide_layer_data(slide)
    assert kind == "image"
    assert [level.shape for level in levels] == [(300, 500, 3), (75, 125, 3)]


def test_slide_begins_at_the_world_origin_and_ends_at_its_size(slide, add):
    layer = add(slide_layer_data(slide))
    np.testing.assert_allclose(outer_extent(layer), [[0, 0], [75, 125]])


def test_slide_of_unknown_spacing_is_in_px_until_the_user_gives_it(
    tmp_path, texture, write_svs, add
):
    path = write_svs(tmp_path / "a.svs", texture(64, 96), mpp=None)
    with open_slide(path) as slide, open_slide(path, mpp=0.5) as given:
        layer = add(slide_layer_data(slide))
        assert units_of(layer) == ["pixel", "pixel"]
        np.testing.assert_allclose(outer_extent(layer), [[0, 0], [64, 96]])
        assert info_of(layer).mpp is None

        place_slide_layer(layer, given)
        assert units_of(layer) == ["micrometer", "micrometer"]
        np.testing.assert_allclose(outer_extent(layer), [[0, 0], [32, 48]])
        assert slide_of(layer) is given


def test_absurd_spacing_is_not_shown_as_um(tmp_path, texture, write_svs, add):
    path = write_svs(tmp_path / "a.svs", texture(64, 64), mpp=352.8)
    with open_slide(path) as slide:
        assert units_of(add(slide_layer_data(slide))) == ["pixel", "pixel"]


def test_slide_mask_and_heatmap_have_the_same_world_extent(slide, add):
    slide_layer = add(slide_layer_data(slide))
    mask = np.zeros((10, 16), bool)
    mask_mpp = (75 / 10, 125 / 16)
    grid = Grid((0.0, 0.0), (300 / 7, 500 / 9), (7, 9))
    heat = Heatmap(np.zeros((7, 9), np.float32), grid, MPP)

    mask_layer = add(mask_layer_data("roi", mask, mask_mpp, "tumor_026"))
    heat_layer = add(heatmap_layer_data(heat, "tumor_026"))

    wanted = outer_extent(slide_layer)
    np.testing.assert_allclose(outer_extent(mask_layer), wanted)
    np.testing.assert_allclose(outer_extent(heat_layer), wanted)


def test_a_cells_value_belongs_to_its_centre(heatmap, add):
    heat = heatmap()
    layer = add(heatmap_layer_data(heat, "a"))
    for row in range(4):
        for column in range(6):
            centre_um = to_um(heat.grid.cell_centre(row, column), heat.mpp)
            np.testing.assert_allclose(
                layer.world_to_data(centre_um), (row, column), atol=1e-9
            )


def test_a_point_of_the_slide_shows_the_value_of_its_cell(heatmap, add):
    heat = heatmap()
    layer = add(heatmap_layer_data(heat, "a"))
    box = heat.grid.cell_box(2, 3)
    for y in (box.top + 0.01, box.bottom - 0.01):
        for x in (box.left + 0.01, box.right - 0.01):
            shown = layer.get_value(to_um((y, x), heat.mpp), world=True)
            assert shown == heat.value_at((y, x))


def test_layers_together_keep_napari_aware_of_units(slide, heatmap, add, viewer_model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        add(slide_layer_data(slide))
        add(mask_layer_data("rgb", np.ones((4, 4), bool), (8.0, 8.0), "a"))
        heat = heatmap()
        add(heatmap_layer_data(heat, "a"))
        add(regions_layer_data(find_regions(heat, 0.5), heat.mpp, "a"))
        add(regions_layer_data([], heat.mpp, "a"))
    assert [str(unit) for unit in viewer_model.layers.units] == ["micrometer"] * 2


@pytest.mark.parametrize("kind", MASK_NAMES)
def test_masks_can_be_painted(kind, add):
    mask = np.eye(6, dtype=bool)
    layer = add(mask_layer_data(kind, mask, (8.0, 8.0), "a"))
    assert layer.name == MASK_NAMES[kind]
    assert layer.editable
    layer.data_setitem((np.array([0]), np.array([5])), 1)
    assert layer.data[0, 5] == 1
    assert not mask[0, 5]  # the caller's mask is not painted on
    assert layer.data.dtype == np.uint8


def test_heatmap_layer_shows_the_array_of_the_run(heatmap, add):
    heat = heatmap()
    layer = add(heatmap_layer_data(heat, "a", 0.3))
    heat.probabilities[1, 2] = 0.5
    assert layer.name == HEATMAP_NAME
    assert layer.data[1, 2] == 0.5
    assert layer.opacity == 0.3
    assert layer.interpolation2d == "nearest"
    assert tuple(layer.contrast_limits) == (0, 1)


def test_heatmap_without_cells_is_one_clear_px(heatmap, add):
    layer = add(heatmap_layer_data(heatmap(shape=(0, 0)), "a"))
    assert layer.data.shape == (1, 1)
    assert np.isnan(layer.data).all()


@pytest.mark.parametrize("name", HEATMAP_COLOURS)
def test_colours_are_those_of_the_heatmap_and_nan_is_clear(name):
    values = np.array([0, 0.25, 0.5, 0.75, 1.0, np.nan])
    colours = heatmap_colormap(colours=name).map(values)
    for colour, (_, *wanted) in zip(colours, HEATMAP_COLOURS[name], strict=False):
        np.testing.assert_allclose(colour[:3] * 255, wanted, atol=1)
    assert colours[5, 3] == 0


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_tissue_shows_through_the_more_the_less_likely_a_tumour(threshold):
    values = np.array([0, threshold - 0.01, threshold, (1 + threshold) / 2, 1.0])
    normal, below, at, between, certain = heatmap_colormap(threshold).map(values)[:, 3]
    assert normal == pytest.approx(below) == pytest.approx(0.25)
    assert below < at < between < certain == 1
    assert between == pytest.approx(0.75, abs=0.01)

    only = heatmap_colormap(threshold, suspicious_only=True).map(values)[:, 3]
    np.testing.assert_allclose(only, [0, 0, at, between, certain], atol=1e-3)


def test_regions_are_outlines_in_um_with_their_measures(ring_heatmap, add):
    regions = find_regions(ring_heatmap, 0.5)
    layer = add(regions_layer_data(regions, MPP, "a"))

    assert layer.name == REGIONS_NAME
    assert layer.features["region"].tolist() == [1, 1, 2]
    assert layer.features["hole"].tolist() == [False, True, False]
    assert layer.features["area_mm2"].iloc[2] == pytest.approx(16e-3**2)
    np.testing.assert_allclose(
        [layer.data[0].min(axis=0), layer.data[0].max(axis=0)], [[0, 0], [48, 48]]
    )
    np.testing.assert_allclose(
        [layer.data[1].min(axis=0), layer.data[1].max(axis=0)], [[16, 16], [32, 32]]
    )


def restored(layer, mpp=MPP):
    return regions_of([to_px(ring, mpp) for ring in layer.data], layer.features, mpp)


def test_regions_come_back_from_their_layer(ring_heatmap, add):
    regions = find_regions(ring_heatmap, 0.5)
    back = restored(add(regions_layer_data(regions, MPP, "a")))

    assert [r.label for r in back] == [1, 2]
    for one, other in zip(regions, back, strict=True):
        assert other.area_mm2 == one.area_mm2
        assert other.centroid == one.centroid
        for ours, theirs in zip(one.polygons, other.polygons, strict=True):
            for ring, same in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(same, ring)


def test_no_regions_come_back_from_an_empty_layer(add):
    assert restored(add(regions_layer_data([], MPP, "a"))) == []


def moved(layer):
    layer.data = [ring + 5 for ring in layer.data]


def reshaped(layer):
    first, *others = layer.data
    layer.data = [first * (1, 1.1), *others]


def drawn(layer):
    layer.add_polygons(np.array([[0, 0], [0, 9], [9, 9.0]]))


@pytest.mark.parametrize("change", [moved, reshaped, drawn])
def test_outlines_changed_by_hand_are_not_exported_with_stale_measures(
    change, ring_heatmap, add
):
    layer = add(regions_layer_data(find_regions(ring_heatmap, 0.5), MPP, "a"))
    change(layer)
    with pytest.raises(OutputError, match="changed by hand"):
        restored(layer)


def test_layers_of_two_slides_are_told_apart(heatmap, add, viewer_model):
    heat = heatmap()
    first = add(heatmap_layer_data(heat, "a", fingerprint="f1"))
    second = add(heatmap_layer_data(heat, "b", fingerprint="f2"))
    mask = add(mask_layer_data("roi", np.ones((2, 2)), MPP, "a", fingerprint="f1"))
    foreign = viewer_model.add_image(np.zeros((2, 2)), units=("um", "um"))

    assert result_layers(viewer_model.layers, "f1") == [first, mask]
    assert result_layers(viewer_model.layers, "f2", "heatmap") == [second]
    assert result_layers(viewer_model.layers, "f2", "roi") == []
    assert info_of(foreign) is None
    assert slide_of(foreign) is None
    assert slide_of(first) is None
    assert slide_of(None) is None
