"""Outlines out of GeoJSON, QuPath's and anyone's, and out of HistomicsUI's JSON.

QuPath exports whatever is on the image: cells, tiles and the cores of an array beside
annotations, objects inside of objects. Only annotations are outlines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.annotations.classes import ClassNames, class_names, is_known
from napari_fastnet.core.display import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_fastnet.annotations.checks import OutlineCollector

_POLYGONS = ("Polygon", "MultiPolygon")
_GEOMETRIES = (
    *_POLYGONS,
    "GeometryCollection",
    "Point",
    "MultiPoint",
    "LineString",
    "MultiLineString",
)
_TYPES = ("FeatureCollection", "Feature", *_POLYGONS, "GeometryCollection")
_MEND = "export it anew"

#: Members of a feature's properties that hold its class, the first that is there: that
#: of QuPath, and of the Digital Slide Archive, of others. ``group`` and ``label`` of
#: others are numbers of objects, too, and so count as text only.
_CLASS_MEMBERS = ("classification", "group", "label", "class", "className", "category")

#: What QuPath's objects are called, those that are no annotations, in all its versions.
_NO_ANNOTATIONS = {
    "detection": "detection",
    "cell": "cell",
    "tile": "tile",
    "tmacore": "TMA core",
    "tma_core": "TMA core",
    "root": "root",
    "pathdetectionobject": "detection",
    "pathcellobject": "cell",
    "pathtileobject": "tile",
    "tmacoreobject": "TMA core",
    "pathrootobject": "root",
}


def take_geojson(content: dict[str, Any], found: OutlineCollector) -> None:
    """Take a FeatureCollection, a Feature or a geometry.

    Parameters
    ----------
    content : dict
        With a ``type``.
    found : OutlineCollector
        Takes the outlines.
    """
    if content["type"] not in _TYPES:
        raise found.fault(
            f"GeoJSON of type {str(content['type'])[:80]!r}; give one of "
            f"{', '.join(_TYPES)}"
        )
    planes = set()
    for number, feature in enumerate(_features(content, found)):
        geometry = feature.get("geometry")
        properties = feature.get("properties") or {}
        if not isinstance(geometry, dict) or not isinstance(properties, dict):
            raise found.fault(f"feature {number} has no geometry; {_MEND}")
        kind = _object_type(feature, properties)
        if kind in _NO_ANNOTATIONS:
            found.leave_out(_NO_ANNOTATIONS[kind])
            continue
        name = str(properties.get("name") or f"feature {number}")[:80]
        planes.add(_plane(geometry))
        bare = "type" not in feature
        _take_geometry(geometry, name, _class(properties), found, bare=bare)
    if len(planes) > 1:
        found.skip(
            f"outlines of {counted(len(planes), 'plane')} of a stack (z, t) are laid on "
            "each other"
        )


def _features(content: Any, found: OutlineCollector) -> Iterator[dict[str, Any]]:
    """Yield the features of any GeoJSON, those of collections and objects in it too.

    A bare geometry is a feature without properties.
    """
    waiting, number = [content], 0
    while waiting:
        item = waiting.pop()
        if not isinstance(item, dict):
            raise found.fault(f"feature {number} is no GeoJSON feature; {_MEND}")
        if item.get("type") == "FeatureCollection":
            waiting += list_of(item.get("features"), "features", found)[::-1]
            continue
        if item.get("type") in _GEOMETRIES:
            item = {"geometry": item}
        yield item
        number += 1
        properties = item.get("properties")
        for place in (item, properties if isinstance(properties, dict) else {}):
            children = place.get("childObjects") or []
            waiting += list_of(children, "childObjects", found)[::-1]


def _take_geometry(
    geometry: dict[str, Any],
    name: str,
    names: ClassNames,
    found: OutlineCollector,
    *,
    bare: bool,
) -> None:
    """Take the polygons of a geometry; what encloses nothing is named."""
    waiting = [geometry]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            raise found.fault(f"{name!r} holds no geometry; {_MEND}")
        kind, coordinates = part.get("type"), part.get("coordinates")
        if kind == "GeometryCollection":
            waiting += list_of(part.get("geometries"), name, found)[::-1]
        elif kind in _POLYGONS:
            polygons = [coordinates] if kind == "Polygon" else coordinates
            for polygon in list_of(polygons, name, found):
                rings = list_of(polygon, name, found)
                read = [ring_of(ring, name, found) for ring in rings]
                found.add(name, names, read, bare=bare)
        else:
            found.count(0)
            found.skip(f"outline {name!r}: a {str(kind)[:80]} encloses nothing")


def _object_type(feature: dict[str, Any], properties: dict[str, Any]) -> str:
    """Return what QuPath calls an object; its 0.2 had that as the identifier."""
    given = (properties.get("objectType"), properties.get("object_type"))
    kind = next((one for one in given if one), None)
    if kind is None:
        kind = properties.get("type") or feature.get("id")
    return str(kind).casefold()


def _class(properties: dict[str, Any]) -> ClassNames:
    """Return the class of a feature; its name is one where it is a known class's."""
    for member in _CLASS_MEMBERS:
        value = properties.get(member)
        if member != "classification" and not isinstance(value, str | dict):
            continue
        if names := class_names(value):
            return names
    names = class_names(properties.get("name"))
    return names if is_known(names) else ()


def _plane(geometry: dict[str, Any]) -> tuple[str, str]:
    plane = geometry.get("plane")
    where = plane if isinstance(plane, dict) else {}
    return str(where.get("z", 0)), str(where.get("t", 0))


def take_histomics(documents: Iterable[Any], found: OutlineCollector) -> None:
    """Take the elements of annotations that HistomicsUI wrote.

    Parameters
    ----------
    documents : iterable
        Each with ``elements``, or an ``annotation`` that has them.
    found : OutlineCollector
        Takes closed polylines and upright rectangles; others are named.
    """
    for document in documents:
        about = document.get("annotation", document)
        for number, element in enumerate(
            list_of(about.get("elements"), "elements", found)
        ):
            if not isinstance(element, dict):
                raise found.fault(f"element {number} is no element; {_MEND}")
            label = element.get("label")
            names = class_names(element.get("group")) or class_names(label)
            name = f"element {number}"
            rings = _element_rings(element, name, found)
            if rings:
                found.add(name, names, rings)
            else:
                found.count(0)
                kind = str(element.get("type"))[:80]
                found.skip(f"outline {name!r}: a {kind} that encloses nothing known")


def is_histomics(content: Any) -> bool:
    """Return whether JSON is an annotation of HistomicsUI."""
    if not isinstance(content, dict):
        return False
    about = content.get("annotation", content)
    return isinstance(about, dict) and "elements" in about


def _element_rings(
    element: dict[str, Any], name: str, found: OutlineCollector
) -> list[NDArray[np.float64]]:
    kind = element.get("type")
    if kind == "polyline" and element.get("closed"):
        holes = list_of(element.get("holes") or [], name, found)
        return [ring_of(r, name, found) for r in (element.get("points"), *holes)]
    if kind == "rectangle" and not element.get("rotation"):
        size = [element.get("width"), element.get("height")]
        x, y = ring_of([element.get("center")], name, found)[0]
        width, height = ring_of([size], name, found)[0] / 2
        corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return [np.array([(x + i * width, y + j * height) for i, j in corners])]
    return []


def list_of(value: Any, name: str, found: OutlineCollector) -> list[Any]:
    """Return a list, or refuse what is none."""
    if not isinstance(value, list):
        raise found.fault(f"{name!r} holds no list; {_MEND}")
    return value


def ring_of(points: Any, name: str, found: OutlineCollector) -> NDArray[np.float64]:
    """Return (n, 2) of (x, y); GeoJSON may have heights behind them."""
    try:
        pairs = [point[:2] for point in points]
        # numpy would take "1000" and true for numbers, too
        if not {type(value) for pair in pairs for value in pair} <= {int, float}:
            raise TypeError("not only numbers")
        ring = np.array(pairs, np.float64)
    except (TypeError, ValueError, OverflowError, KeyError) as error:
        raise found.fault(
            f"outline {name!r} has a point that is no pair of numbers; {_MEND}"
        ) from error
    if ring.size and ring.shape[1:] != (2,):
        raise found.fault(f"outline {name!r} has a point without y; {_MEND}")
    return ring.reshape(-1, 2)
