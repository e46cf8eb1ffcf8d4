"""``napari-fastnet evaluate slides``, from runs and from CAMELYON16's files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.reading import read_annotations
from napari_fastnet.cli.app import main
from napari_fastnet.core.polygons import Annotations

SQUARE = np.array([(4, 5), (4, 20), (12, 20), (12, 5)], float) * 64


@pytest.fixture
def folders(tmp_path, write_run):
    """Return runs of a tumour and of a normal slide, and the outlines."""
    tumour, normal = np.full((2, 30, 40), 0.01, np.float32)
    tumour[5:8, 7:10], tumour[19:22, 9:12], normal[2:5, 2:5] = 0.9, 0.6, 0.3
    write_run(tmp_path / "runs" / "tumor_001", tumour)
    write_run(tmp_path / "runs" / "normal_001", normal)
    truth = tmp_path / "truth"
    truth.mkdir()
    write_asap_xml(truth / "tumor_001.xml", Annotations((SQUARE,), ()))
    write_asap_xml(truth / "tumor_007.xml", Annotations((SQUARE,), ()))
    return tmp_path / "runs", truth


def evaluate(runs, truth, *options):
    argv = ["evaluate", "slides", str(runs), "--truth", str(truth)]
    return main([*argv, "--bootstrap", "20", *map(str, options)])


def test_numbers_go_to_standard_output(folders, capsys):
    assert evaluate(*folders, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["froc"] == 1
    assert said["sensitivity"]["0.25"] == 1
    assert said["slide_auc"] == 1
    assert said["pixels"]["dice"] == pytest.approx(72 / (72 + 36 + 444))
    assert said["without_slide"] == ["tumor_007"]
    assert said["assumed_normal"] == ["normal_001"]
    assert said["files"] == []
    assert {row["slide"] for row in said["per_slide"]} == {"tumor_001", "normal_001"}


def test_people_get_the_numbers_and_what_was_left_out(folders, capsys):
    runs, truth = folders
    (runs / "tumor_001" / "heatmap.ome.tif").write_bytes(b"II")
    write_asap_xml(truth / "normal_001.xml", Annotations((), ()))
    assert evaluate(*folders) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "slides           1: 0 tumor, 1 normal"
    assert "FROC             undefined" in lines
    assert "truth, no slide  1: tumor_007" in lines
    assert "skipped          1: tumor_001" in lines
    assert any("heatmap.ome.tif" in line for line in lines)


def test_people_are_told_which_outlines_are_odd(folders, capsys):
    _, truth = folders
    (path,) = truth.glob("tumor_001.xml")
    rings = read_annotations(path).positive
    far = rings[0] + 1e5
    write_asap_xml(path, Annotations((*rings, far), ()))
    assert evaluate(*folders) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "odd outlines     1: tumor_001" in lines
    assert lines[lines.index("odd outlines     1: tumor_001") + 1].split(": ") == [
        " " * 17 + "tumor_001",
        "1 outline outside the slide",
    ]


def test_tables_and_curve_go_to_a_folder(folders, tmp_path, capsys):
    assert evaluate(*folders, "-o", tmp_path / "out", "--json") == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert str(tmp_path / "out" / "froc.png") in files
    assert (tmp_path / "out" / "candidates" / "tumor_001.csv").exists()


def test_candidates_written_give_the_same_numbers(folders, tmp_path, capsys):
    evaluate(*folders, "-o", tmp_path / "out", "--json")
    by_runs = json.loads(capsys.readouterr().out)
    assert evaluate(tmp_path / "out" / "candidates", folders[1], "--json") == 0
    by_files = json.loads(capsys.readouterr().out)
    for name in ("froc", "froc_ci95", "sensitivity", "slide_auc", "lesions"):
        assert by_files[name] == by_runs[name]
    assert by_files["pixels"] is None


def test_the_wrong_folder_is_one_line(folders, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert evaluate(tmp_path / "empty", folders[1]) == 1
    assert evaluate(folders[0], tmp_path / "empty") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("error: ") and "empty" in line for line in lines)


@pytest.mark.slow
def test_a_slide_that_fails_under_the_model_is_named_and_the_rest_judged(
    slide_file, dark_bundle, tmp_path, capsys
):
    truth = tmp_path / "truth"
    write_asap_xml(truth / "block.xml", Annotations((SQUARE / 16,), ()))
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    argv = ["evaluate", "slides", str(slide_file), str(tmp_path / "broken.tif")]
    argv += ["--model", str(dark_bundle), "-o", str(tmp_path / "out")]
    assert main([*argv, "--truth", str(truth), "--json"]) == 1
    printed = capsys.readouterr()
    assert "broken.tif" in printed.err
    assert json.loads(printed.out)["slides"] == 1
    del argv[2]
    assert main([*argv, "--truth", str(truth)]) == 1
    assert "no slide of 1 could be done" in capsys.readouterr().err
