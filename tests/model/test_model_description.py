from __future__ import annotations

from dataclasses import replace

import pytest

from napari_fastnet.errors import BundleError
from napari_fastnet.model.description import ModelDescription, parse_description

CONTENT = ModelDescription(
    name="plain", version="1.0", patch_size_pixels=96, spacing_um_px=0.972
).to_dict()

NORMALIZE = {
    "name": "Normalize",
    "arguments": {"mean": [0.7, 0.5, 0.6], "std": [0.2, 0.2, 0.3]},
}


def test_a_description_comes_back():
    assert parse_description(CONTENT).to_dict() == CONTENT


@pytest.mark.parametrize("name", sorted(CONTENT.keys() - {"spec_version"}))
def test_a_missing_field_is_named(name):
    content = {key: value for key, value in CONTENT.items() if key != name}
    with pytest.raises(BundleError, match=f"lacks '{name}'"):
        parse_description(content)


def test_what_only_other_programs_know_is_kept():
    content = CONTENT | {
        "hub": "x",
        "architecture_options": CONTENT["architecture_options"] | {"width": 2},
        "stain": {"of another version": [1]},
        "training": {"epochs": 3, "hospital": "A", "datasets": ["a"]},
        "metrics": {"auc": 0.9, "kappa": 0.5, "n": None},
    }
    description = parse_description(content)
    assert description.name == "plain"
    assert (description.training.epochs, description.training.datasets) == (3, ())
    assert description.metrics.auc == 0.9
    assert description.to_dict() == content
    changed = replace(description, training=replace(description.training, epochs=4))
    assert changed.to_dict()["training"]["epochs"] == 4
    assert changed.to_dict()["training"]["hospital"] == "A"


LESIONS = {"scale": 2, "offset": -8.5, "beside": 0, "certain": 3.1} | {
    "fewer": 1,
    "balanced": 0.5,
    "more": -3,
}
POINT = {"lesion_threshold": 0.5, "false_per_10_mm2": 1.25, "sensitivity": 0.9}


def test_lesions_may_be_absent_and_stay_so():
    for content in (CONTENT, CONTENT | {"lesions": None}):
        description = parse_description(content)
        assert description.lesions is None
        assert "lesions" not in description.to_dict()


def test_lesions_come_back_with_their_curve():
    lesions = LESIONS | {"curve": [POINT, POINT], "measured_on": "mosaics"}
    found = parse_description(CONTENT | {"lesions": lesions})
    assert (found.lesions.scale, found.lesions.more) == (2, -3)
    assert found.lesions.at(0.7).sensitivity == 0.9
    assert found.lesions.at(0.7).from_02_mm is None
    written = found.to_dict()
    assert written["lesions"]["curve"][0]["false_per_10_mm2"] == 1.25
    assert parse_description(written) == found


def test_what_later_versions_say_of_lesions_is_kept():
    lesions = LESIONS | {"curve": [POINT | {"cases": 3}], "nodes": [1]}
    found = parse_description(CONTENT | {"lesions": lesions})
    assert len(found.lesions.curve) == 1
    assert found.to_dict()["lesions"] == lesions


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0},
        {"scale": "2"},
        {"scale": True},
        {"scale": None},
        {"scale": float("nan")},
        {"offset": float("inf")},
        {"beside": -1},
        {"certain": []},
        {"fewer": -1},
        {"balanced": "low"},
        {"more": 0.6},
        {"more": float("-inf")},
        {"curve": {}},
        {"curve": [3]},
        {"curve": [{"lesion_threshold": 1}]},
        {"curve": [POINT | {"sensitivity": "high"}]},
        {"measured_on": 3},
    ],
    ids=str,
)
def test_lesions_at_fault_are_named(change):
    with pytest.raises(BundleError, match=r"^lesions is .*; it must be .*thresholds"):
        parse_description(CONTENT | {"lesions": LESIONS | change})


@pytest.mark.parametrize("value", [3, "balanced", [], True])
def test_lesions_that_are_no_object_are_named(value):
    with pytest.raises(BundleError, match=r"^lesions is .*; it must be an object"):
        parse_description(CONTENT | {"lesions": value})


@pytest.mark.parametrize(
    "options", [{"pool_cells": 0}, {"pool_cells": True}, {"convolution": "round"}]
)
def test_options_that_fastnet_has_not_are_refused(options):
    with pytest.raises(
        BundleError, match=f"architecture_options.*{next(iter(options))}"
    ):
        parse_description(CONTENT | {"architecture_options": options})


def test_statistics_at_fault_are_refused():
    with pytest.raises(BundleError, match="stain"):
        parse_description(CONTENT | {"stain": {"reinhard": {"mean": [1.0]}}})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("name", 3),
        ("name", "two\nlines"),
        ("version", None),
        ("architecture", "resnet18"),
        ("architecture_options", []),
        ("num_classes", 3),
        ("num_classes", True),
        ("patch_size_pixels", 30),
        ("patch_size_pixels", 4097),
        ("patch_size_pixels", 96.0),
        ("spacing_um_px", 0.04),
        ("spacing_um_px", 5.1),
        ("spacing_um_px", "0.5"),
        ("spacing_um_px", True),
        ("class_names", ["tumour"]),
        ("class_names", ["tumour", "tumour"]),
        ("class_names", "no"),
        ("class_names", [["a"], ["b"]]),
        ("positive_class", 0),
        ("positive_class", True),
        ("threshold", -0.01),
        ("threshold", 1.01),
        ("calibration", {}),
        ("calibration", {"scale": 0, "offset": 0}),
        ("calibration", {"scale": 1, "offset": "0"}),
        ("calibration", {"scale": 1, "offset": 0, "power": 2}),
        ("stain", None),
        ("stain", {"reinhard": 3}),
        ("training", "long"),
        ("metrics", [0.9]),
        ("transform", []),
        ("transform", ["ToTensor"]),
        ("transform", [{"name": "Resize"}]),
        ("transform", [{"name": "ToTensor"}, {"name": "Normalize"}]),
        ("transform", [NORMALIZE]),
        (
            "transform",
            [
                {"name": "ToTensor"},
                {
                    "name": "Normalize",
                    "arguments": {"mean": [0, 0, 0], "std": [1, 1, 0]},
                },
            ],
        ),
    ],
)
def test_a_field_out_of_range_is_named(name, value):
    with pytest.raises(BundleError, match=f"^{name} is .*; it must be"):
        parse_description({**CONTENT, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("patch_size_pixels", 31),
        ("patch_size_pixels", 4096),
        ("spacing_um_px", 0.05),
        ("spacing_um_px", 5),
        ("threshold", 0),
        ("threshold", 1.0),
    ],
)
def test_a_field_at_its_limit_is_allowed(name, value):
    assert getattr(parse_description({**CONTENT, name: value}), name) == value


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(BundleError) as caught:
        parse_description({**CONTENT, "threshold": "x" * 10_000})
    assert len(str(caught.value)) < 200


def test_normalisation_is_that_of_the_transform():
    plain = parse_description(CONTENT)
    assert plain.normalisation == ((0, 0, 0), (1, 1, 1))
    steps = [{"name": "ToTensor"}, NORMALIZE]
    normalised = parse_description({**CONTENT, "transform": steps})
    assert normalised.normalisation == ((0.7, 0.5, 0.6), (0.2, 0.2, 0.3))
