"""A level that is broken is read from the next finer one; nothing read is no result."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass

import numpy as np
import pytest
import tifffile

from napari_fastnet.cli.app import main
from napari_fastnet.core.geometry import Box
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.errors import TileReadError
from napari_fastnet.slide.slide import open_slide

#: µm/px of level 0; level 1 is the model's 0.972, level 2 that of the masks.
MPP = 0.486


@pytest.fixture(scope="module")
def pages(stained, pyramid):
    """Return a pyramid whose level 1 is a corner of the picture."""
    fine = stained.small[:640, :896].repeat(2, axis=0).repeat(2, axis=1)
    return pyramid(fine, levels=3)


@pytest.fixture
def write(pages, tiff, tmp_path):
    """Return a function that writes the slide with some levels broken."""

    def written(name="slide", broken=(), share=1.0, missing=()):
        path = tiff(tmp_path / "slides" / f"{name}.tif", pages, mpp=MPP)
        with tifffile.TiffFile(path) as tif:
            tables = [(page.dataoffsets, page.tags) for page in tif.pages]
            counts = [page.tags["TileByteCounts"] for page in tif.pages]
        with path.open("r+b") as file:
            for level in broken:
                offsets = tables[level][0]
                for offset in offsets[: round(share * len(offsets))]:
                    file.seek(offset)
                    file.write(bytes(64))
            for level in missing:
                file.seek(counts[level].valueoffset)
                file.write(bytes(counts[level].valuebytecount))
        return path

    return written


@dataclass
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys):
    """Return a function that runs a command."""

    def ran(*words):
        code = main([str(word) for word in words])
        return Ended(code, *capsys.readouterr())

    return ran


def found(folder):
    return json.loads((folder / "run.json").read_text())


def test_a_broken_level_is_read_from_the_next_finer_and_told(run, write, tmp_path):
    options = ("-o", tmp_path / "out", "--model", "fastnet-pcam-1.0")
    whole = run("detect", write("whole"), *options)
    ended = run("detect", write("slide", broken=[1]), *options)

    assert (whole.code, ended.code) == (0, 0)
    line = (
        "slide.tif: 12 tiles of level 1 cannot be read, the next finer level was read"
    )
    assert line in ended.err
    wanted, record = (
        found(tmp_path / "out" / "whole"),
        found(tmp_path / "out" / "slide"),
    )
    assert wanted["slide"]["finer_tiles"] == {}
    assert record["slide"]["finer_tiles"] == {"1": 12}
    assert record["counts"]["failed"] == 0
    assert record["counts"]["computed"] == wanted["counts"]["computed"] > 100
    area = wanted["regions"]["area_mm2"]
    assert record["regions"]["area_mm2"] == pytest.approx(area, rel=0.05)
    assert area > 0.03


@pytest.mark.parametrize(("broken", "missing"), [([2], []), ([1, 2], []), ([], [2])])
def test_masks_and_thumbnail_are_those_of_a_finer_level(write, broken, missing):
    with open_slide(write("whole")) as slide:
        wanted, picture = find_tissue(slide), slide.thumbnail(200)
    with open_slide(write(broken=broken, missing=missing)) as slide:
        tissue, shown = find_tissue(slide), slide.thumbnail(200)
        assert set(slide.finer_tiles) == {*broken, *missing}
    assert tissue.damaged == 0
    assert tissue.area_mm2 == pytest.approx(wanted.area_mm2, rel=0.02)
    assert wanted.area_mm2 > 0.1
    assert np.abs(shown.astype(float) - picture).mean() < 3


def test_a_part_that_no_level_has_is_damaged_as_ever(write):
    with open_slide(write(broken=[0, 1], share=0.2)) as slide:
        corner = Box(0, 0, 200, 200)
        with pytest.raises(TileReadError, match="level 1, rows 0 to 256"):
            slide.read(corner, 2 * MPP)
        assert (slide.read(corner, 2 * MPP, damaged="white") == 255).all()
        assert slide.damaged_tiles(slide.levels[1]) == 1
        assert slide.finer_tiles == {}


@pytest.mark.parametrize(
    ("share", "what"), [(1.0, "4 of 4 tiles"), (0.75, "3 of 4 tiles")]
)
@pytest.mark.parametrize("command", ["detect", "tissue"])
def test_a_slide_that_cannot_be_read_has_no_result(
    run, write, tmp_path, command, share, what
):
    path = write(broken=[0, 1, 2], share=share)

    ended = run(command, path, "-o", tmp_path / "out")

    assert ended.code == 1
    assert f"could not be read: {what}" in ended.err
    assert "a result needs 50 % of them" in ended.err
    assert "none found" not in ended.out + ended.err
    assert not list((tmp_path / "out").rglob("run.json"))


def test_patches_that_cannot_be_read_leave_no_result(run, write, tmp_path):
    # the masks' level is whole
    path = write(broken=[0, 1])

    ended = run("detect", path, "-o", tmp_path / "out")

    assert ended.code == 1
    assert "slide.tif: could not be read: " in ended.err
    assert "patches cannot be decoded, and a result needs 50 % of them" in ended.err
    assert not (tmp_path / "out" / "slide" / "run.json").exists()


def test_nothing_found_is_said_of_what_could_be_read(run, pages, tiff, tmp_path):
    glass = [(np.full_like(image, 244), own) for image, own in pages]
    path = tiff(tmp_path / "slide.tif", glass, mpp=MPP)
    with tifffile.TiffFile(path) as tif:
        offsets = [page.dataoffsets[0] for page in tif.pages]
    with path.open("r+b") as file:
        for offset in offsets:
            file.seek(offset)
            file.write(bytes(64))

    ended = run("detect", path, "-o", tmp_path / "out")

    assert ended.code == 0
    assert "none found in what could be read" in ended.out


def test_a_slide_that_cannot_be_read_fails_in_a_cohort(run, write, tmp_path):
    write("good", broken=[1])
    slides = write("bad", broken=[0, 1, 2]).parent

    ended = run("detect", slides, "-o", tmp_path / "out", "--workers", 1)

    assert ended.code == 1
    with (tmp_path / "out" / "summary.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    status = {name: row["status"] for name, row in rows.items()}
    assert status == {"good": "done", "bad": "failed"}
    assert "could not be read: 4 of 4 tiles" in json.dumps(rows["bad"])
    assert "good.tif: 12 tiles of level 1 cannot be read" in ended.err


def test_a_slide_that_is_mostly_missing_is_judged_by_the_rest(pages, tiff, tmp_path):
    path = tiff(tmp_path / "slide.tif", pages, mpp=MPP)
    with tifffile.TiffFile(path) as tif:
        tables = [page.tags["TileByteCounts"] for page in tif.pages]
        shapes = [page.chunked[:2] for page in tif.pages]
    with path.open("r+b") as file:
        for table, (rows, columns) in zip(tables, shapes, strict=True):
            size = table.valuebytecount // table.count
            for row in range(rows):  # all but the left half
                begin = row * columns + (columns + 1) // 2
                file.seek(table.valueoffset + begin * size)
                file.write(bytes(columns // 2 * size))
    with open_slide(path) as slide:
        tissue = find_tissue(slide)
        assert slide.finer_tiles == {}
    assert tissue.damaged == 0
    assert tissue.masks.roi.any()
    assert not tissue.masks.roi[:, tissue.masks.roi.shape[1] * 5 // 8 :].any()


@pytest.mark.parametrize("grey", [0, 255])
def test_a_level_that_shows_nothing_is_no_slide_without_tissue(
    run, pages, tiff, tmp_path, grey
):
    wrong = [pages[0]] + [(np.full_like(image, grey), own) for image, own in pages[1:]]
    path = tiff(tmp_path / "slide.tif", wrong, mpp=MPP)

    ended = run("tissue", path, "-o", tmp_path / "out")

    assert ended.code == 1
    assert "slide.tif: level 2 shows another picture than level 0" in ended.err


@pytest.mark.parametrize("grey", [0, 255, 244])
def test_a_slide_of_one_colour_has_no_tissue(run, pages, tiff, tmp_path, grey):
    plain = [(np.full_like(image, grey), own) for image, own in pages]
    path = tiff(tmp_path / "slide.tif", plain, mpp=MPP)

    ended = run("tissue", path, "-o", tmp_path / "out")

    assert ended.code == 0
    assert ("100.0% of the picture was never scanned" in ended.out) == (grey == 0)


def black_below(pages, level):
    """Return the pages with the last quarter of one level black, as if never written."""
    spoilt = [(image.copy(), own) for image, own in pages]
    image = spoilt[level][0]
    image[image.shape[0] * 3 // 4 :] = 0
    return spoilt


def test_a_level_that_is_black_in_part_is_told(run, pages, tiff, tmp_path):
    path = tiff(tmp_path / "part.tif", black_below(pages, 1), mpp=MPP)
    ended = run("detect", path, "-o", tmp_path / "out")
    assert ended.code == 0
    assert (
        "shows another picture than the one that the tissue was found on" in ended.err
    )
    (told,) = found(tmp_path / "out" / "part")["slide"]["reading"]
    places = int(told.split("at ")[1].split(" of ")[0])
    assert 4 <= places < 16  # of 32; the tissue is in the lower part of the picture


def test_a_level_that_is_black_all_over_is_refused(run, pages, tiff, tmp_path):
    black = [(image * (index != 1), own) for index, (image, own) in enumerate(pages)]
    path = tiff(tmp_path / "black.tif", black, mpp=MPP)
    ended = run("detect", path, "-o", tmp_path / "out")
    assert ended.code == 1
    assert "shows another picture" in ended.err
    assert not (tmp_path / "out" / "black" / "run.json").exists()


def test_a_slide_without_colour_is_not_just_without_tissue(run, pages, tiff, tmp_path):
    grey = [
        (np.repeat(image.mean(-1, keepdims=True), 3, -1).astype(np.uint8), own)
        for image, own in pages
    ]
    path = tiff(tmp_path / "grey.tif", grey, mpp=MPP, compression="deflate")
    for command in ("detect", "tissue"):
        ended = run(command, path, "-o", tmp_path / command)
        assert ended.code == 0
        assert "the picture has next to no colour" in ended.err
