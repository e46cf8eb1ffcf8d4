from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fastnet.core.metrics import intervals
from napari_fastnet.core.metrics.intervals import (
    Ranking,
    percentile_intervals,
    ratio,
    resampled,
    resampled_groups,
)
from napari_fastnet.core.metrics.patches import roc_auc

TRUTH = np.array([True, False, False, True, True])


def test_resamples_keep_the_number_of_each_class():
    (counts,) = resampled(TRUTH, 50, seed=0)
    assert counts.shape == (50, 5)
    assert (counts[:, TRUTH].sum(axis=1) == 3).all()
    assert (counts[:, ~TRUTH].sum(axis=1) == 2).all()
    assert counts.min() == 0


def test_each_patch_is_drawn_equally_often():
    (counts,) = resampled(TRUTH, 20_000, seed=0)
    assert counts.mean(axis=0) == pytest.approx(np.ones(5), abs=0.03)


@pytest.mark.parametrize("alone", [True, False])
def test_one_class_alone_is_resampled(alone):
    (counts,) = resampled(np.full(4, alone), 10, seed=0)
    assert (counts.sum(axis=1) == 4).all()


def test_parts_bound_the_memory(monkeypatch):
    monkeypatch.setattr(intervals, "_COUNTS_AT_ONCE", 20)
    parts = list(resampled(TRUTH, 10, seed=0))
    assert [len(part) for part in parts] == [4, 4, 2]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=12))
def test_counts_mean_copies_of_a_patch(pairs):
    truth, scores = map(np.array, zip(*pairs, strict=True))
    counts = np.random.default_rng(0).integers(0, 4, (1, len(truth)))
    ranking = Ranking(truth, scores.astype(float), 2.0)
    order = np.argsort(scores, kind="stable")
    found = ranking.metrics(counts)["auc"][0]
    expected = roc_auc(truth[order].repeat(counts[0]), scores[order].repeat(counts[0]))
    assert np.isnan(found) if expected is None else found == pytest.approx(expected)


def test_resamples_without_a_call_do_not_count():
    # One of two tumours is called: one resample in four calls none.
    ranking = Ranking(np.array([True, True]), np.array([0.1, 0.9]), 0.5)
    intervals = percentile_intervals(ranking, 200, seed=0)
    assert intervals["precision"] == (1.0, 1.0)
    assert intervals["recall"] == (0.0, 1.0)
    assert intervals["auc"] is intervals["specificity"] is None


def test_ratio_of_nothing_is_nan():
    found = ratio(np.array([1, 0, 3]), np.array([2, 0, 0]))
    assert found[0] == 0.5
    assert np.isnan(found[1:]).all()


def test_groups_are_drawn_whole_and_equally_often(monkeypatch):
    monkeypatch.setattr(intervals, "_COUNTS_AT_ONCE", 5000)
    groups = np.array([0, 1, 1, 2, 0, 2, 2])
    counts = np.concatenate(list(resampled_groups(groups, 9000, seed=0)))
    assert counts.shape == (9000, 7)
    assert (counts[:, 1] == counts[:, 2]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(7), abs=0.03)
