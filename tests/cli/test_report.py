"""The commands ``report`` and ``evaluate cases``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_fastnet.cli.app import main
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.options import EvidenceScale
from napari_fastnet.results.record import Counts, RunRecord, SlideFacts
from napari_fastnet.results.result import Result

#: Side of the lesion of a class, cells of 16 µm: 0.18, 0.36 and 2.3 mm.
SIDES = {"itc": 8, "micro": 16, "macro": 102}
#: From heatmap to evidence, whatever that of the shipped model is.
SCALE = EvidenceScale(
    scale=3.0, offset=-7.0, beside=1.0, certain=4.0, fewer=1.0, balanced=0.0, more=-2.0
)
TRUTH = """patient,stage
patient_000.zip,pN1mi
patient_000_node_0.tif,micro
patient_000_node_1.tif,negative
patient_001.zip,pN1
patient_001_node_0.tif,macro
patient_001_node_1.tif,itc
patient_002.zip,pN0
patient_002_node_0.tif,negative
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder of runs of patients 0 and 1; one slide is called too small."""
    folder = tmp_path_factory.mktemp("runs")
    grid = Grid((0.0, 0.0), (8.0, 8.0), (120, 120))
    for name, found in (
        ("patient_000_node_0", "micro"),
        ("patient_000_node_1", None),
        ("patient_001_node_0", "micro"),
        ("patient_001_node_1", "itc"),
    ):
        values = np.full(grid.shape, 0.01, np.float32)
        side = SIDES.get(found, 0)
        values[5 : 5 + side, 5 : 5 + side] = 0.98
        slide = SlideFacts(f"/s/{name}.tif", name, 960, 960, (2.0, 2.0), "vendor")
        record = RunRecord(
            slide=slide,
            grid=grid,
            threshold=0.5,
            lesion_threshold=0.0,
            evidence=SCALE,
            counts=Counts(14400, 14400, 0),
        )
        roi = {"roi": np.ones(grid.shape, bool)}
        heatmap = Heatmap(values, grid, (2.0, 2.0))
        Result(record=record, heatmap=heatmap, regions=[], masks=roi).save(folder)
    return folder


@pytest.fixture
def truth(tmp_path):
    path = tmp_path / "stages.csv"
    path.write_text(TRUTH)
    return path


def test_report_writes_a_page_and_says_what_is_on_it(tmp_path, runs, capsys):
    table = tmp_path / "cases.csv"
    table.write_text(
        "case,slide,node\nA,patient_000_node_0,1\nA,patient_000_node_1,2\nA,gone,3\n"
    )
    out = tmp_path / "report.html"
    assert main(["report", str(table), str(runs), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "2 examined, 1 positive" in said
    assert "0.362 mm, micro by size" in said
    assert "pN1mi, suggested" in said
    assert "gone: no run of this slide" in said
    assert "pN1mi" in out.read_text(encoding="utf-8")


def test_report_of_runs_as_json(tmp_path, runs, capsys):
    out = tmp_path / "report.html"
    words = [str(runs / f"patient_001_node_{n}") for n in (0, 1)]
    assert main(["report", *words, "-o", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (case,) = found["cases"]
    assert case["machine"] == {
        "examined": 2,
        "positive": 1,
        "itc_alone": 1,
        "lesions": 2,
        "largest_mm": pytest.approx(0.362, abs=1e-3),
        "size_class": "micro",
        "stage": "pN1mi",
    }
    assert case["accepted"]["stage"] == "pN0"
    assert (case["by"], case["decided"], case["candidates"]) == ("machine", 0, 2)
    assert found["files"] == [str(out)]


def test_a_report_that_is_no_page_is_refused(tmp_path, runs, capsys):
    assert main(["report", str(runs), "-o", str(tmp_path / "report")]) == 1
    assert "name it .html" in capsys.readouterr().err


def test_stages_are_compared_with_the_truth(runs, truth, capsys):
    words = ["evaluate", "cases", str(runs), "--truth", str(truth), "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["truth"], one["found"]) for one in found["per_case"]] == [
        ("patient_000", "pN1mi", "pN1mi"),
        ("patient_001", "pN1", "pN1mi"),
    ]
    # squared distance 0 and 1; by chance (2.5 - 2)² + 1/4
    assert found["kappa"] == pytest.approx(0.0)
    assert (found["cases"], found["right"]) == (2, 1)
    assert found["confusion"]["pN1"]["pN1mi"] == 1
    assert (found["slides"], found["slides_right"]) == (4, 3)
    # of slides 2, 0, 3, 1 against 2, 0, 2, 1: 1/4; by chance 5/4 + 11/16 + 1/16
    assert found["slide_kappa"] == pytest.approx(1 - 0.25 / 2)
    low, high = found["slide_kappa_ci95"]
    assert low < found["slide_kappa"] <= high
    (skipped,) = found["skipped"]
    assert skipped["case"] == "patient_002"
    assert skipped["reason"].startswith("patient_002_node_0.tif: missing")


def test_the_agreement_in_words(runs, truth, capsys):
    assert main(["evaluate", "cases", str(runs), "--truth", str(truth)]) == 0
    said = capsys.readouterr().out
    assert "cases       2: 1 right" in said
    assert "true pN1    found 1 pN1mi" in said
    assert "skipped     1: patient_002" in said


def test_a_truth_of_patients_alone_takes_slides_by_their_names(runs, tmp_path, capsys):
    path = tmp_path / "stages.csv"
    path.write_text("patient,stage\npatient_000,pN1mi\npatient_001,pN1mi\n")
    assert main(["evaluate", "cases", str(runs), "--truth", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cases"], found["right"], found["slides"]) == (2, 2, 0)
    assert found["kappa"] is None  # one stage alone


def test_a_table_of_cases_may_say_which_slides_are_one_node(runs, tmp_path, capsys):
    truth, table = tmp_path / "stages.csv", tmp_path / "cases.csv"
    truth.write_text("patient,stage\nx,pN1mi\n")
    table.write_text(
        "case,slide,node\nx,patient_000_node_0,1\ny,patient_001_node_0,1\n"
    )
    words = [
        "evaluate",
        "cases",
        str(table),
        str(runs),
        "--truth",
        str(truth),
        "--json",
    ]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found["per_case"]] == ["x"]
    assert found["skipped"] == [
        {"case": "y", "reason": "its stage is not listed; add a line"}
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,stage\np,pN0\n", "not patient,stage"),
        ("patient,stage\np,pN9\n", "line 2: stage is 'pN9'; use pN0"),
        ("patient,stage\np_node_0.tif,macro\n", "no patient has a stage"),
        ("patient,stage\nsomeone,pN0\n", "no run is of a patient"),
    ],
)
def test_a_truth_at_fault_is_refused(runs, tmp_path, capsys, text, message):
    path = tmp_path / "stages.csv"
    path.write_text(text)
    assert main(["evaluate", "cases", str(runs), "--truth", str(path)]) == 1
    assert message in capsys.readouterr().err
