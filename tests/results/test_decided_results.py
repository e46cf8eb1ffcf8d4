"""A person's decisions in every file of a result, and beside the machine's totals."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import shapely
from PIL import Image
from shapely.geometry import shape

from napari_fastnet.annotations.asap_xml import read_asap_xml
from napari_fastnet.annotations.reading import read_annotations
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.evidence import (
    find_candidates,
    lesion_totals,
    lesions_of,
)
from napari_fastnet.core.lesions.pieces import NodePiece, find_pieces
from napari_fastnet.core.options import EvidenceScale, LesionRule
from napari_fastnet.machine import files
from napari_fastnet.results.corrections import Corrections, corrections_path
from napari_fastnet.results.decisions import Decisions, decisions_path
from napari_fastnet.results.loading import load
from napari_fastnet.results.reading import read_regions_geojson
from napari_fastnet.results.record import (
    RunRecord,
    SlideFacts,
    TissueFacts,
    read_record,
    write_record,
)
from napari_fastnet.results.result import Result

#: Of four squares of cells, the first three are lesions; the last is a candidate.
VALUES = np.zeros((30, 60), np.float32)
for column, side, value in ((2, 10, 0.999), (16, 6, 0.99), (30, 5, 0.98), (50, 3, 0.9)):
    VALUES[4 : 4 + side, column : column + side] = value
HEATMAP = Heatmap(VALUES, Grid((0.0, 0.0), (64.0, 64.0), VALUES.shape), (0.25, 0.25))
SLIDE = SlideFacts("/s/a.svs", "sha256:1", 3840, 1920, (0.25, 0.25), "header")
#: The evidence is the strength less 1.
SCALE = EvidenceScale(
    scale=1, offset=-1, beside=0, certain=99, fewer=1, balanced=0, more=-9
)
RULE = LesionRule(0.5, 0.0, SCALE)


@pytest.fixture
def result():
    candidates = find_candidates(HEATMAP, RULE)
    assert [region.evidence > 0 for region in candidates] == [True, True, True, False]
    record = RunRecord(
        slide=SLIDE,
        grid=HEATMAP.grid,
        threshold=0.5,
        lesion_threshold=0.0,
        evidence=SCALE,
        tissue=TissueFacts(area_mm2=5.0),
        regions=lesion_totals(candidates, RULE, HEATMAP, 5.0),
    )
    return Result(
        record=record,
        heatmap=HEATMAP,
        regions=lesions_of(candidates, RULE),
        candidates=candidates,
        picture=lambda: np.full((240, 480, 3), 220, np.uint8),
    )


@pytest.fixture
def decisions(tmp_path):
    return Decisions.open(
        tmp_path / "run" / "decisions.json", SLIDE.fingerprint, "a.svs"
    )


@pytest.fixture
def decided(result, decisions):
    """Return a result with two lesions rejected or unsure, one added and one drawn."""
    _, second, third, weak = result.candidates
    decisions.decide([second], "not tumor")
    decisions.decide([third], "unsure")
    decisions.note(third, "crushed, see level 2")
    decisions.decide([weak], "tumor")
    decisions.measure(weak, ((256, 2800), (256, 3800)))  # 1000 px of 0.25 µm
    ring = np.array([(1500, 600), (1500, 1000), (1900, 1000), (1900, 600)], float)
    decisions.draw([(ring,)])
    decisions.read_slide("unsure")
    return result.with_decisions(decisions)


def statuses(result):
    return {one.region.label: one.status for one in result.listed}


LISTED = {1: "undecided", 2: "not tumor", 3: "unsure", 4: "tumor", 5: "tumor"}


def test_without_decisions_the_list_is_of_lesions(result, decisions):
    assert statuses(result) == dict.fromkeys((1, 2, 3), "undecided")
    bare = result.with_decisions(decisions)
    assert statuses(bare) == statuses(result)
    assert len(bare.reviewed) == 4
    assert bare.record.to_dict()["decisions"] == {}
    assert "decided" not in dict(bare.rows())


def test_lesions_of_the_machine_and_of_the_person_stand_apart(decided, result):
    assert statuses(decided) == LISTED
    assert decided.lesions == result.lesions
    assert decided.record.regions == result.record.regions
    facts = decided.record.decisions
    assert (facts.accepted, facts.rejected, facts.unsure, facts.undecided) == (
        2,
        1,
        1,
        1,
    )
    assert facts.totals.area_mm2 == pytest.approx(0.1**2 + (3 * 0.016) ** 2)
    assert facts.totals.longest_axis_mm == 0.25  # the line, not the 0.0679 of the cells
    assert (facts.reading, facts.last >= facts.read[:10]) == ("unsure", True)
    rows = dict(decided.rows())
    assert rows["lesions"] == "3, by size 0 macro, 1 micro, 2 ITC"
    assert rows["decided"] == (
        "By a person: 2 accepted (0.0123 mm², longest 0.25 mm), 1 rejected, 1 unsure, "
        "1 undecided  ·  reader's own verdict: unsure"
    )


def test_the_record_keeps_counts_and_the_readers_verdict(decided, tmp_path):
    write_record(tmp_path / "run.json", decided.record)
    said = json.loads((tmp_path / "run.json").read_text())["decisions"]
    assert (said["accepted"], said["totals"]["regions"], said["reading"]) == (
        2, 2, "unsure",
    )  # fmt: skip
    assert read_record(tmp_path / "run.json").decisions == decided.record.decisions


def test_the_table_says_what_was_decided(decided, tmp_path):
    decided.export(tmp_path, ["csv"])
    with (tmp_path / "regions.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["label"]: row for row in csv.DictReader(file)}
    assert {int(label): row["status"] for label, row in rows.items()} == LISTED
    assert rows["3"]["note"] == "crushed, see level 2"
    assert [row["kind"] for row in rows.values()] == ["found"] * 4 + ["drawn"]
    assert (rows["4"]["measured_mm"], rows["4"]["longest_axis_mm"]) == ("0.2500",) * 2
    assert rows["1"]["measured_mm"] == ""
    assert float(rows["1"]["confidence"]) > 0.5
    assert rows["5"]["evidence"] == rows["5"]["confidence"] == ""
    assert [row["status"] for row in decided.table()] == list(LISTED.values())


def test_qupath_gets_classes_locks_and_notes(decided, tmp_path):
    geojson = pytest.importorskip("geojson")
    decided.export(tmp_path, ["geojson"])
    collection = geojson.loads((tmp_path / "regions.geojson").read_text())
    assert collection.errors() == []
    found = [feature["properties"] for feature in collection["features"]]
    # as QuPath reads them: an annotation, its class by name, locked if that is true
    assert {p["objectType"] for p in found} == {"annotation"}
    assert [(p["classification"]["name"], p.get("isLocked", False)) for p in found] == [
        ("Tumor", False),
        ("Not tumor", True),
        ("Unsure", True),
        ("Tumor", True),
        ("Tumor", True),
    ]
    assert all(len(p["classification"]["color"]) == 3 for p in found)
    for properties in found:
        assert all(
            type(text) is str for text in properties.get("metadata", {}).values()
        )
        assert all(type(v) is float for v in properties["measurements"].values())
    assert found[2]["metadata"]["note"] == "crushed, see level 2"
    assert found[3]["metadata"]["longest axis"] == "measured by a person"
    areas = [shape(feature["geometry"]).area for feature in collection["features"]]
    assert areas == [64**2 * side**2 for side in (10, 6, 5, 3)] + [400**2]


def test_decisions_come_back_with_the_numbers_of_the_lesions(decided, tmp_path):
    decided.export(tmp_path, ["geojson"])
    back, _ = read_regions_geojson(tmp_path / "regions.geojson")
    assert {one.region.label: one.status for one in back} == LISTED
    assert [one.kind for one in back] == [one.kind for one in decided.listed]
    assert back[2].note == "crushed, see level 2"
    assert back[0].region.evidence == decided.lesions[0].evidence


def test_rejected_and_unsure_outlines_come_back_as_no_tumor(decided, tmp_path):
    decided.export(tmp_path, ["geojson", "asap"])
    read = read_annotations(tmp_path / "regions.geojson")
    assert len(read.positive) == 3
    assert [shapely.Polygon(ring).area for ring in read.negative] == [64**2 * 36]
    assert read.skipped == ("left out: 1 outline of the class 'Unsure'",)
    assert len(read_asap_xml(tmp_path / "regions.xml").positive) == 3


def test_every_table_has_the_same_columns(decided, tmp_path):
    pyarrow = pytest.importorskip("pyarrow.parquet")
    pandas = pytest.importorskip("pandas")
    decided.export(tmp_path, ["parquet", "xlsx"])
    parquet = pyarrow.read_table(tmp_path / "regions.parquet").to_pydict()
    assert parquet["status"] == list(LISTED.values())
    assert list(decided.to_pandas()["status"]) == list(LISTED.values())
    assert isinstance(decided.to_pandas(), pandas.DataFrame)
    assert (tmp_path / "regions.xlsx").is_file()


def test_the_overview_marks_what_was_decided(decided, result, tmp_path):
    for name, one in (("before", result), ("after", decided)):
        one.export(tmp_path / name, ["png"])
    before, after = (
        np.asarray(Image.open(tmp_path / name / "overview.png").convert("RGB"), int)
        for name in ("before", "after")
    )
    assert before.shape == after.shape
    assert (before != after).any()


def test_a_size_class_that_was_not_asked_for_is_not_listed(decided, decisions, result):
    totals = replace(result.record.regions, size_classes=("micro",))
    record = replace(result.record, regions=totals)
    some = replace(result, record=record, regions=result.lesions[:1])
    assert list(statuses(some.with_decisions(decisions))) == [1, 4]


def test_a_saved_result_is_loaded_with_its_decisions(decided, tmp_path):
    place = replace(decided, picture=None).save(tmp_path / "saved")
    again = load(place)
    assert statuses(again) == LISTED
    assert again.record.decisions == decided.record.decisions
    assert again.notes == ()
    assert all(not path.name.startswith(".") for path in again.files)


def test_a_run_in_the_cache_has_its_decisions_in_the_users_folder(
    decided, decisions, tmp_path, monkeypatch
):
    monkeypatch.setattr(files, "default_cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(
        "platformdirs.user_data_path", lambda *_, **__: tmp_path / "data"
    )
    place = replace(decided, picture=None).save(tmp_path / "cache/runs/key")
    kept = decisions_path(place, True, SLIDE.fingerprint)
    assert kept.parent == tmp_path / "data/decisions"
    (place / "decisions.json").unlink()
    assert not load(place).decisions.decisions
    decisions.copy_to(kept)
    assert statuses(load(place)) == LISTED


def test_a_reader_leaves_a_damaged_file_as_it_is_and_says_so(decided, tmp_path):
    place = replace(decided, picture=None).save(tmp_path / "saved")
    (place / "decisions.json").write_text("{")
    again = load(place)
    assert "is damaged" in again.notes[0]
    assert statuses(again) == dict.fromkeys((1, 2, 3), "undecided")
    assert (place / "decisions.json").read_text() == "{"
    assert again.record.to_dict()["decisions"] == {}


def test_lesions_are_in_the_nodes_that_a_person_said(decided, decisions):
    roi = np.zeros((15, 30), np.bool_)  # a px is 32 µm
    roi[:7, :11] = roi[:7, 16:] = roi[12:] = True
    left, right, _ = find_pieces(roi, (1920, 3840), (0.25, 0.25)).outlines().values()
    decisions.join_pieces([NodePiece(left, 2, 1), NodePiece(right, 2, 2)])
    found = replace(decided, masks={"roi": roi}).with_decisions(decisions).table()
    assert [(row["piece"], row["node"]) for row in found] == [
        (1, 2), (1, 2), (2, 2), (2, 2), (3, 3),
    ]  # fmt: skip


def test_painted_cells_go_along_with_an_export_and_are_never_overwritten(
    tmp_path, decided, decisions
):
    assert decided.corrections is None
    given = SLIDE.fingerprint, decided.slide_shape, SLIDE.mpp
    beside = Corrections.open(decisions.path.with_name("corrections.geojson"), *given)
    cells = beside.cells.copy()
    cells[2:4, 2:4] = 1
    beside.paint(cells)
    names = [one.name for one in decided.export(tmp_path / "out", ["geojson", "csv"])]
    assert names == ["regions.geojson", "corrections.geojson", "regions.csv"]
    there = Corrections.open(tmp_path / "out" / "corrections.geojson", *given)
    assert (there.cells == cells).all()
    cells[9, 9] = 2
    there.paint(cells)
    decided.export(tmp_path / "out", ["geojson"])
    place = decided.save(tmp_path / "saved")
    assert (Corrections.open(there.path, *given).cells == cells).all()
    saved = Corrections.open(place / "corrections.geojson", *given)
    assert (saved.cells > 0).sum() == 4
    # where it is the run's own it stays as it is
    before = beside.path.read_bytes()
    decided.export(beside.path.parent, ["geojson"])
    assert beside.path.read_bytes() == before
    assert not list(beside.path.parent.glob("*set-aside*"))
    # without lesions there is nothing to take along
    assert "corrections.geojson" not in [
        one.name for one in decided.export(tmp_path / "x", ["ome-tiff"])
    ]


def test_painted_cells_of_a_run_in_the_cache_go_along_too(
    tmp_path, result, monkeypatch
):
    monkeypatch.setattr(
        "platformdirs.user_data_path", lambda *_, **__: tmp_path / "data"
    )
    place = decisions_path(tmp_path, True, "sha256:of-the-cache")
    given = "sha256:of-the-cache", result.slide_shape, SLIDE.mpp
    painted = Corrections.open(
        corrections_path(tmp_path, True, "sha256:of-the-cache"), *given
    )
    cells = painted.cells.copy()
    cells[1, 1] = 3
    painted.paint(cells)
    record = replace(result.record, slide=replace(SLIDE, fingerprint=given[0]))
    decisions = Decisions.open(place, given[0])
    cached = replace(result, record=record).with_decisions(decisions)
    assert (cached.corrections.cells == cells).all()
