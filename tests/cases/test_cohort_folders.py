"""Folders of slides as people have them: names of old servers, and of every day again."""

from __future__ import annotations

import csv
import os
import sys

import pytest

from napari_fastnet.cli.app import main
from napari_fastnet.cohort.folders import result_folders
from napari_fastnet.cohort.report import CohortReport
from napari_fastnet.cohort.task import CohortOptions, SlideTask, run_task
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.results.record import read_record


@pytest.fixture
def work(dark_bundle):
    """Return a function that does slides as a cohort does, without its processes."""
    options = CohortOptions(
        RunOptions(stride="patch", network=NetworkChoice(dark_bundle))
    )

    def done(slides, output):
        report = CohortReport(output)
        folders = result_folders(slides, output, report.promised())
        for slide, folder in zip(slides, folders, strict=True):
            report.put(run_task(SlideTask(slide, folder, options)).row)
        report.write()
        return folders

    return done


def table(folder):
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return {line["name"]: line for line in csv.DictReader(file)}


@pytest.fixture
def slide(stained, tiff, pyramid):
    """Return a function that writes a small slide."""
    return lambda path, top=0: tiff(path, pyramid(stained.small[top : top + 384, :512]))


def test_a_second_cohort_lies_beside_the_first(slide, work, tmp_path) -> None:
    monday = [slide(tmp_path / "monday" / name) for name in ("1.tif", "monday.tif")]
    tuesday = [slide(tmp_path / "tuesday" / name, 700) for name in ("1.tif", "2.tif")]
    out = tmp_path / "r"
    work(monday, out)
    folders = work(tuesday, out)
    assert [folder.name for folder in folders] == ["tuesday_1", "2"]
    lines = table(out)
    assert {name: line["slide"] for name, line in lines.items()} == {
        "1": str(monday[0]),
        "monday": str(monday[1]),
        "tuesday_1": str(tuesday[0]),
        "2": str(tuesday[1]),
    }
    for name, line in lines.items():
        assert read_record(out / name / "run.json").slide.path == line["slide"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_no_utf_8_is_done_as_any_other(slide, work, tmp_path) -> None:
    slides = [slide(tmp_path / "good.tif"), slide(tmp_path / "other.tif", 700)]
    raw = tmp_path / os.fsdecode(b"M\xfcller.tif")
    slides[1] = slides[1].rename(raw)
    work(slides, tmp_path / "r")
    assert set(table(tmp_path / "r")) == {"good", "M\ufffdller"}
    assert {line["status"] for line in table(tmp_path / "r").values()} == {"done"}
    regions = (tmp_path / "r" / raw.stem / "regions.csv").read_text("utf-8")
    assert regions.startswith("label,")


def test_one_slide_comes_into_the_table_of_its_folder(
    slide, work, dark_bundle, tmp_path, capsys
) -> None:
    out = tmp_path / "r"
    work([slide(tmp_path / "a.tif")], out)
    one = slide(tmp_path / "b.tif", 700)
    given = ["-o", str(out), "--model", str(dark_bundle), "--stride", "patch"]
    assert main(["detect", str(one), *given]) == 0
    said = capsys.readouterr().out
    seconds = float(said.split("time ")[1].split()[0])
    recorded = read_record(out / "b" / "run.json").seconds.total
    assert seconds > recorded  # loading the program and writing the files as well
    assert (out / "b" / "thumbnail.jpg").is_file()
    assert {name: line["status"] for name, line in table(out).items()} == {
        "a": "done",
        "b": "done",
    }
    (tmp_path / "c.svs").write_text("no slide")
    assert main(["detect", str(tmp_path / "c.svs"), *given]) == 1
    assert table(out)["c"]["status"] == "failed"
    assert "c.svs" in table(out)["c"]["error"]
    # what is typed wrongly is no fault of a slide
    assert main(["detect", str(one), *given, "--model", "none"]) == 1
    assert main(["detect", str(tmp_path / "none.svs"), *given]) == 1
    assert set(table(out)) == {"a", "b", "c"}
    assert table(out)["b"]["status"] == "done"
