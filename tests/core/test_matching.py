"""Candidates of now and outlines that were judged: the same lesions, or not."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fastnet.core.lesions.matching import owners, shapes_of, shares, tidy


def box(top, left, bottom, right):
    ring = [(top, left), (top, right), (bottom, right), (bottom, left)]
    return ((np.array(ring, float),),)


def strip(left, right):
    """An outline as wide as asked for, so that shares of area are shares of width."""
    return box(0, left, 10, right)


def test_an_outline_belongs_to_itself():
    assert owners([strip(0, 10)], [[strip(0, 10)]]) == [(0,)]


@pytest.mark.parametrize(("left", "right", "expected"), [
    (5, 15, (0,)),  # half of each
    (5.1, 15.1, ()),  # less
    (20, 30, ()),  # elsewhere
    (10, 20, ()),  # touches
    (4, 6, (0,)),  # wholly inside
    (0, 40, (0,)),  # four times as large: a quarter of it was seen
    (0, 40.1, ()),  # larger: most of it was never seen
])  # fmt: skip
def test_half_of_the_smaller_one_and_a_quarter_of_the_candidate(left, right, expected):
    assert owners([strip(left, right)], [[strip(0, 10)]]) == [expected]


def test_the_decision_that_shares_most_has_the_candidate():
    assert owners([strip(8, 20)], [[strip(0, 11)], [strip(11, 40)]]) == [(1,)]


def test_of_equal_decisions_the_last_has_the_candidate():
    # the candidate has less than half of each
    assert owners([strip(8, 12)], [[strip(0, 10)], [strip(10, 20)]]) == [(1,)]


def test_a_candidate_over_several_decisions_belongs_to_all_of_them():
    assert owners([strip(0, 30)], [[strip(0, 10)], [strip(20, 30)]]) == [(0, 1)]


def test_several_candidates_may_belong_to_one_decision():
    found = owners([strip(0, 4), strip(6, 10), strip(50, 60)], [[strip(0, 10)]])
    assert found == [(0,), (0,), ()]


def test_replaced_outlines_count_as_seen():
    small, whole = strip(0, 1), strip(0, 100)
    assert owners([whole], [[small]]) == [()]
    assert owners([whole], [[small, whole]]) == [(0,)]


def test_nothing_matches_nothing():
    assert owners([], [[strip(0, 1)]]) == []
    assert owners([strip(0, 1)], []) == [()]


def test_shares_are_of_each_outline():
    of_now, of_judged = shares(strip(0, 10), [strip(5, 25), strip(90, 99)])
    assert of_now.tolist() == [0.5, 0]
    assert of_judged.tolist() == [0.25, 0]


def test_a_drawn_figure_of_eight_is_two_parts():
    eight = np.array([(0, 0), (10, 10), (10, 0), (0, 10)], float)
    parts = tidy([(eight,)])
    assert len(parts) == 2
    (shape,) = shapes_of([parts])
    assert shape.is_valid
    assert shape.area == 50


def test_a_line_encloses_nothing():
    assert tidy([(np.array([(0, 0), (5, 5), (0, 0)], float),)]) == ()


def test_holes_stay_holes():
    (outer,), (hole,) = box(0, 0, 10, 10)[0], box(2, 2, 4, 4)[0]
    ((exterior, inside),) = tidy([(outer, hole)])
    assert shapely.Polygon(exterior, [inside]).area == 96


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=5),
       st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=5))  # fmt: skip
def test_belonging_is_as_the_rule_says_for_every_pair(now, then):
    found = owners(
        [strip(a, a + n) for a, n in now], [[strip(a, a + n)] for a, n in then]
    )
    for (left, width), chosen in zip(now, found, strict=True):
        shared = [max(0, min(left + width, a + n) - max(left, a)) for a, n in then]
        fits = [i for i, (_, n) in enumerate(then) if 2 * shared[i] >= min(width, n)]
        inside = [i for i in fits if 2 * shared[i] >= then[i][1]]
        best = [i for i in fits if shared[i] == max(shared[j] for j in fits)][-1:]
        expected = inside if len(inside) > 1 else best
        places = [range(then[i][0], sum(then[i])) for i in expected]
        if (
            4
            * len({x for x in range(left, left + width) if any(x in p for p in places)})
            < width
        ):
            expected = []
        assert list(chosen) == expected
