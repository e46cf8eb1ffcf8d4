from __future__ import annotations

import json

import numpy as np
import pytest

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.reading import MAXIMUM_JSON_BYTES, read_annotations
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.polygons import Annotations, ring_area, tumor_mask
from napari_fastnet.errors import AnnotationError

SQUARE = [[0, 0], [0, 10], [10, 10], [10, 0], [0, 0]]  # (x, y), closed
HOLE = [[2, 2], [6, 2], [6, 6], [2, 6], [2, 2]]
ISLAND = [[3, 3], [5, 3], [5, 5], [3, 5], [3, 3]]


@pytest.fixture
def write(tmp_path):
    def write(content, name="outlines.geojson"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def feature(*rings, kind="Polygon", **properties):
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": list(rings)},
        "properties": properties,
    }


def collection(*features):
    return {"type": "FeatureCollection", "features": list(features)}


def refusal(path):
    with pytest.raises(AnnotationError) as caught:
        read_annotations(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def drawn(path):
    """Return the mask of a 10 x 10 px slide."""
    return tumor_mask(read_annotations(path), Grid((0, 0), (1, 1), (10, 10)))


def test_asap_xml_is_told_by_its_suffix(tmp_path):
    ring = np.array([(1.0, 2), (3, 4), (5, 0)])
    write_asap_xml(tmp_path / "a.XML", Annotations((ring,), ()))
    np.testing.assert_array_equal(
        read_annotations(tmp_path / "a.XML").positive[0], ring
    )


def test_another_suffix_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y")
    assert ".geojson" in refusal(tmp_path / "a.csv")


def test_camelyons_json(write):
    content = {
        "positive": [{"name": "Annotation 0", "vertices": SQUARE}],
        "negative": [{"name": "_2", "vertices": HOLE}],
    }
    path = write(content, "Tumor_001.json")
    found = read_annotations(path)
    assert (len(found.positive), len(found.negative)) == (1, 1)
    np.testing.assert_array_equal(found.positive[0][1], (10, 0))  # (y, x)
    assert drawn(path).sum() == 100 - 16


def test_an_outline_of_two_points_is_skipped_in_json_too(write):
    content = {"positive": [{"name": "_8", "vertices": [[1, 2], [3, 4]]}]}
    found = read_annotations(write(content, "Tumor_054.json"))
    assert found.positive == ()
    assert "'_8'" in found.skipped[0]


@pytest.mark.parametrize(
    "content",
    [
        collection(feature(SQUARE)),
        [feature(SQUARE)],
        feature(SQUARE),
        feature(SQUARE)["geometry"],
        collection(feature([SQUARE], kind="MultiPolygon")),
        collection(feature(SQUARE, classification={"name": "Tumor", "color": [1, 2]})),
        collection(feature(SQUARE, classification="tumor")),
        collection(feature([[*point, 7.5] for point in SQUARE])),  # heights
    ],
)
def test_every_shape_of_geojson(write, content):
    assert drawn(write(content)).all()


def test_a_hole_is_a_hole_and_its_island_none(write):
    expected = np.ones((10, 10), bool)
    expected[2:6, 2:6] = False
    path = write(collection(feature(SQUARE, HOLE)))
    np.testing.assert_array_equal(drawn(path), expected)
    assert read_annotations(path).crossing == ()
    expected[3:5, 3:5] = True
    path = write(collection(feature(SQUARE, HOLE), feature(ISLAND)))
    np.testing.assert_array_equal(drawn(path), expected)


def test_several_holes_in_one_polygon(write):
    other = [[7, 7], [9, 7], [9, 9], [7, 9], [7, 7]]
    found = read_annotations(write(collection(feature(SQUARE, HOLE, other))))
    assert ring_area(found.positive[0]) == 100 - 16 - 4
    assert drawn(write(collection(feature(SQUARE, HOLE, other)))).sum() == 80


def test_a_class_that_is_not_tumour_is_taken_out(write):
    other = feature(HOLE, classification={"name": "Exclusion"})
    assert drawn(write(collection(feature(SQUARE), other))).sum() == 100 - 16


def test_a_class_of_unknown_meaning_is_refused(write):
    odd = feature(SQUARE, classification={"name": "Stroma"}, name="lesion 4")
    message = refusal(write(collection(odd)))
    assert "'Stroma'" in message
    assert "'lesion 4'" in message


def test_points_and_lines_are_skipped_and_named(write):
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}
    found = read_annotations(write(collection(point, feature(SQUARE))))
    assert len(found.positive) == 1
    assert "Point" in found.skipped[0]


def test_a_polygon_without_rings_is_skipped(write):
    found = read_annotations(write(collection(feature())))
    assert found.positive == ()
    assert len(found.skipped) == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "nonsense",
        '{"positive": [' + "9" * 5000 + "]}",
        "[" * 100_000,
        "3",
        '"text"',
        "null",
        "{}",
        {"something": []},
        {"type": "Topology"},
        {"type": "FeatureCollection"},
        {"type": "FeatureCollection", "features": {}},
        {"type": "FeatureCollection", "features": [3]},
        {"type": "FeatureCollection", "features": [{"geometry": None}]},
        {"positive": 3},
        {"positive": [SQUARE]},
        {"positive": [{"name": "a"}]},
        {"positive": [{"name": "a", "vertices": None}]},
        {"positive": [{"name": "a", "vertices": [1, 2, 3]}]},
        {"positive": [{"name": "a", "vertices": [[1], [2], [3]]}]},
        {"positive": [{"name": "a", "vertices": [[1, 2], [3]]}]},
        {"positive": [{"name": "a", "vertices": [{"x": 1}]}]},
        {"positive": [{"name": "a", "vertices": [[[1, 2], [3, 4]]] * 3}]},
        {"positive": [{"name": "a", "vertices": [[1, 2], [3, None], [4, 5]]}]},
        '{"positive": [{"name": "a", "vertices": [[1, 2], [3, NaN], [4, 5]]}]}',
        '{"positive": [{"name": "a", "vertices": [[1, 2], [3, 1e999], [4, 5]]}]}',
        '{"positive": [{"name": "a", "vertices": [[1, 2], [3, 1e9], [4, 5]]}]}',
    ],
)
def test_what_leaves_doubt_is_refused(write, content):
    refusal(write(content, "a.json"))


def test_too_large_a_file_is_not_read(tmp_path):
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(MAXIMUM_JSON_BYTES + 1)
    assert "MiB" in refusal(path)
