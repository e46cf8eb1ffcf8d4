"""SpatialData: heatmap, masks and regions in one object, in their places."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.errors import DependencyError
from napari_fastnet.results.formats.spatial_data import write_spatialdata
from napari_fastnet.results.record import RunRecord, SlideFacts

GRID = Grid((-31.0, 20.5), (64.08, 32.0), (30, 41))
MPP = (0.25, 0.5)
HOT = (12, 33)


@pytest.fixture
def heatmap():
    values = np.zeros(GRID.shape, np.float32)
    values[:5] = np.nan
    values[HOT] = 1.0
    return Heatmap(values, GRID, MPP)


def extent(data, name, system):
    """Return the (top, left, bottom, right) of an element in a coordinate system."""
    from spatialdata import get_extent

    found = get_extent(data[name], coordinate_system=system)
    (left, right), (top, bottom) = found["x"], found["y"]
    return float(top), float(left), float(bottom), float(right)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # spatialdata's own, and those of what it needs
def test_spatialdata_reads_all_of_it_in_its_place(tmp_path, heatmap):
    spatialdata = pytest.importorskip("spatialdata")
    path = tmp_path / "spatialdata.zarr"
    mask = np.zeros((60, 83), bool)
    mask[10:20, 30:60] = True
    regions = find_regions(heatmap, 0.5)
    write_spatialdata(
        path,
        heatmap,
        [],
        record=RunRecord(slide=SlideFacts("/s/a.svs", "f"), threshold=0.4),
    )
    write_spatialdata(
        path,
        heatmap,
        regions,
        {"roi": mask},
        mask_mpp=(8.0, 8.0),
        record=RunRecord(slide=SlideFacts("/s/a.svs", "f"), threshold=0.5),
    )
    data = spatialdata.read_zarr(path)
    np.testing.assert_array_equal(data["heatmap"].values[0], heatmap.probabilities)
    np.testing.assert_array_equal(data["tissue_roi"].values > 0, mask)
    assert data.attrs["napari_fastnet"]["threshold"] == 0.5

    box, cell = GRID.box, GRID.cell_box(*HOT)
    um = np.array([*MPP, *MPP])
    whole = np.array([box.top, box.left, box.bottom, box.right])
    region = np.array([cell.top, cell.left, cell.bottom, cell.right])
    for name, wanted in (("heatmap", whole), ("regions", region)):
        np.testing.assert_allclose(extent(data, name, "global"), wanted, atol=1e-6)
        np.testing.assert_allclose(extent(data, name, "um"), wanted * um, atol=1e-6)
    np.testing.assert_allclose(extent(data, "tissue_roi", "um"), [0, 0, 480, 664])
    assert data["regions"]["area_mm2"].tolist() == [regions[0].area_mm2]
    middle = data["regions"].geometry.iloc[0].centroid
    assert (middle.y, middle.x) == pytest.approx(GRID.cell_centre(*HOT))


def test_without_spatialdata_it_says_what_to_install(tmp_path, heatmap, monkeypatch):
    monkeypatch.setitem(sys.modules, "spatialdata", None)
    with pytest.raises(DependencyError, match=r"napari-fastnet\[spatialdata\]"):
        write_spatialdata(tmp_path / "s.zarr", heatmap, [])
    assert list(tmp_path.iterdir()) == []
