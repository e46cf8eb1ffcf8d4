from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fastnet.core.metrics.intervals import Ranking, percentile_intervals
from napari_fastnet.core.metrics.patches import (
    brier,
    evaluate_probabilities,
    expected_calibration_error,
    roc_auc,
    roc_curve,
)
from napari_fastnet.errors import DataError, OptionError

# Two tumours and three normals; at 0.5: TP 1, FN 1, FP 1, TN 2.
LABELS = [1, 1, 0, 0, 0]
PROBABILITIES = [0.9, 0.4, 0.6, 0.4, 0.1]

scored = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6).map(lambda tenth: tenth / 6)),
    min_size=1,
    max_size=40,
)


def test_equations_8_to_11_by_hand():
    metrics = evaluate_probabilities(LABELS, PROBABILITIES, threshold=0.5, bootstrap=0)
    assert (metrics.n, metrics.positives) == (5, 2)
    assert metrics.true_positives == metrics.false_negatives == 1
    assert (metrics.false_positives, metrics.true_negatives) == (1, 2)
    assert metrics.accuracy == pytest.approx(3 / 5)
    assert metrics.recall == pytest.approx(1 / 2)
    assert metrics.precision == pytest.approx(1 / 2)
    assert metrics.f1 == pytest.approx(1 / 2)
    assert metrics.specificity == pytest.approx(2 / 3)


def test_metrics_become_plain_json():
    metrics = evaluate_probabilities([0, 0], [0.1, 0.9], threshold=0.5)
    plain = json.loads(json.dumps(metrics.to_dict()))
    assert (plain["n"], plain["positives"], plain["threshold"]) == (2, 0, 0.5)
    assert plain["auc"] is plain["ci95"]["auc"] is None
    assert plain["accuracy"] == 0.5
    assert plain["ci95"]["accuracy"] == [0, 1]
    assert plain["confusion"] == {"tp": 0, "fp": 1, "tn": 1, "fn": 0}


def test_auc_by_hand_counts_a_tie_half():
    # 0.9 beats all three; 0.4 beats 0.1 and ties with 0.4: (3 + 1.5) of 6 pairs.
    assert roc_auc(LABELS, PROBABILITIES) == pytest.approx(4.5 / 6)
    metrics = evaluate_probabilities(LABELS, PROBABILITIES, threshold=0.5, bootstrap=0)
    assert metrics.auc == pytest.approx(4.5 / 6)


@given(scored)
def test_auc_is_the_share_of_ordered_pairs(pairs):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    tumour, normal = scores[labels], scores[~labels]
    auc = roc_auc(labels, scores)
    if not (tumour.size and normal.size):
        assert auc is None
        return
    difference = tumour[:, None] - normal[None, :]
    expected = np.mean((difference > 0) + 0.5 * (difference == 0))
    assert auc == pytest.approx(expected)
    assert evaluate_probabilities(
        labels, scores, threshold=0.5, bootstrap=0
    ).auc == pytest.approx(expected)


@given(scored)
def test_area_under_the_curve_is_the_rank_formula(pairs):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    if labels.all() or not labels.any():
        return
    false_positive, true_positive, thresholds = roc_curve(labels, scores)
    assert np.trapezoid(true_positive, false_positive) == pytest.approx(
        roc_auc(labels, scores)
    )
    assert np.all(np.diff(false_positive) >= 0)
    assert np.all(np.diff(true_positive) >= 0)
    assert np.all(np.diff(thresholds) < 0)


def test_roc_curve_by_hand():
    false_positive, true_positive, thresholds = roc_curve(LABELS, PROBABILITIES)
    assert thresholds == pytest.approx([np.inf, 0.9, 0.6, 0.4, 0.1])
    assert true_positive == pytest.approx([0, 1 / 2, 1 / 2, 1, 1])
    assert false_positive == pytest.approx([0, 0, 1 / 3, 2 / 3, 1])


def test_roc_curve_of_one_class_is_an_error():
    with pytest.raises(DataError, match="one class"):
        roc_curve([1, 1], [0.2, 0.3])


@pytest.mark.parametrize(
    ("probability", "called"), [(0.4999, 0), (0.5, 1), (0.5001, 1)]
)
def test_a_probability_at_the_threshold_is_a_call(probability, called):
    metrics = evaluate_probabilities([1], [probability], threshold=0.5, bootstrap=0)
    assert metrics.true_positives == called


def test_normal_patches_alone_leave_what_needs_tumour_undefined():
    metrics = evaluate_probabilities([0, 0, 0], [0.1, 0.2, 0.9], threshold=0.5)
    assert metrics.auc is metrics.recall is metrics.f1 is None
    assert metrics.precision == 0
    assert metrics.accuracy == metrics.specificity == pytest.approx(2 / 3)
    assert metrics.ci95["auc"] is metrics.ci95["recall"] is None


def test_tumour_patches_alone_have_no_auc_and_no_specificity():
    metrics = evaluate_probabilities([1, 1], [0.1, 0.9], threshold=0.5)
    assert metrics.auc is metrics.specificity is None
    assert metrics.recall == metrics.accuracy == 0.5
    assert metrics.precision == 1


def test_precision_without_a_call_is_undefined():
    metrics = evaluate_probabilities([0, 1], [0.1, 0.2], threshold=0.5)
    assert metrics.precision is metrics.f1 is metrics.ci95["precision"] is None
    assert metrics.recall == 0


def test_f1_is_zero_where_only_normal_patches_are_called():
    metrics = evaluate_probabilities([0, 1], [0.9, 0.2], threshold=0.5)
    assert metrics.f1 == metrics.precision == metrics.recall == 0


def overlapping_scores(count, seed=0):
    """Return labels and probabilities whose AUC is about 0.92."""
    generator = np.random.default_rng(seed)
    labels = generator.random(count) < 0.4
    scores = generator.normal(size=count) + 2 * labels
    return labels, 1 / (1 + np.exp(1 - scores))


def test_intervals_enclose_the_metric_and_narrow_with_more_patches():
    few = evaluate_probabilities(*overlapping_scores(300), threshold=0.5)
    many = evaluate_probabilities(*overlapping_scores(4800), threshold=0.5)
    for name, interval in few.ci95.items():
        low, high = interval
        assert low < getattr(few, name) < high
        # Sixteen times the patches: a quarter of the width.
        width = many.ci95[name][1] - many.ci95[name][0]
        assert width / (high - low) == pytest.approx(1 / 4, rel=0.35)


def test_interval_of_recall_is_that_of_the_binomial():
    labels, probabilities = np.ones(400, bool), np.repeat([0.9, 0.1], [300, 100])
    low, high = evaluate_probabilities(
        labels, probabilities, threshold=0.5, bootstrap=4000
    ).ci95["recall"]
    deviation = np.sqrt(0.75 * 0.25 / 400)
    assert low == pytest.approx(0.75 - 1.96 * deviation, abs=0.005)
    assert high == pytest.approx(0.75 + 1.96 * deviation, abs=0.005)


def test_resampling_keeps_the_share_of_tumour():
    # All are called: whatever is drawn, a third is tumor.
    ranking = Ranking(np.array([False, False, True]), np.array([0.7, 0.8, 0.9]), 0.5)
    drawn = percentile_intervals(ranking, 100, seed=0)
    assert drawn["precision"] == pytest.approx((1 / 3, 1 / 3))


def test_a_number_that_every_draw_gives_is_not_sure():
    # One tumor that is missed: accuracy is 9 of 10, whatever is drawn.
    metrics = evaluate_probabilities([0] * 9 + [1], [0.1] * 10, threshold=0.5)
    assert metrics.ci95["accuracy"] == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert metrics.auc == 0.5  # all are alike
    low, high = metrics.ci95["auc"]
    assert low < 0.2
    assert high > 0.8


def test_perfect_calls_of_few_patches_prove_little():
    few = evaluate_probabilities([0, 0, 1], [0.1, 0.2, 0.9], threshold=0.5)
    assert few.accuracy == few.auc == few.f1 == few.recall == few.precision == 1
    assert few.ci95["accuracy"] == pytest.approx((3 / (3 + 1.96**2), 1), abs=1e-4)
    assert few.ci95["recall"] == pytest.approx((1 / (1 + 1.96**2), 1), abs=1e-4)
    assert few.ci95["specificity"] == pytest.approx((2 / (2 + 1.96**2), 1), abs=1e-4)
    assert all(low < 0.6 and high == 1 for low, high in few.ci95.values())
    many = evaluate_probabilities([0, 1] * 500, [0.1, 0.9] * 500, threshold=0.5)
    assert all(low > 0.99 and high == 1 for low, high in many.ci95.values())


def test_nothing_right_is_not_surely_nothing():
    metrics = evaluate_probabilities([0, 1] * 4, [0.9, 0.1] * 4, threshold=0.5)
    assert set(metrics.to_dict()["ci95"]) == set(metrics.ci95)
    for low, high in metrics.ci95.values():
        assert low == 0
        assert 0.2 < high < 0.7


def alike_within_slides(slides, each, seed=0):
    """Return labels, probabilities and slides: one slide is all right or all wrong."""
    generator = np.random.default_rng(seed)
    right = generator.random(slides) < 0.7
    labels = np.tile([0, 1], slides * each // 2)
    called = np.where(right.repeat(each), labels, 1 - labels)
    return labels, 0.1 + 0.8 * called, np.arange(slides).astype(str).repeat(each)


def test_slides_are_drawn_where_they_are_known():
    labels, probabilities, slides = alike_within_slides(30, 40)
    by_patch = evaluate_probabilities(labels, probabilities, threshold=0.5)
    by_slide = evaluate_probabilities(
        labels, probabilities, threshold=0.5, slides=slides.tolist(), bootstrap=4000
    )
    assert by_slide.accuracy == by_patch.accuracy
    low, high = by_slide.ci95["accuracy"]
    share = by_slide.accuracy
    deviation = np.sqrt(share * (1 - share) / 30)  # of 30 slides, not of 1200 patches
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.1)
    width = np.diff(by_patch.ci95["accuracy"])[0]
    assert (high - low) / width == pytest.approx(np.sqrt(40), rel=0.15)
    assert (by_slide.slides, by_patch.slides) == (30, None)
    assert by_slide.to_dict()["ci95_by"] == "slides"
    assert by_patch.to_dict()["ci95_by"] == "patches"


def test_perfect_calls_on_few_slides_prove_as_little():
    labels, probabilities = [0, 1] * 100, [0.1, 0.9] * 100
    slides = ["a", "b", "c", "d"] * 50  # 0 and 2 hold normal patches, 1 and 3 tumor
    metrics = evaluate_probabilities(
        labels, probabilities, threshold=0.5, slides=slides
    )
    assert metrics.ci95["accuracy"] == pytest.approx((4 / (4 + 1.96**2), 1), abs=1e-4)
    assert metrics.ci95["recall"] == pytest.approx((2 / (2 + 1.96**2), 1), abs=1e-4)


@pytest.mark.parametrize("slides", [["a"] * 5, ["a", "b", None, "b", "a"], None])
def test_patches_are_drawn_where_slides_are_not_known(slides):
    found = evaluate_probabilities(LABELS, PROBABILITIES, threshold=0.5, slides=slides)
    plain = evaluate_probabilities(LABELS, PROBABILITIES, threshold=0.5)
    assert found == plain


def test_the_seed_decides_the_intervals():
    scores = overlapping_scores(200)
    first, again, other = (
        evaluate_probabilities(*scores, threshold=0.5, seed=seed).ci95
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_intervals_do_not_depend_on_the_order_of_the_patches_by_much():
    labels, probabilities = overlapping_scores(500)
    forwards = evaluate_probabilities(labels, probabilities, threshold=0.5)
    backwards = evaluate_probabilities(labels[::-1], probabilities[::-1], threshold=0.5)
    assert backwards.auc == pytest.approx(forwards.auc)
    assert backwards.ci95["auc"] == pytest.approx(forwards.ci95["auc"], abs=0.01)


def test_no_resampling_gives_no_intervals():
    metrics = evaluate_probabilities(LABELS, PROBABILITIES, threshold=0.5, bootstrap=0)
    assert set(metrics.ci95.values()) == {None}


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([], [], "at least one patch"),
        ([0, 1], [0.5], "one of each"),
        ([0, 2], [0.5, 0.5], "neither 0 nor 1"),
        ([0, 1], [0.5, np.nan], "NaN or lies outside"),
        ([0, 1], [0.5, 1.01], "NaN or lies outside"),
    ],
)
def test_data_out_of_range_are_refused(labels, probabilities, message):
    with pytest.raises(DataError, match=message):
        evaluate_probabilities(labels, probabilities, threshold=0.5)


@pytest.mark.parametrize(
    "options",
    [{"threshold": -0.1}, {"threshold": 1.1}, {"threshold": 0.5, "bootstrap": -1}],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(OptionError):
        evaluate_probabilities(LABELS, PROBABILITIES, **options)


def test_calibration_error_by_hand():
    # 0.5 belongs to the upper bin, so does 1: |0.25 - 0.5| and |0.75 - 1|
    error = expected_calibration_error([0, 1, 1, 1], [0.1, 0.4, 0.5, 1.0], bins=2)
    assert error == pytest.approx(0.25)


def test_bins_count_by_their_patches_and_an_empty_one_does_not():
    assert expected_calibration_error([0, 1], [0.0, 1.0], bins=3) == 0
    error = expected_calibration_error([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.5], bins=2)
    assert error == pytest.approx((0.6 + 0.5) / 4)


def test_probabilities_that_are_frequencies_are_calibrated():
    generator = np.random.default_rng(0)
    probabilities = generator.random(20_000)
    labels = generator.random(20_000) < probabilities
    assert expected_calibration_error(labels, probabilities) < 0.02
    assert expected_calibration_error(labels, probabilities**3) > 0.15


def test_calibration_error_needs_a_bin():
    with pytest.raises(OptionError, match="bins is 0"):
        expected_calibration_error(LABELS, PROBABILITIES, bins=0)


def test_brier_by_hand():
    assert brier([1, 0], [0.8, 0.4]) == pytest.approx((0.04 + 0.16) / 2)
