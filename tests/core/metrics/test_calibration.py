"""Platt's scaling: it finds what was drawn, and stays modest about few patches."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from napari_fastnet.core.metrics.calibration import at_share, calibrate


def test_the_scale_and_offset_that_were_drawn_are_found() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(size=40_000)
    labels = rng.random(40_000) < expit(2 * margin - 0.5)
    found = calibrate(labels, expit(margin))
    assert found.scale == pytest.approx(2, rel=0.05)
    assert found.offset == pytest.approx(-0.5, abs=0.05)


def test_few_patches_told_apart_are_no_certainty() -> None:
    labels = np.array([False, False, False, True, True, True])
    raw = np.array([0.3, 0.35, 0.4, 0.6, 0.65, 0.7])
    probabilities = calibrate(labels, raw).apply(raw)
    # As three of three prove no more than four of five.
    assert probabilities[labels].mean() == pytest.approx(4 / 5, abs=0.02)
    assert probabilities[~labels].mean() == pytest.approx(1 / 5, abs=0.02)


def test_an_order_the_other_way_round_has_a_negative_scale() -> None:
    labels = np.array([True] * 20 + [False] * 20)
    assert calibrate(labels, np.linspace(0.1, 0.9, 40)).scale < 0


@pytest.mark.parametrize(
    ("probability", "share", "fitted", "expected"),
    [
        (0.5, 0.01, 0.5, 0.01),
        (0.9, 0.1, 0.5, 0.5),  # odds of 9 to 1, of one in ten: 9 x 1 to 1 x 9
        (0.8, 0.3, 0.3, 0.8),
        (0.75, 0.5, 0.25, 0.9),  # odds 3, and three times as many tumors: 9 to 1
        (0.0, 0.1, 0.5, 0.0),
        (1.0, 0.1, 0.5, 1.0),
    ],
)
def test_where_tumor_is_rarer_a_probability_means_less(
    probability: float, share: float, fitted: float, expected: float
) -> None:
    assert at_share(probability, share, fitted) == pytest.approx(expected)


def test_another_share_is_what_is_counted_there() -> None:
    """Patches called 0.8 where half are tumor, among patches of which a tenth is."""
    rng = np.random.default_rng(0)
    labels = rng.random(400_000) < 0.1
    margin = rng.normal(size=labels.size) + np.where(labels, 1.0, -1.0)
    balanced = expit(2 * margin)  # what calibration on half and half gives
    near = np.abs(balanced - 0.8) < 0.02
    assert labels[near].mean() == pytest.approx(at_share(0.8, 0.1), abs=0.02)
