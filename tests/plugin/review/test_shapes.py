"""Outlines that are drawn, joined and cut by hand: areas known by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_fastnet.core.lesions.regions import Region
from napari_fastnet.plugin.review import shapes

MPP = (0.5, 0.25)


def square(top, left, side=10.0):
    return np.array(
        [(top, left), (top, left + side), (top + side, left + side), (top + side, left)]
    )


def region(*polygons):
    return Region(
        label=1,
        area_mm2=1.0,
        longest_axis_mm=1.0,
        max_probability=1.0,
        mean_probability=1.0,
        centroid=(0.0, 0.0),
        polygons=polygons,
    )


def areas(outlines):
    return sorted(shapely.Polygon(polygon[0], polygon[1:]).area for polygon in outlines)


def test_a_drawn_square_is_its_area_in_px() -> None:
    (polygon,) = shapes.drawn_polygons([square(0, 0, 10.0)], MPP)
    assert areas([polygon]) == [10 / 0.5 * 10 / 0.25]


def test_a_shape_inside_of_another_is_a_hole() -> None:
    (polygon,) = shapes.drawn_polygons([square(0, 0), square(4, 4, 2.0)], (1, 1))
    assert len(polygon) == 2
    assert areas([polygon]) == [96]


def test_a_line_encloses_nothing() -> None:
    assert shapes.drawn_polygons([np.array([(0, 0), (5, 5)])], MPP) == ()


def test_joined_squares_that_overlap_are_one_polygon() -> None:
    (polygon,) = shapes.joined_polygons(
        [region((square(0, 0),)), region((square(0, 5),))]
    )
    assert areas([polygon]) == [150]


def test_joined_squares_apart_stay_two_polygons_of_one_lesion() -> None:
    polygons = shapes.joined_polygons(
        [region((square(0, 0),)), region((square(0, 50),))]
    )
    assert areas(polygons) == [100, 100]


def test_a_line_across_cuts_in_two() -> None:
    line = np.array([(4.0, -5.0), (4.0, 15.0)])  # µm: 1 a px
    one, other = shapes.cut_polygons(region((square(0, 0),)), line, (1, 1))
    assert sorted(areas(one) + areas(other)) == [40, 60]


@pytest.mark.parametrize(
    "line", [[(4.0, 2.0), (4.0, 15.0)], [(40.0, 0.0), (40.0, 9.0)]]
)
def test_a_line_that_does_not_cross_cuts_nothing(line) -> None:
    assert len(shapes.cut_polygons(region((square(0, 0),)), np.array(line), (1, 1))) < 2


def test_parts_beside_the_line_go_with_the_nearest_piece() -> None:
    both = region((square(0, 0),), (square(12, 0),))
    line = np.array([(4.0, -5.0), (4.0, 15.0)])
    pieces = shapes.cut_polygons(both, line, (1, 1))
    assert sorted(areas(piece) for piece in pieces) == [[40], [60, 100]]


def test_a_cut_hole_belongs_to_neither_piece() -> None:
    ring = region((square(0, 0), square(4, 4, 2.0)))
    pieces = shapes.cut_polygons(ring, np.array([(5.0, -1.0), (5.0, 11.0)]), (1, 1))
    assert [areas(piece) for piece in pieces] == [[48], [48]]


def test_unchanged_rings_are_told_from_moved_ones() -> None:
    before = [square(0, 0)]
    assert shapes.same_rings(before, [square(0, 0)])
    assert not shapes.same_rings(before, [square(0, 1)])
    assert not shapes.same_rings(before, [])


def test_stairs_of_cells_become_lines_to_drag() -> None:
    steps = [(0.0, 0.0)]
    for index in range(8):
        steps += [(index, index + 1.0), (index + 1.0, index + 1.0)]
    stairs = region((np.array([*steps, (8.0, 0.0)]),))
    (ring,) = shapes.rings_of(stairs, (2.0, 2.0), (1.0, 1.0))
    assert len(ring) <= 5
    assert shapely.Polygon(ring).area / 4 == pytest.approx(36, rel=0.15)


def test_a_square_is_dragged_as_it_is() -> None:
    (ring,) = shapes.rings_of(region((square(0, 0),)), (1.0, 1.0), (1.0, 1.0))
    assert {tuple(point) for point in ring} == {tuple(point) for point in square(0, 0)}
