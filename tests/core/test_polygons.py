from __future__ import annotations

import json
import os
import tarfile
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapely import (
    MultiPolygon,
    Polygon,
    contains_xy,
    make_valid,
    unary_union,
)

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.core.polygons import (
    Annotations,
    bounds,
    joined,
    rasterise,
    ring_area,
    tumor_mask,
    tumor_share,
)

UNIT = Grid((0, 0), (1, 1), (12, 10))
SQUARE = np.array([(2.0, 3), (2, 7), (6, 7), (6, 3)])
BOW = np.array([(0.0, 0), (4, 4), (4, 0), (0, 4)])  # two triangles of 4 px²


def star(points):
    """Return a ring that turns twice around its middle."""
    angle = np.linspace(0, 4 * np.pi, points, endpoint=False)
    return 6 + 5 * np.column_stack([np.sin(angle), np.cos(angle)])


def test_areas():
    assert ring_area(SQUARE) == 16
    assert ring_area(SQUARE[::-1]) == 16
    assert ring_area(BOW) == 8


@given(st.integers(0, 2**32 - 1))
def test_joined_rings_enclose_all_but_the_holes(seed):
    values = np.random.default_rng(seed).random((9, 12), np.float32)
    grid = Grid((0, 0), (64.0, 32.0), values.shape)
    for region in find_regions(Heatmap(values, grid, (1, 1)), 0.3):
        for polygon in region.polygons:
            area = Polygon(polygon[0], polygon[1:]).area
            assert ring_area(joined(polygon)) == pytest.approx(area)


def test_the_middle_of_a_star_is_outside():
    grid = Grid((0, 0), (0.05, 0.05), (240, 240))
    mask = rasterise([star(5)], grid)
    assert not mask[120, 120]
    assert mask.sum() * 0.05**2 == pytest.approx(ring_area(star(5)), rel=0.01)


def test_bounds():
    assert bounds([SQUARE, BOW]) == Box(0, 0, 6, 7)
    assert bounds([]) is None


def test_a_square_of_whole_px_is_exact():
    expected = np.zeros((12, 10), bool)
    expected[2:6, 3:7] = True
    np.testing.assert_array_equal(rasterise([SQUARE], UNIT), expected)


@pytest.mark.parametrize(
    ("edge", "inside"), [(2.5, True), (2.51, False), (2.49, True), (3.5, False)]
)
def test_a_px_belongs_to_what_its_centre_lies_in(edge, inside):
    ring = np.array([(edge, edge), (edge, 8), (9, 8), (9, edge)])
    assert rasterise([ring], UNIT)[2, 2] == inside


def test_centres_on_a_border_belong_to_one_side_only():
    left = np.array([(0.5, 0.5), (0.5, 4.5), (9.5, 4.5), (9.5, 0.5)])
    right = np.array([(0.5, 4.5), (0.5, 8.5), (9.5, 8.5), (9.5, 4.5)])
    first, second = rasterise([left], UNIT), rasterise([right], UNIT)
    assert not (first & second).any()
    assert (first | second).sum() == 9 * 8


@pytest.mark.parametrize(
    ("shift", "area"),
    [
        ((0, 0), 16),
        ((-4, 0), 8),
        ((-3, -5), 6),
        ((7, 0), 12),
        ((0, 4), 12),
        ((10, 0), 0),
    ],
)
def test_what_lies_outside_the_grid_is_cut_off(shift, area):
    assert rasterise([SQUARE + shift], UNIT).sum() == area


def test_far_outside_and_around():
    huge = np.array([(-1e8, -1e8), (-1e8, 1e8), (1e8, 1e8), (1e8, -1e8)])
    assert rasterise([huge], UNIT).all()
    assert not rasterise([huge + 3e8], UNIT).any()


def test_negative_wins_over_positive():
    whole = np.array([(0.0, 0), (0, 10), (12, 10), (12, 0)])
    annotations = Annotations((whole, SQUARE), (SQUARE,))
    mask = tumor_mask(annotations, UNIT)
    assert mask.sum() == 120 - 16
    assert not mask[2:6, 3:7].any()


def test_nothing_drawn_is_nothing():
    nothing = Annotations((), (SQUARE,))
    assert not tumor_mask(nothing, UNIT).any()
    assert not tumor_share(nothing, UNIT).any()


def test_shares_are_exact_where_samples_are_even():
    half = np.array([(2.0, 3), (2, 4.5), (3, 4.5), (3, 3)])
    share = tumor_share(Annotations((half,), ()), UNIT)
    assert share.dtype == np.float32
    assert share[2, 3:6].tolist() == [1, 0.5, 0]
    assert share.sum() == 1.5


def test_strips_do_not_show():
    grid = Grid((-3.3, 2.2), (0.07, 0.05), (700, 300))  # several strips
    ring = star(7)
    share = tumor_share(Annotations((ring,), ()), grid, samples=3)
    fine = Grid(grid.origin, (0.07 / 3, 0.05 / 3), (2100, 900))
    whole = rasterise([ring], fine).reshape(700, 3, 300, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(share, whole, atol=1e-6)


coordinate = st.floats(-3, 15, allow_nan=False).map(lambda value: round(value, 2))
ring_of = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=12).map(
    lambda points: np.array(points, float)
)


def even_odd(ring, y, x):
    """Say which points a ring surrounds an odd number of times, and which to leave out.

    Shapely has no even-odd rule for rings that run over themselves (a ring drawn twice
    is a valid polygon to `make_valid`), but it is the exclusive or of a fan of triangles.
    """
    inside, unsure = np.zeros(y.shape, bool), np.zeros(y.shape, bool)
    for second, third in pairwise(ring[1:]):
        triangle = Polygon([ring[0], second, third])
        inside ^= contains_xy(triangle, y, x)
        unsure |= contains_xy(triangle.exterior.buffer(1e-6), y, x)
    return inside, unsure


@settings(max_examples=60, deadline=None)
@given(st.lists(ring_of, max_size=3))
@example([np.array([(0.0, 0), (0, 1), (2, 0), (0, 0), (0, 1), (2, 0)])])
def test_masks_are_those_of_an_independent_library(rings):
    """Shapely's point-in-polygon at every px's centre, unless on the very border."""
    # Centres at odd hundredths of a px: points have two decimals, so few lie on lines.
    grid = Grid((0.00517, 0.00291), (1, 1), (12, 10))
    rows, columns = np.indices(grid.shape) + 0.5
    y, x = rows + grid.origin[0], columns + grid.origin[1]
    inside = np.zeros(grid.shape, bool)
    border = np.zeros(grid.shape, bool)
    for ring in rings:
        surrounded, unsure = even_odd(ring, y, x)
        inside |= surrounded
        border |= unsure
    found = rasterise(rings, grid)
    np.testing.assert_array_equal(found[~border], inside[~border])


@pytest.mark.real
@pytest.mark.slow
def test_all_outlines_of_camelyon16(tmp_path):
    """110 slides: parsed, areas as shapely's, rasterised at level 5 in seconds each."""
    from napari_fastnet.annotations.reading import read_annotations

    archive = os.environ.get("NAPARI_FASTNET_OUTLINES")
    if archive is None:
        pytest.skip("no $NAPARI_FASTNET_OUTLINES: tumor_polygons.tar.xz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    paths = sorted(tmp_path.rglob("*.json"))
    assert len(paths) == 110
    skipped = []
    for path in paths:
        annotations = read_annotations(path)
        skipped += annotations.skipped
        _check_areas(annotations)
        raw = json.loads(path.read_bytes())
        count = len(annotations.positive) + len(annotations.negative)
        assert count + len(annotations.skipped) == sum(map(len, raw.values()))
    assert len(skipped) == 1  # Tumor_054 has an outline of two points


def swept_area(ring):
    """Return what a ring encloses by the even-odd rule, px²: strips between crossings.

    No border turns or meets another within a strip, so that each is a trapezoid's side.
    """
    begins, ends = np.asarray(ring), np.roll(ring, -1, axis=0)
    runs = ends - begins
    heights = set(begins[:, 0])
    for at in range(len(ring)):
        gaps, others = begins[at + 1 :] - begins[at], runs[at + 1 :]
        slope = runs[at, 0] * others[:, 1] - runs[at, 1] * others[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            here = (gaps[:, 0] * others[:, 1] - gaps[:, 1] * others[:, 0]) / slope
            there = (gaps[:, 0] * runs[at, 1] - gaps[:, 1] * runs[at, 0]) / slope
        meets = (slope != 0) & (abs(here - 0.5) <= 0.5) & (abs(there - 0.5) <= 0.5)
        heights.update(begins[at, 0] + here[meets] * runs[at, 0])
    area = 0.0
    for low, high in pairwise(sorted(heights)):
        middle = (low + high) / 2
        through = (begins[:, 0] < middle) != (ends[:, 0] < middle)
        parts = (middle - begins[through, 0]) / runs[through, 0]
        places = np.sort(begins[through, 1] + parts * runs[through, 1])
        area += (high - low) * (places[1::2] - places[::2]).sum()
    return area


@pytest.mark.parametrize(
    ("ring", "area"), [(SQUARE, 16), (BOW, 8)], ids=["square", "bow"]
)
def test_the_swept_area_is_right_where_it_is_known(ring, area) -> None:
    assert swept_area(ring) == pytest.approx(area)
    assert ring_area(ring) == pytest.approx(area)


def _check_areas(annotations):
    """Compare ring by ring, and the tumour of the whole slide at level 5."""
    shapes = []
    for ring in annotations.positive + annotations.negative:
        whole = Polygon(ring)
        shapes.append(make_valid(whole))
        if whole.is_valid:
            assert ring_area(ring) == pytest.approx(whole.area)
        else:
            # make_valid takes detours for borders: of six rings as a whole, and of one of
            # our loops (Tumor_004), 90 of 31 million px².
            assert ring_area(ring) == pytest.approx(swept_area(ring), rel=5e-6)
    positive = shapes[: len(annotations.positive)]
    negative = shapes[len(annotations.positive) :]
    expected = unary_union(positive).difference(
        unary_union(negative or [MultiPolygon()])
    )
    box = bounds(annotations.positive)
    grid = Grid((0, 0), (32, 32), (int(box.bottom // 32) + 2, int(box.right // 32) + 2))
    mask = tumor_mask(annotations, grid)
    # Each px on the border is off by half of itself, at random.
    tolerance = 32**2 * (2 + 2 * np.sqrt(expected.length / 32))
    assert mask.sum() * 32**2 == pytest.approx(expected.area, abs=tolerance)
    share = tumor_share(annotations, grid)
    assert share.sum() * 32**2 == pytest.approx(expected.area, abs=tolerance / 4)
