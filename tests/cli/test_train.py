"""`train` as its users type it: a bundle that `models` and `detect` accept."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from napari_fastnet.cli.app import main
from napari_fastnet.model.bundle import load_bundle


@pytest.fixture
def data(tmp_path):
    """Three folders of 32 px patches: tumour is darker."""
    rng = np.random.default_rng(0)
    for part in ("train", "valid", "also"):
        for index in range(16):
            label = index % 2
            image = rng.integers(40, 120, (32, 32, 3)) + (0 if label else 100)
            path = tmp_path / part / str(label) / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.astype(np.uint8)).save(path)
    return tmp_path


def train(data, *more):
    arguments = [data / "train", "--valid", data / "valid", "-o", data / "model"]
    options = ["--mpp", "2", "--epochs", "1", "--batch-size", "4", "--device", "cpu"]
    return main(["train", *map(str, arguments), *options, *more])


@pytest.mark.slow
def test_training_writes_a_bundle_and_says_where(data, capsys) -> None:
    assert train(data, "--name", "mine") == 0
    printed = capsys.readouterr().out
    assert "epoch 1 of 1" in printed
    assert str(data / "model") in printed
    bundle = load_bundle(data / "model")
    assert (bundle.name, bundle.spacing_um_px) == ("mine", 2.0)
    assert "--name mine" in bundle.training.command
    assert (data / "model-training" / "history.csv").exists()


@pytest.mark.slow
def test_a_training_goes_on_and_says_from_where(data, capsys) -> None:
    assert train(data, "--epochs", "2") == 0
    first = capsys.readouterr()
    assert "going on" not in first.out
    assert "2 patches of a class" not in first.err
    assert train(data, "--epochs", "2") == 0
    printed = capsys.readouterr().out
    assert "going on from epoch 2 of 2" in printed
    assert "epoch 1 of 2:" not in printed
    assert "kept" in printed


@pytest.mark.slow
def test_what_a_training_begins_with_is_judged_first_and_last(data, capsys) -> None:
    assert (
        train(data, "--data-description", "of 'mice'", "--data-licence", "CC BY") == 0
    )
    (data / "model").rename(data / "first")
    (data / "model-training").rename(data / "first-training")
    capsys.readouterr()
    also = ("--also-judge", str(data / "also"), "--mpp", "1.5")
    assert train(data, "--from", str(data / "first"), *also) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith("epoch 0 of 1: as it begins, AUC ")
    assert lines[1].startswith("epoch 1 of 1: loss ")
    assert any(" on also, " in line and "it began with" in line for line in lines)
    assert "fastnet knows 2" in captured.err
    card = load_bundle(data / "model").card()
    assert "> - What the data are, by the one who trained: of 'mice'" in card
    assert "> Of the training data, by the one who trained: CC BY." in card
    assert str(data) not in card


def test_a_folder_is_not_judged_on_itself(data, capsys) -> None:
    assert train(data, "--valid", str(data / "train")) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: 16 of 16 patches of train are trained on as well")


def test_an_output_that_holds_something_else_is_refused_at_once(data, capsys) -> None:
    (data / "model").mkdir()
    (data / "model" / "thesis.docx").write_text("")
    assert train(data) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "is no model bundle" in captured.err


@pytest.mark.slow
def test_training_starts_from_another_models_weights(data, capsys) -> None:
    assert train(data) == 0
    first = load_bundle(data / "model")
    (data / "model").rename(data / "first")
    (data / "model-training").rename(data / "first-training")
    assert train(data, "--from", str(data / "first"), "--learning-rate", "1e-9") == 0
    second = load_bundle(data / "model")
    assert second.training.started_from == first.sha256
    capsys.readouterr()


@pytest.mark.slow
def test_the_shipped_model_is_tuned_to_a_users_folder(data, capsys) -> None:
    options = ["--from", "fastnet-pcam", "--learning-rate", "1e-4"]
    for part in (
        "train",
        "valid",
    ):  # what is light is tumor, to have something to learn
        (data / part / "1").rename(data / part / "2")
        (data / part / "0").rename(data / part / "1")
        (data / part / "2").rename(data / part / "0")
    assert train(data, *options, "--name", "tuned") == 0
    tuned, shipped = load_bundle(data / "model"), load_bundle("fastnet-pcam")
    assert tuned.training.started_from == shipped.sha256
    assert f"from the weights {shipped.sha256[:12]}" in tuned.card()
    old, new = (load_file(model.weights_path) for model in (shipped, tuned))
    assert old.keys() == new.keys()
    # a few steps away from where it began, and no further
    apart = [np.abs(old[key] - new[key]).max() for key in old if old[key].ndim == 4]
    assert 0 < max(apart) < 0.05


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--batch-size", "5"], "square"),
        (["--loss", "focal"], "weight"),
        (["--epochs", "0"], "epochs"),
        (["--from", "nowhere"], "nowhere"),
        (["--start-from", "nowhere"], "nowhere"),
    ],
)
def test_options_at_fault_are_one_line(data, capsys, more, word) -> None:
    assert train(data, *more) == 1
    *others, line = capsys.readouterr().err.splitlines()
    assert all("has 8 patches of a class" in other for other in others)
    assert line.startswith("error: ")
    assert word in line


def test_data_that_are_missing_are_one_line(tmp_path, capsys) -> None:
    arguments = [
        "none.tar",
        "--valid",
        "none.tar",
        "-o",
        str(tmp_path / "m"),
        "--mpp",
        "1",
    ]
    assert main(["train", *arguments]) == 1
    assert "none.tar" in capsys.readouterr().err
