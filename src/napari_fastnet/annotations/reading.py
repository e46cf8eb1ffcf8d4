"""Outlines from any file: ASAP's XML, CAMELYON's and HistomicsUI's JSON, GeoJSON.

All forms share the checks of `annotations.checks`. QuPath exports everything on the image:
cells, tiles and the cores of an array beside annotations, objects inside of objects. Only
annotations are outlines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.annotations.asap_xml import read_asap_xml
from napari_fastnet.annotations.checks import OutlineCollector, check_size
from napari_fastnet.annotations.classes import (
    UNDECIDED,
    Classes,
    ClassNames,
    Meaning,
    class_names,
    is_known,
)
from napari_fastnet.core.display import counted
from napari_fastnet.errors import AnnotationError
from napari_fastnet.machine.json_text import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_fastnet.annotations.classes import Verdict
    from napari_fastnet.core.arrays import Floats
    from napari_fastnet.core.polygons import Annotations

#: Suffixes of the files that `read_annotations` knows.
SUFFIXES = (".xml", ".json", ".geojson")

#: JSON is read as a whole, at about eight times its size.
MAXIMUM_JSON_BYTES = 64 * 2**20

_REMEDY = "export it anew"

#: A measurement that only the lesions of our own detections have.
OUR_MEASUREMENT = "max probability"

_POLYGONS = ("Polygon", "MultiPolygon")
_OTHER_GEOMETRIES = ("Point", "MultiPoint", "LineString", "MultiLineString")
_TYPES = ("FeatureCollection", "Feature", *_POLYGONS, "GeometryCollection")

#: Properties of a feature that hold its class, in this order: those of QuPath, of the
#: Digital Slide Archive, of others. Apart from QuPath's they count as text or object
#: only, since ``group`` and ``label`` may number objects.
_CLASS_MEMBERS = ("classification", "group", "label", "class", "className", "category")

#: Objects of QuPath, in all its versions, that are no annotations.
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


def read_annotations(
    path: Path, meaning: Meaning = "tumor", tumor_classes: tuple[str, ...] = ()
) -> Annotations:
    """Read outlines, by the suffix: ASAP's XML, CAMELYON's JSON form or GeoJSON.

    The JSON form is NCRF's, ``{"positive": [{"name": ..., "vertices": [[x, y], ...]}],
    "negative": [...]}``, or HistomicsUI's, ``{"elements": [...]}``. GeoJSON is QuPath's,
    or any with level-0 px. Of QuPath's objects only annotations are taken.
    `annotations.classes` has the meanings of classes; polygons without one are tumor
    where none is by its class. Holes are kept; points and lines enclose nothing and are
    skipped.

    Parameters
    ----------
    path : Path
        At most 256 MiB of XML or 64 MiB of JSON.
    meaning : {"tumor", "region of interest", "labels"}
        Meaning of the outlines; every class but ``NOT_OF_INTEREST`` is part of a region
        of interest. Labels are never guessed: those without a class are left out.
    tumor_classes : tuple of str, optional
        Classes that are tumor, and no others; ``None`` is no class.

    Returns
    -------
    Annotations
        May have no outline.

    Raises
    ------
    AnnotationError
        The file is missing, too large, damaged, of another kind, or leaves doubt what
        is tumor.
    """
    suffix, classes = path.suffix.lower(), Classes(meaning, tumor_classes)
    if suffix not in SUFFIXES:
        raise AnnotationError(
            f"{path}: annotations are {', '.join(SUFFIXES)}; give one of these"
        )
    if suffix == ".xml":
        return read_asap_xml(path, classes)
    check_size(path, MAXIMUM_JSON_BYTES)
    found = OutlineCollector(path, classes)
    try:
        content = parse_json(path.read_bytes())
    except (ValueError, OSError) as error:
        raise found.fault(f"not JSON that can be read ({error}); {_REMEDY}") from error
    documents = content if isinstance(content, list) else [content]
    if documents and all(map(_is_histomics, documents)):
        _take_histomics(documents, found)
        return found.finish()
    if isinstance(content, list):  # QuPath writes a bare list, too
        content = {"type": "FeatureCollection", "features": content}
    if not isinstance(content, dict):
        raise found.fault("no outlines; give CAMELYON's JSON form or GeoJSON")
    if "type" in content:
        _take_geojson(content, found, labels=meaning == "labels")
    else:
        _take_camelyon(content, found)
    return found.finish()


def _take_camelyon(content: dict[str, Any], found: OutlineCollector) -> None:
    """Take {"positive": [...], "negative": [...]}."""
    if not content.keys() & {"positive", "negative"}:
        raise found.fault(
            'neither "positive" nor "negative" in it; give CAMELYON\'s JSON form or '
            "GeoJSON"
        )
    members: dict[str, Verdict] = {"positive": "inside", "negative": "taken out"}
    for member, verdict in members.items():
        for outline in _list_of(content.get(member, []), member, found):
            if not isinstance(outline, dict) or "vertices" not in outline:
                raise found.fault(
                    f'an outline in "{member}" has no vertices; {_REMEDY}'
                )
            name = str(outline.get("name", "unnamed"))[:80]
            ring = _ring_of(outline["vertices"], name, found)
            found.add(name, (), [ring], verdict=verdict)


def _take_geojson(
    content: dict[str, Any], found: OutlineCollector, *, labels: bool
) -> None:
    """Take a FeatureCollection, a Feature or a geometry."""
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
            raise found.fault(f"feature {number} has no geometry; {_REMEDY}")
        kind = (
            properties.get("objectType")
            or properties.get("object_type")
            or properties.get("type")
            or feature.get("id")  # QuPath 0.2
        )
        if (other := _NO_ANNOTATIONS.get(str(kind).casefold())) is not None:
            found.leave_out(other)
            continue
        name = str(properties.get("name") or f"feature {number}")[:80]
        plane = geometry.get("plane")
        where = plane if isinstance(plane, dict) else {}
        planes.add((str(where.get("z", 0)), str(where.get("t", 0))))
        bare = "type" not in feature
        names = _class(properties)
        if labels and _is_undecided(properties):
            names = (*names, UNDECIDED)
        _take_geometry(geometry, name, names, found, bare=bare)
    if len(planes) > 1:
        found.note(
            f"outlines of {counted(len(planes), 'plane')} of a stack (z, t) are laid on "
            "each other"
        )


def _features(content: Any, found: OutlineCollector) -> Iterator[dict[str, Any]]:
    """Yield the features of any GeoJSON, including those inside collections and objects.

    A bare geometry becomes a feature without properties.
    """
    waiting, number = [content], 0
    while waiting:
        item = waiting.pop()
        if not isinstance(item, dict):
            raise found.fault(f"feature {number} is no GeoJSON feature; {_REMEDY}")
        if item.get("type") == "FeatureCollection":
            waiting += _list_of(item.get("features"), "features", found)[::-1]
            continue
        if item.get("type") in (*_POLYGONS, "GeometryCollection", *_OTHER_GEOMETRIES):
            item = {"geometry": item}
        yield item
        number += 1
        properties = item.get("properties")
        for place in (item, properties if isinstance(properties, dict) else {}):
            children = place.get("childObjects") or []
            waiting += _list_of(children, "childObjects", found)[::-1]


def _take_geometry(
    geometry: dict[str, Any],
    name: str,
    names: ClassNames,
    found: OutlineCollector,
    *,
    bare: bool,
) -> None:
    """Take the polygons of a geometry."""
    waiting = [geometry]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            raise found.fault(f"{name!r} holds no geometry; {_REMEDY}")
        kind, coordinates = part.get("type"), part.get("coordinates")
        if kind == "GeometryCollection":
            waiting += _list_of(part.get("geometries"), name, found)[::-1]
        elif kind in _POLYGONS:
            polygons = [coordinates] if kind == "Polygon" else coordinates
            for polygon in _list_of(polygons, name, found):
                rings = _list_of(polygon, name, found)
                read = [_ring_of(ring, name, found) for ring in rings]
                found.add(name, names, read, bare=bare)
        else:
            found.skip(name, f"a {str(kind)[:80]} encloses nothing")


def _class(properties: dict[str, Any]) -> ClassNames:
    """Return the class of a feature; its name counts if that is a known class."""
    for member in _CLASS_MEMBERS:
        value = properties.get(member)
        if member != "classification" and not isinstance(value, str | dict):
            continue
        if names := class_names(value):
            return names
    names = class_names(properties.get("name"))
    return names if is_known(names) else ()


def _is_undecided(properties: dict[str, Any]) -> bool:
    """Return whether a tumor is a lesion of a detection on which no person decided."""
    measured = properties.get("measurements") or {}
    if isinstance(measured, list):  # QuPath before 0.4
        measured = [one.get("name") for one in measured if isinstance(one, dict)]
    said = properties.get("metadata")
    status = said.get("status") if isinstance(said, dict) else None
    verdict = Classes("labels").verdict(_class(properties))
    return verdict == "inside" and OUR_MEASUREMENT in measured and status != "tumor"


def _is_histomics(content: Any) -> bool:
    """Return whether JSON is an annotation of HistomicsUI."""
    if not isinstance(content, dict):
        return False
    about = content.get("annotation", content)
    return isinstance(about, dict) and "elements" in about


def _take_histomics(documents: list[dict[str, Any]], found: OutlineCollector) -> None:
    """Take closed polylines and upright rectangles of HistomicsUI; name the others."""
    for document in documents:
        elements = document.get("annotation", document).get("elements")
        for number, element in enumerate(_list_of(elements, "elements", found)):
            if not isinstance(element, dict):
                raise found.fault(f"element {number} is no element; {_REMEDY}")
            name = f"element {number}"
            if rings := _element_rings(element, name, found):
                names = class_names(element.get("group"))
                found.add(name, names or class_names(element.get("label")), rings)
            else:
                kind = str(element.get("type"))[:80]
                found.skip(name, f"a {kind} that encloses nothing known")


def _element_rings(
    element: dict[str, Any], name: str, found: OutlineCollector
) -> list[Floats]:
    kind = element.get("type")
    if kind == "polyline" and element.get("closed"):
        holes = _list_of(element.get("holes") or [], name, found)
        return [_ring_of(r, name, found) for r in (element.get("points"), *holes)]
    if kind == "rectangle" and not element.get("rotation"):
        size = [element.get("width"), element.get("height")]
        centre = _ring_of([element.get("center")], name, found)
        half = _ring_of([size], name, found) / 2
        if len(centre) and len(half):
            corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
            return [centre + corners * half]
    return []


def _list_of(value: Any, name: str, found: OutlineCollector) -> list[Any]:
    """Return a list; refuse anything else."""
    if not isinstance(value, list):
        raise found.fault(f"{name!r} holds no list; {_REMEDY}")
    return value


def _ring_of(points: Any, name: str, found: OutlineCollector) -> Floats:
    """Return (n, 2) of (x, y); GeoJSON may have heights behind them."""
    try:
        pairs = [point[:2] for point in points]
        # numpy would take "1000" and true for numbers, too
        if not {type(value) for pair in pairs for value in pair} <= {int, float}:
            raise TypeError("not only numbers")
        ring = np.array(pairs, np.float64)
    except (TypeError, ValueError, OverflowError, KeyError) as error:
        raise found.fault(
            f"outline {name!r} has a point that is no pair of numbers; {_REMEDY}"
        ) from error
    if ring.size and ring.shape[1:] != (2,):
        raise found.fault(f"outline {name!r} has a point without y; {_REMEDY}")
    return ring.reshape(-1, 2)
