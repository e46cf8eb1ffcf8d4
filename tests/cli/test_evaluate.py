"""``napari-fastnet evaluate patches``, with a model to whom darkness is tumour."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.cli.app import main

AT = ("--mpp", "2")


@pytest.fixture
def patches(tmp_path):
    """Return a function that writes patches of one grey value: label -> values."""

    def write(greys, side=32):
        folder = tmp_path / "patches"
        for label, values in greys.items():
            (folder / str(label)).mkdir(parents=True)
            for index, grey in enumerate(values):
                image = np.full((side, side, 3), grey, np.uint8)
                Image.fromarray(image).save(folder / str(label) / f"{index}.png")
        return folder

    return write


def evaluate(folder, bundle, *options, capsys):
    argv = ["evaluate", "patches", str(folder), "--model", str(bundle), *AT, *options]
    assert main([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_metrics_are_those_done_by_hand(patches, dark_bundle, capsys):
    # tumour: two dark, one light; normal: two light, one dark
    folder = patches({1: [0, 51, 204], 0: [255, 204, 102]})
    said = evaluate(folder, dark_bundle, capsys=capsys)
    assert said["n"] == 6
    assert said["confusion"] == {"tp": 2, "fp": 1, "tn": 2, "fn": 1}
    for name in ("accuracy", "recall", "precision", "f1"):
        assert said[name] == pytest.approx(2 / 3)
    # of 9 pairs: 1.0 and 0.8 beat all three, 0.2 beats 0.0, ties 0.2, loses to 0.6
    assert said["auc"] == pytest.approx(7.5 / 9)
    assert set(said["ci95"]) >= {"auc", "accuracy", "recall", "precision", "f1"}
    assert said["model"]["name"] == "dark"


def test_one_class_alone_has_no_auc(patches, dark_bundle, capsys):
    said = evaluate(patches({0: [255, 0]}), dark_bundle, capsys=capsys)
    assert said["auc"] is None
    assert said["recall"] is None
    assert said["accuracy"] == 0.5


def test_threshold_given_replaces_the_model_s(patches, dark_bundle, capsys):
    folder = patches({1: [204], 0: [255]})
    said = evaluate(folder, dark_bundle, "--threshold", "0.1", capsys=capsys)
    assert said["confusion"]["tp"] == 1


def test_people_get_a_table(patches, dark_bundle, capsys):
    folder = patches({1: [0], 0: [255]})
    argv = ["evaluate", "patches", str(folder), "--model", str(dark_bundle), *AT]
    assert main(argv) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "patches      2: 1 tumor, 1 normal"
    assert lines[1] == "auc          1.0000  (0.2065 to 1.0000)"
    assert lines[-1].startswith("intervals    95 %, of patches")
    assert captured.err == ""


def test_without_the_spacing_nothing_is_judged(patches, dark_bundle, capsys):
    folder = patches({1: [0], 0: [255]})
    assert main(["evaluate", "patches", str(folder), "--model", str(dark_bundle)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "give it with --mpp" in line


def test_a_narrow_view_is_warned_of(patches, dark_bundle, capsys):
    folder = patches({1: [0], 0: [255]}, side=128)
    argv = ["evaluate", "patches", str(folder), "--model", str(dark_bundle)]
    assert main([*argv, "--mpp", "0.49"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: 2 of 2 patches are narrower")


def test_probabilities_of_each_patch_go_to_a_file(
    patches, dark_bundle, tmp_path, capsys
):
    table = tmp_path / "p.csv"
    evaluate(patches({1: [0]}), dark_bundle, "--csv", str(table), capsys=capsys)
    assert table.read_text().splitlines() == [
        "name,label,probability",
        "1/0.png,1,1.000000",
    ]


def test_no_patches_is_one_line(tmp_path, dark_bundle, capsys):
    argv = ["evaluate", "patches", str(tmp_path), "--model", str(dark_bundle), *AT]
    assert main(argv) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1


def test_a_model_that_is_not_there_is_one_line(patches, capsys):
    argv = ["evaluate", "patches", str(patches({0: [0]})), "--model", "no-such"]
    assert main(argv) == 1
    assert "no model 'no-such'" in capsys.readouterr().err
