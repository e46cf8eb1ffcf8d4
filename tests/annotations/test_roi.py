"""Where to look, brought by users: every kind of file, and every kind of fault."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.roi import read_outlines, read_roi
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.errors import AnnotationError, MaskError
from napari_fastnet.results.formats.ome_tiff import write_mask_tiff

SLIDE = (4000, 6000)
SHAPE = (125, 188)  # 32 px of the slide, and a little less across
#: (y, x) of a rectangle's corners, level-0 px, and the px of the mask in it.
CORNERS = np.array([[640.0, 1280.0], [640, 3200], [1920, 3200], [1920, 1280]])
STEP = np.divide(SLIDE, SHAPE)


@pytest.fixture
def expected():
    mask = np.zeros(SHAPE, bool)
    rows, columns = np.indices(SHAPE) + 0.5
    y, x = rows * STEP[0], columns * STEP[1]
    mask[(y > 640) & (y < 1920) & (x > 1280) & (x < 3200)] = True
    return mask


def feature(ring, kind=None):
    """Return a GeoJSON feature of (y, x) corners, of QuPath's class."""
    points = [[float(x), float(y)] for y, x in [*ring, ring[0]]]
    properties = {} if kind is None else {"classification": {"name": kind}}
    geometry = {"type": "Polygon", "coordinates": [points]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def geojson(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_a_png_and_a_tiff_of_the_slide(tmp_path, expected):
    Image.fromarray(expected.astype(np.uint8)).save(tmp_path / "m.png")
    write_mask_tiff(tmp_path / "m.tif", expected, (8, 8))
    for name in ("m.png", "m.tif"):
        roi = read_roi(tmp_path / name, SLIDE)
        np.testing.assert_array_equal(roi.mask(SHAPE), expected)
        assert roi.notes == ()


@pytest.mark.parametrize("kind", [None, "Tumor", "Region*", "my class"])
def test_geojson_of_any_class(tmp_path, expected, kind):
    path = geojson(tmp_path / "roi.geojson", feature(CORNERS, kind))
    np.testing.assert_array_equal(read_roi(path, SLIDE).mask(SHAPE), expected)


def test_what_is_to_be_ignored_is_taken_out(tmp_path, expected):
    out = np.array([[0.0, 0.0], [0, 2000], [4000, 2000], [4000, 0]])
    path = geojson(tmp_path / "r.geojson", feature(CORNERS), feature(out, "Ignore*"))
    mask = read_roi(path, SLIDE).mask(SHAPE)
    assert not mask[:, :62].any()
    np.testing.assert_array_equal(mask[:, 63:], expected[:, 63:])


def test_asap_xml_also_without_a_group(tmp_path, expected):
    write_asap_xml(tmp_path / "a.xml", Annotations((CORNERS,), ()))
    text = (tmp_path / "a.xml").read_text()
    (tmp_path / "b.xml").write_text(text.replace('"Tumor"', '"None"', 1))
    for name in ("a.xml", "b.xml"):
        mask = read_roi(tmp_path / name, SLIDE).mask(SHAPE)
        np.testing.assert_array_equal(mask, expected)


def test_what_reaches_beyond_the_slide_is_left_out_and_said(tmp_path):
    half = np.add(CORNERS, (0, 4000))
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}
    path = geojson(tmp_path / "r.geojson", feature(CORNERS), feature(half), point)
    roi = read_roi(path, SLIDE)
    skipped, beyond = roi.notes
    assert "a Point encloses nothing" in skipped
    assert "1 of 2 outlines reach beyond the slide of 6000 x 4000 px" in beyond
    assert roi.mask(SHAPE)[:, -1].any()


def test_outlines_that_end_at_the_slides_edge_are_all_inside(tmp_path):
    whole = np.array([[0.0, 0.0], [0, 6000], [4000, 6000], [4000, 0]])
    roi = read_roi(geojson(tmp_path / "r.geojson", feature(whole)), SLIDE)
    assert roi.notes == ()
    assert roi.mask(SHAPE).all()


def away(tmp_path):
    return geojson(tmp_path / "r.geojson", feature(np.add(CORNERS, (4000, 0))))


def nothing(tmp_path):
    return geojson(tmp_path / "r.geojson")


def not_a_number(tmp_path):
    path = geojson(tmp_path / "r.geojson", feature(CORNERS))
    path.write_text(path.read_text().replace("640.0", "NaN", 1))
    return path


def text_for_a_number(tmp_path):
    path = geojson(tmp_path / "r.geojson", feature(CORNERS))
    path.write_text(path.read_text().replace("640.0", '"six"', 1))
    return path


def digits_in_quotes(tmp_path):
    path = geojson(tmp_path / "r.geojson", feature(CORNERS))
    path.write_text(path.read_text().replace("640.0", '"640.0"'))
    return path


def true_for_a_number(tmp_path):
    path = geojson(tmp_path / "r.geojson", feature(CORNERS))
    path.write_text(path.read_text().replace("640.0", "true"))
    return path


def no_json(tmp_path):
    path = tmp_path / "r.geojson"
    path.write_text("{")
    return path


def other_json(tmp_path):
    path = tmp_path / "r.json"
    path.write_text('{"a": 1}')
    return path


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (away, "all of it lies outside the slide of 6000 x 4000 px"),
        (nothing, "no outline in it"),
        (not_a_number, "not a number"),
        (text_for_a_number, "no pair of numbers"),
        (digits_in_quotes, "no pair of numbers"),
        (true_for_a_number, "no pair of numbers"),
        (no_json, "not JSON"),
        (other_json, "GeoJSON"),
    ],
)
def test_a_fault_of_outlines_names_file_and_mend(tmp_path, write, words):
    path = write(tmp_path)
    with pytest.raises(AnnotationError, match=words) as fault:
        read_roi(path, SLIDE)
    assert str(path) in str(fault.value)


def test_a_picture_of_another_slide_is_refused(tmp_path):
    Image.fromarray(np.ones((100, 100), np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(MaskError, match=r"150 px wide"):
        read_roi(tmp_path / "m.png", SLIDE)


def test_outlines_smaller_than_a_px_of_the_mask_are_told(tmp_path):
    tiny = np.array([[641.0, 1281.0], [641, 1283], [643, 1283]])
    roi = read_roi(geojson(tmp_path / "r.geojson", feature(tiny)), SLIDE)
    with pytest.raises(AnnotationError, match="draw larger ones"):
        roi.mask(SHAPE)


def test_an_outline_of_many_vertices_is_a_mask(tmp_path):
    angle = np.linspace(0, 2 * np.pi, 50_000, endpoint=False)
    radius = 1500 + 100 * np.sin(angle * 250)
    ring = np.column_stack(
        (2000 + radius * np.sin(angle), 3000 + radius * np.cos(angle))
    )
    write_asap_xml(tmp_path / "a.xml", Annotations((ring,), ()))
    mask = read_roi(tmp_path / "a.xml", SLIDE).mask(SHAPE)
    share = np.pi * 1500**2 / (SLIDE[0] * SLIDE[1])
    assert mask.mean() == pytest.approx(share, rel=0.02)


def test_a_scribble_says_where_to_look_and_is_no_region(tmp_path):
    points = np.random.default_rng(0).uniform(0, SLIDE, (5000, 2))
    path = geojson(tmp_path / "r.geojson", feature(points))
    assert read_roi(path, SLIDE).mask(SHAPE).any()
    with pytest.raises(AnnotationError, match="'feature 0' or others cross themselves"):
        read_outlines(path, SLIDE)
