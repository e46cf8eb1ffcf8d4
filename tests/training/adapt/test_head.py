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

#: Home: one feature with a spread of 1 that tells tumor from normal.
HOME = LabelledFeatures(np.repeat([[1.0], [-1.0]], 50, axis=0), np.arange(100) < 50)


def labels(values, tumor):
    """Return labels of one feature each."""
    return LabelledFeatures(
        np.array(values, np.float32)[:, np.newaxis], np.array(tumor, bool)
    )


def test_log_odds_are_a_weighted_sum():
    head = Head(np.array([2.0, -1.0]), 0.5)
    features = np.array([[[1, 1], [0, 2]], [[np.nan, 0], [0, 0]]], np.float16)
    np.testing.assert_array_equal(
        head.log_odds(features), np.array([[1.5, -1.5], [np.nan, 0.5]], np.float32)
    )


def test_the_minimum_is_that_of_the_formula():
    # 90 cells of each class count as 10 labels; a pull of 10 leaves w = 1 / (1 + exp(w))
    found = fit_head(
        Head(np.zeros(1), 0.0), labels([1] * 90 + [-1] * 90, [1] * 90 + [0] * 90), HOME
    )
    assert found.weights == pytest.approx([0.4010581], abs=1e-6)
    assert found.offset == pytest.approx(0, abs=1e-6)


def test_a_feature_is_measured_by_its_spread_at_home():
    taught = labels([1] * 90 + [-1] * 90, [1] * 90 + [0] * 90)
    ten = LabelledFeatures(10 * taught.values, taught.tumor)
    home = LabelledFeatures(10 * HOME.values, HOME.tumor)
    once = fit_head(Head(np.zeros(1), 0.0), taught, HOME)
    often = fit_head(Head(np.zeros(1), 0.0), ten, home)
    assert often.weights == pytest.approx(once.weights / 10, abs=1e-7)


def test_classes_count_alike_however_many_cells_they_have():
    found = fit_head(
        Head(np.zeros(1), 0.0), labels([1] * 900 + [-1] * 9, [1] * 900 + [0] * 9), HOME
    )
    assert found.offset == pytest.approx(0, abs=1e-6)


def test_few_labels_change_little():
    few = fit_head(Head(np.ones(1), 0.0), labels([0.1, -0.1], [0, 1]), HOME)
    assert abs(few.weights[0] - 1) < 0.01
    assert abs(few.offset) < 0.01


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
