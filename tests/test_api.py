"""The Python door: a slide's way through it, and what a notebook shows of each thing."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import napari_fastnet as nf


@pytest.fixture(scope="module")
def slide_file(write_svs, tmp_path_factory):
    """A dark square on pink tissue on glass, 2 µm/px."""
    image = np.full((384, 512, 3), 244, np.uint8)
    image[32:352, 32:400] = (170, 110, 150)
    image[96:224, 96:224] = (60, 40, 80)
    return write_svs(tmp_path_factory.mktemp("api") / "square.svs", image, mpp=2.0)


@pytest.fixture(scope="module")
def result(slide_file, dark_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    return nf.detect(slide_file, folder, model=dark_bundle)


def picture(png):
    return np.asarray(Image.open(BytesIO(png)))


def test_an_open_slide_and_a_loaded_model_do_as_well(
    slide_file, dark_bundle, result, tmp_path
):
    with nf.open_slide(slide_file) as slide:
        again = nf.detect(slide, tmp_path, model=nf.load_bundle(dark_bundle))
        assert slide.thumbnail(8).shape == (6, 8, 3)  # it was left open
    np.testing.assert_array_equal(
        again.heatmap.probabilities, result.heatmap.probabilities
    )
    assert again.folder == tmp_path / "square"


def test_a_region_of_interest_that_was_painted_is_all_that_is_looked_at(
    slide_file, dark_bundle, tmp_path
):
    with nf.open_slide(slide_file) as slide:
        tissue = nf.find_tissue(slide)
        roi = tissue.masks.roi.copy()
        roi[:, roi.shape[1] // 2 :] = False
        painted = tissue.with_roi(roi)
        result = nf.detect(slide, tmp_path, model=dark_bundle, tissue=painted)
    rows, columns = np.nonzero(result.heatmap.computed)
    assert rows.size
    assert columns.max() < result.heatmap.grid.shape[1] // 2 + 1
    assert painted.edited_px == (tissue.masks.roi & ~roi).sum()
    assert result.record.tissue["edited_px"] == painted.edited_px


@pytest.mark.parametrize("wrong", [np.zeros((3, 3), bool), None])
def test_a_region_of_interest_of_another_kind_is_refused(slide_file, wrong):
    with nf.open_slide(slide_file) as slide:
        tissue = nf.find_tissue(slide)
    roi = tissue.masks.roi.astype(np.uint8) if wrong is None else wrong
    with pytest.raises(nf.FastNetError, match="give bool"):
        tissue.with_roi(roi)


def test_a_bar_is_shown_where_it_is_asked_for(
    slide_file, dark_bundle, tmp_path, capsys
):
    options = nf.RunOptions(stride=8)
    nf.detect(slide_file, tmp_path, model=dark_bundle, options=options)
    assert not capsys.readouterr().err
    fresh = nf.RunOptions(stride=8, fresh=True)
    nf.detect(slide_file, tmp_path, model=dark_bundle, options=fresh, progress=True)
    shown = capsys.readouterr().err
    assert "square.svs: 100%" in shown
    assert " patches/s" in shown


def test_a_slide_shows_its_thumbnail_and_where_its_um_px_come_from(slide_file):
    with nf.open_slide(slide_file) as slide:
        page = slide._repr_html_()
    assert "square.svs" in page
    assert "2 (vendor)" in page
    assert "data:image/png;base64," in page


def test_tissue_is_shown_as_it_is_and_the_rest_faded(slide_file):
    with nf.open_slide(slide_file) as slide:
        tissue = nf.find_tissue(slide)
    shown = picture(tissue._repr_png_())
    assert shown.shape[2] == 3
    inside, glass = shown[len(shown) // 2, shown.shape[1] // 4], shown[2, 2]
    assert inside.max() < 180
    assert glass.min() > 245
    assert repr(tissue).startswith("<SlideTissue 96 x 128 px of 8 µm")


def test_a_heatmap_is_red_on_the_dark_square_and_clear_on_glass(result):
    shown = picture(result.heatmap._repr_png_())
    height, width = shown.shape[:2]
    red, green, _, alpha = shown[height * 160 // 384, width * 160 // 512].astype(int)
    assert red > green
    assert alpha == 255
    assert shown[1, -1, 3] == 0
    assert "highest 0." in repr(result.heatmap)


def test_a_result_shows_its_overview_and_what_was_found(result, tmp_path):
    page = result._repr_html_()
    assert "data:image/png;base64," in page
    assert "Research use only. Not for diagnosis." in page
    assert "<RunResult 1 regions, <Heatmap" in repr(result)
    assert repr(result.regions).startswith("[<Region 1: micro")
    assert result._repr_png_() == (result.folder / "overview.png").read_bytes()


def test_a_result_whose_overview_is_gone_is_still_shown(
    slide_file, dark_bundle, tmp_path
):
    gone = nf.detect(slide_file, tmp_path, model=dark_bundle)
    shutil.rmtree(gone.folder)
    assert "<img" not in gone._repr_html_()
    assert gone._repr_png_() is None


def test_a_model_shows_its_card(dark_bundle):
    assert nf.load_bundle(dark_bundle)._repr_markdown_() == "# Darkness\n"


def test_type_checkers_and_the_door_know_the_same_names():
    source = Path(nf.__file__).read_text("utf-8")
    imports = source.partition("TYPE_CHECKING:")[2].partition("__version__ =")[0]
    names = {"__version__"}
    for line in imports.splitlines():
        names |= {name.strip() for name in line.partition(" import ")[2].split(",")}
    assert names - {""} == set(nf.__all__)
