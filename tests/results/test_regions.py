"""Regions as GeoJSON and CSV: what QuPath and a spreadsheet find in them."""

from __future__ import annotations

import csv
import json
from uuid import UUID

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import shape

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.errors import OptionError
from napari_fastnet.results.record import RunRecord, SlideFacts
from napari_fastnet.results.regions import write_regions_csv, write_regions_geojson

RECORD = RunRecord(slide=SlideFacts("a.svs", "abc"), threshold=np.float32(0.5))


def regions_of(values, *, origin=(0.0, 0.0), step=(10.0, 20.0), mpp=(0.5, 0.25)):
    values = np.asarray(values, dtype=np.float32)
    return find_regions(Heatmap(values, Grid(origin, step, values.shape), mpp), 0.5)


def geojson(path, regions, **options):
    write_regions_geojson(path, regions, **options)

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(path.read_bytes(), parse_constant=refuse)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "regions.geojson"


def test_coordinates_are_closed_x_y_rings_in_level_0_px(path):
    (feature,) = geojson(path, regions_of([[0, 0], [0, 1]]))["features"]
    assert feature["type"] == "Feature"
    assert feature["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[20, 10], [40, 10], [40, 20], [20, 20], [20, 10]]],
    }


def test_the_bounds_offset_is_taken_off(path):
    regions = regions_of([[1]])
    (feature,) = geojson(path, regions, bounds_offset=(3.0, 5.5))["features"]
    assert feature["geometry"]["coordinates"][0][0] == [-5.5, -3]


def test_a_region_is_a_qupath_annotation_with_measurements(path):
    (region,) = regions_of(np.ones((40, 30)))
    (feature,) = geojson(path, [region])["features"]
    properties = feature["properties"]
    assert properties["objectType"] == "annotation"
    assert properties["name"] == "Region 1 (micro)"
    assert properties["classification"]["name"] == "Tumor"
    red, green, blue = properties["classification"]["color"]
    assert red > 150 > max(green, blue)
    assert properties["measurements"] == {
        "area mm^2": pytest.approx(0.2 * 0.15),
        "longest axis mm": pytest.approx(0.25),
        "max probability": 1.0,
        "mean probability": 1.0,
    }


def test_parts_that_touch_at_a_corner_are_one_multipolygon(path):
    (feature,) = geojson(path, regions_of([[1, 0], [0, 1]]))["features"]
    assert feature["geometry"]["type"] == "MultiPolygon"
    assert shapely.is_valid(shape(feature["geometry"]))


def test_identifiers_are_unique_and_the_same_again(path):
    regions = regions_of([[1, 0, 1, 0, 1]])

    def ids(**options):
        found = geojson(path, regions, **options)["features"]
        return [str(UUID(feature["id"])) for feature in found]

    first = ids(record=RECORD)
    assert len(set(first)) == 3
    assert ids(record=RECORD) == first
    assert set(ids()).isdisjoint(first)  # another slide


def test_the_record_stands_beside_the_features(path):
    collection = geojson(path, [], record=RECORD)
    assert collection["type"] == "FeatureCollection"
    assert collection["features"] == []
    assert collection["napari_fastnet"] == RECORD.to_dict()


def test_an_offset_that_is_no_number_is_refused(path):
    with pytest.raises(OptionError, match="offset"):
        write_regions_geojson(path, [], bounds_offset=(np.nan, 0))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1e5), st.floats(1, 1000))
def test_rounding_keeps_polygons_valid_oriented_and_as_large(
    tmp_path_factory, seed, origin, step
):
    values = np.random.default_rng(seed).random((7, 7))
    regions = regions_of(values, origin=(origin, origin / 3), step=(step, step * 1.1))
    file = tmp_path_factory.mktemp("regions") / "r.geojson"
    for region, feature in zip(
        regions, geojson(file, regions)["features"], strict=True
    ):
        polygons = shape(feature["geometry"])
        assert shapely.is_valid(polygons)
        assert polygons.area * 0.125e-6 == pytest.approx(region.area_mm2, rel=5e-3)
        for part in shapely.get_parts(polygons):
            assert part.exterior.is_ccw  # RFC 7946
            assert not any(ring.is_ccw for ring in part.interiors)


def test_the_table_has_units_in_its_header_and_a_row_a_region(tmp_path):
    values = np.zeros((4, 9))
    values[2, 1:3], values[0, 8] = 0.75, 1.0
    path = tmp_path / "regions.csv"
    write_regions_csv(path, regions_of(values), mpp=(0.5, 0.25), slide="Müller, 1.svs")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "label": "1",
        "size_class": "ITC",
        "area_mm2": "0.000050",
        "longest_axis_mm": "0.0112",
        "max_probability": "0.7500",
        "mean_probability": "0.7500",
        "evidence": "",
        "confidence": "",
        "centroid_x_px": "40.0",
        "centroid_y_px": "25.0",
        "centroid_x_um": "10.0",
        "centroid_y_um": "12.5",
        "piece": "0",
        "node": "0",
        "status": "undecided",
        "kind": "found",
        "note": "",
        "measured_mm": "",
        "um_per_px_x": "0.25",
        "um_per_px_y": "0.5",
        "notice": "Research use only. Not for diagnosis.",
        "slide": "Müller, 1.svs",
    }
    assert [row["label"] for row in rows] == ["1", "2"]


def test_no_regions_leave_the_header_with_its_line_ending(tmp_path):
    write_regions_csv(tmp_path / "regions.csv", [], mpp=(0.5, 0.5))
    text = (tmp_path / "regions.csv").read_bytes()
    assert text.startswith(b"label,size_class,area_mm2,longest_axis_mm,")
    assert text.endswith(b"um_per_px_y,notice,slide\r\n")
    assert text.count(b"\n") == 1
