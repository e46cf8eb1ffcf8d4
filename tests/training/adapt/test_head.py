"""The head step: logistic regression near the old head, as far as home allows."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.training.adapt.head import (
    MOST_LOST,
    Head,
    LabelledFeatures,
    fit_head,
)

#: Home: the first feature tells tumor from normal, the second nothing; spreads of 1.
HOME = LabelledFeatures(
    np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]] * 25, np.float32),
    np.array([True, True, False, False] * 25),
)
START = Head(np.array([2.0, 0.0]), 0.5)


def labels(tumor, normal, value=1.0):
    """Return so many labels of which the second feature tells the class."""
    second = np.repeat([value, -value], [tumor, normal])
    first = np.full(tumor + normal, -0.25)  # there the old head is undecided
    return LabelledFeatures(
        np.column_stack([first, second]).astype(np.float32), second > 0
    )


def test_log_odds_are_a_weighted_sum():
    head = Head(np.array([2.0, -1.0]), 0.5)
    features = np.array([[[1, 1], [0, 2]], [[np.nan, 0], [0, 0]]], np.float16)
    np.testing.assert_array_equal(
        head.log_odds(features), np.array([[1.5, -1.5], [np.nan, 0.5]], np.float32)
    )


def test_the_minimum_is_that_of_the_formula():
    # 90 cells of each class count as 10 labels; a pull of 10 leaves w = 1 / (1 + exp(w))
    found = fit_head(START, labels(90, 90), HOME)
    assert found.weights == pytest.approx([2, 0.4010581], abs=1e-5)
    assert found.offset == pytest.approx(0.5, abs=1e-5)


def test_a_feature_is_measured_by_its_spread_at_home():
    home = LabelledFeatures(HOME.values * np.float32([1, 10]), HOME.tumor)
    found = fit_head(START, labels(90, 90, 10), home)
    assert found.weights == pytest.approx([2, 0.04010581], abs=1e-5)


def test_classes_count_alike_however_many_cells_they_have():
    some = fit_head(START, labels(900, 9), HOME)
    # 2 * 900 * 9 / 909 cells, of both classes alike
    same = fit_head(START, labels(1782, 1782), HOME)
    assert 0 < some.weights[1] < same.weights[1]
    assert some.weights[0] == pytest.approx(2, abs=1e-5)
    assert some.offset == pytest.approx(0.5, abs=1e-5)


def test_few_labels_change_little():
    few = fit_head(START, labels(1, 1), HOME)
    assert few.weights == pytest.approx(START.weights, abs=0.01)


def test_the_new_head_is_as_sure_at_home_as_the_old_one():
    generator = np.random.default_rng(2)
    tumor = np.arange(400) < 200
    values = generator.normal(size=(400, 4)) + np.outer(tumor, [2, 1, 0, 0])
    home = LabelledFeatures(values.astype(np.float32), tumor)
    hard = generator.normal(size=(300, 4))  # by the old head half of them are wrong
    taught = LabelledFeatures(hard.astype(np.float32), hard[:, 3] > 0)
    start = Head(np.array([2.0, 1.0, 0.0, 0.0]), -3.0)
    found = fit_head(start, taught, home)
    assert found.weights[3] > 0.1
    for kind in (False, True):
        before, after = (
            head.log_odds(home.values[tumor == kind]).mean() for head in (start, found)
        )
        assert after == pytest.approx(before, abs=1e-4)


def test_home_is_kept_when_labels_contradict_it():
    generator = np.random.default_rng(0)
    tumor = np.arange(400) < 200
    values = generator.normal(size=(400, 4)).astype(np.float32)
    values[:, 0] += 2 * tumor  # at home the first feature tells
    home = LabelledFeatures(values, tumor)
    start = Head(np.array([1.0, 0, 0, 0]), -1.0)
    wrong = LabelledFeatures(np.tile(values, (20, 1)), ~np.tile(tumor, 20))
    found = fit_head(start, wrong, home)
    before, after = (roc_auc(tumor, head.log_odds(values)) for head in (start, found))
    assert before - after <= MOST_LOST
    assert not np.array_equal(found.weights, start.weights)


def test_the_order_of_labels_does_not_matter():
    generator = np.random.default_rng(1)
    values = generator.normal(size=(300, 5)).astype(np.float32)
    tumor = values[:, 1] + 0.3 * generator.normal(size=300) > 0
    home = LabelledFeatures(
        generator.normal(size=(200, 5)).astype(np.float32), np.arange(200) % 2 == 0
    )
    start, order = Head(np.ones(5), 0.2), generator.permutation(300)
    once = fit_head(start, LabelledFeatures(values, tumor), home)
    again = fit_head(start, LabelledFeatures(values[order], tumor[order]), home)
    np.testing.assert_allclose(again.weights, once.weights, atol=1e-9)
