"""Which files of a folder are slides, and what the results of each are called."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.cohort.detect import detect
from napari_fastnet.cohort.slides import find_slides, result_names
from napari_fastnet.cohort.task import CohortOptions, SlideTask, run_task
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import SlideNotFoundError
from napari_fastnet.model.options import NetworkChoice


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_svs, write_tiff, dark_bundle):
    """Slides at two depths, among what else lies in such a folder."""
    folder = tmp_path_factory.mktemp("cohort")
    (folder / "more").mkdir()
    image = np.full((128, 192, 3), 245, np.uint8)
    image[:, :96] = (200, 120, 180)
    write_svs(folder / "b.svs", image, mpp=2.0)
    write_tiff(folder / "more" / "a.tif", image, mpp=2.0)
    (folder / "more" / "c.mrxs").write_bytes(b"told by its name")
    (folder / ".hidden.svs").write_bytes(b"of a file system")
    (folder / "notes.txt").write_text("no slide")
    Image.new("RGB", (64, 64)).save(folder / "photograph.tif")
    detect(folder / "b.svs", folder, model=dark_bundle)
    return folder


def test_a_folder_is_its_slides_and_neither_images_nor_results(folder) -> None:
    found = find_slides([folder])
    assert found == [folder / "b.svs", folder / "more/a.tif", folder / "more/c.mrxs"]


def test_of_a_folder_it_is_told_which_tiffs_are_left_out(folder, write_svs) -> None:
    broken = folder / "more" / "broken.tif"
    broken.write_bytes((folder / "b.svs").read_bytes()[:100])
    told = []
    find_slides([folder, folder / "more"], told.append)
    # once each; masks and heatmaps of results are not told
    assert sorted(told) == [broken, folder / "photograph.tif"]
    told.clear()
    found = find_slides([folder, folder / "photograph.tif"], told.append)
    assert folder / "photograph.tif" in found
    assert told == [broken]
    broken.unlink()


def test_what_is_left_out_is_told_where_there_is_no_slide_besides(tmp_path) -> None:
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0")
    told = []
    with pytest.raises(SlideNotFoundError, match="no slide in this folder"):
        find_slides([tmp_path], told.append)
    assert told == [broken]


def test_a_file_is_taken_as_it_is(folder) -> None:
    missing = folder / "missing.svs"
    assert find_slides([folder / "notes.txt", missing]) == [
        folder / "notes.txt",
        missing,
    ]


def test_a_slide_that_is_named_twice_is_one(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    assert find_slides(["b.svs", folder / "b.svs", folder])[0] == Path("b.svs")
    assert len(find_slides(["b.svs", folder / "b.svs", folder])) == 3


def test_a_pattern_is_what_fits_it(folder) -> None:
    assert find_slides([folder / "*.svs"]) == [folder / "b.svs"]
    assert find_slides([folder / "**" / "a.*"]) == [folder / "more/a.tif"]


def test_a_name_with_brackets_is_a_name_where_it_exists(tmp_path) -> None:
    (tmp_path / "a[1].svs").write_bytes(b"x")
    assert find_slides([tmp_path / "a[1].svs"]) == [tmp_path / "a[1].svs"]


def test_a_folder_without_slides_and_a_pattern_without_files_are_errors(
    tmp_path,
) -> None:
    (tmp_path / "notes.txt").write_text("no slide")
    with pytest.raises(SlideNotFoundError, match="no slide in this folder"):
        find_slides([tmp_path])
    with pytest.raises(SlideNotFoundError, match=r"\*\.svs"):
        find_slides([tmp_path / "*.svs"])


@pytest.mark.parametrize(
    ("slides", "names"),
    [
        (["/x/a.svs", "/x/b.svs"], ["a", "b"]),
        (["/monday/a.svs", "/tuesday/a.svs"], ["monday_a", "tuesday_a"]),
        (["/1/x/a.svs", "/2/x/a.svs", "/b.svs"], ["1_x_a", "2_x_a", "b"]),
        (["/x/a.svs", "/x/a.tif"], ["a_svs", "a_tif"]),
        (["/x/a.svs", "/x/a.tif", "/y/a.svs"], ["a_svs", "a_tif", "a"]),
        (["/x/Slide.svs", "/y/slide.svs"], ["x_Slide", "y_slide"]),
        (["/x/a.svs", "/y/a.svs", "/x_a.svs"], ["x_a-", "y_a", "x_a-"]),
    ],
)
def test_results_are_named_by_as_little_as_tells_them_apart(slides, names) -> None:
    found = result_names([Path(slide) for slide in slides])
    assert [name[: len(stem)] for name, stem in zip(found, names, strict=True)] == names
    assert len({name.casefold() for name in found}) == len(slides)


def test_names_do_not_depend_on_the_order() -> None:
    slides = [Path(f"/{day}/{name}.svs") for day in "abc" for name in "xyz"]
    slides.append(Path("/d/only.svs"))
    forwards = dict(zip(slides, result_names(slides), strict=True))
    backwards = dict(zip(slides[::-1], result_names(slides[::-1]), strict=True))
    assert forwards == backwards
    assert forwards[Path("/d/only.svs")] == "only"


links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


@pytest.fixture
def linked(folder, tmp_path):
    """Return a folder of links to slides and folders, and of folders that go round."""
    top = tmp_path / "top"
    (top / "inside").mkdir(parents=True)
    (top / "b.svs").symlink_to(folder / "b.svs")
    (top / "more").symlink_to(folder / "more", target_is_directory=True)
    (top / "inside" / "round").symlink_to(top, target_is_directory=True)
    (top / "self").symlink_to(top / "self")
    return top


@links
def test_linked_folders_are_entered_and_never_twice(folder, linked) -> None:
    (linked / "again").symlink_to(folder / "more", target_is_directory=True)
    (linked / "self").unlink()
    # of two links the first by name; the slide b.svs under the name of its link
    assert find_slides([linked]) == [
        linked / "again/a.tif",
        linked / "again/c.mrxs",
        linked / "b.svs",
    ]


@links
def test_a_link_to_nothing_is_a_slide_that_fails(linked, dark_bundle, tmp_path):
    (linked / "gone.svs").symlink_to(tmp_path / "unmounted" / "gone.svs")
    (linked / "patients").symlink_to(tmp_path / "unmounted", target_is_directory=True)
    (linked / "notes.txt").symlink_to(tmp_path / "unmounted" / "notes.txt")
    found = find_slides([linked])
    missing = {"gone.svs", "patients", "self"}
    assert missing <= {path.name for path in found}
    assert not any(path.name == "notes.txt" for path in found)
    assert find_slides([linked / "g*.svs"]) == [linked / "gone.svs"]
    options = CohortOptions(RunOptions(network=NetworkChoice(dark_bundle)))
    for name in missing:
        row = run_task(SlideTask(linked / name, tmp_path / "out" / name, options)).row
        assert row.status == "failed"
        assert f"{linked / name}: is a link to" in row.error
        assert "which is not there" in row.error


@links
def test_a_slide_by_two_links_is_one_and_told(folder, linked) -> None:
    (linked / "z.svs").symlink_to(folder / "b.svs")
    told = []
    found = find_slides([linked, folder / "b.svs"], twice=lambda *two: told.append(two))
    assert [path.name for path in found if path.suffix == ".svs"] == ["b.svs"]
    first = linked / "b.svs"
    assert told == [(linked / "z.svs", first), (folder / "b.svs", first)]
    told.clear()
    find_slides([folder, folder / "b.svs"], twice=lambda *two: told.append(two))
    assert told == []


def test_a_folder_that_may_not_be_entered_fails_and_is_not_passed_over(
    folder, tmp_path, dark_bundle, monkeypatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.svs").write_bytes((folder / "b.svs").read_bytes())
    scan, may = os.scandir, os.access

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(
        os, "access", lambda path, mode: "closed" not in str(path) and may(path, mode)
    )
    assert find_slides([tmp_path]) == [tmp_path / "a.svs", tmp_path / "closed"]
    options = CohortOptions(RunOptions(network=NetworkChoice(dark_bundle)))
    task = SlideTask(tmp_path / "closed", tmp_path / "out" / "closed", options)
    assert "cannot be opened" in run_task(task).row.error


def test_results_inside_the_folder_of_slides_are_no_slides(folder) -> None:
    # detect and `export -f asap` left theirs there
    from napari_fastnet.results.loading import load
    from napari_fastnet.results.result import FORMATS

    before = find_slides([folder])
    formats = ["ome-tiff", "asap", "png", "csv", "geojson"]
    assert set(formats) <= set(FORMATS)
    load(folder / "b").export(folder / "b", formats)
    told = []
    assert find_slides([folder], told.append) == before
    assert told == [folder / "photograph.tif"]
