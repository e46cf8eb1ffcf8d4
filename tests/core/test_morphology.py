"""Masks closed by a disk and cleaned by size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from napari_fastnet.core.morphology import (
    close_disk,
    dilate_disk,
    fill_small_holes,
    remove_small_objects,
)

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))
radii = st.tuples(st.floats(0, 9), st.floats(0, 9))


def parse(*rows):
    """Return a mask drawn with # for True."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def test_disk_of_radius_two():
    mask = np.zeros((7, 7), bool)
    mask[3, 3] = True

    grown = dilate_disk(mask, (2, 2))

    expected = parse(
        ".......",
        "...#...",
        "..###..",
        ".#####.",
        "..###..",
        "...#...",
        ".......",
    )
    np.testing.assert_array_equal(grown, expected)


def test_pixels_that_are_not_square_give_an_ellipse():
    mask = np.zeros((5, 7), bool)
    mask[2, 3] = True

    grown = dilate_disk(mask, (1, 3))

    expected = parse(
        ".......",
        "...#...",
        "#######",
        "...#...",
        ".......",
    )
    np.testing.assert_array_equal(grown, expected)


@given(masks, st.integers(100, 1200))
@settings(deadline=None)
def test_growing_agrees_with_the_distance_transform(mask, hundredths):
    # No distance between pixels lies within rounding of such a radius, unless it is it.
    radius = hundredths / 100
    grown = dilate_disk(mask, (radius, radius))

    if mask.any():
        distance = ndimage.distance_transform_edt(~mask)
        np.testing.assert_array_equal(grown, distance <= radius + 1e-9)
    else:
        assert not grown.any()


def test_closing_bridges_a_gap_below_the_diameter_and_not_above():
    mask = np.zeros((41, 40), bool)
    mask[:, :10] = mask[:, 16:26] = mask[:, 35:] = True  # gaps of 6 and 9 px

    closed = close_disk(mask, (4, 4))

    assert closed[:, 10:16].all()
    assert not closed[:, 26:35].any()


def test_closing_does_not_erode_at_the_edge_of_the_image():
    mask = np.ones((30, 30), bool)
    mask[12:18, 12:18] = False

    assert close_disk(mask, (5, 5)).all()


def test_closing_fills_a_gap_that_the_edge_cuts_through():
    mask = np.ones((30, 30), bool)
    mask[27:, 12:18] = False  # 6 px wide, open to the bottom edge

    assert close_disk(mask, (5, 5)).all()


def test_closing_does_not_bend_outlines_outwards():
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True

    np.testing.assert_array_equal(close_disk(mask, (6, 6)), mask)


@given(masks, radii)
@settings(deadline=None)
def test_closing_keeps_the_mask_and_is_done_at_once(mask, radius):
    closed = close_disk(mask, radius)

    assert (closed | mask == closed).all()
    np.testing.assert_array_equal(close_disk(closed, radius), closed)


@pytest.mark.parametrize("radius", [(0, 0), (0.9, 0.9)])
def test_a_radius_below_a_pixel_closes_nothing(radius):
    mask = parse("#.#", "...", "#.#")

    np.testing.assert_array_equal(close_disk(mask, radius), mask)


def test_closing_an_empty_mask_gives_an_empty_mask():
    assert not close_disk(np.zeros((5, 6), bool), (3, 3)).any()
    assert close_disk(np.zeros((0, 6), bool), (3, 3)).shape == (0, 6)


def test_objects_below_the_smallest_area_go():
    mask = parse(
        "##....",
        "##..#.",
        "...#..",
        "......",
        "#.....",
    )

    expected = parse("##....", "##..#.", "...#..", "......", "......")
    np.testing.assert_array_equal(remove_small_objects(mask, 2), expected)
    expected = parse("##....", "##....", "......", "......", "......")
    np.testing.assert_array_equal(remove_small_objects(mask, 3), expected)
    np.testing.assert_array_equal(remove_small_objects(mask, 4), expected)
    assert not remove_small_objects(mask, 4.001).any()


def test_holes_below_the_smallest_area_are_filled():
    mask = parse(
        "########",
        "#.##...#",
        "####.###",
        "########",
    )

    expected = parse("########", "####...#", "####.###", "########")
    np.testing.assert_array_equal(fill_small_holes(mask, 4), expected)
    assert fill_small_holes(mask, 4.001).all()


def test_a_gap_open_to_the_edge_is_no_hole():
    mask = parse("###", "#.#", "#.#")

    np.testing.assert_array_equal(fill_small_holes(mask, 100), mask)


def test_a_gap_that_meets_the_outside_only_at_a_corner_is_a_hole():
    mask = parse(
        "#####",
        "##.##",
        "#.###",
        "#####",
    )

    np.testing.assert_array_equal(fill_small_holes(mask, 1), mask)
    assert fill_small_holes(mask, 2).all()  # two holes of one pixel each


@pytest.mark.parametrize("clean", [remove_small_objects, fill_small_holes])
@pytest.mark.parametrize("value", [False, True])
def test_cleaning_a_mask_of_one_value_changes_nothing(clean, value):
    mask = np.full((6, 7), value)

    np.testing.assert_array_equal(clean(mask, 5), mask)
