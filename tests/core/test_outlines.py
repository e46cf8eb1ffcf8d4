"""Outlines: valid polygons with exactly the area of their cells."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.outlines import trace_parts

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


def trace(mask, *, origin=(0.0, 0.0), step=(1.0, 1.0)):
    mask = np.asarray(mask, dtype=bool)
    parts, _ = ndimage.label(mask)
    return parts, trace_parts(parts, Grid(origin, step, mask.shape))


def test_nothing_has_no_outline():
    assert trace(np.zeros((3, 4)))[1] == {}
    assert trace(np.zeros((0, 0)))[1] == {}


def test_a_cell_is_a_square_that_runs_clockwise_from_its_top_left_corner():
    _, outlines = trace([[0, 0], [0, 1]], origin=(100.0, 0.0), step=(10.0, 20.0))
    (ring,) = outlines[1]
    assert ring.tolist() == [[110, 20], [110, 40], [120, 40], [120, 20]]


def test_only_corners_are_kept():
    _, outlines = trace(np.ones((50, 70)))
    assert outlines[1][0].tolist() == [[0, 0], [0, 70], [50, 70], [50, 0]]


def test_a_hole_runs_the_other_way():
    _, outlines = trace([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    exterior, hole = outlines[1]
    assert exterior.tolist() == [[0, 0], [0, 3], [3, 3], [3, 0]]
    assert hole.tolist() == [[1, 1], [2, 1], [2, 2], [1, 2]]


def test_cells_of_two_parts_that_touch_at_a_corner_stay_apart():
    parts, outlines = trace([[1, 0], [0, 1]])
    assert parts.max() == 2
    assert [len(rings[0]) for rings in outlines.values()] == [4, 4]


def test_a_part_that_closes_on_itself_at_a_corner_has_a_hole_there():
    # walked straight, the exterior would pass the corner (2, 2) twice
    _, outlines = trace([[1, 1, 1], [1, 0, 1], [1, 1, 0]])
    exterior, hole = outlines[1]
    assert len(exterior) == 6
    assert sorted(hole.tolist()) == [[1, 1], [1, 2], [2, 1], [2, 2]]


@settings(deadline=None)
@given(MASKS)
def test_every_part_is_one_valid_polygon_with_the_area_of_its_cells(mask):
    parts, outlines = trace(mask)
    assert sorted(outlines) == list(range(1, parts.max() + 1))
    for part, (exterior, *holes) in outlines.items():
        polygon = shapely.Polygon(exterior, holes)
        assert shapely.is_valid(polygon), shapely.is_valid_reason(polygon)
        assert polygon.area == (parts == part).sum()


@settings(deadline=None)
@given(MASKS)
def test_a_polygon_covers_the_centres_of_its_cells_and_no_others(mask):
    parts, outlines = trace(mask)
    rows, columns = np.indices(mask.shape)
    for part, (exterior, *holes) in outlines.items():
        polygon = shapely.Polygon(exterior, holes)
        inside = shapely.contains_xy(polygon, rows + 0.5, columns + 0.5)
        np.testing.assert_array_equal(inside, parts == part)


@settings(deadline=None)
@given(MASKS, st.floats(-1e6, 1e6), st.floats(0.5, 1e4))
def test_neighbours_share_their_corners_exactly(mask, origin, step):
    _, outlines = trace(mask, origin=(origin, origin), step=(step, step))
    lines = {origin + step * index for index in range(max(mask.shape) + 1)}
    for rings in outlines.values():
        assert set(np.concatenate(rings).ravel().tolist()) <= lines
