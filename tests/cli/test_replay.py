"""``napari-fastnet replay``: what it prints, and its exit codes."""

from __future__ import annotations

import json

import pytest

from napari_fastnet.cli.app import main


@pytest.fixture
def record(slide_file, dark_bundle, tmp_path, capsys):
    out = tmp_path / "first"
    assert (
        main(["detect", str(slide_file), "-o", str(out), "--model", str(dark_bundle)])
        == 0
    )
    capsys.readouterr()
    return out / slide_file.stem / "run.json"


def test_a_run_that_repeats_is_said_to(record, dark_bundle, capsys):
    assert main(["replay", str(record), "--model", str(dark_bundle)]) == 0
    printed = capsys.readouterr().out
    backend = json.loads(record.read_text())["options"]["backend"]
    assert f"0 beyond {0.02 if 'bf16' in backend else 0.0001}" in printed
    assert printed.splitlines()[-1].split() == ["results", "the", "same"]


def test_results_are_kept_where_one_asks(record, dark_bundle, tmp_path, capsys):
    kept = tmp_path / "kept"
    argv = ["replay", str(record), "--model", str(dark_bundle), "-o", str(kept)]
    assert main(argv) == 0
    assert str(kept) in capsys.readouterr().out
    assert (kept / record.parent.name / "overview.png").is_file()


def test_other_results_are_an_error_that_names_them(record, dark_bundle, capsys):
    said = json.loads(record.read_text())
    said["regions"]["regions"] = 9
    record.write_text(json.dumps(said))
    assert main(["replay", str(record), "--model", str(dark_bundle)]) == 1
    out, err = capsys.readouterr()
    assert "found     regions: 9 -> " in out
    assert "NOT the same" in out
    assert err.startswith("error: the repetition found something else")


def test_json_has_it_all(record, dark_bundle, capsys):
    assert main(["replay", str(record), "--model", str(dark_bundle), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["same"] is True
    assert said["differences"] == []
    assert said["values"]["beyond"] == 0


def test_a_model_that_is_not_known_by_its_name_is_one_line(record, capsys):
    assert main(["replay", str(record)]) == 1
    assert "no model 'dark'" in capsys.readouterr().err
