"""The free-response curve: cases done by hand, and the protocol done plainly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label, regionprops

from napari_fastnet.core.metrics.candidates import Candidates
from napari_fastnet.core.metrics.froc import (
    RATES,
    SlideHits,
    froc_curve,
    froc_interval,
    match_candidates,
)
from napari_fastnet.core.metrics.lesions import find_lesions
from napari_fastnet.core.metrics.truth import TruthMask
from napari_fastnet.errors import DataError

STEP = 32
# Px so large that the truth does not grow and two px in a row are 275 µm: one px alone
# is isolated tumour cells, two are a lesion.
LARGE_UM = 137.5


def slide(truth, hits, pixel_um=LARGE_UM):
    """Return what candidates hit.

    ``truth`` is a map of ``#``; ``hits`` one of digits, tenths of a score, several maps
    where several candidates lie in one px.
    """
    lines = truth.split()
    inside = np.array([[c == "#" for c in line] for line in lines])
    mask = TruthMask(inside, (STEP, STEP), inside.shape)
    found = []
    for text in [hits] if isinstance(hits, str) else hits:
        for row, line in enumerate(text.split()):
            for column, c in enumerate(line):
                if c != ".":
                    found.append((int(c) / 10, row, column))
    table = np.array(found, float).reshape(-1, 3)
    points = (table[:, 1:] + 0.5) * STEP
    lesions = find_lesions(mask, pixel_um=pixel_um)
    return match_candidates(Candidates(table[:, 0], points), lesions)


def normal(*tenths):
    scores = np.array(tenths, float) / 10
    return match_candidates(Candidates(scores, np.full((len(scores), 2), 100.0)), None)


def points_of(curve):
    return list(
        zip(
            np.rint(curve.thresholds[1:] * 10).astype(int).tolist(),
            curve.false_positives[1:].tolist(),
            curve.sensitivity[1:].tolist(),
            strict=True,
        )
    )


def test_a_lesion_s_score_is_its_highest_hit_and_others_outside_are_false():
    hits = slide(
        """
        .##......
        .##...##.
        .........
        """,
        """
        .38......
        ..4......
        5.......2
        """,
    )
    assert hits.lesion_scores.tolist() == [0.8, 0.0]
    assert sorted(hits.false_positives.tolist()) == [0.2, 0.5]
    first, second = hits.found
    assert (first.hits, first.score, first.point) == (3, 0.8, (16.0, 80.0))
    assert (second.hits, second.score, second.point) == (0, 0.0, None)


def test_a_hit_on_isolated_cells_counts_neither_way():
    hits = slide(
        """
        ##...#
        """,
        """
        .3.7.9
        """,
    )
    assert [found.lesion.is_itc for found in hits.found] == [False, True]
    assert hits.found[1].hits == 1
    assert hits.lesion_scores.tolist() == [0.3]
    assert hits.false_positives.tolist() == [0.7]
    curve = froc_curve([hits])
    assert curve.lesions == 1
    assert points_of(curve) == [(7, 1, 0), (3, 1, 1)]


def test_on_normal_slides_every_candidate_is_false():
    hits = normal(9, 2, 9)
    assert hits.false_positives.tolist() == [0.9, 0.2, 0.9]
    assert hits.lesion_scores.tolist() == []
    empty = slide("...", "9..")
    assert empty.false_positives.tolist() == [0.9]


def test_a_curve_done_by_hand():
    # Two slides, three lesions, of which one is missed.
    tumour = slide(
        """
        ##......##
        ..........
        ....##....
        """,
        """
        9...4..6..
        ..........
        ..........
        """,
    )
    curve = froc_curve([tumour, normal(8, 5, 2)])
    # false positives: .8 .6 .5 .4 .2 over two slides; lesions: .9 found, two missed
    assert points_of(curve) == [
        (9, 0.0, 1 / 3),
        (8, 0.5, 1 / 3),
        (6, 1.0, 1 / 3),
        (5, 1.5, 1 / 3),
        (4, 2.0, 1 / 3),
        (2, 2.5, 1 / 3),
    ]
    assert curve.sensitivity_at() == pytest.approx([1 / 3] * 6)
    assert curve.score == pytest.approx(1 / 3)


def test_between_two_points_the_curve_is_a_straight_line():
    # One slide: a lesion at .9, then a false positive, then the other lesion.
    tumour = slide("##..##", "9.5.3.")
    curve = froc_curve([tumour])
    assert points_of(curve) == [(9, 0, 0.5), (5, 1, 0.5), (3, 1, 1.0)]
    assert curve.sensitivity_at([0, 0.25, 0.5, 0.999]) == pytest.approx([0.5] * 4)
    # at one false positive the highest point counts
    assert curve.sensitivity_at([1, 2, 8]) == [1, 1, 1]
    assert curve.score == pytest.approx((0.5 + 0.5 + 1 + 1 + 1 + 1) / 6)


def test_equal_scores_enter_together():
    # The lesion and two false positives at .5: one point, and a line up to it.
    tumour = slide("##....", "5.5.5.")
    curve = froc_curve([tumour])
    assert points_of(curve) == [(5, 2, 1.0)]
    assert curve.sensitivity_at() == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1, 1, 1])


def test_a_perfect_result_has_a_froc_of_1():
    curve = froc_curve([slide("##", "9."), normal()])
    assert points_of(curve) == [(9, 0, 1)]
    assert curve.score == 1


def test_after_its_end_the_curve_stays_as_high_as_it_came():
    curve = froc_curve([slide("##.##", "9.7..")])
    assert curve.sensitivity_at([8, 1000]) == [0.5, 0.5]


def test_no_candidates_find_nothing():
    curve = froc_curve([slide("##", "..")])
    assert (curve.thresholds.tolist(), curve.false_positives.tolist()) == (
        [np.inf],
        [0],
    )
    assert curve.score == 0
    assert curve.lesions == 1


def test_without_lesions_the_sensitivity_is_undefined():
    curve = froc_curve([normal(9, 2), slide(".#.", "..9")])
    assert curve.lesions == 0
    assert curve.score is None
    assert curve.sensitivity_at() == [None] * 6
    assert curve.false_positives.tolist() == [0, 1, 1.5]
    assert np.isnan(curve.sensitivity).all()


def test_no_slides_are_refused():
    with pytest.raises(DataError, match="no slides"):
        froc_curve([])


def test_of_equal_hits_the_first_is_the_point():
    hits = slide("##", "77")
    assert hits.found[0].point == (16.0, 16.0)
    assert hits.found[0].hits == 2


def test_the_interval_holds_the_score_and_repeats():
    slides = [slide("##.##", "9.7.."), slide("##.##", "..8.2"), normal(5), normal()]
    low, high = froc_interval(slides, resamples=200, seed=1)
    score = froc_curve(slides).score
    assert low <= score <= high
    assert low < high
    assert froc_interval(slides, resamples=200, seed=1) == (low, high)
    assert froc_interval(slides, resamples=0) is None
    assert froc_interval([normal(5)]) is None


def test_slides_that_are_all_alike_leave_no_doubt():
    slides = [slide("##.##", "9.7..")] * 3 + [normal(8)] * 2
    low, high = froc_interval(slides, resamples=50)
    assert low == pytest.approx(froc_curve(slides).score)
    assert high == pytest.approx(low)


SCORES = st.lists(st.integers(1, 20).map(lambda n: n / 20), max_size=8)


@st.composite
def hits_of_slides(draw):
    """Return a few slides' hits, with ties, missed lesions and normal slides."""
    slides = []
    for _ in range(draw(st.integers(1, 5))):
        lesions = draw(st.lists(st.integers(0, 20), max_size=4))
        truth = ".".join("##" for _ in lesions) or "."
        marks = slide(truth, "." * len(truth))
        found = tuple(
            type(f)(f.lesion, int(n > 0), n / 20)
            for f, n in zip(marks.found, lesions, strict=True)
        )
        slides.append(SlideHits(found, np.array(draw(SCORES), float)))
    return slides


@settings(deadline=None)
@given(hits_of_slides(), st.integers(0, 4), st.integers(1, 20))
def test_one_more_false_positive_never_raises_the_sensitivity(slides, where, score):
    before = froc_curve(slides)
    where %= len(slides)
    more = np.append(slides[where].false_positives, score / 20)
    slides[where] = SlideHits(slides[where].found, more)
    after = froc_curve(slides)
    rates = [0, 0.1, *RATES, 20]
    if before.lesions:
        for low, high in zip(
            after.sensitivity_at(rates), before.sensitivity_at(rates), strict=True
        ):
            assert low <= high + 1e-12


@settings(deadline=None)
@given(hits_of_slides(), st.randoms(use_true_random=False))
def test_the_order_of_slides_changes_nothing(slides, random):
    before = froc_curve(slides)
    random.shuffle(slides)
    after = froc_curve(slides)
    assert np.array_equal(before.thresholds, after.thresholds)
    assert np.array_equal(before.false_positives, after.false_positives)
    assert np.array_equal(before.sensitivity, after.sensitivity, equal_nan=True)


@settings(deadline=None)
@given(hits_of_slides())
def test_points_count_what_reaches_their_threshold(slides):
    curve = froc_curve(slides)
    lesions = [s for hits in slides for s in hits.lesion_scores]
    wrong = [s for hits in slides for s in hits.false_positives]
    scores = sorted({s for s in lesions + wrong if s > 0}, reverse=True)
    assert curve.thresholds.tolist() == [np.inf, *scores]
    for t, x, y in zip(
        curve.thresholds, curve.false_positives, curve.sensitivity, strict=True
    ):
        assert x == sum(s >= t for s in wrong) / len(slides)
        if lesions:
            assert y == sum(s >= t for s in lesions) / len(lesions)


def steps_above_the_lowest(slides):
    """Return the curve as CAMELYON16's published steps have it, as (x, y).

    They begin at the second lowest score. Lesions that were missed, and isolated tumour
    cells always, are among the scores, with 0.
    """
    wrong = [s for hits in slides for s in hits.false_positives]
    right = [f.score * (not f.lesion.is_itc) for hits in slides for f in hits.found]
    lesions = sum(len(hits.lesion_scores) for hits in slides)
    steps = sorted({*wrong, *right})[:0:-1]
    return [(0.0, 0.0)] + [
        (
            sum(s >= step for s in wrong) / len(slides),
            sum(s >= step for s in right) / lesions,
        )
        for step in steps
    ]


@settings(deadline=None)
@given(hits_of_slides(), st.booleans())
def test_the_published_steps_differ_only_where_nothing_is_missed_or_isolated(
    slides, with_isolated
):
    if with_isolated:
        slides.append(slide("#.##", "9.9."))
    curve = froc_curve(slides)
    if not curve.lesions:
        return
    points = list(zip(curve.false_positives, curve.sensitivity, strict=True))
    scores = [f.score for hits in slides for f in hits.found]
    if with_isolated or 0 in scores:
        assert points == steps_above_the_lowest(slides)
    else:
        assert points[:-1] == steps_above_the_lowest(slides)


@settings(deadline=None)
@given(hits_of_slides(), st.integers(0, 100))
def test_draws_of_equal_slides_are_the_curve_itself(slides, seed):
    twice = slides[:1] * 2
    score = froc_curve(twice).score
    interval = froc_interval(twice, resamples=3, seed=seed)
    if score in (0, 1):  # never proved by two slides
        assert interval[0] <= score <= interval[1]
        assert interval[1] - interval[0] == pytest.approx(
            1.96**2 / (2 + 1.96**2), abs=1e-4
        )
    else:
        assert interval == (None if score is None else pytest.approx((score, score)))
    assert froc_interval(slides[:1], resamples=3) is None


def plain_froc(slides, pixel_um):
    """Return the sensitivities by the protocol's words, slowly.

    ``slides`` are (truth, rows, columns, scores), all in px of the mask.
    """
    wrong, right, lesions = [], [], 0
    for mask, rows, columns, scores in slides:
        grown = np.zeros(mask.shape, bool)
        if mask.any():
            grown = ndimage.distance_transform_edt(~mask) < 37.5 / pixel_um
        labels = label(ndimage.binary_fill_holes(grown), connectivity=2)
        isolated = [
            region.label
            for region in regionprops(labels)
            if region.axis_major_length < 275 / pixel_um
        ]
        best = {n: 0 for n in range(1, labels.max() + 1) if n not in isolated}
        for row, column, score in zip(rows, columns, scores, strict=True):
            hit = labels[row, column]
            if hit == 0:
                wrong.append(score)
            elif hit not in isolated:
                best[hit] = max(best[hit], score)
        right += best.values()
        lesions += len(best)
    if not lesions:
        return None
    curve = [(0.0, 0.0)]
    for threshold in sorted({s for s in wrong + right if s > 0}, reverse=True):
        curve.append(
            (
                sum(s >= threshold for s in wrong) / len(slides),
                sum(s >= threshold for s in right) / lesions,
            )
        )
    found = []
    for rate in RATES:
        last = max(i for i, point in enumerate(curve) if point[0] <= rate)
        x0, y0 = curve[last]
        if last + 1 < len(curve):
            x1, y1 = curve[last + 1]
            y0 += (rate - x0) / (x1 - x0) * (y1 - y0)
        found.append(y0)
    return found


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_curve_is_that_of_the_protocol_done_plainly(seed):
    rng = np.random.default_rng(seed)
    # Of 7.5, 12.5 and 37.5 some px are exactly 37.5 µm away.
    pixel_um = float(rng.choice([7.776, 7.5, 12.5, 15.0, 37.5]))
    slides, fast = [], []
    for _ in range(rng.integers(1, 5)):
        shape = (60, 80)
        mask = np.zeros(shape, bool)
        for _ in range(rng.integers(0, 5)):
            y, x = rng.integers(0, shape)
            height, width = rng.integers(1, 25, 2)
            mask[y : y + height, x : x + width] = True
            mask[y + height // 3 : y + height // 2, x + width // 3 : x + width // 2] = 0
        count = rng.integers(0, 25)
        rows, columns = (rng.integers(0, n, count) for n in shape)
        scores = rng.integers(1, 12, count) / 12
        slides.append((mask, rows, columns, scores))
        points = np.column_stack((rows, columns)) * STEP + rng.integers(0, STEP)
        lesions = find_lesions(TruthMask(mask, (STEP, STEP), shape), pixel_um=pixel_um)
        fast.append(match_candidates(Candidates(scores, points.astype(float)), lesions))
    expected = plain_froc(slides, pixel_um)
    if expected is None:
        assert froc_curve(fast).score is None
    else:
        assert froc_curve(fast).sensitivity_at() == pytest.approx(expected, abs=1e-12)
        assert froc_curve(fast).score == pytest.approx(np.mean(expected), abs=1e-12)
