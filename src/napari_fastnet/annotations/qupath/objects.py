"""Objects in a data file of QuPath, ``data.qpdata``, as features of GeoJSON.

The file is a stream of Java: a line with its version, the image's server as JSON, and the
hierarchy of objects. Its classes are those in the source of QuPath, in the form that 0.4
and later still write so that earlier ones read it (version 3), and in the next (4).
"""

from __future__ import annotations

import json
import struct
from math import isfinite
from typing import Any
from uuid import UUID

import numpy as np
import shapely

from napari_fastnet.annotations.checks import MAXIMUM_CROSSINGS
from napari_fastnet.annotations.qupath.java_reading import read_java
from napari_fastnet.annotations.qupath.java_values import JavaArray, JavaObject
from napari_fastnet.core import polygons

#: Beginning of the first line.
VERSION_LINE = "Data file version "
#: Keys of QuPath in the metadata of an object.
ID_KEY, NOTE_KEY = "Object ID", "ANNOTATION_DESCRIPTION"

#: A class that is derived from itself has no more names than this.
_MOST_NAMES = 100
#: Neither does a list around a list around a list go deeper, nor a geometry of geometries.
_MOST_LISTS, _MOST_GEOMETRIES = 8, 8
#: Faults of a file whose values are of other types than QuPath's.
_DAMAGES = (
    *(ArithmeticError, AttributeError, IndexError, KeyError, NotImplementedError),
    *(RecursionError, TypeError, struct.error, shapely.errors.ShapelyError),
)
_MOST_SAID = 200

_OBJECTS = "qupath.lib.objects."
_ROI = "qupath.lib.roi."
#: Shapes that enclose nothing.
_NO_AREAS = {
    "PointsROI": "MultiPoint",
    "LineROI": "LineString",
    "PolylineROI": "LineString",
}
#: Kinds of a well-known binary in a plane, each with straight sides.
_POINT, _LINE, _POLYGON, _COLLECTIONS = 1, 2, 3, (4, 5, 6, 7)
#: Corners of the polygon that stands for an ellipse.
_ELLIPSE_POINTS = 72


def read_qpdata(content: bytes) -> list[dict[str, Any]]:
    """Read the objects of a data file of QuPath.

    Parameters
    ----------
    content : bytes
        The whole file.

    Returns
    -------
    list of dict
        A feature of GeoJSON for each object, whatever it lies in, as QuPath itself exports
        them. Points and lines have no coordinates.

    Raises
    ------
    ValueError
        It is no such file, or damaged.
    """
    values = read_java(content)
    first = next(values, None)
    if not isinstance(first, bytes) or VERSION_LINE.encode() not in first[:64]:
        raise ValueError("it holds no data of QuPath")
    for value in values:
        if _is(value, "hierarchy.PathObjectHierarchy"):
            try:
                return _features(value.fields.get("rootObject"))
            except _DAMAGES as error:
                said = repr(error)[:_MOST_SAID]
                raise ValueError(f"an object is damaged ({said})") from error
    raise ValueError("it holds no objects of QuPath")


def _is(value: Any, name: str) -> bool:
    return isinstance(value, JavaObject) and value.kind.name == _OBJECTS + name


def _features(root: Any) -> list[dict[str, Any]]:
    """Return the features of the objects under a root."""
    found, waiting = [], [root]
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if not isinstance(value, JavaObject):
            raise ValueError("an object of the hierarchy is none")
        if id(value) in seen:  # its own child, or a thousand times the same
            raise ValueError("an object lies in the hierarchy twice")
        seen.add(id(value))
        parts = list(value.written)
        properties, identifier = _about(value, parts)
        (count,) = struct.unpack(">i", parts.pop(0))
        children, rest = parts[:count], parts[count:]
        if len(children) != count:
            raise ValueError("an object lacks others that belong to it")
        waiting += children[::-1]
        if _is(value, "PathRootObject"):
            continue
        if rest and _is_boxed(rest[0], "Boolean"):
            properties["isLocked"] = bool(rest.pop(0).fields["value"])
        if rest and _is(rest[0], "classes.PathClass"):
            properties["classification"] = _class(rest[0])
        shape = rest[1] if len(rest) > 1 else None
        feature = {
            "type": "Feature",
            "id": identifier,
            "geometry": _geometry(shape),
            "properties": properties,
        }
        found.append(feature)
    return found


def _about(value: JavaObject, parts: list[Any]) -> tuple[dict[str, Any], str]:
    """Take what comes before the children; return properties and identifier."""
    name, colour, third = parts.pop(0), parts.pop(0), parts.pop(0)
    fields, identifier = [third], ""
    if isinstance(third, JavaObject) and third.kind.name == "java.util.UUID":
        identifier = _uuid(third)
        (count,) = struct.unpack(">i", parts.pop(0))
        fields = [parts.pop(0) for _ in range(count)]
    elif _is(third, "MetadataMap"):
        fields.append(parts.pop(0))
    properties: dict[str, Any] = {"objectType": value.kind.name.rpartition(".")[2]}
    if properties["objectType"] == "PathAnnotationObject":
        properties["objectType"] = "annotation"
    if isinstance(name, str):
        properties["name"] = name
    if _is_boxed(colour, "Integer"):
        properties["color"] = _rgb(colour.fields["value"])
    for one in fields:
        if _is(one, "MetadataMap"):
            said = _metadata(one)
            identifier = said.pop(ID_KEY, identifier)
            properties["metadata"] = said
        elif isinstance(one, JavaObject):
            properties["measurements"] = _measurements(one)
    return properties, identifier


def _is_boxed(value: Any, kind: str) -> bool:
    return isinstance(value, JavaObject) and value.kind.name == f"java.lang.{kind}"


def _uuid(value: JavaObject) -> str:
    most, least = (value.fields[f"{end}SigBits"] % 2**64 for end in ("most", "least"))
    return str(UUID(int=most << 64 | least))


def _metadata(value: JavaObject) -> dict[str, str]:
    """Return the keys and texts of a MetadataMap."""
    keys, texts = (one for one in value.written[1:3])
    if not (isinstance(keys, JavaArray) and isinstance(texts, JavaArray)):
        raise TypeError("metadata without keys")
    pairs = zip(keys.values, texts.values, strict=False)
    return {str(key): str(text) for key, text in pairs}


def _measurements(value: JavaObject) -> dict[str, float]:
    """Return measurements of any of QuPath's kinds of lists."""
    if value.kind.name.endswith("DefaultMeasurementList"):
        listed = _list_values(value.fields.get("list"))
        return {str(one.fields["name"]): float(one.fields["value"]) for one in listed}
    names, numbers = _list_values(value.fields.get("names")), value.fields.get("values")
    if not isinstance(numbers, JavaArray):
        return {}
    pairs = zip(names, np.asarray(numbers.values, float).tolist(), strict=False)
    return {str(name): number for name, number in pairs if isfinite(number)}


def _list_values(value: Any) -> list[Any]:
    """Return the values of a list of Java: ArrayList, List.of, or one around another."""
    for _ in range(_MOST_LISTS):
        if not isinstance(value, JavaObject):
            return []
        inner = value.fields.get("list", value.fields.get("c"))
        if not isinstance(inner, JavaObject):
            return [one for one in value.written if not isinstance(one, bytes)]
        value = inner
    raise ValueError("a list holds lists without end")


def _class(value: JavaObject) -> dict[str, Any]:
    """Return a class as in GeoJSON of QuPath: its names, the most general first."""
    found: dict[str, Any] = {"names": []}
    colour = value.fields.get("colorRGB")
    at: Any = value
    while _is(at, "classes.PathClass") and len(found["names"]) < _MOST_NAMES:
        found["names"].insert(0, str(at.fields["name"]))
        at = at.fields.get("parentClass")
    if isinstance(colour, JavaObject):
        found["color"] = _rgb(colour.fields["value"])
    return found


def _rgb(packed: int) -> list[int]:
    return [packed >> shift & 0xFF for shift in (16, 8, 0)]


def _geometry(shape: Any) -> dict[str, Any] | None:
    """Return a shape as a geometry of GeoJSON."""
    if not isinstance(shape, JavaObject):
        return None
    name, fields = shape.kind.name.removeprefix(_ROI), shape.fields
    kind = name.partition("$")[0]
    if name == "GeometryROI$WKBSerializationProxy":
        found = _well_known(fields.get("wkb"))
    elif kind in ("PolygonROI", "RectangleROI", "EllipseROI"):
        corners = _corners(kind, fields)
        found = {"type": "Polygon", "coordinates": [[*corners, *corners[:1]]]}
    elif kind in ("AreaROI", "AWTAreaROI"):
        found = _area(fields)
    elif kind in _NO_AREAS:
        found = {"type": _NO_AREAS[kind]}
    else:  # geometry in the form of a library, of versions before 0.2
        raise ValueError(f"a shape is a {name[:80]}; save it anew in QuPath")
    plane = {axis: fields.get(axis, 0) for axis in ("z", "t")}
    return found | {"plane": plane}


def _well_known(value: Any) -> dict[str, Any]:
    """Return the geometry of a well-known binary."""
    if not isinstance(value, JavaArray):
        raise TypeError("a geometry without bytes")
    content = np.asarray(value.values, np.int8).tobytes()
    _check_well_known(content)
    with np.errstate(invalid="ignore"):  # NaN, which is refused next
        geometry = shapely.from_wkb(content)
    _check_finite(shapely.get_coordinates(geometry))
    found: dict[str, Any] = json.loads(shapely.to_geojson(geometry))
    return found


def _check_well_known(content: bytes) -> None:
    """Refuse curves, and geometries in each other so deep that GEOS ends the program."""
    at, left = 0, [1]  # parts that are to come, of each geometry that is open
    while left:
        if not left[-1]:
            left.pop()
            continue
        left[-1] -= 1
        order = "<" if content[at] == 1 else ">"
        kind, count = struct.unpack_from(order + "II", content, at + 1)
        at += 9
        if kind == _POINT:
            at += 12  # the count was a part of it
        elif kind == _LINE:
            at += 16 * count
        elif kind == _POLYGON:
            for _ in range(count):
                (points,) = struct.unpack_from(order + "I", content, at)
                at += 4 + 16 * points
        elif kind in _COLLECTIONS and len(left) < _MOST_GEOMETRIES:
            left.append(count)
        else:
            raise ValueError(f"a geometry is of kind {kind}, or nested too deep")
    if at > len(content):
        raise ValueError("a geometry ends in the middle")


def _check_finite(points: Any) -> None:
    if not np.isfinite(points).all():
        raise ValueError("a shape has a coordinate that is no number")


def _corners(kind: str, fields: dict[str, Any]) -> list[list[float]]:
    """Return the corners (x, y) of a polygon, a rectangle or an ellipse."""
    if kind == "PolygonROI":
        return _points(fields["x"], fields["y"])
    x, y, right, bottom = (float(fields[name]) for name in ("x", "y", "x2", "y2"))
    if kind == "RectangleROI":
        return [[x, y], [right, y], [right, bottom], [x, bottom]]
    turns = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)
    half = np.array([right - x, bottom - y]) / 2
    around = np.column_stack((np.cos(turns), np.sin(turns))) * half
    points: list[list[float]] = (around + np.array([x, y]) + half).tolist()
    return points


def _points(x: Any, y: Any) -> list[list[float]]:
    if not (isinstance(x, JavaArray) and isinstance(y, JavaArray)):
        raise TypeError("a polygon without points")
    columns = (np.asarray(x.values, float), np.asarray(y.values, float))
    _check_finite(columns)
    points: list[list[float]] = np.column_stack(columns).tolist()
    return points


def _area(fields: dict[str, Any]) -> dict[str, Any]:
    """Return an area of QuPath 0.1: rings, of which those inside others are holes."""
    x, y = fields.get("x"), fields.get("y")
    if not (isinstance(x, JavaArray) and isinstance(y, JavaArray)):
        raise TypeError("an area without points")
    rings = [_points(*pair) for pair in zip(x.values, y.values, strict=True)]
    limit = MAXIMUM_CROSSINGS
    drawn = [np.array(ring) for ring in rings if len(ring) > 2]
    if polygons.crossings(drawn, limit=limit) > limit:
        raise ValueError(f"an area crosses itself more than {limit:,} times")
    whole = shapely.Polygon()
    for ring in rings:
        if len(ring) > 2:
            whole = whole.symmetric_difference(
                shapely.make_valid(shapely.Polygon(ring))
            )
    found: dict[str, Any] = json.loads(shapely.to_geojson(whole))
    return found
