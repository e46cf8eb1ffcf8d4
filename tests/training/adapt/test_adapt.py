"""A model adapted to a drawn slide in a stain that it does not know."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from napari_fastnet.errors import BundleError, DataError, OptionError, OutputError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.card import section_of
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.model.user_models import keep, read_candidate
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.training.adapt.adapt import (
    Adapted,
    AdaptProgress,
    adapt,
    write_adapted,
)
from napari_fastnet.training.adapt.examples import gather
from napari_fastnet.training.adapt.options import AdaptOptions

MODEL = load_bundle("fastnet-pcam")
STEPS = 4


@pytest.fixture(scope="module")
def examples(pale_slide, labelled):
    *_, found = gather([labelled(*pale_slide)], MODEL)
    return found


@pytest.fixture(scope="module")
def steps(examples):
    """Everything that an adaptation yields."""
    return list(adapt(MODEL, examples, AdaptOptions(steps=STEPS)))


@pytest.fixture(scope="module")
def adapted(steps):
    return steps[-1]


@pytest.fixture(scope="module")
def bundle(adapted, tmp_path_factory):
    return write_adapted(adapted, tmp_path_factory.mktemp("written") / "lab", "lab")


def test_it_learns_the_stain_and_does_not_forget_home(adapted) -> None:
    gate = adapted.gate
    assert gate.folds == 3
    assert gate.corrections_before < 0.75
    assert gate.corrections_after > 0.85
    assert gate.home_before == pytest.approx(0.96, abs=0.01)
    assert gate.home_before - gate.home_after < 0.02
    assert not gate.optimistic
    assert adapted.words == gate.words


def test_it_yields_each_step(steps) -> None:
    *progress, last = steps
    assert progress == [AdaptProgress(done, STEPS) for done in range(1, STEPS + 1)]
    assert isinstance(last, Adapted)


def test_nothing_comes_after_a_stop(examples) -> None:
    asked = iter([False, True])
    found = list(adapt(MODEL, examples, AdaptOptions(), stopped=lambda: next(asked)))
    assert found == [AdaptProgress(1, 100), AdaptProgress(2, 100)]


def test_the_threads_of_before_come_back(examples) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        list(adapt(MODEL, examples, AdaptOptions(steps=1), stopped=lambda: True))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_its_bundle_says_where_it_comes_from(bundle, adapted, examples) -> None:
    assert bundle.name == "fastnet-pcam@lab"
    facts = bundle.adapted
    assert asdict(facts.parent) == {
        "name": "fastnet-pcam",
        "version": MODEL.version,
        "sha256": MODEL.sha256,
    }
    assert facts.corrections == examples.digest
    assert (facts.tumor, facts.normal, facts.taught) == (36, 48, 84)
    assert (facts.slides, facts.places) == (1, 7)
    assert (facts.steps, facts.seed, facts.part) == (STEPS, 0, "network")
    assert asdict(facts.gate) == asdict(adapted.gate)
    assert facts.refusal is None
    assert bundle.training.started_from == MODEL.sha256
    assert bundle.metrics.auc == pytest.approx(adapted.gate.home_after, abs=1e-6)
    assert bundle.lesions.balanced == MODEL.lesions.balanced
    assert bundle.lesions.measured_on.endswith("with the model before")


def test_its_card_has_both_numbers(bundle, adapted) -> None:
    card = bundle.card()
    gate = adapted.gate
    figures = section_of(card, "Figures")
    for before, after in (
        (gate.corrections_before, gate.corrections_after),
        (gate.home_before, gate.home_after),
    ):
        assert f"| {before:.3f} | {after:.3f} |" in figures
    assert "optimistic" not in figures
    assert "refused" not in card
    assert adapted.examples.digest[:12] in section_of(card, "Training")
    assert "> BSD-3-Clause" in section_of(card, "Licence")


def test_calibration_and_thresholds_stay(bundle) -> None:
    assert bundle.calibration == MODEL.calibration
    assert bundle.threshold == MODEL.threshold
    assert replace(bundle.lesions, measured_on="") == replace(
        MODEL.lesions, measured_on=""
    )


def test_all_back_ends_run_it(bundle, examples) -> None:
    by_torch, by_onnx, by_openvino = (
        create_backend(bundle, NetworkChoice(backend=name, threads=1)).predict(
            examples.images[:20]
        )
        for name in ("torch", "onnx", "openvino")
    )
    np.testing.assert_allclose(by_onnx, by_torch, atol=1e-4)
    np.testing.assert_allclose(by_openvino, by_torch, atol=0.07)  # bfloat16


def test_it_is_added_as_any_model(bundle, models_here) -> None:
    kept = keep(read_candidate(bundle.folder))
    assert load_bundle("fastnet-pcam@lab").sha256 == kept.sha256 == bundle.sha256
    assert kept.adapted == bundle.adapted


def test_the_same_corrections_and_seed_give_the_same_files(
    bundle, pale_slide, labelled, tmp_path
) -> None:
    path, strokes = pale_slide
    parts = [labelled(path, np.where(strokes == kind, strokes, 0)) for kind in (2, 1)]
    *_, examples = gather(parts, MODEL)
    *_, again = adapt(MODEL, examples, AdaptOptions(steps=STEPS, override=True))
    second = write_adapted(again, tmp_path / "elsewhere", "lab")
    names = {path.name for path in bundle.folder.iterdir()}
    assert names == {path.name for path in second.folder.iterdir()}
    for name in names:
        first = (bundle.folder / name).read_bytes()
        assert first == (second.folder / name).read_bytes(), name


def test_figures_at_home_are_optimistic_until_a_model_held_the_patches_back(
    bundle, examples, tmp_path
) -> None:
    assert bundle.training.held_back == MODEL.training.held_back
    first = load_bundle("fastnet-pcam-1.0")
    assert first.training.held_back == ()
    *_, found = adapt(first, examples, AdaptOptions(part="head", override=True))
    assert found.gate.optimistic
    written = write_adapted(found, tmp_path / "first", "lab")
    assert written.training.held_back == ()
    assert "optimistic" in section_of(written.card(), "Figures")


def test_the_head_alone_is_taught_in_a_moment(examples, tmp_path) -> None:
    options = AdaptOptions(part="head")
    *progress, found = adapt(MODEL, examples, options)
    assert progress == [AdaptProgress(1, 1)]
    assert found.gate.corrections_after > found.gate.corrections_before
    assert found.gate.refusal is None
    bundle = write_adapted(found, tmp_path / "head", "lab")
    assert (bundle.adapted.part, bundle.adapted.steps) == ("head", 0)
    assert "Taught: the head alone" in bundle.card()
    before, after = (load_weights(one.weights_path) for one in (MODEL, bundle))
    changed = {
        name
        for name, value in before.state_dict().items()
        if not torch.allclose(value, after.state_dict()[name], rtol=1e-6)
    }
    assert changed == {"classify.weight", "classify.bias"}


def test_an_adapted_model_is_adapted_again(bundle, examples, tmp_path) -> None:
    *_, again = adapt(bundle, examples, AdaptOptions(steps=1, override=True))
    second = write_adapted(again, tmp_path / "second", "later")
    assert second.name == "fastnet-pcam@later"
    assert second.adapted.parent.name == "fastnet-pcam@lab"
    assert second.adapted.parent.sha256 == bundle.sha256
    # what is lost at home adds up
    assert again.gate.home_before == bundle.adapted.gate.home_before
    assert again.gate.home_before != bundle.adapted.gate.home_after


def test_a_model_that_gains_nothing_is_refused_with_both_numbers(
    adapted, tmp_path
) -> None:
    gate = replace(adapted.gate, corrections_before=0.9, corrections_after=0.7)
    worse = replace(adapted, gate=gate)
    with pytest.raises(
        DataError, match=r"0\.90 to 0\.70 .*, at home .*gain nothing; .*--anyway"
    ):
        write_adapted(worse, tmp_path / "model", "lab")
    assert not list(tmp_path.iterdir())
    anyway = replace(worse, options=replace(worse.options, override=True))
    bundle = write_adapted(anyway, tmp_path / "model", "lab")
    assert bundle.adapted.refusal == "the corrections gain nothing"
    words = "**Its gate refused this model, and it was written all the same: the corrections"
    assert words in bundle.card()


def test_labels_of_a_class_in_one_place_show_no_gain(
    pale_slide, labelled, tmp_path
) -> None:
    path, strokes = pale_slide
    fewer = strokes.copy()
    fewer[27:48][fewer[27:48] == 1] = 0  # the lesions but the first
    *_, examples = gather([labelled(path, fewer)], MODEL)
    *_, found = adapt(MODEL, examples, AdaptOptions(steps=1))
    assert "lie in one place" in found.gate.refusal
    anyway = replace(found, options=AdaptOptions(steps=1, override=True))
    bundle = write_adapted(anyway, tmp_path / "model", "lab")
    assert "| not measured | not measured |" in bundle.card()


def test_a_program_cannot_be_taught(wsinfer_model, examples, models_here) -> None:
    kept = keep(read_candidate(wsinfer_model, allow_torchscript=True))
    with pytest.raises(BundleError, match=r"TorchScript program.*such as fastnet-pcam"):
        next(adapt(kept, examples, AdaptOptions()))


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 40, "@lab"])
def test_a_name_that_is_no_models_is_refused(adapted, tmp_path, name) -> None:
    with pytest.raises(OptionError, match="--name"):
        write_adapted(adapted, tmp_path / "model", name)


@pytest.mark.parametrize("options", [{"steps": 0}, {"seed": -1}, {"part": "stem"}])
def test_options_out_of_range_are_refused(options) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        AdaptOptions(**options)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of POSIX")
def test_a_full_disk_leaves_no_half_bundle(bundle, tmp_path) -> None:
    code = f"""
import resource, sys
from pathlib import Path
from napari_fastnet.errors import OutputError
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.training.publish import write_network
bundle = load_bundle({str(bundle.folder)!r})
network = load_weights(bundle.weights_path)
resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, resource.RLIM_INFINITY))
try:
    write_network(Path({str(tmp_path / "model")!r}), network, bundle)
except OutputError as error:
    print(error)
"""
    aside = tmp_path / "aside"
    aside.mkdir()
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TMPDIR": str(aside)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.startswith("cannot write ")
    assert "free some space" in printed
    assert list(tmp_path.rglob("*")) == [aside]


def test_an_earlier_bundle_is_replaced_whole(bundle, adapted, tmp_path) -> None:
    folder = tmp_path / "lab"
    shutil.copytree(bundle.folder, folder)
    again = write_adapted(adapted, folder, "lab")
    assert again.files == bundle.files
    assert {path.name for path in tmp_path.iterdir()} == {"lab"}
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.docx").write_text("")
    with pytest.raises(OutputError, match="is no model bundle"):
        write_adapted(adapted, tmp_path / "thesis", "lab")
