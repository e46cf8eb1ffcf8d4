from __future__ import annotations

import os
import tarfile
from math import nextafter, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label, regionprops

from napari_fastnet.core.metrics.lesions import find_lesions, mean_and_major_axis
from napari_fastnet.core.metrics.truth import PIXEL_UM, TruthMask


def drawn(text):
    return np.array([[c == "#" for c in line] for line in text.split()])


def whole(mask):
    return TruthMask(mask, (32, 32), mask.shape)


def labels_of(mask, **options):
    """Return the labels over the whole slide."""
    found = find_lesions(whole(mask), **options)
    labels = np.zeros(mask.shape, int)
    (top, left), (rows, columns) = found.window.first, found.labels.shape
    labels[top : top + rows, left : left + columns] = found.labels
    return labels


# A px of 37.5 µm: nothing is nearer than 37.5 µm to a px but itself.
ALONE = 37.5


def test_no_tumour_has_no_lesion():
    for mask in (np.zeros((5, 5), bool), np.zeros((0, 0), bool)):
        found = find_lesions(whole(mask))
        assert found.lesions == ()
        assert found.labels_at(np.array([[10.0, 10.0]])).tolist() == [0]


def test_px_that_touch_at_a_corner_are_one_lesion():
    mask = drawn(
        """
        #....
        .#...
        ...#.
        """
    )
    expected = [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 2, 0]]
    assert labels_of(mask, pixel_um=ALONE).tolist() == expected


def test_holes_are_filled_and_gaps_to_the_edge_are_not():
    mask = drawn(
        """
        .####.###
        .#..#.#.#
        .####.#.#
        """
    )
    expected = drawn(
        """
        .####.###
        .####.#.#
        .####.#.#
        """
    )
    assert (labels_of(mask, pixel_um=ALONE) > 0).tolist() == expected.tolist()


def test_a_hole_that_opens_at_a_corner_only_is_a_hole():
    # background touches along sides
    mask = drawn(
        """
        .....
        .##..
        .#.#.
        .###.
        .....
        """
    )
    assert labels_of(mask, pixel_um=ALONE)[2, 2] == 1


@pytest.mark.parametrize(
    ("pixel_um", "count"),
    [
        # From px 0 and px 8 the truth grows over those nearer than 37.5 µm. At 7.5 µm
        # that is 4 px: it meets in px 4. At 10 µm it is 3: px 4 stays between.
        (7.5, 1),
        (10.0, 2),
        (9.375, 2),  # px 4 is exactly 37.5 µm away and does not join
        (9.374, 1),
    ],
)
def test_truth_grows_over_px_nearer_than_37_5_um(pixel_um, count):
    mask = drawn("#.......#")
    assert len(find_lesions(whole(mask), pixel_um=pixel_um).lesions) == count


@pytest.mark.parametrize(("gap", "count"), [(8, 1), (9, 2)])
def test_at_level_5_lesions_join_over_8_px_and_not_over_9(gap, count):
    # 4 px are 31.1 µm and join, the fifth would be at 38.9 µm
    mask = drawn("#" + "." * gap + "#")
    # an empty px between them keeps them apart; two neighbours touch
    assert len(find_lesions(whole(mask)).lesions) == count


def test_a_row_s_major_axis_is_known():
    # n px in a row have the variance (n² - 1) / 12
    for n in (1, 2, 31, 1000):
        axis = mean_and_major_axis(np.ones((1, n), bool))[1]
        assert axis == pytest.approx(4 * sqrt((n**2 - 1) / 12), rel=1e-15)


def test_the_major_axis_is_that_of_any_direction():
    # four px on a diagonal: variance along it 2 * 1.25
    for mask in (np.eye(4, dtype=bool), np.eye(4, dtype=bool)[::-1]):
        axis = mean_and_major_axis(mask)[1]
        assert axis == pytest.approx(4 * sqrt(2.5), rel=1e-15)


def test_nothing_is_lost_far_out():
    small = np.random.default_rng(0).random((9, 7)) < 0.5
    large = np.zeros((7000, 3000), bool)
    large[-9:, -7:] = small
    assert mean_and_major_axis(large)[1] == mean_and_major_axis(small)[1]
    y, x = mean_and_major_axis(large)[0]
    assert (y, x) == pytest.approx(
        np.add(mean_and_major_axis(small)[0], (7000 - 9, 3000 - 7)), rel=1e-15
    )


def test_a_lesion_of_exactly_275_um_counts():
    # two px have the major axis 4 * sqrt(1 / 4) = 2 px; so large ones do not grow
    (lesion,) = find_lesions(whole(drawn(".##.")), pixel_um=137.5).lesions
    assert lesion.major_axis_um == 275
    assert not lesion.is_itc
    smaller = nextafter(137.5, 0)
    assert find_lesions(whole(drawn(".##.")), pixel_um=smaller).lesions[0].is_itc


@pytest.mark.parametrize(("n", "is_itc"), [(23, True), (24, False)])
def test_at_level_5_the_limit_is_35_36_px(n, is_itc):
    # A row of n px grows to rows of n + 8, n + 8, n + 8, n + 6 and n + 4 px (at 0, 1,
    # 2, 3 and 4 px from it), which are N px with the variance V along x.
    rows = [n + 8] + 2 * [n + 8, n + 8, n + 6, n + 4]
    variance = sum(m * (m**2 - 1) / 12 for m in rows) / sum(rows)
    assert (4 * sqrt(variance) < 35.36) is is_itc
    mask = np.zeros((20, 60), bool)
    mask[10, 20 : 20 + n] = True
    (lesion,) = find_lesions(whole(mask)).lesions
    assert lesion.major_axis_um == pytest.approx(4 * sqrt(variance) * 7.776)
    assert lesion.is_itc is is_itc


def test_a_lesion_says_where_it_is_and_how_large():
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    (lesion,) = find_lesions(TruthMask(mask, (32, 32), (50, 80), (5, 7))).lesions
    assert lesion.label == 1
    assert lesion.centre == pytest.approx((20 * 32, 47 * 32))
    assert lesion.area_mm2 == pytest.approx(200 * 0.007776**2)
    assert lesion.major_axis_um > 20 * PIXEL_UM


def test_labels_are_found_under_points_of_the_slide():
    mask = np.zeros((40, 60), bool)
    mask[20, 30] = True
    found = find_lesions(TruthMask(mask, (32, 32), mask.shape))
    points = [(20 * 32, 30 * 32), (20 * 32, 34 * 32 + 31), (20 * 32, 35 * 32), (0, 0)]
    assert found.labels_at(np.array(points, float)).tolist() == [1, 1, 0, 0]


def test_a_lesion_at_the_slide_s_edge_grows_up_to_it():
    mask = np.zeros((6, 6), bool)
    mask[0, 0] = True
    labels = labels_of(mask)
    assert labels[0].tolist() == [1, 1, 1, 1, 1, 0]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_lesions_are_those_of_the_protocol_done_plainly(seed):
    rng = np.random.default_rng(seed)
    mask = ndimage.binary_opening(rng.random((60, 70)) < rng.uniform(0.3, 0.7))
    pixel_um = float(rng.choice([7.5, 7.776, 12.5, 25.0]))
    plain = ndimage.binary_fill_holes(
        ndimage.distance_transform_edt(~mask) * pixel_um < 37.5 if mask.any() else mask
    )
    expected = label(plain, connectivity=2)
    assert np.array_equal(labels_of(mask, pixel_um=pixel_um), expected)
    found = find_lesions(whole(mask), pixel_um=pixel_um).lesions
    for lesion, region in zip(found, regionprops(expected), strict=True):
        assert lesion.major_axis_um == pytest.approx(
            region.axis_major_length * pixel_um, rel=1e-9, abs=1e-6
        )
        assert lesion.centre == pytest.approx(
            [32 * (value + 0.5) for value in region.centroid]
        )


@pytest.mark.slow
@pytest.mark.real
def test_lesions_of_camelyon16_are_those_of_the_protocol_done_plainly(tmp_path):
    from napari_fastnet.annotations.reading import read_annotations
    from napari_fastnet.core.metrics.truth import draw_truth

    archive = os.environ.get("NAPARI_FASTNET_OUTLINES")
    if archive is None:
        pytest.skip("no $NAPARI_FASTNET_OUTLINES: tumor_polygons.tar.xz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    for path in sorted(tmp_path.rglob("*.json"))[::10]:
        found = find_lesions(draw_truth(read_annotations(path), step=(32, 32)))
        inside = found.window.inside
        grown = ndimage.distance_transform_edt(~inside) < 37.5 / PIXEL_UM
        expected = label(ndimage.binary_fill_holes(grown), connectivity=2)
        assert np.array_equal(found.labels, expected), path.name
        for lesion, region in zip(found.lesions, regionprops(expected), strict=True):
            axis = region.axis_major_length
            assert lesion.major_axis_um == pytest.approx(axis * PIXEL_UM, rel=1e-9)
            assert lesion.is_itc == (axis < 275 / PIXEL_UM)
