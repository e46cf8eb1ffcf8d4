"""Which files of a folder are slides, and what the results of each are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.engine.cohort_slides import find_slides, result_names
from napari_fastnet.engine.whole_slide import detect
from napari_fastnet.errors import SlideNotFoundError


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
