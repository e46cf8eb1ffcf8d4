"""A model's scale of evidence, its named thresholds, and the rule made of them."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan
from typing import get_args

import pytest

from napari_fastnet.core.options import (
    BALANCED,
    DEFAULT_ALARMS,
    Alarms,
    EvidenceScale,
    LesionRule,
)
from napari_fastnet.errors import OptionError


def test_the_named_thresholds_fall_from_fewer_alarms_to_find_more():
    scale = EvidenceScale(fewer=2.0, balanced=1.0, more=-3.0)
    assert [scale.of(name) for name in get_args(Alarms)] == [2.0, 1.0, -3.0]
    assert DEFAULT_ALARMS == "balanced"
    assert LesionRule().lesion_threshold == EvidenceScale().balanced == BALANCED


def test_named_thresholds_may_be_equal():
    assert EvidenceScale(fewer=1.0, balanced=1.0, more=1.0).of("more") == 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"fewer": -2.0, "balanced": -1.0},
        {"balanced": -4.0, "more": -3.0},
        {"more": -inf},
        {"fewer": inf},
        {"fewer": nan},
        {"balanced": nan},
        {"more": nan},
    ],
    ids=str,
)
def test_thresholds_that_rise_or_are_none_are_refused(changes):
    with pytest.raises(
        OptionError, match=r"lesion thresholds are .*they are finite, and fall"
    ):
        replace(EvidenceScale(), **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": 0.0},
        {"scale": -1.0},
        {"scale": inf},
        {"offset": nan},
        {"beside": -0.1},
        {"beside": inf},
        {"certain": inf},
        {"certain": nan},
    ],
    ids=str,
)
def test_a_scale_that_does_not_rise_or_end_is_refused(changes):
    with pytest.raises(OptionError, match=f"evidence has .*{next(iter(changes))}"):
        replace(EvidenceScale(), **changes)
