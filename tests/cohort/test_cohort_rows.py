"""The tables of a folder: what its records say, and who failed since."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.cohort import report as cohort_report
from napari_fastnet.cohort.report import CohortReport, update_report
from napari_fastnet.cohort.rows import SlideRow, folder_rows, read_open_rows
from napari_fastnet.errors import OutputError
from napari_fastnet.results.decisions import decisions_of
from napari_fastnet.results.loading import load

CLEAN = np.full((3, 3), 0.25, np.float32)


@pytest.fixture
def write_slide(write_run, tmp_path):
    """Return a function that leaves the results of a slide, perhaps with a lesion."""

    def write(name, *, lesion_mm2=0.0, **changes):
        folder = write_run(tmp_path / name, CLEAN)
        record = json.loads((folder / "run.json").read_text())
        regions = {"tissue_mm2": 9.0, "area_mm2": lesion_mm2, "tissue_fraction": 0.0}
        regions |= {"macro": int(lesion_mm2 > 0), "micro": 0, "itc": 0}
        regions |= {"longest_axis_mm": 3.0 if lesion_mm2 else None}
        record["regions"] = regions | {"max_probability": 0.9 if lesion_mm2 else None}
        (folder / "run.json").write_text(json.dumps(record | changes))
        return folder

    return write


def row(name, status="waiting", error=""):
    return SlideRow(name, Path(f"/slides/{name}.svs"), status, error)


def command(folder, *rows):
    """Do what a command does: say what it is about to, then what became of it."""
    report = CohortReport(folder)
    report.add(row(r.name) for r in rows)
    report.write()
    for each in rows:
        report.put(each)
    report.write()
    return report


def table(folder):
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return {line["name"]: line for line in csv.DictReader(file)}


def statuses(folder):
    return {name: line["status"] for name, line in table(folder).items()}


def test_a_second_command_takes_the_first_ones_slides_along(tmp_path, write_slide):
    write_slide("a", lesion_mm2=4.0)
    command(tmp_path, row("a", "done"))
    write_slide("b")
    command(tmp_path, row("b", "done"))
    lines = table(tmp_path)
    assert list(lines) == ["a", "b"]
    assert (lines["a"]["tumour_mm2"], lines["a"]["size_class"]) == ("4.000000", "macro")
    # an older record does not say how high the highest probability is
    assert (lines["b"]["max_probability"], lines["b"]["size_class"]) == (
        "0.2500",
        "none",
    )
    page = (tmp_path / "report.html").read_text("utf-8")
    assert ">a</a>" in page
    assert ">b</a>" in page


def test_results_that_were_removed_are_gone(tmp_path, write_slide) -> None:
    for name in "ab":
        write_slide(name)
    command(tmp_path, row("a", "done"), row("b", "done"))
    shutil.rmtree(tmp_path / "a")
    update_report(tmp_path)
    assert statuses(tmp_path) == {"b": "done"}


def test_what_failed_is_kept_until_it_is_done(tmp_path, write_slide) -> None:
    command(tmp_path, row("a", "failed", 'a.svs: no "slide", says it'))
    write_slide("b")
    command(tmp_path, row("b", "done"))
    assert statuses(tmp_path) == {"b": "done", "a": "failed"}
    assert table(tmp_path)["a"]["error"] == 'a.svs: no "slide", says it'
    write_slide("a")
    command(tmp_path, row("a", "done"))
    assert statuses(tmp_path) == {"a": "done", "b": "done"}


def test_what_is_done_and_fails_the_next_time_has_failed(tmp_path, write_slide):
    write_slide("a")
    command(tmp_path, row("a", "done"))
    command(tmp_path, row("a", "failed", "a.svs: vanished"))
    assert statuses(tmp_path) == {"a": "failed"}
    update_report(tmp_path)
    assert statuses(tmp_path) == {"a": "failed"}
    command(tmp_path, row("a", "done"))  # as it was: its record is that of before
    assert statuses(tmp_path) == {"a": "done"}
    update_report(tmp_path)
    assert statuses(tmp_path) == {"a": "done"}


def test_what_a_killed_command_left_waits_and_hides_no_result(tmp_path, write_slide):
    write_slide("a")
    report = CohortReport(tmp_path)
    report.add([row("a"), row("b")])
    report.write()  # and killed
    assert statuses(tmp_path) == {"a": "done", "b": "waiting"}
    command(tmp_path, row("c", "failed", "c: no slide"))
    assert statuses(tmp_path) == {"a": "done", "c": "failed", "b": "waiting"}
    assert CohortReport(tmp_path).promised() == {
        "b": str(Path("/slides/b.svs")),
        "c": str(Path("/slides/c.svs")),
    }


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe"])
def test_a_damaged_record_is_no_slide_without_a_lesion(tmp_path, write_slide, content):
    write_slide("a")
    write_slide("b")
    (tmp_path / "a/run.json").write_bytes(content)
    command(tmp_path, row("b", "done"))
    assert statuses(tmp_path) == {"b": "done", "a": "failed"}
    assert "run.json" in table(tmp_path)["a"]["error"]


def test_a_heatmap_that_is_gone_is_no_slide_without_a_lesion(tmp_path, write_slide):
    write_slide("a")
    (tmp_path / "a/heatmap.ome.tif").unlink()
    (found,) = folder_rows(tmp_path)
    assert (found.status, found.found) == ("failed", None)
    assert "run detect again" in found.error


def test_a_record_that_did_not_change_is_not_read_again(
    tmp_path, write_slide, monkeypatch
) -> None:
    write_slide("a")
    first = folder_rows(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read again"))
    assert folder_rows(tmp_path) == first
    monkeypatch.undo()
    write_slide("a", lesion_mm2=4.0)
    assert folder_rows(tmp_path)[0].found.tumour_mm2 == 4.0


def test_the_table_of_an_earlier_version_gives_its_failures(tmp_path) -> None:
    (tmp_path / "summary.csv").write_text(
        "name,status,error,slide,notice\r\n"
        '"a, b",failed,"no, none","/slides/a, b.svs",x\r\n'
        "c,done,,/slides/c.svs,x\r\n"
        "d,waiting,,/slides/d.svs,x\r\n"
    )
    update_report(tmp_path)
    # c is not there any more
    assert statuses(tmp_path) == {"a, b": "failed", "d": "waiting"}
    assert table(tmp_path)["a, b"]["error"] == "no, none"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\0", b'a,"b\n', b"name;status\r\na;failed\r\n", b"\0"]
)
def test_of_another_table_nothing_is_taken(tmp_path, content) -> None:
    (tmp_path / "summary.csv").write_bytes(content)
    assert read_open_rows(tmp_path / "summary.csv") == []


@pytest.mark.parametrize(
    "name", ["#50%?", "a, b", "-rf", "a\nb", "Müller", "=1+1", "a;b", "x" * 250]
)
def test_any_name_comes_back_out_of_the_table(tmp_path, name) -> None:
    failed = row(name, "failed", "no slide")
    command(tmp_path, failed)
    (found,) = read_open_rows(tmp_path / "summary.csv")
    assert (found.name, found.slide) == (name, failed.slide)


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_no_utf_8_stands_there_once(tmp_path, write_slide) -> None:
    raw = os.fsdecode(b"M\xfcller")
    command(tmp_path, row(raw, "failed", f"{raw}.svs: no slide"))
    assert statuses(tmp_path) == {"M\ufffdller": "failed"}
    folder = write_slide("folder")
    record = json.loads((folder / "run.json").read_text())
    record["slide"]["path"] = f"/slides/{raw}.svs"
    (folder / "run.json").write_text(json.dumps(record))
    folder.rename(tmp_path / raw)
    command(tmp_path, row(raw, "done"))
    assert statuses(tmp_path) == {"M\ufffdller": "done"}
    page = (tmp_path / "report.html").read_text("utf-8")
    assert 'src="M%FCller/overview.png"' in page


WRITER = """
import sys
from pathlib import Path
from napari_fastnet.cohort.rows import SlideRow
from napari_fastnet.cohort.report import update_report
folder, name = Path(sys.argv[1]), sys.argv[2]
for number in range(5):
    slide = f"{name}{number}"
    update_report(folder, SlideRow(slide, Path("/slides") / slide, "failed", "no slide"))
"""


def test_processes_at_once_lose_nothing(tmp_path) -> None:
    command(tmp_path)
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name])
        for name in ("a", "b", "c")
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(statuses(tmp_path)) == 15
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("no slide") == 15


def test_the_files_follow_but_not_at_every_slide(tmp_path, monkeypatch) -> None:
    now = 0.0
    monkeypatch.setattr(cohort_report, "monotonic", lambda: now)
    report = CohortReport(tmp_path)
    report.add(map(row, "abc"))
    report.write()
    now = 1.9
    report.put(row("a", "failed"))
    assert set(statuses(tmp_path).values()) == {"waiting"}
    now = 2.0
    report.put(row("b", "failed"))
    assert statuses(tmp_path) == {"a": "failed", "b": "failed", "c": "waiting"}


def test_the_table_of_lesions_is_written_in_steps_and_at_the_end(
    tmp_path, write_slide, monkeypatch
) -> None:
    written = []
    monkeypatch.setattr(
        cohort_report,
        "write_all_regions",
        lambda _, rows: written.append(sum(row.status == "done" for row in rows)),
    )
    monkeypatch.setattr(cohort_report, "EVERY_S", 0.0)
    monkeypatch.setattr(cohort_report, "SHARE", np.inf)
    report = CohortReport(tmp_path)
    report.add(row(f"{number:02}") for number in range(30))
    report.write()
    for number in range(30):
        write_slide(f"{number:02}")
        report.put(row(f"{number:02}", "done"))
    report.write()
    steps = [0, *range(1, 12), 13, 15, 17, 19, 21, 24, 27, 30]
    assert written == [*steps, 30]


def test_a_table_that_cannot_be_written_ends_no_cohort(tmp_path, monkeypatch) -> None:
    report = CohortReport(tmp_path)
    report.add([row("a")])
    report.write()
    before = (tmp_path / "summary.csv").read_bytes()

    def full(*_):
        raise OutputError("the disk is full")

    monkeypatch.setattr(cohort_report, "write_csv", full)
    monkeypatch.setattr(cohort_report, "EVERY_S", 0.0)
    report._next = 0.0
    assert str(report.put(row("a", "failed"))) == "the disk is full"
    with pytest.raises(OutputError):
        report.write()
    assert (tmp_path / "summary.csv").read_bytes() == before
    monkeypatch.undo()
    report.write()
    assert statuses(tmp_path) == {"a": "failed"}


def test_a_folder_without_a_table_gets_none(tmp_path) -> None:
    update_report(tmp_path, row("a", "failed"))
    assert list(tmp_path.iterdir()) == []


def test_what_was_decided_since_is_in_the_table_and_a_damaged_file_is_said(
    tmp_path, write_run
) -> None:
    values = np.full((20, 20), 0.02, np.float32)
    values[4:16, 4:16] = 0.98
    result = load(write_run(tmp_path / "a", values))
    command(tmp_path, row("a", "done"))
    assert (table(tmp_path)["a"]["accepted"], len(result.lesions)) == ("", 1)
    decisions = decisions_of(tmp_path / "a", result.record.slide)
    decisions.decide(result.lesions, "tumor")
    decisions.read_slide("unsure")
    update_report(tmp_path)
    line = table(tmp_path)["a"]
    assert (line["accepted"], line["rejected"], line["undecided"]) == ("1", "0", "0")
    assert line["read_as"] == "unsure"
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "read as unsure" in page
    assert 'data-is="failed"' not in page
    (tmp_path / "a" / "decisions.json").write_text("{")
    update_report(tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "decisions.json: " in page
    assert (tmp_path / "a" / "decisions.json").read_text() == "{"
