from __future__ import annotations

from math import inf, nan, nextafter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_fastnet.core.metrics.truth import (
    TruthMask,
    draw_truth,
    nearer_than,
    truth_extent,
    truth_step,
)
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.errors import OptionError


def drawn(text):
    return np.array([[c == "#" for c in line] for line in text.split()])


def rectangle(top, left, bottom, right):
    return np.array([(top, left), (top, right), (bottom, right), (bottom, left)], float)


@pytest.mark.parametrize(
    ("mpp", "step"),
    [
        (0.243, 32),
        (0.2431, 32),
        (0.226, 32),  # CAMELYON16's other scanner
        (0.2188, 32),
        (0.2186, 7.776 / 0.2186),
        (0.2672, 32),
        (0.2674, 7.776 / 0.2674),
        (0.5, 15.552),
        (0.972, 8),
    ],
)
def test_a_px_is_level_5_of_slides_like_camelyon_s_and_7_776_um_of_others(mpp, step):
    assert truth_step((mpp, mpp)) == pytest.approx((step, step))


def test_axes_of_their_own():
    assert truth_step((0.5, 0.51)) == pytest.approx((7.776 / 0.5, 7.776 / 0.51))


@pytest.mark.parametrize("mpp", [0.0, -1.0, nan, inf])
def test_absurd_um_per_px_is_refused(mpp):
    with pytest.raises(OptionError, match="above 0"):
        truth_step((0.25, mpp))


def test_extent_covers_the_last_part_of_a_px():
    assert truth_extent((64, 65), (32, 32)) == (2, 3)
    assert truth_extent((221184, 97792), (32, 32)) == (6912, 3056)


def test_a_window_that_leaves_the_slide_is_refused():
    with pytest.raises(OptionError, match="leaves"):
        TruthMask(np.zeros((2, 2), bool), (32, 32), (3, 3), (2, 0))


def test_around_crops_to_the_tumour_and_stays_on_the_slide():
    mask = drawn(
        """
        ......
        ..#...
        ..##..
        ......
        """
    )
    truth = TruthMask(mask, (32, 32), (8, 9), (1, 2))
    near = truth.around(1)
    assert near.first == (1, 3)
    assert near.inside.tolist() == mask[0:4, 1:5].tolist()
    far = truth.around(100)
    assert (far.first, far.inside.shape) == ((0, 0), (8, 9))
    assert np.argwhere(far.inside).tolist() == [[2, 4], [3, 4], [3, 5]]


def test_around_nothing_is_empty():
    truth = TruthMask(np.zeros((4, 4), bool), (32, 32), (8, 8), (2, 2))
    assert truth.around(3).inside.shape == (0, 0)


def test_a_point_lies_in_the_px_that_begins_at_its_edge():
    truth = TruthMask(np.ones((1, 1), bool), (32, 32), (5, 5), (2, 3))
    points = np.array([(64, 96), (95.9, 127.9), (63.9, 96), (64, 128), (-1, -1)])
    rows, columns, known = truth.index_of(points)
    assert known.tolist() == [True, True, False, False, False]
    assert (rows[:2].tolist(), columns[:2].tolist()) == ([0, 0], [0, 0])


@pytest.mark.parametrize(
    ("limit", "reached"),
    [
        (1.0, [0]),
        (nextafter(1.0, 2), [0, 1]),
        (5.0, [0, 1, 2, 3, 4]),
        (nextafter(5.0, 6), [0, 1, 2, 3, 4, 5]),
        (37.5 / 7.776, [0, 1, 2, 3, 4]),
    ],
)
def test_px_exactly_as_far_are_not_nearer(limit, reached):
    row = np.zeros((1, 9), bool)
    row[0, 0] = True
    assert np.flatnonzero(nearer_than(row, limit)).tolist() == reached


def test_distances_are_measured_from_centre_to_centre():
    # 3-4-5: exactly 5 px away
    mask = np.zeros((7, 7), bool)
    mask[0, 0] = True
    assert not nearer_than(mask, 5.0)[3, 4]
    assert nearer_than(mask, nextafter(5.0, 6))[3, 4]
    # the protocol's radius holds (4, 2), at 4.47 px, and not (4, 3), at 5
    grown = nearer_than(mask, 37.5 / 7.776)
    assert grown[4, 2]
    assert not grown[4, 3]


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.5, 7) | st.sampled_from([2**0.5, 5.0, 20**0.5, 25**0.5, 4.0]),
)
def test_nearer_than_is_the_distance_transform(seed, limit):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 30, 2)) < 0.05
    mask[0, 0] = True
    expected = ndimage.distance_transform_edt(~mask) < limit
    assert np.array_equal(nearer_than(mask, limit), expected)


def test_outlines_fill_px_whose_centre_they_hold():
    # centres of px of 32 lie at 16, 48, 80 ...
    ring = rectangle(16, 17, 80, 113)
    truth = draw_truth(Annotations((ring,), ()), step=(32, 32), shape=(128, 160))
    assert truth.extent == (4, 5)
    whole = np.zeros((4, 5), bool)
    top, left = truth.first
    height, width = truth.inside.shape
    whole[top : top + height, left : left + width] = truth.inside
    assert whole.tolist() == drawn(".###. .###. ..... .....").tolist()


def test_what_is_taken_out_leaves_the_truth():
    annotations = Annotations((rectangle(0, 0, 96, 96),), (rectangle(32, 32, 64, 64),))
    truth = draw_truth(annotations, step=(32, 32), shape=(96, 96))
    assert truth.inside.tolist() == drawn("### #.# ###").tolist()


def test_outlines_are_cut_off_at_the_slide_s_edge():
    annotations = Annotations((rectangle(-100, -100, 1000, 40),), ())
    truth = draw_truth(annotations, step=(32, 32), shape=(64, 96))
    assert truth.inside.tolist() == drawn("#. #.").tolist()
    outside = Annotations((rectangle(500, 500, 600, 600),), ())
    assert not draw_truth(outside, step=(32, 32), shape=(64, 96)).inside.any()
    before = Annotations((rectangle(-90, -90, -10, -10),), ())
    assert not draw_truth(before, step=(32, 32)).inside.any()


def test_a_slide_of_unknown_size_goes_on_behind_its_outlines():
    truth = draw_truth(Annotations((rectangle(0, 0, 64, 64),), ()), step=(32, 32))
    assert min(truth.extent) > 2 + 37.5 / 7.776


def test_no_outlines_are_no_tumour():
    truth = draw_truth(Annotations((), ()), step=(32, 32), shape=(100, 100))
    assert truth.inside.size == 0
    assert truth.extent == (4, 4)
