"""Nodes, pieces and a person's decisions: whose numbers a case has."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.case.gather import read_cases
from napari_fastnet.core.lesions.pieces import find_pieces, node_pieces
from napari_fastnet.results.decisions import Decisions
from napari_fastnet.results.loading import load


def case_of(*places):
    (case,) = read_cases(places)
    return case


def decisions_of(run, result):
    return Decisions.open(run / "decisions.json", result.record.slide.fingerprint)


def sizes(case, source="both"):
    return {node.name: node.findings.size_class(source) for node in case.nodes}


def join(run, nodes):
    """Say node and section of each piece of a run."""
    result = load(run)
    pieces = find_pieces(result.masks["roi"], result.slide_shape, result.mpp)
    decisions_of(run, result).join_pieces(node_pieces(pieces, nodes))


@pytest.fixture
def twice(tmp_path, make_run):
    """Return a run of two sections of one node, with the same deposits on both."""
    left = [(10, 10, "micro"), (40, 20, "ITC")]
    right = [(top, left + 86, size) for top, left, size in left]
    return make_run(tmp_path, "twice", *left, *right, pieces=2)


def test_without_decisions_all_numbers_are_the_machines(tmp_path, make_run):
    run = make_run(tmp_path, "a", (10, 10, "micro"), (40, 20, "ITC"), (60, 60, "weak"))
    case = case_of(run)
    numbers = case.numbers()
    assert (numbers.examined, numbers.positive, numbers.lesions) == (1, 1, 2)
    assert numbers.largest_mm == pytest.approx(16 * 0.016 * np.sqrt(2))
    assert (numbers.size_class, numbers.stage) == ("micro", "pN1mi")
    assert numbers == case.numbers("machine")
    assert case.numbers("person").stage == "pN0"
    assert case.findings.source == "machine"
    assert (case.findings.decided, len(case.findings.reviewed)) == (0, 3)


def test_two_sections_on_a_slide_are_two_pieces_and_the_largest_deposit_is_the_same(
    tmp_path, make_run, twice
):
    once = make_run(tmp_path, "once", (10, 10, "micro"), (40, 20, "ITC"))
    case, other = case_of(twice), case_of(once)
    assert [node.name for node in case.nodes] == ["twice, piece 1", "twice, piece 2"]
    assert [finding.region.piece for finding in case.findings.machine].count(1) == 2
    assert case.numbers().largest_mm == other.numbers().largest_mm


def test_joined_pieces_are_sections_of_one_node(twice):
    join(twice, {1: (1, 1), 2: (1, 2)})
    case = case_of(twice)
    (node,) = case.nodes
    assert (node.name, node.sections) == ("twice, node 1", 2)
    numbers = case.numbers()
    assert (numbers.examined, numbers.positive, numbers.lesions) == (1, 1, 4)
    assert numbers.largest_mm == pytest.approx(16 * 0.016 * np.sqrt(2))


def test_pieces_of_one_cut_are_one_section(twice):
    join(twice, {1: (3, 1), 2: (3, 1)})
    (node,) = case_of(twice).nodes
    assert (node.name, node.sections) == ("twice, node 3", 1)


def test_a_listed_node_is_all_of_its_slides(tmp_path, make_run, twice):
    make_run(tmp_path, "other", (10, 10, "ITC"))
    table = tmp_path / "cases.csv"
    table.write_text("case,slide,node\np,twice,sentinel\np,other,sentinel\n")
    (node,) = case_of(table).nodes
    assert (node.name, node.slides, node.sections) == (
        "sentinel",
        ("twice", "other"),
        3,
    )
    assert node.findings.size_class() == "micro"


def test_a_person_who_decides_on_all_candidates_owns_the_numbers(tmp_path, make_run):
    run = make_run(tmp_path, "a", (10, 10, "micro"), (40, 20, "ITC"), (60, 60, "weak"))
    result = load(run)
    decisions = decisions_of(run, result)
    micro, itc, weak = result.candidates

    decisions.decide([micro], "not tumor")
    case = case_of(run)
    assert case.findings.source == "both"
    assert [case.numbers(s).stage for s in ("machine", "person", "both")] == [
        "pN1mi",
        "pN0",
        "pN0(i+)",
    ]

    decisions.decide([itc, weak], "tumor")
    case = case_of(run)
    assert case.findings.source == "person"
    assert case.numbers() == case.numbers("person")
    assert (case.numbers().stage, case.numbers().lesions) == ("pN0(i+)", 2)
    assert case.numbers("machine").stage == "pN1mi"


def test_what_a_person_is_unsure_of_does_not_count(tmp_path, make_run):
    run = make_run(tmp_path, "a", (10, 10, "micro"))
    result = load(run)
    decisions_of(run, result).decide(result.candidates, "unsure")
    case = case_of(run)
    assert (case.numbers().stage, case.stage_with_unsure) == ("pN0", "pN1mi")
    assert [f.size_class for f in case.findings.with_status("unsure")] == ["micro"]


def test_a_line_replaces_the_axis_and_a_drawn_lesion_counts(tmp_path, make_run):
    run = make_run(tmp_path, "a", (10, 10, "micro"))
    result = load(run)
    decisions = decisions_of(run, result)
    decisions.measure(result.candidates[0], ((80.0, 80.0), (80.0, 130.0)))  # 0.1 mm
    case = case_of(run)
    assert case.numbers().largest_mm == pytest.approx(0.1)
    assert case.numbers().stage == "pN0(i+)"

    ring = np.array([(400, 400), (400, 1200), (560, 1200), (560, 400)], float)
    decisions.draw([(ring,)])  # 1.6 mm wide
    assert case_of(run).numbers().stage == "pN1mi"
    assert case_of(run).numbers("machine").size_class == "micro"


def test_a_lesion_beside_the_tissue_belongs_to_the_only_node(tmp_path, make_run, twice):
    ring = np.array([(100, 630), (100, 650), (200, 650), (200, 630)], float)
    run = make_run(tmp_path, "one")
    for place in (run, twice):
        result = load(place)
        beside = ring if place is twice else ring + np.array([0.0, 630.0])
        decisions_of(place, result).draw([(beside,)])
    assert list(sizes(case_of(run))) == ["one"]
    assert sizes(case_of(twice))["twice, beside the tissue"] == "micro"


def test_a_slide_without_tissue_is_no_examined_node(tmp_path, make_run):
    run = make_run(tmp_path, "empty", pieces=0)
    case = case_of(run)
    assert case.slides[0].state == "not scanned"
    assert case.nodes == ()
    assert case.numbers().stage is None
    table = tmp_path / "cases.csv"
    table.write_text("case,slide,node\np,empty,sentinel\n")
    (node,) = case_of(table).nodes
    assert (node.name, node.sections) == ("sentinel", 0)


def test_a_run_that_cannot_be_read_is_a_slide_that_failed(tmp_path, make_run):
    run = make_run(tmp_path, "a", (10, 10, "micro"))
    (run / "heatmap.ome.tif").write_bytes(b"no TIFF")
    (slide,) = case_of(run).slides
    assert slide.state == "failed"
    assert "no export to open" in slide.listed.reason


def test_the_verdict_before_the_result_and_a_damaged_file_are_told(tmp_path, make_run):
    run = make_run(tmp_path, "a", (10, 10, "micro"))
    decisions_of(run, load(run)).read_slide("not tumor")
    assert case_of(run).slides[0].reading == "not tumor"
    (run / "decisions.json").write_text("{")
    (slide,) = case_of(run).slides
    assert any("damaged" in note for note in slide.notes)
    assert (run / "decisions.json").read_text() == "{"


def test_the_case_as_json(tmp_path, make_run, twice):
    make_run(tmp_path, "b", (10, 10, "macro"))
    table = tmp_path / "cases.csv"
    table.write_text("case,slide,node\np,twice,\np,b,low\np,c,high\n")
    found = case_of(table).to_dict()
    assert {
        key: found[key] for key in ("case", "stage", "examined", "positive", "by")
    } == {
        "case": "p",
        "stage": "pN1",
        "examined": 3,
        "positive": 3,
        "by": "machine",
    }
    assert [node["size_class"] for node in found["nodes"]] == [
        "micro",
        "micro",
        "macro",
    ]
    assert [slide["state"] for slide in found["slides"]] == [
        "scanned",
        "scanned",
        "missing",
    ]
