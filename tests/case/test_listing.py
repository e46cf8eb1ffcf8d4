"""The slides of cases, each with its run or the reason why there is none."""

from __future__ import annotations

import shutil

import pytest

from napari_fastnet.case.listing import find_cases, read_table
from napari_fastnet.errors import DataError

SUMMARY = "name,status,error,slide\nx,failed,/s/broken.svs: no TIFF,/s/broken.svs\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory, make_run):
    folder = tmp_path_factory.mktemp("cases")
    for name in ("a", "b"):
        make_run(folder / "runs", name)
    (folder / "runs" / "summary.csv").write_text(SUMMARY)
    return folder


def table(folder, text, name="cases.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def states(cases):
    return {
        name: [(one.slide, one.problem or one.run.name) for one in listed]
        for name, listed in cases.items()
    }


@pytest.mark.parametrize("name", ["a", "a.svs", "A.SVS", "/elsewhere/a.svs", "runs/a"])
def test_a_slide_is_found_by_its_name_or_folder(runs, name):
    cases = find_cases([table(runs, f"case,slide,node\np,{name},axilla 1\n")])
    (listed,) = cases["p"]
    assert (listed.run.name, listed.node, listed.problem) == ("a", "axilla 1", "")


def test_a_slide_that_is_missing_failed_or_twice_stays_in_its_case(runs):
    text = "case,slide\np,a\nq,b.svs\np,c.svs\np,broken.svs\np,a.svs\n"
    assert states(find_cases([table(runs, text)])) == {
        "p": [
            ("a", "a"),
            ("c.svs", "missing"),
            ("broken.svs", "failed"),
            ("a.svs", "twice"),
        ],
        "q": [("b.svs", "b")],
    }


def test_the_reason_says_what_to_do(runs):
    text = "case,slide\np,c.svs\np,broken.svs\n"
    missing, failed = find_cases([table(runs, text)])["p"]
    assert (
        missing.reason == "no run of this slide; run detect on it, or list its folder"
    )
    assert failed.reason == "/s/broken.svs: no TIFF"


def test_two_runs_of_one_name_are_not_chosen_from(tmp_path, make_run):
    for folder in ("monday", "tuesday"):
        make_run(tmp_path / folder, "a")
    path = table(tmp_path, "case,slide\np,a.svs\nq,monday/a\n")
    cases = find_cases([path])
    assert states(cases) == {"p": [("a.svs", "twice")], "q": [("monday/a", "a")]}
    assert "monday/a and" in cases["p"][0].reason.replace("\\", "/")


def test_a_slide_of_two_cases_is_doubted(runs):
    cases = find_cases([table(runs, "case,slide\np,a\nq,a\nq,b\n")])
    reasons = [one.reason for listed in cases.values() for one in listed]
    assert reasons == ["listed in another case, too"] * 2 + [""]


def test_one_slide_computed_twice_counts_once(tmp_path, make_run):
    run = make_run(tmp_path, "a")
    shutil.copytree(run, tmp_path / "again")
    cases = find_cases([run, tmp_path / "again"])
    assert states(cases) == {tmp_path.name: [("a", "a"), ("again", "twice")]}


def test_a_run_that_has_not_ended_or_is_damaged_has_failed(tmp_path, make_run):
    (tmp_path / "begun" / "run.zarr").mkdir(parents=True)
    (make_run(tmp_path, "bad") / "run.json").write_text("{")
    begun, bad = find_cases([table(tmp_path, "slide\nbegun\nbad\n")])["cases"]
    assert (begun.problem, bad.problem) == ("failed", "failed")
    assert "goes on from there" in begun.reason
    assert "not valid JSON" in bad.reason


def test_runs_alone_are_one_case_named_as_their_folder(runs):
    assert states(find_cases([runs / "runs"])) == {"runs": [("a", "a"), ("b", "b")]}
    assert list(find_cases([runs / "runs" / "a"])) == ["a"]


def test_runs_of_a_table_may_lie_elsewhere(runs, tmp_path):
    path = table(tmp_path, "case,slide\np,a\n")
    assert states(find_cases([path])) == {"p": [("a", "missing")]}
    assert states(find_cases([path, runs / "runs"])) == {"p": [("a", "a")]}


@pytest.mark.parametrize(
    "text",
    [
        "case,slide,node\np,a b,1\n",
        "Node;Slide;CASE;who\n1;a b;p;me\n\n;;;\n",
        "\ufeffcase\tslide\tnode\np\ta b\t1\n",
    ],
)
def test_tables_of_spreadsheets_are_read(tmp_path, text):
    assert read_table(table(tmp_path, text)) == [("p", "a b", "1")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,file\np,a\n", "no column slide"),
        ("case,slide\np,\n", "line 2: no slide"),
        ("case,slide\n,a\n", "line 2: no case"),
        ("case,slide\n", "lists no slide"),
        ("", "no column slide"),
    ],
)
def test_a_table_at_fault_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_table(table(tmp_path, text))


def test_places_without_a_run_are_refused(tmp_path):
    for places in ([], [tmp_path], [tmp_path / "none"]):
        with pytest.raises(DataError, match="give folders that detect left"):
            find_cases(places)
    with pytest.raises(DataError, match="no table to read"):
        find_cases([tmp_path / "none.csv"])
    with pytest.raises(DataError, match="a second table"):
        find_cases([tmp_path / "none.csv", tmp_path / "two.csv"])
