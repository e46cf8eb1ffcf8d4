"""Boxes and grids: half-open, real-valued, (y, x)."""

from __future__ import annotations

from math import inf, nan, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.errors import OptionError

positions = st.floats(-1e6, 1e6)
sizes = st.floats(0, 1e5)
steps = st.floats(1e-2, 1e4)
counts = st.integers(0, 400)


@st.composite
def boxes(draw):
    return Box.of_shape((draw(sizes), draw(sizes)), (draw(positions), draw(positions)))


@st.composite
def grids(draw, smallest=0):
    shape = tuple(draw(st.integers(smallest, 400)) for _ in range(2))
    origin = (draw(positions), draw(positions))
    return Grid(origin, (draw(steps), draw(steps)), shape)


def test_box_of_shape_has_its_corner_at_the_origin():
    box = Box.of_shape((30, 40), (5, 7))

    assert box == Box(top=5, left=7, bottom=35, right=47)
    assert (box.height, box.width) == (30, 40)
    assert box.centre == (20, 27)


@pytest.mark.parametrize(
    ("point", "inside"),
    [
        ((5, 7), True),
        ((nextafter(5, 0), 7), False),
        ((nextafter(35, 0), nextafter(47, 0)), True),
        ((35, 7), False),
        ((5, 47), False),
    ],
)
def test_box_holds_its_top_left_edges_and_not_the_others(point, inside):
    assert Box(5, 7, 35, 47).contains(point) is inside


def test_common_part_of_overlapping_boxes():
    common = Box(0, 0, 10, 10).intersect(Box(4, 6, 20, 8))

    assert common == Box(4, 6, 10, 8)
    assert not common.is_empty


def test_boxes_that_only_touch_share_nothing():
    assert Box(0, 0, 10, 10).intersect(Box(10, 0, 20, 10)).is_empty


@given(boxes(), boxes())
def test_common_part_lies_in_both_boxes_or_is_empty(one, other):
    common = one.intersect(other)

    assert common.is_empty or (
        max(one.top, other.top) == common.top
        and max(one.left, other.left) == common.left
        and min(one.bottom, other.bottom) == common.bottom
        and min(one.right, other.right) == common.right
    )
    assert common.is_empty == other.intersect(one).is_empty


@pytest.mark.parametrize(
    "edges", [(10, 0, 9, 5), (0, 10, 5, 9), (0, 0, nan, 5), (-inf, 0, 5, 5)]
)
def test_box_refuses_edges_that_are_no_rectangle(edges):
    with pytest.raises(OptionError, match="box"):
        Box(*edges)


def test_grid_covers_from_its_origin_step_by_step():
    grid = Grid(origin=(-8, 100), step=(16.002, 32), shape=(3, 2))

    assert grid.cell_box(1, 1) == Box(-8 + 16.002, 132, -8 + 2 * 16.002, 164)
    assert grid.cells_box((0, 0), (2, 1)) == Box(-8, 100, -8 + 2 * 16.002, 132)
    assert grid.box == Box(-8, 100, -8 + 3 * 16.002, 164)
    assert grid.cell_centre(0, 0) == pytest.approx((0.001, 116))


def test_cell_far_from_the_origin_does_not_drift_at_downsample_16_002():
    grid = Grid((0, 0), (16.002, 16.002), (10_000, 1))

    assert grid.cell_box(9_999, 0).top == pytest.approx(160_003.998, abs=1e-6)


@pytest.mark.parametrize(
    ("point", "index"),
    [
        ((0, 0), (0, 0)),
        ((nextafter(10, 0), 0), (0, 0)),
        ((10, 0), (1, 0)),
        ((19.9, 59.9), (1, 2)),
        ((20, 0), None),
        ((0, 60), None),
        ((-0.001, 0), None),
        ((nan, 0), None),
        ((inf, 0), None),
    ],
)
def test_index_of_a_point(point, index):
    assert Grid((0, 0), (10, 20), (2, 3)).index_of(point) == index


@given(grids(smallest=1), st.data())
def test_every_cell_holds_its_corner_and_its_centre(grid, data):
    row = data.draw(st.integers(0, grid.shape[0] - 1))
    column = data.draw(st.integers(0, grid.shape[1] - 1))

    box = grid.cell_box(row, column)

    assert grid.index_of((box.top, box.left)) == (row, column)
    assert grid.index_of(grid.cell_centre(row, column)) == (row, column)


@pytest.mark.parametrize(
    ("origin", "position", "row"),
    [
        (0, 36.9, 369),  # 36.9 / 0.1 is 368.99999999999994
        (-8.3, 1.4999999999999998, 97),  # just above cell 98, which begins at 1.5
    ],
)
def test_the_edge_decides_where_a_quotient_is_rounded_across_it(origin, position, row):
    assert Grid((origin, 0), (0.1, 1), (400, 1)).index_of((position, 0)) == (row, 0)


@given(grids(), positions, positions)
def test_a_point_is_in_the_cell_that_is_said_to_hold_it(grid, y, x):
    index = grid.index_of((y, x))

    if index is None:
        assert not grid.box.contains((y, x))
    else:
        assert grid.cell_box(*index).contains((y, x))


@given(grids(smallest=1), st.data())
def test_neighbouring_cells_meet_without_a_gap(grid, data):
    row = data.draw(st.integers(0, grid.shape[0] - 1))

    assert grid.cell_box(row, 0).bottom == grid.cell_box(row + 1, 0).top
    assert grid.cell_box(row, 0).right == grid.cell_box(row, 1).left


def test_grid_without_cells_is_an_empty_box():
    grid = Grid((3, 4), (16, 16), (0, 0))

    assert grid.box.is_empty
    assert grid.index_of((3, 4)) is None


@pytest.mark.parametrize(
    ("origin", "step", "shape"),
    [
        ((0, 0), (0, 16), (1, 1)),
        ((0, 0), (16, -1), (1, 1)),
        ((0, 0), (nan, 16), (1, 1)),
        ((0, 0), (inf, 16), (1, 1)),
        ((nan, 0), (16, 16), (1, 1)),
        ((0, 0), (16, 16), (-1, 1)),
    ],
)
def test_grid_refuses_what_is_no_grid(origin, step, shape):
    with pytest.raises(OptionError, match="grid"):
        Grid(origin, step, shape)
