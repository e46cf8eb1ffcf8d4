"""docs/paper/index.md says what is so: its commands run, what it names exists."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from napari_fastnet.cli.app import COMMANDS, main
from napari_fastnet.model.bundle import load_bundle

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "paper" / "index.md").read_text("utf-8")
CODE = re.findall(r"`([^`\n]+)`", PAGE)
#: A training of a second; what it learns does not matter.
SMALL = [
    "--mpp",
    "0.972",
    "--patch",
    "32",
    "--epochs",
    "1",
    "--batch-size",
    "16",
    "--device",
    "cpu",
]


def block(language):
    """Return the page's code block in a language."""
    (code,) = re.findall(rf"^```{language}.*\n((?:.*\n)*?)```$", PAGE, re.M)
    return code


@pytest.mark.slow
def test_from_a_folder_to_a_model_and_from_slides_to_froc(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    exec(compile(block("python"), "index.md", "exec"), {})
    train, evaluate = (shlex.split(line)[1:] for line in block("sh").splitlines())
    assert main([*train, *SMALL]) == 0
    assert "contact_sheet.png" in capsys.readouterr().out
    bundle = load_bundle(tmp_path / "camelyon-model")
    assert (bundle.patch_size_pixels, bundle.spacing_um_px) == (32, 0.972)
    (patches,) = (tmp_path / "camelyon-model-training").glob("CAMELYON16*.zarr")
    assert (
        main(["evaluate", "patches", str(patches), "--model", bundle.folder.name]) == 0
    )
    capsys.readouterr()

    assert main([*evaluate, "--json", "--bootstrap", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["slides"], found["tumour"], found["skipped"]) == (2, 1, [])
    assert found["lesions"]["counted"] > 0
    assert 0 <= found["froc"] <= 1
    for name in ("froc.png", "lesions.csv", "runs/test_001/run.json"):
        assert (tmp_path / "froc" / name).exists()


def test_every_module_and_test_that_is_named_exists():
    named = [words for words in CODE if re.fullmatch(r"[\w/]+\.py", words)]
    assert len(named) > 30
    for path in named:
        beside = path.startswith(("tests/", "benchmarks/"))
        place = ROOT if beside else ROOT / "src" / "napari_fastnet"
        assert (place / path).is_file(), path


def test_every_command_of_the_table_exists():
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| ")]
    named = {
        words.split()[0] for row in rows for words in re.findall("`(.*?)`", row[5])
    } - {"benchmarks/paper/experiment.py"}
    assert named >= {"detect", "train", "patches", "evaluate"}
    assert named <= set(COMMANDS)
