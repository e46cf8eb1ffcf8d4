"""Heatmap: what it refuses, where its values lie, and how they are coloured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.errors import OptionError

RED_GREEN = HEATMAP_COLOURS["red-green"]

MPP = (0.25, 0.5)


def make(values, *, origin=(0.0, 0.0), step=(10.0, 10.0), mpp=MPP):
    values = np.asarray(values, dtype=np.float32)
    return Heatmap(values, Grid(origin, step, values.shape), mpp)


def test_values_of_another_dtype_are_refused():
    with pytest.raises(OptionError, match="float64; give float32"):
        Heatmap(np.zeros((2, 2)), Grid((0, 0), (1, 1), (2, 2)), MPP)


def test_values_must_have_the_shape_of_the_grid():
    with pytest.raises(OptionError, match=r"\(2, 3\).*\(3, 2\)"):
        Heatmap(np.zeros((2, 3), np.float32), Grid((0, 0), (1, 1), (3, 2)), MPP)


@pytest.mark.parametrize("bad", [-0.01, 1.01, math.inf, -math.inf])
def test_values_outside_probabilities_are_refused(bad):
    with pytest.raises(OptionError, match=r"0\.\.1"):
        make([[0.5, bad]])


@pytest.mark.parametrize("good", [0.0, 1.0, math.nan])
def test_the_ends_of_the_range_and_nan_are_taken(good):
    assert make([[good]]).probabilities.shape == (1, 1)


@pytest.mark.parametrize("mpp", [(0, 1), (1, -1), (math.nan, 1), (1, math.inf)])
def test_um_per_px_must_be_above_zero(mpp):
    with pytest.raises(OptionError, match="µm/px"):
        make([[0.5]], mpp=mpp)


def test_a_heatmap_may_have_no_cells():
    heatmap = make(np.empty((0, 0)))
    assert heatmap.coverage == 0
    assert heatmap.colours().shape == (0, 0, 4)
    assert math.isnan(heatmap.value_at((0, 0)))


def test_the_array_is_shared_not_copied():
    values = np.full((1, 1), np.nan, np.float32)
    heatmap = Heatmap(values, Grid((0, 0), (1, 1), (1, 1)), MPP)
    values[0, 0] = 0.25
    assert heatmap.value_at((0.5, 0.5)) == 0.25


def test_coverage_and_cell_size():
    heatmap = make([[0.5, np.nan], [0.0, np.nan]], step=(100.0, 40.0))
    assert heatmap.coverage == 0.5
    assert heatmap.cell_um == (25.0, 20.0)
    assert heatmap.cell_area_mm2 == pytest.approx(0.0005)


def test_value_at_takes_the_cell_that_holds_the_point():
    heatmap = make([[0.1, 0.2], [0.3, np.nan]], origin=(5.0, -5.0))
    assert heatmap.value_at((5.0, -5.0)) == pytest.approx(0.1)
    assert heatmap.value_at((14.9, 5.0)) == pytest.approx(0.2)
    assert heatmap.value_at((15.0, 4.9)) == pytest.approx(0.3)
    assert math.isnan(heatmap.value_at((20.0, 10.0)))  # not computed
    assert math.isnan(heatmap.value_at((4.9, 0.0)))  # above the grid
    assert math.isnan(heatmap.value_at((25.0, 0.0)))  # below it


def test_normal_is_green_tumour_is_red_and_nan_is_clear():
    normal, tumour, missing = make([[0.0, 1.0, np.nan]]).colours(0.5)[0].tolist()
    assert normal == [*RED_GREEN[0][1:], 128]
    assert tumour == [*RED_GREEN[-1][1:], 128]
    assert missing == [0, 0, 0, 0]
    assert normal[1] > 2 * normal[0]
    assert normal[1] > normal[2]
    assert tumour[0] > 4 * max(tumour[1:3])


@pytest.mark.parametrize("name", HEATMAP_COLOURS)
def test_a_stop_has_its_own_colour(name):
    for position, *colour in HEATMAP_COLOURS[name]:
        shown = make([[position]]).colours(1.0, name)[0, 0]
        assert np.abs(shown[:3].astype(int) - colour).max() <= 1


def test_colours_that_there_are_not_are_refused():
    with pytest.raises(OptionError, match="'rainbow'; use one of red-green, blue"):
        make([[0.5]]).colours(1.0, "rainbow")


@pytest.mark.parametrize("opacity", [-0.1, 1.1, math.nan])
def test_opacity_outside_its_range_is_refused(opacity):
    with pytest.raises(OptionError, match="opacity"):
        make([[0.5]]).colours(opacity)


def test_a_finer_picture_repeats_cells_and_leaves_the_rest_nan():
    heatmap = make([[0.25, 0.5]], origin=(0.0, 10.0))
    picture = heatmap.resampled_to(Box(0, 0, 20, 40), (4, 8))
    expected = np.full((4, 8), np.nan)
    expected[:2, 2:4], expected[:2, 4:6] = 0.25, 0.5
    np.testing.assert_array_equal(picture, expected)


@settings(deadline=None)
@given(
    st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    st.tuples(st.floats(1, 40), st.floats(1, 40)),
    st.integers(0, 2**32 - 1),
)
def test_a_picture_shows_what_value_at_says(origin, step, seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, 2).tolist())
    values = rng.random(shape).astype(np.float32)
    heatmap = Heatmap(values, Grid(origin, step, shape), MPP)
    box = Box.of_shape((64, 64), (-20.0, -20.0))
    picture = heatmap.resampled_to(box, (16, 16))
    for row, column in [(0, 0), (3, 11), (15, 15), (8, 8)]:
        point = (-20.0 + 4 * (row + 0.5), -20.0 + 4 * (column + 0.5))
        np.testing.assert_equal(
            picture[row, column], np.float32(heatmap.value_at(point))
        )


@settings(deadline=None)
@given(
    st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    st.tuples(st.floats(1, 40), st.floats(1, 40)),
    st.integers(0, 2**32 - 1),
)
def test_a_coarse_picture_shows_the_highest_value_in_each_px(origin, step, seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(0, 9, 2).tolist())
    values = rng.random(shape).astype(np.float32)
    values[rng.random(shape) < 0.3] = np.nan
    heatmap = Heatmap(values, Grid(origin, step, shape), MPP)
    box = Box.of_shape((64, 48), (-20.0, -20.0))
    rows, columns = (
        np.floor((np.arange(6 * count) / 6 * size / count + at) / step[axis])
        for axis, (count, size, at) in enumerate(
            ((8, 64, 64 / 96 - 20 - origin[0]), (5, 48, 48 / 60 - 20 - origin[1]))
        )
    )
    picture = heatmap.highest_in(box, (8, 5))
    for row, column in [(0, 0), (2, 3), (4, 1), (7, 4)]:
        held = [
            [cell for cell in range(count) if first <= cell <= last]
            for count, (first, *_, last) in zip(
                shape,
                (rows[6 * row :][:6], columns[6 * column :][:6]),
                strict=True,
            )
        ]
        found = values[np.ix_(*held)] if all(held) else np.full((1, 1), np.nan)
        expected = np.fmax.reduce(found, axis=None)
        np.testing.assert_equal(picture[row, column], expected)
