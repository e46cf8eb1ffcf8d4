"""The fit of a model's evidence, its thresholds, and the curve of alarms."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import log

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.evidence import evidence_of, find_candidates
from napari_fastnet.core.metrics.lesion_scale import (
    FALSE_PER_10_MM2,
    MARGIN,
    MOST_POINTS,
    STRENGTH,
    KnownSlide,
    alarm_curve,
    fit_scale,
    point_at,
)
from napari_fastnet.core.options import CurvePoint, EvidenceScale, LesionRule


def slide(right=(), false=(), *, missed_mm=(), mm=None, normal_mm2=10.0):
    """Return a slide where each right candidate covers a lesion of its own."""
    sizes = [*(mm or [0.5] * len(right)), *missed_mm]
    covers = np.zeros((len(right) + len(false), len(sizes)), bool)
    covers[np.arange(len(right)), np.arange(len(right))] = True
    strengths = np.array([*right, *false], np.float64)
    return KnownSlide(strengths, covers, np.array(sizes, np.float64), normal_mm2)


# ---- candidates against the truth


def lesion(top, left, bottom, right):
    return shapely.box(top, left, bottom, right)  # x is y


def heatmap_with(*boxes):
    values = np.full((40, 60), 0.01, np.float32)
    for top, left, bottom, right in boxes:
        values[top:bottom, left:right] = 0.9
    return Heatmap(values, Grid((0.0, 0.0), (10.0, 10.0), (40, 60)), (1.55, 1.55))


def found(heatmap, scale=STRENGTH):
    return find_candidates(heatmap, LesionRule(0.5, scale.balanced, scale))


def test_a_candidate_is_right_if_it_covers_a_part_of_a_lesion():
    heatmap = heatmap_with((5, 5, 15, 15), (20, 40, 26, 46), (30, 10, 34, 14))
    candidates = found(heatmap)
    lesions = [
        lesion(90, 100, 120, 130),  # a corner lies in the first
        lesion(145, 145, 300, 200),  # another
        lesion(260, 400, 300, 460),  # touches the second along an edge
        lesion(390, 0, 400, 10),  # far from all
    ]
    known = KnownSlide.of(candidates, lesions, 3.5, (1.55, 1.55))
    assert known.strengths.tolist() == [one.evidence for one in candidates]
    assert known.covers.tolist() == [[True, True, False, False]] + 2 * [[False] * 4]
    assert known.right.tolist() == [True, False, False]
    assert known.normal_mm2 == 3.5
    assert known.lesions_mm[0] == pytest.approx(np.hypot(30, 30) * 1.55e-3)


def test_a_lesion_is_measured_in_mm_whatever_the_px():
    known = KnownSlide.of([], [lesion(0, 0, 300, 200)], 1.0, (1.0, 2.0))
    assert known.lesions_mm.tolist() == pytest.approx([0.5])  # 0.3 by 0.4
    assert known.covers.shape == (0, 1)
    assert known.right.shape == (0,)


def test_a_slide_without_lesions_has_false_candidates_only():
    known = KnownSlide.of(found(heatmap_with((5, 5, 9, 9))), [], 1.0, (1.0, 1.0))
    assert known.covers.shape == (1, 0)
    assert known.right.tolist() == [False]


@pytest.mark.parametrize("certain", [-9.0, 0.6, 1.0, 9.0])
def test_evidence_is_as_the_candidates_have_it(certain):
    heatmap = heatmap_with((5, 5, 15, 15), (20, 40, 26, 46), (30, 10, 34, 14))
    scale = EvidenceScale(
        scale=2, offset=-1, beside=0.5, certain=certain, fewer=9, balanced=0, more=-99
    )
    known = KnownSlide.of(found(heatmap), [], 1.0, (1.0, 1.0))
    assert sorted(evidence_of(known.strengths, scale), reverse=True) == pytest.approx(
        [one.evidence for one in found(heatmap, scale)]
    )


# ---- the fit


def test_the_fit_finds_the_odds_of_two_strengths():
    """Of strength 1 one of ten is right, of strength 3 nine of ten."""
    known = slide([1.0] * 100 + [3.0] * 900, [1.0] * 900 + [3.0] * 100)
    scale = fit_scale([known])
    assert scale.scale == pytest.approx(log(9), rel=1e-3)
    assert scale.offset == pytest.approx(-2 * log(9), rel=1e-3)
    assert scale.beside == 0
    assert scale.certain == 3 + MARGIN


def test_the_fit_finds_the_numbers_that_answers_were_drawn_with():
    generator = np.random.default_rng(0)
    strengths = generator.uniform(-1, 4, 20_000)
    right = generator.random(20_000) < 1 / (1 + np.exp(-(1.5 * strengths - 2.5)))
    scale = fit_scale([slide(strengths[right], strengths[~right])])
    assert scale.scale == pytest.approx(1.5, abs=0.06)
    assert scale.offset == pytest.approx(-2.5, abs=0.1)


def test_the_fit_finds_how_much_more_likely_one_is_beside_a_certain_one():
    """Of strength 1, one of ten is right alone, and half beside a lesion of strength 9."""
    alone = slide([1.0] * 100 + [3.0] * 900, [1.0] * 900 + [3.0] * 100)
    beside = slide([9.0] + [1.0] * 500, [1.0] * 500)
    scale = fit_scale([alone, beside])
    assert scale.certain == 3.5
    assert scale.beside == pytest.approx(log(9), rel=5e-3)
    assert scale.scale == pytest.approx(log(9), rel=5e-3)


def test_lesions_do_not_speak_against_their_neighbours():
    alone = slide([1.0] * 500 + [3.0] * 900, [1.0] * 500 + [3.0] * 100)
    beside = slide([9.0] + [1.0] * 100, [1.0] * 900)
    assert fit_scale([alone, beside]).beside == 0


@pytest.mark.parametrize(
    ("right", "false"),
    [
        ([], [1.0, 2.0]),
        ([1.0, 2.0], []),
        ([], []),
        ([1.0, 1.5, 2.0], [3.0, 3.5, 4.0]),  # the wrong way round
    ],
)
def test_there_is_no_scale_where_right_and_false_cannot_be_told_apart(right, false):
    assert fit_scale([slide(right, false), slide()]) is None


def test_the_fit_stays_finite_where_strength_tells_all_apart():
    scale = fit_scale([slide([5.0, 6.0], [1.0, 2.0]), slide([7.0], [0.5])])
    assert np.isfinite([scale.scale, scale.offset, scale.beside]).all()
    assert scale.scale > 0


# ---- the thresholds


def test_thresholds_let_so_many_false_ones_through():
    """20 mm² may have 1, 3 and 30 false lesions: 0.5, 1.5 and 15 in 10 mm²."""
    false = np.linspace(2, -2, 50)
    slides = [
        slide([4.0, 4.5, 3.0], false[::2], normal_mm2=12.0),
        slide([], false[1::2], normal_mm2=8.0),
    ]
    scale = fit_scale(slides)
    wrong = np.sort(
        np.concatenate(
            [evidence_of(one.strengths, scale)[~one.right] for one in slides]
        )
    )[::-1]
    for name, allowed in (("fewer", 1), ("balanced", 3), ("more", 30)):
        threshold = scale.of(name)
        assert (wrong >= threshold).sum() == allowed
        assert 0 < threshold - wrong[allowed] <= 0.02 + 1e-9
        rate = point_at(slides, scale, threshold).false_per_10_mm2
        assert rate == FALSE_PER_10_MM2[name]


def test_with_few_false_ones_the_thresholds_lie_above_the_weakest():
    scale = fit_scale([slide([4.0, 5.0], [0.0, 1.0, 2.0], normal_mm2=1000.0)])
    weakest = scale.scale * 0.0 + scale.offset
    assert scale.fewer == scale.balanced == scale.more
    assert 0 < scale.more - weakest <= 0.02 + 1e-9


# ---- the curve

AS_IT_IS = EvidenceScale(
    scale=1, offset=0, beside=0, certain=1e6, fewer=3, balanced=2, more=0
)
HAND = [
    slide([5.0, 2.5, 1.0], [3.5], mm=[0.5, 0.25, 0.1], missed_mm=[0.15]),
    slide([0.5], [2.0, 0.2], mm=[0.3], normal_mm2=30.0),
    slide([], [-1.0], normal_mm2=10.0),
]


@pytest.mark.parametrize(
    ("threshold", "false", "sensitivity", "small", "medium", "large"),
    [
        (9.0, 0, 0.0, 0.0, 0.0, 0.0),
        (5.0, 0, 1 / 5, 0.0, 0.0, 1 / 2),
        (3.0, 1, 1 / 5, 0.0, 0.0, 1 / 2),
        (2.0, 2, 2 / 5, 0.0, 1.0, 1 / 2),
        (0.5, 2, 4 / 5, 1 / 2, 1.0, 1.0),
        (-2.0, 4, 4 / 5, 1 / 2, 1.0, 1.0),
    ],
)
def test_a_point_of_the_curve_by_hand(
    threshold, false, sensitivity, small, medium, large
):
    """50 mm² of normal tissue; sizes of 0.2 and 0.3 mm belong to the larger."""
    assert point_at(HAND, AS_IT_IS, threshold) == CurvePoint(
        lesion_threshold=threshold,
        false_per_10_mm2=false / 5,
        sensitivity=sensitivity,
        below_02_mm=small,
        from_02_mm=medium,
        from_03_mm=large,
    )


def test_a_lesion_covered_twice_is_found_once_and_two_at_once_are_two():
    covers = np.array([[True, True, False], [True, False, False]])
    known = KnownSlide(np.array([2.0, 1.0]), covers, np.array([1.0, 1.0, 1.0]), 10.0)
    assert point_at([known], AS_IT_IS, 0.0).sensitivity == pytest.approx(
        2 / 3, abs=1e-4
    )
    assert point_at([known], AS_IT_IS, 0.0).false_per_10_mm2 == 0


def test_without_lesions_there_is_no_share_of_them():
    point = point_at([slide([], [1.0])], AS_IT_IS, 0.0)
    assert (point.false_per_10_mm2, point.sensitivity) == (1.0, 0.0)
    assert (point.below_02_mm, point.from_02_mm, point.from_03_mm) == (None,) * 3


def test_the_curve_goes_from_the_highest_threshold_to_find_more():
    scale = replace(AS_IT_IS, fewer=2.2, balanced=1.7, more=0.1)
    curve = alarm_curve(HAND, scale)
    thresholds = [point.lesion_threshold for point in curve]
    assert thresholds == sorted(set(thresholds), reverse=True)
    assert {2.2, 1.7, 0.1} <= set(thresholds)
    assert (thresholds[0], thresholds[-1]) == (11.6, 0.1)
    assert len(curve) == MOST_POINTS + 2
    assert curve[-1] == point_at(HAND, scale, 0.1)


@pytest.mark.parametrize(
    ("threshold", "nearest"),
    [(99.0, 5.0), (5.0, 5.0), (4.9, 3.0), (3.0, 3.0), (1.0, 1.0)],
)
def test_the_curve_is_read_at_the_nearest_threshold_below(threshold, nearest):
    curve = tuple(point_at(HAND, AS_IT_IS, each) for each in (5.0, 3.0, 1.0))
    scale = replace(AS_IT_IS, curve=curve)
    assert scale.at(threshold).lesion_threshold == nearest
    assert scale.at(0.99) is None
    assert AS_IT_IS.at(threshold) is None


KNOWN = st.builds(
    slide,
    st.lists(st.floats(-3, 9), max_size=6),
    st.lists(st.floats(-3, 9), max_size=6),
    missed_mm=st.lists(st.sampled_from([0.1, 0.2, 0.25, 0.3, 2.0]), max_size=3),
    normal_mm2=st.floats(0.5, 50),
)


@settings(max_examples=50)
@given(st.lists(KNOWN, min_size=1, max_size=5), st.floats(1, 9), st.floats(0, 2))
def test_at_lower_thresholds_more_is_found_and_more_is_false(slides, certain, beside):
    scale = replace(AS_IT_IS, certain=certain, beside=beside)
    for high, low in pairwise(alarm_curve(slides, scale)):
        assert high.lesion_threshold > low.lesion_threshold
        assert high.false_per_10_mm2 <= low.false_per_10_mm2
        assert high.sensitivity <= low.sensitivity


@settings(max_examples=50)
@given(st.lists(KNOWN, min_size=1, max_size=5))
def test_the_named_thresholds_keep_their_rates_where_they_were_chosen(slides):
    scale = fit_scale(slides)
    if scale is None:
        return
    assert scale.fewer >= scale.balanced >= scale.more
    for name, rate in FALSE_PER_10_MM2.items():
        assert point_at(slides, scale, scale.of(name)).false_per_10_mm2 <= rate
