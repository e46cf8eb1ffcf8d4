"""Writer of a data file of QuPath with annotations, in the form of version 3.

The classes, their fields and versions are those in the source of QuPath; each object has
what QuPath itself writes of an annotation.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from napari_fastnet.annotations.qupath import java_values as java
from napari_fastnet.annotations.qupath.java_values import (
    JavaArray,
    JavaClass,
    JavaEnum,
    JavaObject,
)
from napari_fastnet.annotations.qupath.java_writing import encoded_text, write_java
from napari_fastnet.annotations.qupath.objects import ID_KEY, NOTE_KEY, VERSION_LINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DATA_VERSION = 3
#: A version of QuPath whose files look like this.
QUPATH_VERSION = "0.5.0"

_OWN = java.EXTERNALISABLE | java.BLOCKS
_LIST = java.SERIALISABLE | java.WRITES
_ENUM = java.SERIALISABLE | java.IS_ENUM
_OBJECTS, _MEASURED = "qupath.lib.objects.", "qupath.lib.measurements."
_TEXT, _INTEGER = "Ljava/lang/String;", "Ljava/lang/Integer;"

_NUMBER = JavaClass("java.lang.Number", -8742448824652078965)
INTEGER = JavaClass(
    "java.lang.Integer", 1360826667806852920, fields=(("value", "I"),), parent=_NUMBER
)
_BOOLEAN = JavaClass(
    "java.lang.Boolean", -3665804199014368530, fields=(("value", "Z"),)
)
_ARRAY_LIST = JavaClass(
    "java.util.ArrayList", 8683452581122892189, _LIST, (("size", "I"),)
)
_OBJECT_ARRAY = JavaClass("[Ljava.lang.Object;", -8012369246846506644)
_BYTE_ARRAY = JavaClass("[B", -5984413125824719648)
_IMAGE_TYPE = JavaClass(
    "qupath.lib.images.ImageData$ImageType",
    0,
    _ENUM,
    parent=JavaClass("java.lang.Enum", 0, _ENUM),
)
_HIERARCHY = JavaClass(
    f"{_OBJECTS}hierarchy.PathObjectHierarchy",
    fields=(
        ("rootObject", "Lqupath/lib/objects/PathObject;"),
        ("tmaGrid", "Lqupath/lib/objects/hierarchy/TMAGrid;"),
    ),
)
_OBJECT = JavaClass(f"{_OBJECTS}PathObject", flags=_OWN)
_ROOT = JavaClass(f"{_OBJECTS}PathRootObject", flags=_OWN, parent=_OBJECT)
_ANNOTATION = JavaClass(
    f"{_OBJECTS}PathAnnotationObject",
    flags=_OWN,
    parent=JavaClass(f"{_OBJECTS}PathROIObject", flags=_OWN, parent=_OBJECT),
)
_METADATA = JavaClass(f"{_OBJECTS}MetadataMap", flags=_OWN)
_CLASS = JavaClass(
    f"{_OBJECTS}classes.PathClass",
    fields=(
        ("colorRGB", _INTEGER),
        ("name", _TEXT),
        ("parentClass", "Lqupath/lib/objects/classes/PathClass;"),
    ),
)
_MEASUREMENTS = JavaClass(
    f"{_MEASURED}DefaultMeasurementList", fields=(("list", "Ljava/util/ArrayList;"),)
)
_MEASUREMENT = JavaClass(
    f"{_MEASURED}DoubleMeasurement", fields=(("value", "D"), ("name", _TEXT))
)
_GEOMETRY = JavaClass(
    "qupath.lib.roi.GeometryROI$WKBSerializationProxy",
    fields=(
        *(("c", "I"), ("t", "I"), ("z", "I")),
        ("stats", "Lqupath/lib/roi/GeometryROI$GeometryStats;"),
        ("wkb", "[B"),
    ),
)


def write_qpdata(
    features: Iterable[Mapping[str, Any]],
    server: Mapping[str, Any],
    colours: Mapping[str, Iterable[int]],
) -> bytes:
    """Write annotations as a data file of QuPath of an H&E slide.

    Parameters
    ----------
    features : iterable of dict
        Features of GeoJSON, as QuPath reads them: polygons, with name, classification,
        measurements, metadata, whether they are locked, and an identifier.
    server : mapping
        The builder of the image's server, as in ``project.qpproj``.
    colours : mapping of str to (red, green, blue)
        Of the classes, and of those that they are derived from.

    Returns
    -------
    bytes
        The file. Equal annotations are equal files.
    """
    about = {
        "dataVersion": DATA_VERSION,
        "qupathVersion": QUPATH_VERSION,
        "server": server,
    }
    line = encoded_text(f"{VERSION_LINE}{DATA_VERSION}")
    classes: dict[str, JavaObject] = {}
    for name in sorted(colours):  # the general ones before those derived from them
        general, _, last = name.rpartition(": ")
        colour = JavaObject(INTEGER, {"value": packed_rgb(colours[name])})
        known = {"colorRGB": colour, "name": last, "parentClass": classes.get(general)}
        classes[name] = JavaObject(_CLASS, known)
    objects = [_annotation(feature, classes) for feature in features]
    root = JavaObject(_ROOT, written=_object_parts(None, {}, {}, objects))
    return write_java(
        [
            struct.pack(">H", len(line)) + line,
            json.dumps(about, allow_nan=False),
            JavaEnum(_IMAGE_TYPE, "BRIGHTFIELD_H_E"),
            JavaObject(_HIERARCHY, {"rootObject": root, "tmaGrid": None}),
            "EOF",
        ]
    )


def packed_rgb(colour: Iterable[int]) -> int:
    """Return a colour as QuPath keeps it: opaque, in one signed number."""
    red, green, blue = colour
    return (0xFF << 24 | red << 16 | green << 8 | blue) - 2**32


def _annotation(
    feature: Mapping[str, Any], classes: Mapping[str, JavaObject]
) -> JavaObject:
    properties = feature["properties"]
    said = dict(properties.get("metadata", {}))
    said |= {NOTE_KEY: said["note"]} if said.get("note") else {}
    said[ID_KEY] = feature["id"]
    measured = properties.get("measurements", {})
    written = [
        *_object_parts(properties["name"], said, measured, []),
        JavaObject(_BOOLEAN, {"value": bool(properties.get("isLocked"))}),
        classes[properties["classification"]["name"]],
        JavaObject(
            _GEOMETRY,
            {"c": -1, "t": 0, "z": 0, "stats": None}
            | {"wkb": _well_known(feature["geometry"])},
        ),
        struct.pack(">d", np.nan),  # the probability of a class that QuPath gave
    ]
    return JavaObject(_ANNOTATION, written=written)


def _object_parts(
    name: str | None,
    said: Mapping[str, str],
    measured: Mapping[str, float],
    children: list[JavaObject],
) -> list[Any]:
    """Return the part that every object writes: name, colour, metadata, measurements, children."""
    parts: list[Any] = [name, None]
    if said:
        keys, texts = (
            JavaArray(_OBJECT_ARRAY, list(part))
            for part in (said.keys(), said.values())
        )
        one = JavaObject(INTEGER, {"value": 1})
        parts.append(JavaObject(_METADATA, written=[one, keys, texts]))
    listed = [
        JavaObject(_MEASUREMENT, {"value": value, "name": key})
        for key, value in measured.items()
    ]
    parts.append(
        JavaObject(_MEASUREMENTS, {"list": _array_list(listed)}) if listed else None
    )
    return [*parts, struct.pack(">i", len(children)), *children]


def _array_list(values: list[Any]) -> JavaObject:
    size = len(values)
    return JavaObject(_ARRAY_LIST, {"size": size}, [struct.pack(">i", size), *values])


def _well_known(geometry: Mapping[str, Any]) -> JavaArray:
    """Return a geometry of GeoJSON as a well-known binary."""
    wkb = shapely.to_wkb(shapely.geometry.shape(geometry), byte_order=0)
    return JavaArray(_BYTE_ARRAY, np.frombuffer(wkb, np.int8))
