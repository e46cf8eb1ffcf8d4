"""Intervals that no draws give: known values, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.core.metrics.intervals import (
    auc_interval,
    f1_interval,
    share_interval,
)


def test_shares_by_wilson() -> None:
    # Newcombe 1998, table I: 0 of 20 and 29 of 29.
    assert share_interval(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert share_interval(1, 29) == pytest.approx((0.8830, 1), abs=1e-4)
    assert share_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_f1_follows_the_share_of_hits() -> None:
    low = share_interval(1, 10)[0]
    assert f1_interval(1, 10) == pytest.approx((2 * low / (1 + low), 1))
    assert f1_interval(0, 10)[0] == 0
    assert f1_interval(0, 10)[1] > share_interval(0, 10)[1]


def test_auc_of_one_pair_says_nearly_nothing() -> None:
    low, high = auc_interval(1, 1, 1)  # (1 - a)^2 = z^2 a (1 - a)
    assert (low, high) == (pytest.approx(1 / (1 + 1.96**2), abs=1e-4), 1)


def test_auc_at_0_mirrors_auc_at_1_and_narrows_with_patches() -> None:
    low, high = auc_interval(0, 12, 30)
    assert (low, 1 - high) == (0, pytest.approx(auc_interval(1, 12, 30)[0]))
    lows = [auc_interval(1, n, n)[0] for n in (2, 10, 100, 1000)]
    assert lows == sorted(lows)
    assert lows[-1] > 0.996


def test_auc_in_the_middle_is_about_that_of_hanley_and_mcneil() -> None:
    area, count = 0.8, 400
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (count - 1) * (one + two - 2 * area**2)
    half = 1.96 * np.sqrt(spread) / count
    low, high = auc_interval(area, count, count)
    assert (low, high) == pytest.approx((area - half, area + half), abs=0.004)


def test_a_perfect_auc_of_few_patches_excludes_no_likely_truth() -> None:
    # Of two normal scores 2.5 apart the area is 0.961; ten of each often give 1.
    rng = np.random.default_rng(0)
    normal, tumor = rng.normal(size=(2, 4000, 10))
    perfect = (tumor + 2.5).min(axis=1) > normal.max(axis=1)
    assert 0.2 < perfect.mean() < 0.6
    assert auc_interval(1, 10, 10)[0] < 0.961
