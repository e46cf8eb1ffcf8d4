"""Levels that are half as fine: means of what is known, majorities, exact places."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from napari_fastnet.core.heatmap import halved, halvings

NAN = np.nan


def test_a_cell_is_the_mean_of_the_four_below_it():
    values = np.array([[0.0, 0.25, 1.0, 1.0], [0.5, 0.25, 0.0, 0.0]], np.float32)
    out = halved(values)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, [[0.25, 0.5]])


def test_what_is_not_known_counts_for_nothing():
    values = np.array([[NAN, 0.5, NAN, NAN], [NAN, 1.0, NAN, NAN]], np.float32)
    np.testing.assert_array_equal(halved(values), [[0.75, NAN]])


def test_the_last_row_and_column_of_an_odd_shape_are_not_diluted():
    values = np.array([[0, 0, 1], [0, 0, 0.5], [1, 0, 0.25]], np.float32)
    np.testing.assert_array_equal(halved(values), [[0, 0.75], [0.5, 0.25]])


@pytest.mark.parametrize(
    ("cells", "inside"), [([1, 1, 0, 0], True), ([1, 0, 0, 0], False), ([1] * 4, True)]
)
def test_a_mask_keeps_what_is_at_least_half_inside(cells, inside):
    out = halved(np.array(cells, bool).reshape(2, 2))
    assert out.dtype == np.bool_
    assert out.tolist() == [[inside]]


@pytest.mark.parametrize(
    ("shape", "levels"),
    [((1, 1), 1), ((256, 256), 1), ((257, 1), 2), ((3, 513), 3), ((1025, 700), 4)],
)
def test_levels_end_where_both_sides_are_small(shape, levels):
    found = halvings(np.zeros(shape, np.float32))
    assert len(found) == levels
    for fine, coarse in pairwise(found):
        assert coarse.shape == tuple((side + 1) // 2 for side in fine.shape)
