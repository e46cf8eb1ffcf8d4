"""`adapt` as its users type it: corrections beside runs, files of QuPath, a bundle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from napari_fastnet.cli.app import main
from napari_fastnet.core.labelled_cells import label_grid, outlines_of
from napari_fastnet.model.bundle import available, load_bundle
from napari_fastnet.results.corrections import corrections_of
from napari_fastnet.results.record import RECORD, read_record
from napari_fastnet.training.adapt.examples import labelled_slides


@pytest.fixture(scope="module")
def run(pale_slide, tmp_path_factory):
    """Return the folder of a run of the pale slide, with nothing painted."""
    folder = tmp_path_factory.mktemp("runs")
    argv = ["detect", str(pale_slide[0]), "-o", str(folder), "--stride", "patch"]
    assert main(argv) == 0
    return folder / "pale"


@pytest.fixture
def painted(run, pale_slide, tmp_path):
    """Return a copy of the run with the strokes painted beside it."""
    copy = tmp_path / "runs" / "pale"
    shutil.copytree(run, copy)
    corrections_of(copy, read_record(copy / RECORD).slide).paint(pale_slide[1])
    return copy


@pytest.fixture
def qupath(pale_slide, tmp_path):
    """Return a file of QuPath with the same strokes."""
    grid = label_grid((1024, 1280), (0.972, 0.972))
    features = [
        {
            "type": "Feature",
            "properties": {
                "objectType": "annotation",
                "classification": {"name": name, "color": [200, 0, 0]},
            },
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, y] for y, x in [*ring, ring[0]]]],
            },
        }
        for kind, name in ((1, "Tumor"), (2, "Normal"))
        for ring, *_ in outlines_of(pale_slide[1] == kind, grid)
    ]
    path = tmp_path / "pale.geojson"
    path.write_text(
        json.dumps({"type": "FeatureCollection", "features": features}, default=float)
    )
    return path


def adapt(*words):
    return main(["adapt", *map(str, words), "--steps", "4"])


def test_what_was_painted_and_what_qupath_has_give_the_same_model(
    painted, run, qupath, tmp_path, capsys
) -> None:
    assert adapt(painted, "-o", tmp_path / "lab") == 0
    printed = capsys.readouterr().out
    assert "fastnet-pcam@lab 2.0" in printed
    assert "36 tumor and 48 normal cells, in 7 places on 1 slide; 84 taught" in printed
    bundle = load_bundle(tmp_path / "lab")
    gate = bundle.adapted.gate
    words = f"on your corrections {gate.corrections_before:.2f} to "
    assert words in printed
    assert f"at home {gate.home_before:.3f} to {gate.home_after:.3f}" in printed
    assert "optimistic" not in printed
    assert str(bundle.folder) in printed

    again = (run.parent, qupath, "-o", tmp_path / "lab2", "--name", "lab", "--json")
    assert adapt(*again) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["name"], said["folder"]) == (bundle.name, str(tmp_path / "lab2"))
    assert said["adapted"]["tumor"] == 36
    assert load_bundle(tmp_path / "lab2").files == bundle.files
    model = [(tmp_path / name / "model.json").read_bytes() for name in ("lab", "lab2")]
    assert model[0] == model[1]

    assert main(["models", "show", str(tmp_path / "lab")]) == 0
    assert "adapted to a laboratory" in capsys.readouterr().out
    slide = read_record(run / RECORD).slide.path
    argv = ["detect", slide, "-o", str(tmp_path / "out"), "--stride", "patch"]
    assert main([*argv, "--model", str(tmp_path / "lab")]) == 0
    record = read_record(tmp_path / "out" / "pale" / RECORD)
    assert (record.model.name, record.model.sha256) == (bundle.name, bundle.sha256)


def fails(capsys, *words) -> str:
    """Run with words that are at fault; return the one line."""
    assert adapt(*words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.splitlines()[-1]
    assert line.startswith("error: ")
    return line


def test_a_run_without_labels_is_one_line(run, tmp_path, capsys) -> None:
    line = fails(capsys, run, "-o", tmp_path / "lab")
    assert "labelled are 0 tumor and 0 normal cells; label at least 5 of each" in line
    assert not (tmp_path / "lab").exists()


def test_labels_of_another_slide_are_one_line(
    painted, qupath, run, tmp_path, capsys
) -> None:
    text = (painted / "corrections.geojson").read_text()
    fingerprint = read_record(run / RECORD).slide.fingerprint
    other = tmp_path / "other.geojson"
    other.write_text(text.replace(fingerprint, "f" * 64))
    line = fails(capsys, run, "-o", tmp_path / "lab", "--labels", other)
    assert "other.geojson: labels of another slide" in line


def test_matched_colours_are_not_what_is_taught(painted, pale_slide) -> None:
    record = painted / RECORD
    assert labelled_slides([painted])[0].labels.notes == ()
    text = record.read_text().replace('"method": "none"', '"method": "density"')
    record.write_text(text)
    (slide,) = labelled_slides([painted])
    assert slide.labels.notes == (
        "pale.svs was detected with colours matched to the model's, and is taught in its "
        "own",
    )


def test_a_slide_that_is_gone_is_one_line(painted, tmp_path, capsys) -> None:
    record = painted / RECORD
    path = read_record(record).slide.path
    record.write_text(record.read_text().replace(path, str(tmp_path / "gone.svs")))
    assert "gone.svs" in fails(capsys, painted, "-o", tmp_path / "lab")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--base", "nowhere"], "nowhere"),
        (["--name", "a b"], "--name"),
        (["--seed", "-1"], "seed"),
        (["--labels", "none.geojson"], "none.geojson"),
    ],
)
def test_options_at_fault_are_one_line(painted, tmp_path, capsys, words, said) -> None:
    assert said in fails(capsys, painted, "-o", tmp_path / "lab", *words)


def test_an_output_that_holds_something_else_is_refused_at_once(
    painted, tmp_path, capsys
) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "thesis.docx").write_text("")
    line = fails(capsys, painted, "-o", tmp_path / "lab")
    assert "is no model bundle" in line


def test_without_a_run_it_says_what_to_give(qupath, tmp_path, capsys) -> None:
    assert "no run is given" in fails(capsys, qupath, "-o", tmp_path / "lab")


def test_a_program_is_no_base(
    painted, wsinfer_model, models_here, tmp_path, capsys
) -> None:
    argv = ["models", "add", str(wsinfer_model), "--allow-torchscript"]
    assert main(argv) == 0
    capsys.readouterr()
    words = (painted, "-o", tmp_path / "lab", "--base", "dark-tumor")
    assert "is a TorchScript program" in fails(capsys, *words)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("when", ["teaching", "writing"])
def test_a_kill_leaves_the_corrections_and_no_half_bundle(
    painted, models_here, when, pale_slide
) -> None:
    place = {
        "teaching": "napari_fastnet.training.adapt.adapt.average_weights",
        "writing": "napari_fastnet.model.writing._move",
    }[when]
    module, _, name = place.rpartition(".")
    code = f"""
import os, signal, sys
from importlib import import_module
from napari_fastnet.cli.app import main
kill = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
setattr(import_module({module!r}), {name!r}, kill)
main(sys.argv[1:])
"""
    target = models_here / "fastnet-pcam@lab"
    argv = ["adapt", str(painted), "-o", str(target), "--steps", "1", "--anyway"]
    ended = subprocess.run([sys.executable, "-c", code, *argv], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not target.exists()
    assert "fastnet-pcam@lab" not in available()
    slide = read_record(painted / RECORD).slide
    np.testing.assert_array_equal(corrections_of(painted, slide).cells, pale_slide[1])
    if when == "writing":
        assert main(argv) == 0
        assert [path.name for path in models_here.iterdir()] == ["fastnet-pcam@lab"]
