"""The lesion threshold of a run: by name, as a number, or the model's."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest

from napari_fastnet.core.options import EvidenceScale, LesionRule
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import OptionError
from napari_fastnet.model.bundle import load_bundle

SCALE = EvidenceScale(scale=2.0, fewer=3.0, balanced=1.0, more=-2.0)


@pytest.fixture(scope="module")
def bundle(dark_bundle):
    return replace(load_bundle(dark_bundle), lesions=SCALE, threshold=0.4)


@pytest.mark.parametrize(
    ("options", "threshold", "least"),
    [
        ({}, 0.4, 1.0),
        ({"alarms": "fewer"}, 0.4, 3.0),
        ({"alarms": "balanced"}, 0.4, 1.0),
        ({"alarms": "more", "threshold": 0.7}, 0.7, -2.0),
        ({"lesion_threshold": 0.0}, 0.4, 0.0),
        ({"lesion_threshold": -9.5, "threshold": 0.0}, 0.0, -9.5),
    ],
    ids=str,
)
def test_what_is_not_given_is_the_models(bundle, options, threshold, least):
    rule = RunOptions(**options).rule(bundle)
    assert rule == LesionRule(threshold, least, SCALE)


def test_a_model_that_states_none_has_those_of_the_shipped_one(bundle):
    older = replace(bundle, lesions=None)
    assert RunOptions().rule(older) == LesionRule(0.4)
    assert (
        RunOptions(alarms="more").rule(older).lesion_threshold == EvidenceScale().more
    )


@pytest.mark.parametrize("alarms", ["many", "", "Fewer"])
def test_other_names_are_refused(alarms):
    with pytest.raises(OptionError, match="use one of fewer, balanced, more"):
        RunOptions(alarms=alarms)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_a_lesion_threshold_is_a_finite_number(value):
    with pytest.raises(OptionError, match="use a finite number of log odds"):
        RunOptions(lesion_threshold=value)


def test_a_name_and_a_number_are_one_too_many():
    with pytest.raises(OptionError, match="give one of the two"):
        RunOptions(alarms="balanced", lesion_threshold=0.0)
