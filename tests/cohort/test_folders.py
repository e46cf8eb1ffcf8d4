"""Where results go: to the slide's own folder, never to another slide's."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.cohort.detect import detect
from napari_fastnet.cohort.folders import result_folder, result_folders
from napari_fastnet.slide.slide import open_slide


@pytest.fixture(scope="module")
def days(tmp_path_factory, write_svs):
    """Two folders, each with a slide 1.svs, and other slides of that name."""
    folder = tmp_path_factory.mktemp("days")
    for number, day in enumerate(("monday", "tuesday")):
        (folder / day).mkdir()
        image = np.full((128, 192, 3), 245, np.uint8)
        image[:, : 96 + 8 * number] = (200, 120, 180)
        write_svs(folder / day / "1.svs", image, mpp=2.0)
    return folder


@pytest.fixture(scope="module")
def after_monday(days, dark_bundle, tmp_path_factory):
    """Return a folder with the results of Monday's slide."""
    folder = tmp_path_factory.mktemp("after")
    detect(days / "monday/1.svs", folder, model=dark_bundle)
    return folder


@pytest.fixture
def results(after_monday, tmp_path):
    return shutil.copytree(after_monday, tmp_path / "results")


def names(slides, results, promised=None):
    return [folder.name for folder in result_folders(slides, results, promised)]


def test_a_slide_that_comes_later_lies_beside_the_first_of_its_name(
    days, results
) -> None:
    monday, tuesday = days / "monday/1.svs", days / "tuesday/1.svs"
    assert names([tuesday], results) == ["tuesday_1"]
    assert names([monday], results) == ["1"]
    assert names([tuesday, monday], results) == ["tuesday_1", "1"]
    assert names([monday], results.with_name("empty")) == ["1"]


def test_a_slide_is_found_under_the_longer_name_of_an_earlier_command(
    days, results
) -> None:
    (results / "1").rename(results / "monday_1")
    assert names([days / "monday/1.svs"], results) == ["monday_1"]
    assert names([days / "tuesday/1.svs"], results) == ["1"]


def test_a_run_that_has_not_ended_is_not_taken_either(days, results) -> None:
    (results / "1/run.json").unlink()
    assert names([days / "tuesday/1.svs"], results) == ["tuesday_1"]
    assert names([days / "monday/1.svs"], results) == ["1"]


def test_a_slide_that_was_moved_is_known_by_its_content(days, results, tmp_path):
    moved = tmp_path / "moved" / "1.svs"
    moved.parent.mkdir()
    shutil.copy(days / "monday/1.svs", moved)
    assert names([moved], results) == ["1"]
    with open_slide(moved) as slide:
        assert result_folder(slide, results) == results / "1"


def test_names_that_differ_by_case_alone_are_one_name(days, results, tmp_path):
    (results / "1").rename(results / "Slide")
    other = tmp_path / "x" / "slide.svs"
    other.parent.mkdir()
    shutil.copy(days / "tuesday/1.svs", other)
    assert names([other], results) == ["x_slide"]


def test_slides_of_one_stem_in_one_folder_keep_their_suffix(days, results) -> None:
    beside = days / "monday" / "1.tif"
    shutil.copy(days / "tuesday/1.svs", beside)
    assert names([beside], results) == ["1_tif"]
    beside.unlink()


def test_what_another_command_is_about_to_do_is_not_taken(days, tmp_path) -> None:
    monday, tuesday = days / "monday/1.svs", days / "tuesday/1.svs"
    promised = {"1": str(monday)}
    assert names([tuesday], tmp_path, promised) == ["tuesday_1"]
    assert names([monday], tmp_path, promised) == ["1"]


def test_a_folder_of_something_else_is_nobodys(days, tmp_path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1/run.json").write_text("damaged")
    assert names([days / "monday/1.svs"], tmp_path) == ["1"]


@pytest.mark.parametrize("letter", ["x", "日"])
def test_a_long_name_is_cut_where_it_must_be_longer(results, letter) -> None:
    stem = letter * (250 // len(os.fsencode(letter)))
    slides = [Path(f"/{day}/{stem}.svs") for day in ("monday", "tuesday")]
    found = names(slides, results)
    assert len(set(found)) == 2
    assert all(len(os.fsencode(name)) <= 255 for name in found)
    for name in found:
        (results / name).mkdir()


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_no_utf_8_keeps_its_bytes(tmp_path) -> None:
    slide = Path(os.fsdecode(b"/slides/M\xfcller.tif"))
    (folder,) = result_folders([slide], tmp_path)
    assert os.fsencode(folder.name) == b"M\xfcller"
