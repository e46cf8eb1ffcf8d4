"""Regions: how cells join, what is measured, and the slide's totals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import (
    Totals,
    find_regions,
    longest_axes,
    size_class,
    summarise,
)
from napari_fastnet.errors import OptionError

PROBABILITIES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9),
    elements=st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0, np.nan]),
)


def make(values, *, origin=(0.0, 0.0), step=(100.0, 100.0), mpp=(1.0, 1.0)):
    values = np.asarray(values, dtype=np.float32)
    return Heatmap(values, Grid(origin, step, values.shape), mpp)


def geometry(region):
    return shapely.MultiPolygon([(rings[0], rings[1:]) for rings in region.polygons])


def test_one_cell_has_its_own_area_diagonal_and_centre():
    heatmap = make([[0, 0], [0, 0.9]], origin=(-10, 0), step=(30, 40), mpp=(1.0, 1.0))
    (region,) = find_regions(heatmap, 0.5)
    assert region.label == 1
    assert region.area_mm2 == pytest.approx(0.0012)
    assert region.longest_axis_mm == pytest.approx(0.05)  # 3, 4, 5
    assert region.max_probability == region.mean_probability == pytest.approx(0.9)
    assert region.centroid == (35, 60)
    assert region.polygons[0][0].tolist() == [[20, 40], [20, 80], [50, 80], [50, 40]]


def test_the_threshold_itself_belongs_to_a_region():
    heatmap = make([[0.7]])
    assert len(find_regions(heatmap, 0.7)) == 1
    assert find_regions(heatmap, np.nextafter(np.float32(0.7), 1)) == []


def test_cells_that_touch_at_a_corner_are_one_region_of_two_parts():
    (region,) = find_regions(make([[1, 0], [0, 1]]), 0.5)
    assert len(region.polygons) == 2
    assert geometry(region).is_valid
    assert region.area_mm2 == pytest.approx(0.02)


def test_cells_with_one_cell_between_them_are_two_regions():
    assert len(find_regions(make([[1, 0, 1]]), 0.5)) == 2


def test_what_was_not_computed_is_no_tumour():
    assert len(find_regions(make([[1, np.nan, 1]]), 0.0)) == 2
    assert find_regions(make([[np.nan, np.nan]]), 0.0) == []


def test_a_hole_stays_a_hole():
    values = np.ones((3, 3))
    values[1, 1] = 0.1
    (region,) = find_regions(make(values), 0.5)
    assert region.area_mm2 == pytest.approx(0.08)
    assert len(region.polygons[0]) == 2
    assert region.mean_probability == 1


def test_regions_come_by_area_then_from_the_top_left():
    values = [[1, 0, 1, 0, 1], [0, 0, 0, 0, 1]]
    regions = find_regions(make(values), 0.5)
    assert [region.label for region in regions] == [1, 2, 3]
    assert [region.centroid for region in regions] == [(100, 450), (50, 50), (50, 250)]


def test_the_longest_axis_of_a_ring_goes_across_it():
    values = np.ones((30, 40))
    values[1:-1, 1:-1] = 0
    (region,) = find_regions(make(values), 0.5)
    assert region.longest_axis_mm == pytest.approx(5)


def test_uneven_pixels_are_measured_in_um():
    (region,) = find_regions(make([[1, 1]], step=(60, 40), mpp=(0.5, 1.0)), 0.5)
    assert region.area_mm2 == pytest.approx(0.0024)
    assert region.longest_axis_mm == pytest.approx(np.hypot(0.03, 0.08))


def test_mean_and_max_are_of_the_regions_own_cells():
    (region,) = find_regions(make([[0.5, 1.0, 0.75, 0.25]]), 0.5)
    assert region.max_probability == 1.0
    assert region.mean_probability == 0.75


@pytest.mark.parametrize(
    ("axis_mm", "name"),
    [(0.2, "ITC"), (0.2001, "micro"), (2.0, "micro"), (2.0001, "macro")],
)
def test_size_classes_include_their_upper_limit(axis_mm, name):
    assert size_class(axis_mm) == name


@pytest.mark.parametrize("threshold", [-0.01, 1.01, np.nan])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    with pytest.raises(OptionError, match="threshold"):
        find_regions(make([[1]]), threshold)


def test_a_heatmap_without_cells_has_no_regions():
    assert find_regions(make(np.empty((0, 0))), 0.5) == []


@settings(deadline=None)
@given(PROBABILITIES, st.sampled_from([0.0, 0.2, 0.6, 1.0]))
def test_regions_are_valid_and_together_have_the_area_of_the_cells(values, threshold):
    heatmap = make(values, origin=(3.7, -1.9), step=(16.002, 31.5), mpp=(0.25, 0.26))
    regions = find_regions(heatmap, threshold)
    cells = int((values >= np.float32(threshold)).sum())
    total = sum(region.area_mm2 for region in regions)
    assert total == pytest.approx(cells * heatmap.cell_area_mm2)
    for region in regions:
        shape = geometry(region)
        assert shapely.is_valid(shape), shapely.is_valid_reason(shape)
        assert shape.area * 0.25 * 0.26 / 1e6 == pytest.approx(region.area_mm2)
        assert shapely.Point(region.centroid).within(shape.convex_hull)
        assert region.mean_probability <= region.max_probability


@settings(deadline=None)
@given(PROBABILITIES)
def test_raising_the_threshold_never_grows_the_tumour(values):
    heatmap = make(values)
    areas = [
        sum(region.area_mm2 for region in find_regions(heatmap, threshold))
        for threshold in np.linspace(0, 1, 11)
    ]
    assert all(low >= high - 1e-12 for low, high in itertools.pairwise(areas))


@settings(deadline=None)
@given(PROBABILITIES)
def test_the_longest_axis_is_the_greatest_distance_of_outline_points(values):
    for region in find_regions(make(values, mpp=(1.0, 2.0)), 0.5):
        points = np.concatenate([rings[0] for rings in region.polygons]) * (1.0, 2.0)
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
        assert region.longest_axis_mm == pytest.approx(gaps.max() / 1000)


def test_a_region_of_many_cells_has_their_area():
    heatmap = make(np.ones((100, 1000)))
    (region,) = find_regions(heatmap, 0.5)
    assert region.area_mm2 == pytest.approx(1_000)


def test_thousands_of_ragged_regions_are_found():
    values = np.random.default_rng(0).random((300, 300))
    regions = find_regions(make(values), 0.9)
    assert len(regions) == len({region.label for region in regions}) > 2_500


def test_totals_of_two_regions():
    values = np.zeros((30, 30))
    values[0, 0], values[5:25, 5:25] = 0.8, 0.9
    totals = summarise(find_regions(make(values), 0.5), tissue_mm2=8.02)
    assert totals == Totals(
        regions=2,
        itc=1,
        macro=1,
        area_mm2=pytest.approx(4.01),
        tissue_mm2=8.02,
        tissue_fraction=pytest.approx(0.5),
        longest_axis_mm=pytest.approx(np.hypot(2, 2)),
        max_probability=pytest.approx(0.9),
    )


@pytest.mark.parametrize("tissue_mm2", [None, 0.0])
def test_totals_without_tissue_or_regions_are_undefined(tissue_mm2):
    totals = summarise([], tissue_mm2)
    assert totals.regions == 0
    assert totals.area_mm2 == 0
    assert totals.tissue_fraction is None
    assert totals.longest_axis_mm is None


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(300, 900), st.floats(0.02, 50))
def test_the_longest_axis_of_many_corners_is_that_of_each_with_each(seed, count, flat):
    angle = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, count))
    ring = np.column_stack((flat * np.sin(angle), np.cos(angle)))
    gaps = np.hypot(*(ring[:, None] - ring[None]).transpose(2, 0, 1))
    ((longest, _),) = longest_axes([((ring,),)], (1000, 1000))
    assert longest == pytest.approx(gaps.max(), rel=1e-9)
