"""Tables of patches and regions, as pandas and pyarrow read them."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.errors import DependencyError
from napari_fastnet.results.formats import tables
from napari_fastnet.results.formats.tables import (
    patch_table,
    write_parquet,
    write_patches_csv,
)
from napari_fastnet.results.record import RunRecord, SlideFacts
from napari_fastnet.results.regions import region_table

MPP = (0.25, 0.5)


@pytest.fixture
def heatmap():
    values = np.random.default_rng(0).random((30, 40), np.float32)
    values[:29, :30] = np.nan
    return Heatmap(values, Grid((-20.0, 100.5), (64.08, 32.0), (30, 40)), MPP)


def check(frame, heatmap):
    """Compare a frame with the cells of a heatmap."""
    assert len(frame) == heatmap.computed.sum()
    row = frame.iloc[17]
    index = int(row["row"]), int(row["column"])
    y, x = heatmap.grid.cell_centre(*index)
    assert row["probability"] == pytest.approx(heatmap.probabilities[index], abs=1e-6)
    assert (row["y_px"], row["x_px"]) == pytest.approx((y, x), abs=1e-3)
    assert (row["y_um"], row["x_um"]) == pytest.approx((y * 0.25, x * 0.5), abs=1e-3)


@pytest.mark.parametrize("rows_at_once", [1, 100, 10_000])
def test_pandas_finds_the_patches_in_csv(tmp_path, heatmap, monkeypatch, rows_at_once):
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", rows_at_once)
    write_patches_csv(tmp_path / "patches.csv", heatmap)
    frame = pandas.read_csv(tmp_path / "patches.csv")
    check(frame, heatmap)
    assert frame["notice"][0] == "Research use only. Not for diagnosis."
    assert frame["notice"][1:].isna().all()


def test_pandas_finds_patches_and_record_in_parquet(tmp_path, heatmap):
    parquet = pytest.importorskip("pyarrow.parquet")
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "patches.parquet"
    found = RunRecord(slide=SlideFacts("a.svs", "f", mpp=MPP))
    write_parquet(path, patch_table(heatmap), record=found)
    frame = pandas.read_parquet(path)
    check(frame, heatmap)
    assert frame["probability"].dtype == np.float32
    record = json.loads(parquet.read_schema(path).metadata[b"napari_fastnet"])
    assert record == found.to_dict()


def test_regions_keep_all_digits_in_parquet(tmp_path, heatmap):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    regions = find_regions(heatmap, 0.6)
    path = tmp_path / "regions.parquet"
    write_parquet(path, region_table(regions, mpp=MPP))
    frame = pandas.read_parquet(path)
    assert frame["area_mm2"].tolist() == [region.area_mm2 for region in regions]
    assert frame["size_class"].tolist() == [region.size_class for region in regions]
    assert frame["centroid_y_um"].tolist() == [r.centroid[0] * 0.25 for r in regions]
    assert set(frame["um_per_px_y"]) == {0.25}


def test_nothing_computed_leaves_the_header(tmp_path, heatmap):
    empty = heatmap.only(np.zeros((30, 40), bool))
    write_patches_csv(tmp_path / "patches.csv", empty)
    assert (tmp_path / "patches.csv").read_text() == (
        "row,column,x_px,y_px,x_um,y_um,probability,notice\n"
    )


def test_without_pyarrow_it_says_what_to_install(tmp_path, heatmap, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DependencyError, match=r"napari-fastnet\[parquet\]"):
        write_parquet(tmp_path / "p.parquet", patch_table(heatmap))
    assert list(tmp_path.iterdir()) == []
