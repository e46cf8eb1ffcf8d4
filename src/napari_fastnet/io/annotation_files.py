"""Outlines out of whatever file they come in: ASAP's XML, CAMELYON's JSON, GeoJSON.

What is accepted, skipped and refused is the same for all, see `annotations`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.errors import AnnotationError
from napari_fastnet.io.annotation_checks import Meaning, OutlineCollector, check_size
from napari_fastnet.io.annotations import read_asap_xml
from napari_fastnet.io.json_text import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.core.polygons import Annotations

#: Suffixes of the files that `read_annotations` knows.
SUFFIXES = (".xml", ".json", ".geojson")

#: JSON has to be read whole, at about eight times its size.
MAXIMUM_JSON_BYTES = 64 * 2**20

_GEOJSON_TYPES = ("FeatureCollection", "Feature", "Polygon", "MultiPolygon")
_MEND = "export it anew"


def read_annotations(path: Path, meaning: Meaning = "tumour") -> Annotations:
    """Read outlines, by the suffix: ASAP's XML, CAMELYON's JSON form or GeoJSON.

    The JSON form is NCRF's, ``{"positive": [{"name": ..., "vertices": [[x, y], ...]}],
    "negative": [...]}``. GeoJSON is QuPath's, or anyone's with level-0 px: polygons
    without a classification are tumour, others by the class's name as by a group's in
    XML. Holes are kept; points and lines enclose nothing and are skipped.

    Parameters
    ----------
    path : Path
        At most 256 MiB of XML or 64 MiB of JSON.
    meaning : {"tumour", "region of interest"}
        Of a region of interest, every class is part but ``NOT_OF_INTEREST``.

    Returns
    -------
    Annotations
        Perhaps without any outline.

    Raises
    ------
    AnnotationError
        It is missing, too large, damaged, of another kind, or leaves doubt what is
        tumour.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise AnnotationError(
            f"{path}: annotations are {', '.join(SUFFIXES)}; give one of these"
        )
    if suffix == ".xml":
        return read_asap_xml(path, meaning)
    return _read_json(path, meaning)


def _read_json(path: Path, meaning: Meaning) -> Annotations:
    """Read CAMELYON's JSON form or GeoJSON, whichever it is."""
    check_size(path, MAXIMUM_JSON_BYTES)
    found = OutlineCollector(path, meaning)
    try:
        content = parse_json(path.read_bytes())
    except (ValueError, OSError) as error:
        raise found.fault(f"not JSON that can be read ({error}); {_MEND}") from error
    if isinstance(content, list):  # QuPath writes a bare list, too
        content = {"type": "FeatureCollection", "features": content}
    if not isinstance(content, dict):
        raise found.fault("no outlines; give CAMELYON's JSON form or GeoJSON")
    if "type" in content:
        _take_geojson(content, found)
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
    for member, tumour in (("positive", True), ("negative", False)):
        for outline in _list(content.get(member, []), member, found):
            if not isinstance(outline, dict) or "vertices" not in outline:
                raise found.fault(f'an outline in "{member}" has no vertices; {_MEND}')
            name = str(outline.get("name", "unnamed"))[:80]
            found.add(name, tumour, [_ring(outline["vertices"], name, found)])


def _take_geojson(content: dict[str, Any], found: OutlineCollector) -> None:
    """Take a FeatureCollection, a Feature or a geometry."""
    if content["type"] not in _GEOJSON_TYPES:
        raise found.fault(
            f"GeoJSON of type {str(content['type'])[:80]!r}; give one of "
            f"{', '.join(_GEOJSON_TYPES)}"
        )
    for number, feature in enumerate(_features(content, found)):
        if not isinstance(feature, dict):
            raise found.fault(f"feature {number} is no GeoJSON feature; {_MEND}")
        geometry = feature.get("geometry")
        properties = feature.get("properties") or {}
        if not isinstance(geometry, dict) or not isinstance(properties, dict):
            raise found.fault(f"feature {number} has no geometry; {_MEND}")
        name = str(properties.get("name") or f"feature {number}")[:80]
        kind, coordinates = geometry.get("type"), geometry.get("coordinates")
        if kind not in ("Polygon", "MultiPolygon"):
            found.count(0)
            found.skip(f"outline {name!r}: a {str(kind)[:80]} encloses nothing")
            continue
        tumour = _is_tumour(properties.get("classification"), name, found)
        polygons = [coordinates] if kind == "Polygon" else coordinates
        for polygon in _list(polygons, name, found):
            rings = [_ring(ring, name, found) for ring in _list(polygon, name, found)]
            found.add(name, tumour, rings)


def _features(content: dict[str, Any], found: OutlineCollector) -> Iterator[Any]:
    """Yield the features of any GeoJSON; a bare geometry is one without properties."""
    if content["type"] == "FeatureCollection":
        yield from _list(content.get("features"), "features", found)
    elif content["type"] == "Feature":
        yield content
    else:
        yield {"geometry": content}


def _is_tumour(classification: Any, name: str, found: OutlineCollector) -> bool:
    """Return whether a class is tumour; QuPath has {"name": ...}, others plain text."""
    if isinstance(classification, dict):
        classification = classification.get("name")
    return classification is None or found.is_inside(str(classification), name)


def _list(value: Any, name: str, found: OutlineCollector) -> list[Any]:
    if not isinstance(value, list):
        raise found.fault(f"{name!r} holds no list; {_MEND}")
    return value


def _ring(points: Any, name: str, found: OutlineCollector) -> NDArray[np.float64]:
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
