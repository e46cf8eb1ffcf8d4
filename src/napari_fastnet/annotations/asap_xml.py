"""Outlines in ASAP's XML, read and written.

Outlines are rings of (y, x) in level-0 px, real numbers; the last point joins the first.
A point is tumor when it lies in a positive ring and in no negative one, as in ASAP's
own conversion to masks. The even-odd rule decides what a ring encloses, so it may cross
itself.
"""

from __future__ import annotations

from array import array
from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.annotations.checks import OutlineCollector, check_size
from napari_fastnet.annotations.classes import Classes, ClassNames, class_names
from napari_fastnet.errors import AnnotationError
from napari_fastnet.machine.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.annotations.classes import Verdict
    from napari_fastnet.core.polygons import Annotations

MAXIMUM_XML_BYTES = 256 * 2**20

_CHUNK_BYTES = 2**20
_DEEPEST = 32  # ASAP nests four deep
_OUTLINE_TYPES = ("Polygon", "Spline", "Rectangle")


def read_asap_xml(path: Path, classes: Classes | None = None) -> Annotations:
    """Read an annotation of ASAP, such as CAMELYON16's and CAMELYON17's.

    Outlines of the groups ``POSITIVE_GROUPS`` are tumor, those of ``NEGATIVE_GROUPS``
    are taken out of it. A group of no known meaning has that of the group it is part
    of. Outlines in no group are taken out where others are tumor, and named. Splines are
    read as the polygons of their points. Dots, point sets and measurements enclose
    nothing and are skipped.

    Parameters
    ----------
    path : Path
        XML without a document type; at most ``MAXIMUM_XML_BYTES``. It is read piece by
        piece, so that only coordinates stay in memory.
    classes : Classes, optional
        Meanings of groups; every group but ``NOT_OF_INTEREST`` is part of a region of
        interest.

    Returns
    -------
    Annotations
        May have no outline.

    Raises
    ------
    AnnotationError
        The file is missing, too large, malformed, no annotation, declares a document
        type or entities, has a coordinate that is no number, or a group of unknown
        meaning.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    check_size(path, MAXIMUM_XML_BYTES)
    parser = DefusedXMLParser(
        target=_AsapTarget(path, classes or Classes()), forbid_dtd=True
    )
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                parser.feed(chunk)
        annotations: Annotations = parser.close()
    except AnnotationError:
        raise
    except DefusedXmlException as error:
        raise AnnotationError(
            f"{path}: it declares a document type or entities, which no annotation "
            "needs; export it from ASAP anew"
        ) from error
    except (ParseError, ValueError, LookupError, OSError) as error:
        raise AnnotationError(
            f"{path}: not an XML file that can be read ({error}); export it anew"
        ) from error
    return annotations


class _AsapTarget:
    """Target of the XML parser; no tree is built, whatever the file's size."""

    def __init__(self, path: Path, classes: Classes) -> None:
        self._found = OutlineCollector(path, classes, grouped=True)
        self._classes = classes
        self._parents: dict[ClassNames, ClassNames] = {}
        self._depth = 0
        self._outline: dict[str, str] | None = None
        self._coordinates = array("d")  # x, y, x, y ...

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Handle the begin of an element."""
        if self._depth == 0 and tag != "ASAP_Annotations":
            whose = (
                "an annotation of Aperio ImageScope or HALO; open it in QuPath and "
                "export GeoJSON, or"
                if tag == "Annotations"
                else "no annotation of ASAP;"
            )
            raise self._found.fault(f"{whose} give one of ASAP's XML")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._found.fault(
                "elements nested too deep; export it from ASAP anew"
            )
        if tag == "Annotation":
            self._outline = attributes
            self._coordinates = array("d")
        elif tag == "Group":
            own = class_names(attributes.get("Name"))
            self._parents[own] = class_names(attributes.get("PartOfGroup"))
        elif tag == "Coordinate" and self._outline is not None:
            self._coordinates.extend(self._number(attributes, axis) for axis in "XY")
            self._found.check_points(len(self._coordinates) // 2)

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        self._depth -= 1
        if tag != "Annotation" or self._outline is None:
            return
        kind = self._outline.get("Type", "Polygon")
        if kind in _OUTLINE_TYPES:
            group = class_names(self._outline.get("PartOfGroup"))
            points = np.array(self._coordinates).reshape(-1, 2)
            self._found.add(self._name(), group, [points])
        else:
            self._found.skip(self._name(), f"a {kind[:80]} encloses nothing")
        self._outline = None

    def close(self) -> Annotations:
        """Return all outlines at the end of the file."""
        return self._found.finish(self._verdict)

    def _verdict(self, group: ClassNames) -> Verdict:
        """Return the verdict on a group, or on the next one above with a meaning."""
        own = verdict = self._classes.verdict(group)
        seen = {group}
        while verdict in ("unknown", "left out"):
            group = self._parents.get(group, ())
            if not group or group in seen:
                return own
            seen.add(group)
            verdict = self._classes.verdict(group)
        return verdict

    def _name(self) -> str:
        return (self._outline or {}).get("Name", "unnamed")[:80]

    def _number(self, attributes: dict[str, str], axis: str) -> float:
        """Return a coordinate; ASAP writes decimal commas where the locale has them."""
        text = attributes.get(axis, "").replace(",", ".")
        with suppress(ValueError):
            if isfinite(value := float(text)):
                return value
        raise self._found.fault(
            f"outline {self._name()!r} has {axis}={text[:40]!r}, which is no number; "
            "correct or remove it"
        )


def write_asap_xml(path: Path, annotations: Annotations, *, comment: str = "") -> None:
    """Write outlines for ASAP, in the groups ``Tumor`` and ``Exclusion``.

    Parameters
    ----------
    path : Path
        Written aside and renamed.
    annotations : Annotations
        Coordinates are written with three decimals of a level-0 px.
    comment : str, optional
        A comment in the file; without ``--``, which XML forbids there.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    groups = (
        ("Tumor", "#64FE2E", annotations.positive),
        ("Exclusion", "#F4FA58", annotations.negative),
    )
    lines = ['<?xml version="1.0"?>']
    if comment:
        lines.append(f"<!-- {comment} -->")
    lines += ["<ASAP_Annotations>", "<Annotations>"]
    outlines = ((group, colour, r) for group, colour, rings in groups for r in rings)
    for number, (group, colour, ring) in enumerate(outlines):
        lines.append(
            f'<Annotation Name="Annotation {number}" Type="Polygon" '
            f'PartOfGroup="{group}" Color="{colour}"><Coordinates>'
        )
        lines += [
            f'<Coordinate Order="{order}" X="{x:.3f}" Y="{y:.3f}" />'
            for order, (y, x) in enumerate(ring)
        ]
        lines.append("</Coordinates></Annotation>")
    lines += ["</Annotations>", "<AnnotationGroups>"]
    lines += [
        f'<Group Name="{group}" PartOfGroup="None" Color="{colour}"><Attributes /></Group>'
        for group, colour, _ in groups
    ]
    lines += ["</AnnotationGroups>", "</ASAP_Annotations>", ""]
    write_bytes(path, "\n".join(lines).encode())
