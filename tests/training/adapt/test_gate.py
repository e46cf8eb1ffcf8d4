"""The gate: its words, what it refuses, and how places are divided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fastnet.training.adapt.gate import Gate, folds_of, share_right

GATE = Gate(
    corrections_before=0.83,
    corrections_after=0.91,
    home_before=0.942,
    home_after=0.931,
    folds=3,
    optimistic=True,
)


def test_the_words_have_all_four_numbers() -> None:
    assert GATE.words == "on your corrections 0.83 to 0.91, at home 0.942 to 0.931"
    assert GATE.refusal is None


def test_a_small_gain_is_seen_in_the_words() -> None:
    gate = replace(GATE, corrections_before=0.9912, corrections_after=0.9931)
    assert gate.words.startswith("on your corrections 0.991 to 0.993,")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"corrections_after": 0.83}, "the corrections gain nothing"),
        ({"corrections_after": 0.7}, "the corrections gain nothing"),
        ({"home_after": 0.9219}, "the AUC at home falls by more than 0.02"),
        ({"home_after": 0.9221}, None),
        (
            {"corrections_before": 1.0, "corrections_after": 0.99}
            | {"right_before": 0.6, "right_after": 0.9},
            None,
        ),
        (
            {"corrections_before": 1.0, "corrections_after": 0.97}
            | {"right_before": 0.6, "right_after": 0.9},
            "the corrections gain nothing",
        ),
        (
            {"corrections_after": 0.82, "right_before": 0.7, "right_after": 0.7},
            "the corrections gain nothing",
        ),
        (
            {"corrections_before": 0.49, "corrections_after": 0.53},
            "the labels hardly fit what is seen; see that they are of these slides and "
            "of the right class",
        ),
        ({"corrections_before": 0.49, "corrections_after": 0.61}, None),
        (
            {"corrections_after": 0.77, "taught_before": True},
            "the model before was adapted, perhaps by these corrections, so no gain can "
            "be shown; teach the model it came from",
        ),
        ({"taught_before": True}, None),
        (
            {"corrections_before": None, "corrections_after": None, "folds": 0},
            "the corrections of a class lie in one place, so no gain can be shown",
        ),
    ],
)
def test_it_refuses(changed, reason) -> None:
    assert replace(GATE, **changed).refusal == reason


def test_the_words_say_how_many_are_right() -> None:
    gate = replace(GATE, right_before=0.62, right_after=0.925)
    assert "0.83 to 0.91 (62% to 92% right), at home" in gate.words


def test_both_classes_count_alike_in_what_is_right() -> None:
    tumor = np.array([True, False, False, False, False])
    assert share_right(tumor, np.array([True, True, False, False, False])) == 0.875
    assert share_right(tumor, np.array([False, False, False, False, False])) == 0.5


def test_without_folds_the_words_say_so() -> None:
    gate = replace(GATE, corrections_before=None, corrections_after=None, folds=0)
    assert gate.words == "on your corrections not measured, at home 0.942 to 0.931"


def test_a_place_is_never_divided() -> None:
    places = np.array([5, 5, 5, 1, 1, 9, 9, 9, 9, 4])
    tumor = np.array([1, 1, 0, 0, 0, 1, 1, 0, 0, 0]) > 0
    folds = folds_of(places, tumor)
    for place in places:
        assert len(set(folds[places == place])) == 1


def test_a_class_in_one_place_cannot_be_held_out() -> None:
    assert (
        folds_of(np.array([0, 0, 1, 2]), np.array([True, True, False, False])) is None
    )


def test_there_are_as_many_groups_as_places_of_the_rarer_class_and_three_at_most() -> (
    None
):
    tumor = np.array([True, True] + [False] * 6)
    two = folds_of(np.arange(8), tumor)
    assert set(two) == {0, 1}
    assert np.bincount(two[~tumor]).tolist() == [3, 3]
    assert set(folds_of(np.arange(8), np.arange(8) % 2 > 0)) == {0, 1, 2}


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_without_any_group_both_classes_are_left(labels) -> None:
    places = np.array([place for place, _ in labels])
    tumor = np.array([is_tumor for _, is_tumor in labels])
    folds = folds_of(places, tumor)
    in_places = [len(set(places[tumor == label])) for label in (True, False)]
    if min(in_places) < 2:
        assert folds is None
        return
    assert 2 <= folds.max() + 1 <= 3
    for fold in range(folds.max() + 1):
        assert (folds == fold).any()
        assert set(tumor[folds != fold]) == {True, False}
