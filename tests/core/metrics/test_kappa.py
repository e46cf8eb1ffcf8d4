"""Quadratic-weighted kappa of cohorts worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fastnet.core.metrics.kappa import kappa_interval, quadratic_kappa

GRADES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40
)


def arrays(truth, found):
    return np.array(truth, np.int64), np.array(found, np.int64)


@pytest.mark.parametrize(
    ("truth", "found", "kappa"),
    [
        ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], 1.0),
        # squared distances 0, 1, 0, 1: mean 1/2; by chance 4 + 5/2: 1 - 1/13
        ([0, 0, 4, 4], [0, 1, 4, 3], 12 / 13),
        # half are right, as by chance: 1/2 against 1/4 + 1/4
        ([0, 0, 1, 1], [0, 1, 0, 1], 0.0),
        # 4, 0, 4: mean 8/3; by chance 2/3 + 2/3
        ([0, 1, 2], [2, 1, 0], -1.0),
        # one grade too high each: mean 1; by chance 2/3 + 2/3 + 1
        ([0, 1, 2], [1, 2, 3], 4 / 7),
    ],
)
def test_a_cohort_worked_by_hand(truth, found, kappa):
    assert quadratic_kappa(*arrays(truth, found)) == pytest.approx(kappa, abs=1e-12)


@pytest.mark.parametrize("grades", [([], []), ([3, 3], [3, 3])])
def test_kappa_is_undefined_where_nothing_can_differ(grades):
    assert quadratic_kappa(*arrays(*grades)) is None
    assert kappa_interval(*arrays(*grades), resamples=10, seed=0) is None


@given(GRADES)
def test_it_is_the_ratio_of_two_tables(pairs):
    truth, found = arrays(*zip(*pairs, strict=True))
    seen = np.zeros((5, 5))
    np.add.at(seen, (truth, found), 1 / len(truth))
    chance = np.outer(seen.sum(axis=1), seen.sum(axis=0))
    weights = np.square(np.subtract.outer(np.arange(5), np.arange(5))) / 16
    expected = (weights * chance).sum()
    kappa = quadratic_kappa(truth, found)
    if expected < 1e-12:
        assert kappa is None
    else:
        assert kappa == pytest.approx(1 - (weights * seen).sum() / expected)


def test_the_interval_holds_the_value_and_is_that_of_the_seed():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 100)
    found = np.clip(truth + rng.integers(-1, 2, 100), 0, 4)
    low, high = kappa_interval(truth, found, resamples=1500, seed=1)
    assert low < quadratic_kappa(truth, found) < high
    assert 0.02 < high - low < 0.2
    assert (low, high) == kappa_interval(truth, found, resamples=1500, seed=1)


def test_without_resamples_there_is_no_interval():
    assert kappa_interval(*arrays([0, 1], [0, 1]), resamples=0, seed=0) is None
