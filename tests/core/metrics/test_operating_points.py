from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.core.metrics.patches import RECALLS, operating_points
from napari_fastnet.errors import DataError, OptionError

LABELS = [1, 0, 1, 1, 0, 0, 1, 0]
SCORES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.1]


def test_worked_by_hand():
    half, three_quarters, whole = operating_points(LABELS, SCORES, (0.5, 0.75, 1.0))
    assert (half.threshold, half.recall, half.specificity) == (0.7, 0.5, 0.75)
    assert half.precision == pytest.approx(2 / 3)
    assert (three_quarters.threshold, three_quarters.precision) == (0.6, 0.75)
    assert (whole.threshold, whole.recall, whole.specificity) == (0.3, 1.0, 0.25)
    assert whole.precision == pytest.approx(4 / 7)


def test_between_two_points_the_lower_threshold_is_taken():
    (point,) = operating_points(LABELS, SCORES, (0.51,))
    assert (point.at_least, point.recall, point.threshold) == (0.51, 0.75, 0.6)


def test_a_share_that_is_met_exactly_is_met():
    truth = np.repeat([True, False], [20, 5])
    scores = np.concatenate([np.linspace(0.9, 0.2, 20), np.full(5, 0.1)])
    (point,) = operating_points(truth, scores, (0.95,))
    assert point.threshold == scores[18]


def test_as_many_alarms_as_the_threshold_gives():
    rng = np.random.default_rng(0)
    truth = rng.random(500) < 0.4
    scores = np.round(np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1), 2)
    for point in operating_points(truth, scores):
        called = scores >= point.threshold
        assert point.recall == pytest.approx(called[truth].mean())
        assert point.recall >= point.at_least
        assert point.specificity == pytest.approx((~called)[~truth].mean())
        assert point.precision == pytest.approx(truth[called].mean())
        above = scores > point.threshold
        assert above[truth].mean() < point.at_least
    assert len(operating_points(truth, scores)) == len(RECALLS)


@pytest.mark.parametrize("recall", [0.0, -0.1, 1.01, float("nan")])
def test_recall_out_of_range(recall):
    with pytest.raises(OptionError, match="above 0"):
        operating_points(LABELS, SCORES, (recall,))


def test_one_class():
    with pytest.raises(DataError, match="one class"):
        operating_points([1, 1], [0.2, 0.4])
