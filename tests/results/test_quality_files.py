from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.cohort.report import write_tables
from napari_fastnet.cohort.rows import COLUMNS, SlideRow
from napari_fastnet.cohort.slide_numbers import SlideNumbers
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.errors import BundleError, StoreError
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.description import parse_description
from napari_fastnet.results.formats.ome_tiff import write_flags_tiff, write_mask_tiff
from napari_fastnet.results.reading import read_flags_export
from napari_fastnet.results.recognise import content_of
from napari_fastnet.results.record import RunRecord, SlideFacts

GRID = Grid((0.0, 0.0), (8.0, 8.0), (2, 2))
RECORD = RunRecord(slide=SlideFacts("a.svs", "f", mpp=(1.0, 1.0)), grid=GRID)


def heatmap_of(grid):
    return Heatmap(np.full(grid.shape, np.nan, np.float32), grid, (1.0, 1.0))


def test_flags_survive_their_file(tmp_path) -> None:
    flags = np.array([[0, 1], [6, 7]], np.uint8)
    write_flags_tiff(tmp_path / "quality.tif", flags, heatmap_of(GRID), record=RECORD)
    read, record = read_flags_export(tmp_path / "quality.tif")
    np.testing.assert_array_equal(read, flags)
    assert record == RECORD
    assert content_of(tmp_path / "quality.tif") == "quality"


def test_flags_of_no_cell_survive_their_file(tmp_path) -> None:
    grid = Grid((0.0, 0.0), (8.0, 8.0), (0, 0))
    record = replace(RECORD, grid=grid)
    empty = np.empty((0, 0), np.uint8)
    write_flags_tiff(tmp_path / "quality.tif", empty, heatmap_of(grid), record=record)
    assert read_flags_export(tmp_path / "quality.tif")[0].shape == (0, 0)


def test_another_file_is_refused(tmp_path) -> None:
    path = tmp_path / "quality.tif"
    write_mask_tiff(path, np.ones((3, 3), bool), (1.0, 1.0), record=RECORD)
    with pytest.raises(StoreError, match="grid do not agree"):
        read_flags_export(path)


def test_the_shipped_model_knows_its_training_data() -> None:
    for name, patches in (("fastnet-pcam", 20863), ("fastnet-pcam-1.0", 20167)):
        gamut = load_bundle(name).gamut
        assert gamut is not None
        assert gamut.patches == patches


def test_a_model_may_lack_the_field_and_keeps_its_content_then() -> None:
    content = load_bundle("fastnet-pcam").to_dict()
    del content["quality"]
    description = parse_description(content)
    assert description.gamut is None
    assert description.to_dict() == content


@pytest.mark.parametrize("quality", [[1], {"mean": [1, 2, 3]}])
def test_a_field_that_is_no_gamut_is_refused(quality) -> None:
    content = load_bundle("fastnet-pcam").to_dict() | {"quality": quality}
    with pytest.raises(BundleError, match="quality"):
        parse_description(content)


def findings(**quality):
    return SlideNumbers(
        tissue_mm2=1.0,
        tumour_mm2=0.0,
        tumour_share=0.0,
        macro=0,
        micro=0,
        itc=0,
        largest_lesion_mm=None,
        max_probability=0.1,
        unreadable_patches=0,
        mpp_y=1.0,
        mpp_x=1.0,
        mpp_source="vendor",
        model="m 1",
        threshold=0.5,
        seconds=1.0,
        **quality,
    )


def test_a_cohort_says_which_slides_are_to_be_doubted(tmp_path) -> None:
    doubted = findings(
        flagged_share=0.25, out_of_gamut=True, warn=True, quality="The stain <is> far."
    )
    rows = [
        SlideRow("bad", tmp_path / "bad.svs", "done", found=doubted),
        SlideRow("old", tmp_path / "old.svs", "done", found=findings()),
    ]
    write_tables(tmp_path, rows)
    lines = (tmp_path / "summary.csv").read_text().splitlines()
    table = {line.split(",")[0]: line.split(",") for line in lines}
    at = list(COLUMNS).index("flagged_share")
    assert table["bad"][at : at + 3] == ["0.2500", "True", "The stain <is> far."]
    assert table["old"][at : at + 3] == ["", "", ""]
    page = (tmp_path / "report.html").read_text()
    assert page.count("The stain &lt;is&gt; far.") == 1
    assert "calibrated" in page
