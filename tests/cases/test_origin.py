"""Slides whose scan begins off their corner, and outlines of QuPath, which counts from it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.cli.app import main
from napari_fastnet.core.geometry import Box
from napari_fastnet.patches.camelyon import CamelyonSlide
from napari_fastnet.patches.options import PatchOptions
from napari_fastnet.patches.plan import find_candidates
from napari_fastnet.slide.slide import open_slide

#: The corner of the scanned part, level-0 px, and what is outlined, from the slide's.
TOP, LEFT = 96, 160
LESION = (208, 144, 64, 48)  # x, y, width, height
SETTINGS = (
    "<creationDate>2020</creationDate><device model='m' version='v'/><scanSettings>"
    "<objectiveSettings><objective>20</objective></objectiveSettings>"
    "<illuminationSettings><numericalAperture>0.5</numericalAperture>"
    "<illuminationSource>brightfield</illuminationSource></illuminationSettings>"
    "</scanSettings>"
)


def area(first, height, width, top, left):
    """Return what a Leica file says of a picture of 2 µm/px and its half."""
    dimensions = "".join(
        f"<dimension sizeX='{width >> r}' sizeY='{height >> r}' r='{r}' ifd='{first + r}'/>"
        for r in (0, 1)
    )
    return (
        f"<image name='i{first}'>{SETTINGS}<pixels sizeX='{width}' sizeY='{height}'>"
        f"{dimensions}</pixels><view sizeX='{width * 2000}' sizeY='{height * 2000}' "
        f"offsetX='{left * 2000}' offsetY='{top * 2000}'/></image>"
    )


@pytest.fixture(scope="module")
def slide_file(tmp_path_factory):
    """Return a slide of 640 x 480 px, tissue in the left half of its scanned part."""
    macro = np.full((480, 640, 3), 245, np.uint8)
    scanned = np.full((320, 416, 3), 245, np.uint8)
    scanned[32:288, 32:200] = (200, 120, 180)
    xml = (
        "<?xml version='1.0'?><scn><collection sizeX='1280000' sizeY='960000'>"
        f"{area(0, 480, 640, 0, 0)}{area(2, 320, 416, TOP, LEFT)}</collection></scn>"
    )
    path = tmp_path_factory.mktemp("slides") / "block.scn"
    with tifffile.TiffWriter(path) as tif:
        for image in (macro, scanned):
            for step in (1, 2):
                tif.write(
                    image[::step, ::step].copy(),
                    photometric="rgb",
                    tile=(32, 32),
                    description=xml if image is macro and step == 1 else None,
                    metadata=None,
                )
    return path


@pytest.fixture
def outlines(tmp_path, geojson, feature, box):
    """Return outlines of QuPath: a lesion and stroma, counted from the scanned part."""
    x, y, width, height = LESION
    ring = box(x - LEFT, y - TOP, width, height)
    return geojson(
        tmp_path / "block.geojson",
        feature([ring], classification={"name": "Metastase"}, objectType="annotation"),
        feature([box(40, 200, 30, 30)], classification={"name": "Stroma"}),
    )


@pytest.fixture(scope="module")
def run(slide_file, dark_bundle, tmp_path_factory):
    """Return the folder of a run."""
    folder = tmp_path_factory.mktemp("run")
    words = [slide_file, "-o", folder, "--model", dark_bundle, "--stride", "patch"]
    assert main(["detect", *map(str, words)]) == 0
    return folder / "block"


def test_a_run_says_where_its_scan_begins(slide_file, run):
    with open_slide(slide_file) as slide:
        assert slide.bounds == Box(TOP, LEFT, TOP + 320, LEFT + 416)
    record = json.loads((run / "run.json").read_text())
    assert record["slide"]["scanned_from"] == [TOP, LEFT]


def exported(capsys, run, folder, *words):
    code = main(["export", str(run), "-f", "csv", "-o", str(folder), *map(str, words)])
    said = capsys.readouterr().err
    table = folder / "regions.csv"
    lines = table.read_text().splitlines() if table.exists() else []
    rows = list(csv.DictReader(lines))
    return code, said, rows


@pytest.mark.parametrize("words", [["--qupath-origin"], ["--bounds-offset", TOP, LEFT]])
def test_corrected_regions_of_qupath(run, outlines, tmp_path, capsys, words):
    words = ["--regions", outlines, "--tumor-class", "metastase", *words]
    code, said, (row,) = exported(capsys, run, tmp_path / "out", *words)
    assert code == 0
    x, y, width, height = LESION
    assert float(row["centroid_x_px"]) == pytest.approx(x + width / 2, abs=0.5)
    assert float(row["centroid_y_px"]) == pytest.approx(y + height / 2, abs=0.5)
    assert said.splitlines() == [
        "block.geojson: left out: 1 outline of the class 'Stroma'"
    ]


def test_from_the_wrong_corner_they_lie_on_glass_and_that_is_said(
    run, outlines, tmp_path, capsys
):
    words = ["--regions", outlines, "--tumor-class", "Metastase"]
    code, said, _ = exported(capsys, run, tmp_path / "out", *words)
    assert code == 0
    assert "block.geojson: only 0% of what is outlined lies on tissue" in said


def test_a_class_that_nobody_called_tumor_is_refused(run, outlines, tmp_path, capsys):
    words = ["--regions", outlines, "--qupath-origin"]
    code, said, rows = exported(capsys, run, tmp_path / "out", *words)
    assert (code, rows) == (1, [])
    assert "'Metastase'" in said
    assert "--tumor-class" in said


def test_two_origins_are_one_too_many(run, outlines, tmp_path, capsys):
    words = ["--regions", outlines, "--qupath-origin", "--bounds-offset", 1, 2]
    assert exported(capsys, run, tmp_path / "out", *words)[0] == 2


def test_where_to_look(slide_file, dark_bundle, outlines, tmp_path, capsys):
    words = [slide_file, "--model", dark_bundle, "--roi", outlines, "--stride", "patch"]

    def look(folder, *more):
        argv = ["detect", *map(str, [*words, "-o", folder, *more])]
        code, said = main(argv), capsys.readouterr().err
        roi = tifffile.imread(folder / "block" / "tissue_roi.tif") > 0
        y, x = np.nonzero(roi)
        um_px = 640 / roi.shape[1]
        return code, said, (x.min() * um_px, y.min() * um_px)

    code, said, corner = look(tmp_path / "right", "--qupath-origin")
    assert (code, "on tissue" in said) == (0, False)
    assert corner == pytest.approx((LEFT + 40, LESION[1]), abs=5)
    code, said, corner = look(tmp_path / "wrong")
    assert code == 0
    assert "block.geojson: only 0% of what is outlined lies on tissue" in said
    assert corner == pytest.approx((40, LESION[1] - TOP), abs=5)


def test_patches_of_qupaths_outlines(slide_file, outlines):
    known = CamelyonSlide("block", slide_file, True, False, outlines, False)
    words = OutlineOptions(("Metastase",), "scanned")
    with open_slide(slide_file) as slide:
        found = find_candidates(known, slide, PatchOptions(2.0, 32, outlines=words))
        fixed = find_candidates(
            known,
            slide,
            PatchOptions(2.0, 32, outlines=OutlineOptions(("Metastase",), (TOP, LEFT))),
        )
    tumour = found.positions[found.labels == 1]
    x, y, *_ = LESION
    assert tumour.min(axis=0).tolist() == [y, x]
    np.testing.assert_array_equal(fixed.positions, found.positions)
    assert found.facts["notes"] == ["left out: 1 outline of the class 'Stroma'"]


def test_regions_for_qupath_count_from_its_corner(run, tmp_path, capsys):
    corners = []
    for words in ([], ["--qupath-origin"]):
        folder = tmp_path / str(len(words))
        argv = ["export", run, "-f", "geojson", "-o", folder, "--threshold", 0.3]
        assert main([*map(str, argv), *words]) == 0
        collection = json.loads((folder / "regions.geojson").read_text())
        rings = collection["features"][0]["geometry"]["coordinates"]
        corners.append(np.min(rings[0], axis=0))
    assert np.subtract(*corners).tolist() == [LEFT, TOP]
