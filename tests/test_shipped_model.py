"""The model in the package: whole, the same in both back ends, and good on a slide."""

from __future__ import annotations

import os
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.cohort.detect import detect
from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.core.options import EvidenceScale
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.evaluation.options import EvaluationOptions
from napari_fastnet.evaluation.patches import evaluate_patches
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle, load_recorded, shipped
from napari_fastnet.model.card import section_of
from napari_fastnet.model.options import DEFAULT_MODEL, NetworkChoice
from napari_fastnet.synthetic.slide import write_slide
from napari_fastnet.training.adapt.home import home_patches

FIRST = "fastnet-pcam-1.0"


@pytest.fixture(scope="module", params=[DEFAULT_MODEL, FIRST])
def bundle(request):
    return load_bundle(request.param)


def test_the_default_model_stands_first_and_all_are_shipped_whole(bundle) -> None:
    assert shipped() == [DEFAULT_MODEL, FIRST]
    assert bundle.patch_size_pixels == 96
    assert bundle.spacing_um_px == 0.972
    assert set(bundle.stain) == {"reinhard", "macenko", "density"}
    # About a megabyte each, so that the package stays light.
    for path in (bundle.weights_path, bundle.onnx_path):
        assert path.stat().st_size < 1_500_000


def test_its_card_says_what_it_is_for_and_what_not(bundle) -> None:
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert "Research use only. Not for diagnosis." in card
    assert f"{bundle.metrics.auc:.4f}" in card
    assert "## Limits" in card


def test_runs_of_the_first_model_go_on_with_it() -> None:
    digest = "018f04354c90a64c218e6501ec2624c7e695e53b974a5ea190b81e1cb207c897"
    assert load_recorded("fastnet-pcam", digest).name == FIRST


def test_networks_of_all_are_of_one_size_and_cost() -> None:
    old, new = load_bundle(FIRST), load_bundle(DEFAULT_MODEL)
    assert new.architecture == old.architecture
    for bundle in (old, new):
        assert bundle.metrics.parameters == 218_758
        assert bundle.metrics.flops_256px == 209_869_864


def test_the_default_model_was_not_trained_on_the_patches_of_the_gate() -> None:
    assert load_bundle(DEFAULT_MODEL).training.held_back == (
        home_patches("gate").facts.sha256,
    )


def test_the_lesion_thresholds_of_the_first_are_those_of_models_without_any() -> None:
    defaults = asdict(EvidenceScale())
    scale = asdict(load_bundle(FIRST).lesions)
    for name in ("scale", "offset", "beside", "certain", "fewer", "balanced", "more"):
        assert defaults[name] == pytest.approx(scale[name], abs=0.01)


def test_its_curve_of_alarms_falls_and_stands_on_its_card(bundle) -> None:
    scale = bundle.lesions
    for high, low in pairwise(scale.curve):
        assert high.lesion_threshold > low.lesion_threshold
        assert high.false_per_10_mm2 <= low.false_per_10_mm2
        assert high.sensitivity <= low.sensitivity
    card = section_of(bundle.card(), "Lesions")
    assert scale.measured_on in card
    for words, name in (
        ("fewer alarms", "fewer"),
        ("balanced", "balanced"),
        ("find more", "more"),
    ):
        point = scale.at(scale.of(name))
        assert point.lesion_threshold == scale.of(name)
        rate, share = f"{point.false_per_10_mm2:.1f}", f"{point.sensitivity:.0%}"
        assert f"| {words}: {scale.of(name):.2f} | {rate} | {share} |" in card


def test_both_back_ends_agree(bundle, patches) -> None:
    found = {
        name: create_backend(bundle, NetworkChoice(backend=name, threads=1)).predict(
            patches
        )
        for name in ("onnx", "torch")
    }
    np.testing.assert_allclose(found["onnx"], found["torch"], atol=1e-4)


def test_it_finds_the_lesions_of_the_synthetic_slide(bundle, tmp_path) -> None:
    path = tmp_path / "slide.svs"
    truth = write_slide(path, shape=(4096, 4096), seed=1)
    result = detect(path, tmp_path, model=bundle, options=RunOptions(stride=48))
    labels = truth.labels(result.heatmap.grid)
    known = (labels >= 0) & result.heatmap.computed
    values = result.heatmap.probabilities[known]
    assert (labels[known] == 1).sum() > 30
    auc = roc_auc(labels[known] == 1, values)
    assert auc is not None
    # the pale pulp that is drawn looks more like tumor to the second
    assert auc > (0.9 if bundle.name == FIRST else 0.88)
    # No tumor is outside of what was looked at.
    assert result.heatmap.computed[labels == 1].mean() > 0.99


@pytest.mark.real
def test_it_is_as_good_on_real_patches_as_its_card_says(bundle) -> None:
    data = os.environ.get("NAPARI_FASTNET_PATCHES")
    if data is None:
        pytest.skip("no $NAPARI_FASTNET_PATCHES: the validation patches")
    evaluation = evaluate_patches(
        Path(data),
        bundle=bundle,
        backend=create_backend(bundle),
        options=EvaluationOptions(mpp=0.972),
    )
    assert evaluation.metrics.auc == pytest.approx(bundle.metrics.auc, abs=1e-3)
