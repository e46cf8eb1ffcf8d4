"""Outlines as regions: measured on the heatmap, one where they touch."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import (
    find_regions,
    regions_of_outlines,
    summarise,
)
from napari_fastnet.core.polygons import Annotations, joined

GRID = Grid((-8.0, 4.0), (64.0, 32.0), (20, 30))
MPP = (0.25, 0.5)
SLIDE = Box(0, 0, 1200, 900)


def heatmap_of(values):
    values = np.asarray(values, np.float32)
    return Heatmap(values, Grid(GRID.origin, GRID.step, values.shape), MPP)


@pytest.fixture
def heatmap():
    values = np.random.default_rng(0).random(GRID.shape, np.float32)
    values[:, 20:] = np.nan
    return heatmap_of(values)


def square(top, left, bottom, right):
    return np.array([(top, left), (top, right), (bottom, right), (bottom, left)], float)


def regions(heatmap, *positive, negative=(), slide=SLIDE):
    return regions_of_outlines(Annotations(positive, negative), heatmap, slide)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.5, 0.7]))
def test_outlines_of_regions_are_the_same_regions(seed, threshold):
    heatmap = heatmap_of(np.random.default_rng(seed).random((9, 12), np.float32))
    before = find_regions(heatmap, threshold)
    rings = [joined(polygon) for region in before for polygon in region.polygons]
    after = regions(heatmap, *rings, slide=heatmap.grid.box)

    def measures(found):
        return sorted(astuple(region)[1:6] for region in found)

    assert len(after) == len(before)
    for new, old in zip(measures(after), measures(before), strict=True):
        assert new[:4] == pytest.approx(old[:4], rel=1e-9)
        assert new[4] == pytest.approx(old[4], rel=1e-9)


def test_a_rectangle_is_measured_where_it_lies(heatmap):
    (region,) = regions(heatmap, square(120, 36, 248, 132))  # rows 2, 3, columns 1..3
    assert region.area_mm2 == pytest.approx(128 * 0.25 * 96 * 0.5 / 1e6)
    assert region.longest_axis_mm == pytest.approx(np.hypot(32, 48) / 1000)
    assert region.centroid == pytest.approx((184, 84))
    cells = heatmap.probabilities[2:4, 1:4].astype(float)
    assert region.max_probability == cells.max()
    assert region.mean_probability == pytest.approx(cells.mean())


def test_overlapping_and_touching_outlines_are_one_region(heatmap):
    found = regions(
        heatmap,
        square(0, 0, 100, 100),
        square(50, 50, 150, 150),
        square(150, 150, 200, 200),  # at a corner
        square(300, 300, 310, 310),
    )
    assert [len(region.polygons) for region in found] == [2, 1]
    assert [region.label for region in found] == [1, 2]
    px = (2 * 100 * 100 - 50 * 50) + 50 * 50
    assert found[0].area_mm2 == pytest.approx(px * 0.125e-6)


def test_negative_outlines_and_the_slides_edge_are_cut_off(heatmap):
    (region,) = regions(
        heatmap, square(-100, 0, 100, 100), negative=(square(20, 20, 40, 40),)
    )
    assert region.area_mm2 == pytest.approx((100 * 100 - 20 * 20) * 0.125e-6)
    ((exterior, hole),) = region.polygons
    assert exterior.min() == 0
    assert sorted(map(tuple, hole)) == [(20, 20), (20, 40), (40, 20), (40, 40)]


def test_an_outline_between_the_centres_of_cells_has_the_cells_value(heatmap):
    (region,) = regions(heatmap, square(122, 38, 124, 40))
    assert region.mean_probability == heatmap.probabilities[2, 1]


def test_what_was_not_computed_is_not_known(heatmap):
    found = regions(heatmap, square(100, 700, 300, 800))
    assert np.isnan(found[0].max_probability)
    assert np.isnan(found[0].mean_probability)
    assert summarise(found).max_probability is None


def test_a_ring_that_crosses_itself_encloses_what_even_odd_says(heatmap):
    bow_tie = np.array([(0, 0), (100, 100), (100, 0), (0, 100)], float)
    (region,) = regions(heatmap, bow_tie)
    assert region.area_mm2 == pytest.approx(100 * 100 / 2 * 0.125e-6)


@pytest.mark.parametrize("rings", [(), (square(-9, -9, -1, -1),)])
def test_nothing_on_the_slide_is_no_region(heatmap, rings):
    assert regions(heatmap, *rings) == []


@pytest.mark.parametrize("turned", [1, -1])
def test_an_outline_of_many_vertices_has_its_area(turned):
    angle = np.linspace(0, 2 * np.pi, 50_000, endpoint=False)[::turned]
    ellipse = np.column_stack((3000 * np.sin(angle), 1000 * np.cos(angle))) + 4000
    heatmap = Heatmap(
        np.full((80, 80), 0.7, np.float32), Grid((0, 0), (100, 100), (80, 80)), (1, 1)
    )
    (region,) = regions_of_outlines(
        Annotations((ellipse,), ()), heatmap, Box(0, 0, 8000, 8000)
    )
    assert region.longest_axis_mm == pytest.approx(6, rel=1e-8)
    assert region.area_mm2 == pytest.approx(3 * np.pi, rel=1e-6)
