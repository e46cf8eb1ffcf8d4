"""Outlines out of whatever file they come in: ASAP's XML, CAMELYON's JSON, GeoJSON.

What is accepted, skipped and refused is the same for all, see `annotations`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_fastnet.annotations.asap_xml import read_asap_xml
from napari_fastnet.annotations.checks import OutlineCollector, check_size
from napari_fastnet.annotations.classes import Classes, Meaning
from napari_fastnet.annotations.geojson import (
    is_histomics,
    list_of,
    ring_of,
    take_geojson,
    take_histomics,
)
from napari_fastnet.errors import AnnotationError
from napari_fastnet.machine.json_text import parse_json

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.annotations.classes import Verdict
    from napari_fastnet.core.polygons import Annotations

#: Suffixes of the files that `read_annotations` knows.
SUFFIXES = (".xml", ".json", ".geojson")

#: JSON has to be read whole, at about eight times its size.
MAXIMUM_JSON_BYTES = 64 * 2**20

_MEND = "export it anew"


def read_annotations(
    path: Path, meaning: Meaning = "tumour", tumor_classes: tuple[str, ...] = ()
) -> Annotations:
    """Read outlines, by the suffix: ASAP's XML, CAMELYON's JSON form or GeoJSON.

    The JSON form is NCRF's, ``{"positive": [{"name": ..., "vertices": [[x, y], ...]}],
    "negative": [...]}``, or HistomicsUI's, ``{"elements": [...]}``. GeoJSON is QuPath's,
    or anyone's with level-0 px. Of QuPath's objects only annotations are taken. What
    the classes mean, `outline_classes` says; polygons without one are tumour where none
    is by its class. Holes are kept; points and lines enclose nothing and are skipped.

    Parameters
    ----------
    path : Path
        At most 256 MiB of XML or 64 MiB of JSON.
    meaning : {"tumour", "region of interest"}
        Of a region of interest, every class is part but ``NOT_OF_INTEREST``.
    tumor_classes : tuple of str, optional
        Classes that are tumour, and no others; ``None`` is no class.

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
    suffix, classes = path.suffix.lower(), Classes(meaning, tumor_classes)
    if suffix not in SUFFIXES:
        raise AnnotationError(
            f"{path}: annotations are {', '.join(SUFFIXES)}; give one of these"
        )
    if suffix == ".xml":
        return read_asap_xml(path, classes)
    return _read_json(path, classes)


def _read_json(path: Path, classes: Classes) -> Annotations:
    """Read CAMELYON's JSON form, HistomicsUI's or GeoJSON, whichever it is."""
    check_size(path, MAXIMUM_JSON_BYTES)
    found = OutlineCollector(path, classes)
    try:
        content = parse_json(path.read_bytes())
    except (ValueError, OSError) as error:
        raise found.fault(f"not JSON that can be read ({error}); {_MEND}") from error
    if is_histomics(content):
        content = [content]
    if isinstance(content, list) and content and all(map(is_histomics, content)):
        take_histomics(content, found)
        return found.finish()
    if isinstance(content, list):  # QuPath writes a bare list, too
        content = {"type": "FeatureCollection", "features": content}
    if not isinstance(content, dict):
        raise found.fault("no outlines; give CAMELYON's JSON form or GeoJSON")
    if "type" in content:
        take_geojson(content, found)
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
    members: tuple[tuple[str, Verdict], ...] = (
        ("positive", "inside"),
        ("negative", "taken out"),
    )
    for member, verdict in members:
        for outline in list_of(content.get(member, []), member, found):
            if not isinstance(outline, dict) or "vertices" not in outline:
                raise found.fault(f'an outline in "{member}" has no vertices; {_MEND}')
            name = str(outline.get("name", "unnamed"))[:80]
            ring = ring_of(outline["vertices"], name, found)
            found.add(name, (), [ring], verdict=verdict)
