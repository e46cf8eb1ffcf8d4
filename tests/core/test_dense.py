"""Where the cells of a feature map lie, and how a block is cut into pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_fastnet.core.dense import (
    CELL_PX,
    SPOILT_CELLS,
    DenseScan,
    cover,
    feature_cells,
)
from napari_fastnet.core.geometry import Grid
from napari_fastnet.errors import OptionError


# Worked by hand: a valid 3 x 3 convolution of stride 2 leaves (n - 1) // 2.
@pytest.mark.parametrize(
    ("side", "cells"), [(30, 0), (31, 1), (46, 1), (47, 2), (96, 5), (256, 15)]
)
def test_size_of_the_feature_map(side, cells) -> None:
    assert feature_cells(side) == cells


def test_a_patch_too_small_for_the_network_is_refused() -> None:
    assert DenseScan(31).patch_cells == 1
    with pytest.raises(OptionError, match="at least 31 px"):
        DenseScan(30)


@pytest.mark.parametrize(
    ("patch_px", "pool_cells", "window"), [(96, 3, 3), (96, None, 5), (96, 9, 5)]
)
def test_window_is_no_larger_than_the_map(patch_px, pool_cells, window) -> None:
    scan = DenseScan(patch_px, pool_cells)
    assert scan.window == window
    assert scan.overhead == window - 1 + 2 * SPOILT_CELLS


@given(
    st.integers(31, 300), st.one_of(st.none(), st.integers(1, 20)), st.integers(1, 40)
)
def test_a_picture_gives_as_many_values_as_it_was_made_for(
    patch_px, pool_cells, values
) -> None:
    scan = DenseScan(patch_px, pool_cells)
    cells = feature_cells(scan.picture_px(values))
    assert scan.pool(np.zeros((cells, cells), np.float32)).shape == (values, values)


def test_pooling_is_the_mean_over_the_window_of_each_patch() -> None:
    scan = DenseScan(96, 3)
    cells = np.arange(17 * 18, dtype=np.float32).reshape(17, 18)
    pooled = scan.pool(cells)
    assert pooled.shape == (3, 4)
    assert pooled[1, 2] == cells[7:10, 8:11].mean()


def test_what_the_zeros_at_the_edge_reach_is_left_out() -> None:
    cells = np.full((20, 20), np.nan, np.float32)
    cells[SPOILT_CELLS:-SPOILT_CELLS, SPOILT_CELLS:-SPOILT_CELLS] = 1
    assert (DenseScan(96, 3).pool(cells) == 1).all()


@pytest.mark.parametrize("patch_px", [96, 100, 256])
def test_a_value_is_that_of_the_patch_around_its_cell(patch_px) -> None:
    scan = DenseScan(patch_px, 3)
    grid = Grid((10.0, 20.0), (CELL_PX * 4.0, CELL_PX * 4.0), (50, 50))
    box = scan.picture_box(grid, (7, 5), (2, 3))
    # Cell j of a feature map sees the px around 16 j + 15.5 of its picture.
    in_patch = 16 * ((scan.patch_cells - 3) // 2) + 15.5
    in_picture = 16 * SPOILT_CELLS + 15.5
    patch_top = grid.cell_centre(7, 5)[0] - 4 * patch_px / 2
    assert box.top + 4 * in_picture == pytest.approx(patch_top + 4 * in_patch)
    assert box.height == 4 * scan.picture_px(2)
    assert box.width == 4 * scan.picture_px(3)


masks = arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24)))


@given(masks, st.integers(0, 14))
def test_rectangles_hold_every_wanted_cell_and_share_none(wanted, overhead) -> None:
    times = np.zeros(wanted.shape, int)
    for part in cover(wanted, overhead):
        times[part] += 1
        assert wanted[part].any()
    assert times.max(initial=0) <= 1
    assert (times[wanted] == 1).all()


@given(masks, st.integers(0, 14))
def test_rectangles_never_cost_more_than_one_box_around_all(wanted, overhead) -> None:
    parts = cover(wanted, overhead)
    cost = sum(
        (rows.stop - rows.start + overhead) * (columns.stop - columns.start + overhead)
        for rows, columns in parts
    )
    rows, columns = wanted.any(axis=1).nonzero()[0], wanted.any(axis=0).nonzero()[0]
    if len(rows):
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        assert cost <= (height + overhead) * (width + overhead)
    else:
        assert parts == []


@given(masks, st.integers(1, 30))
def test_no_rectangle_is_larger_than_allowed(wanted, largest) -> None:
    times = np.zeros(wanted.shape, int)
    for part in cover(wanted, 14, largest):
        times[part] += 1
        assert max(wanted[part].shape) <= largest
    assert (times[wanted] == 1).all()


def test_two_far_corners_are_two_rectangles() -> None:
    far = np.zeros((64, 64), bool)
    far[:4, :4] = far[-4:, -4:] = True
    assert len(cover(far, 14)) == 2


def test_a_cut_has_to_save_as_much_as_a_picture_costs() -> None:
    for gap, parts in ((52, 1), (53, 2)):
        wanted = np.ones((12, 8 + gap), bool)
        wanted[:, 4:-4] = False
        # together (12 + 14) * (8 + gap + 14), apart twice (12 + 14) * (4 + 14) + 1000
        assert len(cover(wanted, 14)) == parts, gap


def test_two_near_corners_are_one_rectangle() -> None:
    near = np.zeros((9, 9), bool)
    near[:4, :4] = near[-4:, -4:] = True
    assert cover(near, 14) == [(slice(0, 9), slice(0, 9))]


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_reach_is_every_cell_that_a_wanted_picture_shows(wanted) -> None:
    scan = DenseScan(96, 3)
    expected = np.zeros(np.add(wanted.shape, scan.overhead + 1), bool)
    for row, column in np.argwhere(wanted):
        expected[row : row + scan.overhead + 1, column : column + scan.overhead + 1] = 1
    np.testing.assert_array_equal(scan.reach(wanted), expected)
