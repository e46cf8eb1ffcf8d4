"""GeoJSON in the readers of others: valid, in its place, and quick with 100,000."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import Region, find_regions
from napari_fastnet.results.record import RunRecord, SlideFacts
from napari_fastnet.results.regions import write_regions_geojson

MPP = (0.25, 0.5)
GRID = Grid((100.5, 20.25), (64.08, 32.0), (40, 50))


@pytest.fixture(scope="module")
def heatmap():
    values = np.random.default_rng(3).random(GRID.shape, np.float32)
    values[10:14, 20:30] = 0.99
    values[12, 25] = 0.1  # a hole
    return Heatmap(values, GRID, MPP)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "regions.geojson"


def test_the_geojson_package_finds_no_fault(path, heatmap):
    geojson = pytest.importorskip("geojson")
    regions = find_regions(heatmap, 0.6)
    write_regions_geojson(
        path,
        regions,
        record=RunRecord(slide=SlideFacts("/s/a.svs", "f"), threshold=0.6),
    )
    collection = geojson.loads(path.read_text())
    assert isinstance(collection, geojson.FeatureCollection)
    assert collection.errors() == []
    assert len(collection["features"]) == len(regions)
    for feature in collection["features"]:
        assert not feature.errors()
        assert feature["geometry"].is_valid


def test_the_schema_of_geojson_holds(path, heatmap):
    models = pytest.importorskip("geojson_pydantic")
    regions = find_regions(heatmap, 0.6)
    write_regions_geojson(
        path,
        regions,
        record=RunRecord(slide=SlideFacts("/s/a.svs", "f"), threshold=0.6),
    )
    collection = models.FeatureCollection.model_validate_json(path.read_bytes())
    assert len(collection.features) == len(regions)
    assert {f.geometry.type for f in collection.features} <= {"Polygon", "MultiPolygon"}


@pytest.mark.filterwarnings("ignore")  # its own, and those of what it needs
def test_wsi_annotations_kit_finds_the_cells_in_their_class(path, heatmap):
    kit = pytest.importorskip("wsi_annotations_kit.wsi_annotations_kit")
    regions = find_regions(heatmap, 0.6)
    write_regions_geojson(path, regions)
    read = kit.Converter(str(path), {"Tumor": "classification"}, verbose=False)
    found = read.annotation.objects["Tumor"]
    assert [one.name for one in found] == [
        f"Region {region.label} ({region.size_class})" for region in regions
    ]
    centres = np.array([GRID.cell_centre(*cell) for cell in np.ndindex(GRID.shape)])
    inside = shapely.contains_xy(
        shapely.union_all([one.poly for one in found]), centres[:, 1], centres[:, 0]
    )
    np.testing.assert_array_equal(
        inside.reshape(GRID.shape), heatmap.probabilities >= np.float32(0.6)
    )


def test_shapely_finds_every_cell_and_none_besides(path, heatmap):
    write_regions_geojson(path, find_regions(heatmap, 0.6))
    features = json.loads(path.read_bytes())["features"]
    inside = shapely.union_all([shape(feature["geometry"]) for feature in features])
    centres = [GRID.cell_centre(row, column) for row, column in np.ndindex(GRID.shape)]
    found = shapely.contains_xy(
        inside, [x for _, x in centres], [y for y, _ in centres]
    )
    np.testing.assert_array_equal(
        found.reshape(GRID.shape), heatmap.probabilities >= np.float32(0.6)
    )


def test_a_feature_says_in_um_what_the_heatmap_shows(path, heatmap):
    region = find_regions(heatmap, 0.98)[0]
    write_regions_geojson(path, [region], bounds_offset=(7.0, 11.0))
    (feature,) = json.loads(path.read_bytes())["features"]
    outline = shapely.affinity.scale(
        shape(feature["geometry"]), MPP[1], MPP[0], origin=(0, 0)
    )
    cells = 4 * 10 - 1
    measured = feature["properties"]["measurements"]
    assert outline.area == pytest.approx(cells * 64.08 * 0.25 * 32 * 0.5, rel=1e-6)
    assert measured["area mm^2"] == pytest.approx(outline.area / 1e6, rel=1e-6)
    left, top, right, bottom = outline.bounds
    corner_y, corner_x = (
        GRID.cell_box(10, 20).top - 7.0,
        GRID.cell_box(10, 20).left - 11,
    )
    assert (top, left) == pytest.approx(
        (corner_y * MPP[0], corner_x * MPP[1]), abs=1e-3
    )
    assert measured["longest axis mm"] == pytest.approx(
        np.hypot(bottom - top, right - left) / 1000, rel=1e-4
    )
    red, green, blue = feature["properties"]["classification"]["color"]
    assert all(isinstance(v, int) and 0 <= v <= 255 for v in (red, green, blue))


@pytest.mark.slow
def test_thousands_of_regions_are_written_one_by_one(path):
    square = np.array([[0.0, 0.0], [0.0, 64.0], [64.0, 64.0], [64.0, 0.0]])
    corners = 128.0 * np.indices((25, 400)).reshape(2, -1).T
    regions = [
        Region(
            label,
            2.56e-4,
            0.0226,
            0.9,
            0.9,
            (y + 32, x + 32),
            ((np.add(square, (y, x)),),),
        )
        for label, (y, x) in enumerate(corners.tolist(), 1)
    ]
    write_regions_geojson(path, regions)
    features = json.loads(path.read_bytes())["features"]
    assert len({feature["id"] for feature in features}) == 10_000
    last = features[::-500]
    outlines = shapely.polygons([f["geometry"]["coordinates"][0] for f in last])
    assert shapely.is_valid(outlines).all()
    assert shapely.bounds(outlines[0]).tolist() == [51072, 3072, 51136, 3136]
