"""Outlines that people drew on slides, out of ASAP's XML and back into it.

Outlines are rings of (y, x) in level-0 px, real numbers; the last point joins the first.
A point is tumour when it lies in a positive ring and in no negative one, as in ASAP's
own conversion to masks. What a ring encloses is told by the even-odd rule, so that it
may cross itself. `annotation_files` reads other forms.
"""

from __future__ import annotations

from array import array
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.annotations.checks import (
    MAXIMUM_POINTS,
    OutlineCollector,
    check_size,
)
from napari_fastnet.annotations.classes import Classes, ClassNames, class_names
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.errors import AnnotationError
from napari_fastnet.machine.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_fastnet.annotations.classes import Verdict

__all__ = ["Annotations", "read_asap_xml", "write_asap_xml"]

MAXIMUM_XML_BYTES = 256 * 2**20

_CHUNK_BYTES = 2**20
_DEEPEST = 32  # ASAP nests four deep
_OUTLINE_TYPES = ("Polygon", "Spline", "Rectangle")


def read_asap_xml(path: Path, classes: Classes | None = None) -> Annotations:
    """Read an annotation that ASAP wrote, CAMELYON16's and CAMELYON17's among them.

    Outlines of the groups ``POSITIVE_GROUPS`` are tumour, of ``NEGATIVE_GROUPS`` taken
    out of it. A group of no known meaning has that of the group it is part of. Outlines
    in no group are taken out where others are tumour, and named. Splines are read as
    the polygons of their points. Dots, point sets and measurements enclose nothing and
    are skipped.

    Parameters
    ----------
    path : Path
        XML without a document type; at most ``MAXIMUM_XML_BYTES``. It is read piece by
        piece, so that only coordinates stay in memory.
    classes : Classes, optional
        Which groups mean what; of a region of interest, every group is part but
        ``NOT_OF_INTEREST``.

    Returns
    -------
    Annotations
        Perhaps without any outline.

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
        for chunk in _chunks(path):
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


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


class _AsapTarget:
    """What the XML parser reports to: no tree is built, whatever the file's size."""

    def __init__(self, path: Path, classes: Classes) -> None:
        self._found = OutlineCollector(path, classes, grouped=True)
        self._classes = classes
        self._parents: dict[ClassNames, ClassNames] = {}
        self._depth = 0
        self._outline: dict[str, str] | None = None
        self._coordinates = array("d")  # x, y, x, y ...

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take note of an element's beginning."""
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
            if len(self._coordinates) > 2 * MAXIMUM_POINTS:
                self._found.count(len(self._coordinates) // 2)

    def end(self, tag: str) -> None:
        """Take an outline at its end."""
        self._depth -= 1
        if tag != "Annotation" or self._outline is None:
            return
        name = self._name()
        kind = self._outline.get("Type", "Polygon")
        if kind in _OUTLINE_TYPES:
            group = class_names(self._outline.get("PartOfGroup"))
            points = np.array(self._coordinates).reshape(-1, 2)
            self._found.add(name, group, [points])
        else:
            self._found.count(0)
            self._found.skip(f"outline {name!r}: a {kind[:80]} encloses nothing")
        self._outline = None

    def close(self) -> Annotations:
        """Return everything at the end of the file."""
        return self._found.finish(self._verdict)

    def _verdict(self, group: ClassNames) -> Verdict:
        """Return what a group says, or the next one above it that says anything."""
        own = said = self._classes.verdict(group)
        seen = {group}
        while said in ("unknown", "left out"):
            group = self._parents.get(group, ())
            if not group or group in seen:
                return own
            seen.add(group)
            said = self._classes.verdict(group)
        return said

    def _name(self) -> str:
        return (self._outline or {}).get("Name", "unnamed")[:80]

    def _number(self, attributes: dict[str, str], axis: str) -> float:
        """Return a coordinate; ASAP writes decimal commas where the locale has them."""
        text = attributes.get(axis, "").replace(",", ".")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not isfinite(value):
            raise self._found.fault(
                f"outline {self._name()!r} has {axis}={text[:40]!r}, which is no number; "
                "mend or remove it"
            )
        return value


def write_asap_xml(path: Path, annotations: Annotations, *, comment: str = "") -> None:
    """Write outlines as ASAP has them: groups ``Tumor`` and ``Exclusion``.

    Parameters
    ----------
    path : Path
        Written aside and renamed.
    annotations : Annotations
        Coordinates are written with three decimals of a level-0 px.
    comment : str, optional
        A line for who opens the file as text; without ``--``, which XML forbids there.

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
    number = 0
    for group, colour, rings in groups:
        for ring in rings:
            lines.append(
                f'<Annotation Name="Annotation {number}" Type="Polygon" '
                f'PartOfGroup="{group}" Color="{colour}"><Coordinates>'
            )
            lines += [
                f'<Coordinate Order="{order}" X="{x:.3f}" Y="{y:.3f}" />'
                for order, (y, x) in enumerate(ring)
            ]
            lines.append("</Coordinates></Annotation>")
            number += 1
    lines += ["</Annotations>", "<AnnotationGroups>"]
    lines += [
        f'<Group Name="{group}" PartOfGroup="None" Color="{colour}"><Attributes /></Group>'
        for group, colour, _ in groups
    ]
    lines += ["</AnnotationGroups>", "</ASAP_Annotations>", ""]
    write_bytes(path, "\n".join(lines).encode())
