"""``napari-fastnet models``, with a model to whom darkness is tumour."""

from __future__ import annotations

import json

import pytest

from napari_fastnet.cli.app import main
from napari_fastnet.model import bundle


@pytest.fixture
def only_dark(monkeypatch, dark_bundle):
    monkeypatch.setattr(bundle, "available", lambda: [str(dark_bundle)])


@pytest.mark.parametrize("argv", [["models"], ["models", "list"]])
def test_models_are_listed_with_what_one_needs_to_choose(only_dark, capsys, argv):
    assert main(argv) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["name", "version"]
    assert row.split()[:6] == ["dark", "1.0", "fastnet", "2", "32", "0.5"]


@pytest.mark.parametrize("argv", [["models", "--json"], ["models", "list", "--json"]])
def test_json_has_hash_and_folder(only_dark, dark_bundle, capsys, argv):
    assert main(argv) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["folder"] == str(dark_bundle)
    assert len(said["sha256"]) == 64


def test_no_models_is_a_list_without_rows(monkeypatch, capsys):
    monkeypatch.setattr(bundle, "available", list)
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_model_is_shown_with_its_card(dark_bundle, capsys):
    assert main(["models", "show", str(dark_bundle)]) == 0
    printed = capsys.readouterr().out
    assert "normal, tumour" in printed
    assert printed.endswith("# Darkness\n")
    assert main(["models", "show", str(dark_bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["card"] == "# Darkness\n"


def test_a_model_is_added_used_by_name_and_removed(
    models_here, dark_bundle, slide_file, tmp_path, capsys
):
    assert main(["models", "add", str(dark_bundle), "--name", "night"]) == 0
    assert "shows   the probability of 'tumour'" in capsys.readouterr().out
    argv = [
        "detect",
        str(slide_file),
        "-o",
        str(tmp_path),
        "--model",
        "night",
        "--json",
    ]
    assert main(argv) == 0
    assert json.loads(capsys.readouterr().out)["model"]["name"] == "night"
    assert main(["models", "remove", "night"]) == 0
    assert main(["models", "show", "night"]) == 1
    assert "no model 'night'" in capsys.readouterr().err


def test_a_program_is_taken_in_only_on_purpose(models_here, wsinfer_model, capsys):
    assert main(["models", "add", str(wsinfer_model)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "--allow-torchscript" in line
    assert main(["models", "add", str(wsinfer_model), "--allow-torchscript"]) == 0
    assert "'tumor'" in capsys.readouterr().out
    assert main(["models", "verify", "dark-tumor"]) == 0


def test_damage_is_found_by_verify_and_does_not_spoil_the_list(
    models_here, dark_bundle, capsys
):
    assert main(["models", "add", str(dark_bundle)]) == 0
    assert main(["models", "verify"]) == 0
    (models_here / "dark" / "model.onnx").write_bytes(b"other")
    capsys.readouterr()
    assert main(["models"]) == 0
    *_, row = capsys.readouterr().out.splitlines()
    assert row.split() == ["dark", "damaged:", "see", "models", "verify"]
    assert main(["models", "verify", "--json"]) == 1
    out, err = capsys.readouterr()
    assert "error" in json.loads(out)[-1]
    assert "changed or damaged" in err
