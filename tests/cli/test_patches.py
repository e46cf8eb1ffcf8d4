"""`patches` as its users type it, and what `train` and `evaluate` make of its output."""

from __future__ import annotations

import json
import shutil

import pytest

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.reading import read_annotations
from napari_fastnet.cli.app import main
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.model.bundle import load_bundle

SMALL = ["--mpp", "0.972", "--patch", "32"]
#: Training that takes a second; what it learns does not matter.
SHORT = ["--epochs", "1", "--batch-size", "16", "--device", "cpu"]


def patches(folder, output, *more):
    words = ["patches", folder, "-o", output, *SMALL, "--workers", "1", *more]
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def made(camelyon, tmp_path_factory):
    """Return a zarr of patches."""
    store = tmp_path_factory.mktemp("made") / "patches.zarr"
    assert patches(camelyon, store, "--valid-share", "0.5", "--testing") == 0
    return store


def test_what_was_made_is_said(camelyon, tmp_path, capsys):
    assert patches(camelyon, tmp_path / "p.zarr") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("train ")
    for name in ("p.zarr", "contact_sheet.png", "slides.csv"):
        (line,) = (line for line in printed.splitlines() if line.endswith(name))
        assert (tmp_path / line.split()[-1]).exists()
    assert patches(camelyon, tmp_path / "p.zarr", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["totals"]["train"]["tumour"] == said["totals"]["train"]["normal"] > 0
    assert [row["slide"] for row in said["slides"]][:1] == ["normal_001"]
    assert said["files"][0] == str(tmp_path / "p.zarr")


def test_a_split_at_random_warns_that_it_leaks(camelyon, tmp_path, capsys):
    store = tmp_path / "p.zarr"
    assert patches(camelyon, store, "--split", "patches") == 0
    assert "figures will be too good" in capsys.readouterr().err
    train = ["train", str(store), "-o", str(tmp_path / "m"), "--batch-size", "5"]
    assert main(train) == 1  # a mosaic needs a square number
    *warnings, error = capsys.readouterr().err.splitlines()
    assert any("p.zarr was split by patches" in warning for warning in warnings)
    assert error.startswith("error: ")


def test_faults_are_named_the_rest_is_made_and_the_exit_code_is_1(
    camelyon, tmp_path, capsys
):
    folder = shutil.copytree(camelyon, tmp_path / "mine")
    (folder / "training" / "tumor" / "tumor_002.tif").write_text("no slide")
    annotations = folder / "training" / "lesion_annotations"
    shutil.copy(annotations / "tumor_001.xml", annotations / "tumor_077.xml")
    assert patches(folder, tmp_path / "p.zarr") == 1
    printed = capsys.readouterr()
    assert "slides  3, 1 failed" in printed.out
    lines = [line for line in printed.err.splitlines() if line.startswith("warning")]
    assert len(lines) == 2
    assert lines[0].startswith("warning: left out: ")
    assert "tumor_077.xml" in lines[0]
    assert lines[1].startswith("warning: failed: tumor_002: ")


def test_odd_outlines_are_named_and_a_part_without_patches_is_seen(
    camelyon, tmp_path, capsys
):
    folder = shutil.copytree(camelyon, tmp_path / "mine")
    annotations = folder / "training" / "lesion_annotations"
    (ring,) = read_annotations(annotations / "tumor_001.xml").positive[:1]
    write_asap_xml(annotations / "tumor_001.xml", Annotations((ring, ring + 1e5), ()))
    (folder / "training" / "tumor" / "tumor_002.tif").unlink()
    (annotations / "tumor_002.xml").unlink()
    assert patches(folder, tmp_path / "p.zarr") == 0
    printed = capsys.readouterr()
    assert "warning: odd: tumor_001: 1 outline outside the slide" in printed.err
    assert "0 tumor, 0 normal" in printed.out
    assert main(["train", str(tmp_path / "p.zarr"), "-o", str(tmp_path / "m")]) == 1
    assert "no patches in its part valid; cut more slides" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folder", "more", "words"),
    [
        ("absent", (), "no such folder"),
        (".", (), "no folder training"),
        ("CAMELYON16", ("--mpp", "9"), "mpp is 9.0"),
        ("CAMELYON16", ("--patch", "8"), "patch is 8 px"),
        ("CAMELYON16", ("--valid-share", "1"), "valid_share is 1.0"),
    ],
)
def test_what_is_wrong_is_one_line(camelyon, tmp_path, capsys, folder, more, words):
    assert patches(camelyon.parent / folder, tmp_path / "p.zarr", *more) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert words in line


def test_a_zarr_states_its_spacing_and_its_slides(made, capsys):
    judge = ["evaluate", "patches", str(made), "--json"]
    assert main([*judge, "--part", "train"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ci95_by"] == "slides"
    assert said["slides"] >= 2
    assert main([*judge, "--mpp", "0.5"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "states 0.972 µm/px and 0.5 is given" in line


@pytest.mark.slow
def test_train_takes_parts_and_spacing_from_the_zarr(made, tmp_path, capsys):
    assert main(["train", str(made), "-o", str(tmp_path / "m"), *SHORT]) == 0
    bundle = load_bundle(tmp_path / "m")
    assert (bundle.patch_size_pixels, bundle.spacing_um_px) == (32, 0.972)
    capsys.readouterr()
    flat = " ".join(bundle.card().split())
    assert "By their names they are of other slides than those trained on." in flat
    assert bundle.metrics.slides == bundle.training.valid.slides == 2
    judge = ["evaluate", "patches", str(made), "--model", str(tmp_path / "m"), "--json"]
    judge += ["--backend", "onnx"]  # as exact as the training
    counts = {}
    for part in ("train", "valid", "test"):
        assert main([*judge, "--part", part, "--bootstrap", "0"]) == 0
        counts[part] = json.loads(capsys.readouterr().out)
    assert counts["valid"]["n"] == bundle.metrics.n > 10
    assert counts["valid"]["auc"] == pytest.approx(bundle.metrics.auc, abs=1e-3)
    assert len({found["n"] for found in counts.values()}) == 3


@pytest.mark.parametrize(
    ("data", "more", "words"),
    [
        ("{made}", ("--mpp", "0.5"), "0.5 and 0.972 µm/px"),
        ("{made} {made}", (), "--valid"),
        ("{made}", ("--valid", "other.tar"), "--mpp"),
    ],
)
def test_what_training_does_not_know_is_asked_for(
    made, tmp_path, capsys, data, more, words
):
    data = [word.format(made=made) for word in data.split()]
    assert main(["train", *data, "-o", str(tmp_path / "m"), *more]) == 2
    assert words in capsys.readouterr().err


def test_training_on_what_is_not_there_says_so(tmp_path, capsys):
    missing = tmp_path / "CAMELYON61"
    assert main(["train", str(missing), "-o", str(tmp_path / "m")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {missing}: no such file or folder; check the path"


def test_slides_with_a_model_need_a_place_for_their_runs(camelyon, capsys):
    images = camelyon / "testing" / "images"
    words = ["--truth", str(camelyon / "testing"), "--model", "fastnet-pcam"]
    assert main(["evaluate", "slides", str(images), *words]) == 2
    assert "give -o" in capsys.readouterr().err
