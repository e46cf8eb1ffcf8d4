"""Data files of QuPath that no QuPath wrote: each is refused in a line, and at once."""

import json
import struct

import numpy as np
import pytest
import shapely

from napari_fastnet.annotations.judged import read_judged
from napari_fastnet.annotations.qupath import object_writing as writing
from napari_fastnet.annotations.qupath.java_values import (
    JavaArray,
    JavaClass,
    JavaObject,
)
from napari_fastnet.annotations.qupath.java_writing import write_java
from napari_fastnet.errors import AnnotationError

HEAD = b"\0\x13Data file version 3"
NUMBERS, TABLE = JavaClass("[D"), JavaClass("[[D")
AREA = JavaClass("qupath.lib.roi.AWTAreaROI", fields=(("x", "[[D"), ("y", "[[D")))
BOX = shapely.to_wkb(shapely.box(0, 0, 9, 9), byte_order=0)
COLLECTION = struct.pack(">BII", 0, 7, 1)


def hierarchy(*children):
    written = [None, None, None, struct.pack(">i", len(children)), *children]
    root = JavaObject(writing._ROOT, written=written)
    fields = {"rootObject": root, "tmaGrid": None}
    return write_java([HEAD, "{}", JavaObject(writing._HIERARCHY, fields), "EOF"])


def annotation(shape=None, measurements=None, children=()):
    locked = JavaObject(writing._BOOLEAN, {"value": True})
    count = struct.pack(">i", len(children))
    written = [None, None, measurements, count, *children, locked, None, shape]
    return JavaObject(writing._ANNOTATION, written=written)


def well_known(content):
    values = JavaArray(writing._BYTE_ARRAY, np.frombuffer(content, np.int8))
    fields = {"c": -1, "t": 0, "z": 0, "stats": None, "wkb": values}
    return annotation(JavaObject(writing._GEOMETRY, fields))


def polygon(*coordinates):
    head = struct.pack(">BIII", 0, 3, 1, len(coordinates) // 2)
    return well_known(head + struct.pack(f">{len(coordinates)}d", *coordinates))


def area(*points):
    columns = (
        JavaArray(TABLE, [JavaArray(NUMBERS, np.array(column, float))])
        for column in zip(*points, strict=True)
    )
    return annotation(JavaObject(AREA, dict(zip("xy", columns, strict=True))))


def its_own_child():
    one = annotation(children=[None])
    one.written[4] = one
    return one


def thousandfold():
    one = well_known(BOX)
    for _ in range(40):
        one = annotation(children=[one, one])
    return one


def lists_without_end():
    around = JavaObject(JavaClass("a.List", fields=(("list", "La/List;"),)))
    around.fields["list"] = around
    kind = JavaClass("a.Measurements", fields=(("names", "La/List;"), ("values", "[D")))
    values = JavaArray(NUMBERS, np.zeros(1))
    return annotation(
        measurements=JavaObject(kind, {"names": around, "values": values})
    )


def text_for_a_measurement():
    fields = {"list": writing._array_list(["text"])}
    return annotation(measurements=JavaObject(writing._MEASUREMENTS, fields))


def scribble():
    return area(*np.random.default_rng(0).random((400, 2)) * 3000)


CURVE = struct.pack(">BII", 0, 10, 1) + struct.pack(">BII6d", 0, 8, 3, *range(6))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (its_own_child, "in the hierarchy twice"),
        (thousandfold, "in the hierarchy twice"),
        (lists_without_end, "a list holds lists without end"),
        (text_for_a_measurement, "an object is damaged"),
        (lambda: well_known(COLLECTION * 200_000 + BOX), "nested too deep"),
        (lambda: well_known(CURVE), "a geometry is of kind 10"),
        (lambda: well_known(BOX[:-9]), "a geometry ends in the middle"),
        (lambda: polygon(0, 0, np.nan, 0, 5, 5, 0, 0), "no number"),
        (lambda: polygon(0, 0, np.inf, 0, 5, 5, 0, 0), "no number"),
        (lambda: polygon(0, 0, 5, 0, 5, 5, 0, 5), "an object is damaged"),
        (lambda: area((0, 0), (9, 0), (np.nan, 9)), "no number"),
        (scribble, "crosses itself more than 2,000 times"),
    ],
)
def test_a_hostile_file_is_refused_in_a_line(tmp_path, make, words):
    path = tmp_path / "data.qpdata"
    path.write_bytes(hierarchy(make()))
    with pytest.raises(AnnotationError, match=words) as caught:
        read_judged(path)
    assert str(caught.value).startswith(f"{path}: not data of QuPath that can be read")
    assert "\n" not in str(caught.value)


def test_geometries_in_each_other_are_read(tmp_path):
    path = tmp_path / "data.qpdata"
    parts = shapely.MultiPolygon([shapely.box(0, 0, 9, 9), shapely.box(20, 0, 29, 9)])
    inside = shapely.GeometryCollection([shapely.Point(1, 1), parts])
    path.write_bytes(hierarchy(well_known(shapely.to_wkb(inside, byte_order=0))))
    ((one,), _) = read_judged(path)
    assert len(one.polygons) == 2


def test_a_scribble_is_refused_before_minutes_go_into_it(tmp_path):
    path = tmp_path / "a.geojson"
    ring = (np.random.default_rng(0).random((300, 2)) * 3000).tolist()
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    path.write_text(json.dumps({"type": "Feature", "geometry": geometry}))
    with pytest.raises(AnnotationError, match="crosses itself more than 2,000 times"):
        read_judged(path)
