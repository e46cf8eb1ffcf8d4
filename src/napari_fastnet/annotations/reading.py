"""Outlines from any file: ASAP's XML, CAMELYON's and HistomicsUI's JSON, GeoJSON, QuPath's data.

All forms share the checks of `annotations.checks`. QuPath exports everything on the image:
cells, tiles and the cores of an array beside annotations, objects inside of objects. Only
annotations are outlines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.annotations.asap_xml import read_asap_xml
from napari_fastnet.annotations.checks import OutlineCollector, check_size
from napari_fastnet.annotations.classes import (
    EXPORTED_AS,
    UNDECIDED,
    Classes,
    ClassNames,
    Meaning,
    class_names,
    is_known,
)
from napari_fastnet.annotations.qupath.objects import read_qpdata
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
SUFFIXES = (".xml", ".json", ".geojson", ".qpdata")

#: JSON is read as a whole, at about eight times its size, a data file of QuPath at up to forty.
MAXIMUM_JSON_BYTES = 64 * 2**20

_REMEDY = "export it anew"

#: A measurement that only the lesions of our own detections have.
OUR_MEASUREMENT = "max probability"

#: Statuses of lesions that a person decided on.
_DECIDED = ("tumor", "not tumor", "unsure")

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
    """Read outlines, by the suffix: ASAP's XML, CAMELYON's JSON form, GeoJSON or QuPath's data.

    The JSON form is NCRF's, ``{"positive": [{"name": ..., "vertices": [[x, y], ...]}],
    "negative": [...]}``, or HistomicsUI's, ``{"elements": [...]}``. GeoJSON is QuPath's,
    or any with level-0 px; ``.qpdata`` are the objects of an image in a project of QuPath.
    Of QuPath's objects only annotations are taken.
    `annotations.classes` has the meanings of classes; polygons without one are tumor
    where none is by its class. Holes are kept; points and lines enclose nothing and are
    skipped.

    Parameters
    ----------
    path : Path
        At most 256 MiB of XML, or 64 MiB of any other.
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
    found = OutlineCollector(path, classes)
    content = content_of(path, found)
    documents = content if isinstance(content, list) else [content]
    if documents and all(map(_is_histomics, documents)):
        _take_histomics(documents, found)
        return found.finish()
    content = as_collection(content)
    if not isinstance(content, dict):
        raise found.fault("no outlines; give CAMELYON's JSON form or GeoJSON")
    if "type" in content:
        _take_geojson(content, found, labels=meaning == "labels")
    else:
        _take_camelyon(content, found)
    return found.finish()


def content_of(path: Path, found: OutlineCollector) -> Any:
    """Return the JSON of a file, or of QuPath's data the same as GeoJSON.

    Parameters
    ----------
    path : Path
        The file, of at most ``MAXIMUM_JSON_BYTES``.
    found : OutlineCollector
        Of the file.

    Returns
    -------
    object
        As parsed.

    Raises
    ------
    AnnotationError
        It is missing, too large or damaged.
    """
    check_size(path, MAXIMUM_JSON_BYTES)
    qupath = path.suffix.lower() == ".qpdata"
    try:
        content = path.read_bytes()
        if not qupath:
            return parse_json(content)
        return as_collection(read_qpdata(content))
    except (ValueError, OSError) as error:
        what = "data of QuPath" if qupath else "JSON"
        raise found.fault(
            f"not {what} that can be read ({error}); {_REMEDY}"
        ) from error


def as_collection(content: Any) -> Any:
    """Return the content of GeoJSON; of a bare list, which QuPath writes, too, a collection."""
    if isinstance(content, list):
        return {"type": "FeatureCollection", "features": content}
    return content


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """An annotation in GeoJSON: its name, class, geometry, and what else is said of it.

    A bare one is a geometry alone, without properties.
    """

    name: str
    names: ClassNames
    geometry: dict[str, Any]
    properties: dict[str, Any]
    identifier: str = ""
    bare: bool = False


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
    for one in annotations_of(content, found):
        names = one.names
        if labels and is_undecided(one):
            names = (*names, UNDECIDED)
        for rings in polygons_of(one, found):
            found.add(one.name, names, rings, bare=one.bare)


def annotations_of(
    content: dict[str, Any], found: OutlineCollector
) -> Iterator[Annotation]:
    """Yield the annotations in GeoJSON; count other objects, and note a stack of planes.

    Parameters
    ----------
    content : dict
        A FeatureCollection, a Feature or a geometry.
    found : OutlineCollector
        Of the file.

    Yields
    ------
    Annotation
        Each, in the order of the file.

    Raises
    ------
    AnnotationError
        It is of another type, or damaged.
    """
    if content.get("type") not in _TYPES:
        raise found.fault(
            f"GeoJSON of type {str(content.get('type'))[:80]!r}; give one of "
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
        plane = geometry.get("plane")
        where = plane if isinstance(plane, dict) else {}
        planes.add((str(where.get("z", 0)), str(where.get("t", 0))))
        yield Annotation(
            name=str(properties.get("name") or f"feature {number}")[:80],
            names=_class(properties),
            geometry=geometry,
            properties=properties,
            identifier=str(feature.get("id", "")),
            bare="type" not in feature,
        )
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


def polygons_of(one: Annotation, found: OutlineCollector) -> Iterator[list[Floats]]:
    """Yield the polygons of an annotation; count what encloses nothing.

    Parameters
    ----------
    one : Annotation
        As read.
    found : OutlineCollector
        Of the file.

    Yields
    ------
    list of ndarray
        Exterior and holes, each (n, 2) of (x, y).

    Raises
    ------
    AnnotationError
        It is damaged.
    """
    waiting: list[Any] = [one.geometry]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            raise found.fault(f"{one.name!r} holds no geometry; {_REMEDY}")
        kind, coordinates = part.get("type"), part.get("coordinates")
        if kind == "GeometryCollection":
            waiting += _list_of(part.get("geometries"), one.name, found)[::-1]
        elif kind in _POLYGONS:
            polygons = [coordinates] if kind == "Polygon" else coordinates
            for polygon in _list_of(polygons, one.name, found):
                rings = _list_of(polygon, one.name, found)
                yield [_ring_of(ring, one.name, found) for ring in rings]
        else:
            found.skip(one.name, f"a {str(kind)[:80]} encloses nothing")


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


def is_undecided(one: Annotation) -> bool:
    """Return whether a tumor is a lesion of a detection on which no person decided."""
    properties = one.properties
    measured = properties.get("measurements") or {}
    if isinstance(measured, list):  # QuPath before 0.4
        measured = [one.get("name") for one in measured if isinstance(one, dict)]
    said = properties.get("metadata")
    said = said if isinstance(said, dict) else {}
    if EXPORTED_AS in said or said.get("status") in _DECIDED:
        return False  # the class is what a person left or gave
    verdict = Classes("labels").verdict(one.names)
    return verdict == "inside" and OUR_MEASUREMENT in measured


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
