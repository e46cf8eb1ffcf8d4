"""What classes of outlines mean: nothing is tumor that nobody called so."""

from __future__ import annotations

import pytest

from napari_fastnet.annotations.classes import Classes, class_names


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"name": "Tumor", "color": [1, 2, 3]}, ("Tumor",)),
        ({"names": ["Stroma", "Negative"]}, ("Stroma", "Negative")),
        ({"name": "Stroma: Negative"}, ("Stroma", "Negative")),
        ({"value": "Tumor"}, ("Tumor",)),
        ("TUMOR ", ("TUMOR",)),
        (["Tumor", "Positive"], ("Tumor", "Positive")),
        (7, ("7",)),
        ({"color": [1, 2, 3]}, ()),
        ({"colorRGB": -377282}, ()),
        ({"name": None}, ()),
        ({"names": []}, ()),
        ({}, ()),
        (None, ()),
        ("", ()),
        ("  ", ()),
        ("None", ()),
        ("unclassified", ()),
    ],
)
def test_a_class_in_every_form(value, names):
    assert class_names(value) == names


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("Tumor", "inside"),
        ("TUMOUR", "inside"),
        (" tumor ", "inside"),
        ("Metastases", "inside"),
        ("Tumor: Positive", "inside"),
        ("_0", "inside"),
        ("_2", "taken out"),
        ("exclusion", "taken out"),
        ("Exclusion: Necrosis", "taken out"),
        ("normal", "taken out"),
        ("Not tumor", "taken out"),
        ("Unsure", "left out"),
        (None, "unclassified"),
        ("Stroma", "unknown"),
        ("Stroma: Tumor", "unknown"),
        ("Tumor: Normal", "unknown"),
        ("Tumeur", "unknown"),
        ("Tumor bed", "unknown"),
        ("Region*", "unknown"),
        ("1", "unknown"),
    ],
)
def test_what_a_class_says_without_the_user(value, verdict):
    assert Classes().verdict(class_names(value)) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("Metastase", "inside"),
        ("METASTASE ", "inside"),
        ("Metastase: micro", "inside"),
        ("Stroma: Positive", "inside"),
        ("Stroma", "left out"),
        ("Stroma: Negative", "left out"),
        ("Tumor", "left out"),
        (None, "left out"),
        ("Exclusion", "taken out"),
    ],
)
def test_with_the_users_word_nothing_else_is_tumor(value, verdict):
    classes = Classes(tumor=("metastase", "Stroma: Positive"))
    assert classes.verdict(class_names(value)) == verdict


def test_the_user_may_call_outlines_without_a_class_tumor():
    classes = Classes(tumor=("None",))
    assert classes.verdict(()) == "inside"
    assert classes.verdict(("Tumor",)) == "left out"


def test_the_users_word_goes_before_that_of_the_program():
    assert Classes(tumor=("Normal",)).verdict(("normal",)) == "inside"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (None, "inside"),
        ("anything", "inside"),
        ("Tumor: Exclusion", "inside"),
        ("Ignore*", "taken out"),
        ("Exclusion: Necrosis", "taken out"),
    ],
)
def test_a_region_of_interest_is_of_any_class(value, verdict):
    classes = Classes("region of interest")
    assert classes.verdict(class_names(value)) == verdict
