"""Fill beside a slide: tissue and tumor are those of the slide without it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_fastnet.cli.app import make_app
from napari_fastnet.cohort.detect import detect
from napari_fastnet.core.dense import CELL_PX
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.detection.tissue_editor import TissueEditor
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.slide.slide import open_slide

BLACK, WHITE, GREY, ROSE = (0, 0, 0), (255,) * 3, (205,) * 3, (205, 150, 185)


def padded(image, side, share, colour):
    """Return an image with fill at a side, about that share of the whole.

    A whole number of cells: cells elsewhere see other lesions without any fill.
    """
    height, width = image.shape[:2]
    length = width if side in ("left", "right") else height
    px = round(length * share / (1 - share) / CELL_PX) * CELL_PX
    margins = {
        "left": ((0, 0), (px, 0)),
        "right": ((0, 0), (0, px)),
        "above": ((px, 0), (0, 0)),
        "below": ((0, px), (0, 0)),
    }
    (top, bottom), (left, right) = margins[side]
    whole = np.full((height + top + bottom, width + left + right, 3), colour, np.uint8)
    whole[top : top + height, left : left + width] = image
    return whole


@pytest.fixture(scope="module")
def crop(stained):
    """Return a corner of the picture with glass, tissue and a lesion."""
    return stained.small[:960, :1280]


@pytest.fixture(scope="module")
def areas(tiff, tmp_path_factory):
    """Return a function that gives tissue and tumor of a slide of pages, mm²."""
    bundle = load_bundle("fastnet-pcam")
    network = create_backend(bundle)
    out = tmp_path_factory.mktemp("areas")

    def found(pages):
        path = tiff(out / "slide.tif", pages)
        run = detect(path, out, model=bundle, backend=network)
        totals = run.record.regions
        return totals.tissue_mm2, totals.area_mm2

    return found


@pytest.fixture(scope="module")
def alone(areas, crop, pyramid):
    """Return tissue and tumor of the slide without fill, mm²."""
    return areas(pyramid(crop))


@pytest.mark.parametrize(
    ("fill", "levels"),
    [
        (("left", 0.2, BLACK), "all"),
        (("left", 0.2, BLACK), "level 0 alone"),
        (("below", 0.6, BLACK), "all"),
        (("above", 0.4, WHITE), "all"),
        (("right", 0.05, GREY), "level 0 alone"),
        (("left", 0.4, ROSE), "all"),
    ],
)
def test_tissue_and_tumor_are_those_of_the_slide_without_fill(
    fill, levels, alone, areas, crop, pyramid
):
    whole = padded(crop, *fill)
    pages = pyramid(whole)
    if levels != "all":
        pages[1:] = pyramid(crop)[1:]

    found = areas(pages)

    assert alone[0] > 0.3
    assert alone[1] > 0.1
    assert found == pytest.approx(alone, rel=0.02)


def test_fill_is_told_and_no_flag_of_quality(crop, pyramid, tiff, tmp_path):
    path = tiff(tmp_path / "a.tif", pyramid(padded(crop, "left", 0.25, BLACK)))

    ended = CliRunner().invoke(
        make_app(), ["detect", str(path), "-o", str(tmp_path / "out")]
    )

    assert ended.exit_code == 0
    # half a px of the masks more or less, and one px along the outline
    assert "of the picture was never scanned and is left out" in ended.stdout
    record = json.loads((tmp_path / "out" / "a" / "run.json").read_text())
    assert record["tissue"]["never_scanned"] == pytest.approx(0.25, abs=0.01)
    assert not record["quality"]["pen"]

    ended = CliRunner().invoke(
        make_app(), ["tissue", str(path), "-o", str(tmp_path / "out")]
    )

    assert "of the picture was never scanned and is left out" in ended.stdout


def test_thresholds_moved_by_hand_leave_fill_out(crop, pyramid, tiff, tmp_path):
    path = tiff(tmp_path / "a.tif", pyramid(padded(crop, "left", 0.25, ROSE)))
    with open_slide(path) as slide:
        editor = TissueEditor(find_tissue(slide))
    fill = editor.tissue().masks.fill

    editor.set_threshold("low", 0)
    editor.set_threshold("high", 255)
    editor.set_threshold("red", 250)
    editor.set_threshold("saturation", 0)

    assert fill.mean() == pytest.approx(0.25, abs=0.01)
    for kind in ("rgb", "hsv", "threshold", "roi"):
        assert not (editor.mask(kind) & fill).any()
    assert editor.tissue().masks.fill is fill
