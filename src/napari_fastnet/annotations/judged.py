"""Verdicts of a person in a file: annotations whose class says what their place is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal

from napari_fastnet.annotations.checks import MAXIMUM_CROSSINGS, OutlineCollector
from napari_fastnet.annotations.classes import (
    EXPORTED_AS,
    Classes,
    class_text,
    is_unsure,
)
from napari_fastnet.annotations.qupath.objects import NOTE_KEY
from napari_fastnet.annotations.reading import (
    annotations_of,
    as_collection,
    content_of,
    is_undecided,
    polygons_of,
)
from napari_fastnet.core.display import in_a_line
from napari_fastnet.core.lesions.matching import tidy
from napari_fastnet.core.polygons import crossings

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.annotations.reading import Annotation
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.lesions.matching import Outline

#: Files that hold verdicts.
SUFFIXES = (".geojson", ".json", ".qpdata")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """An annotation with a verdict.

    Parameters
    ----------
    polygons : Outline
        (y, x), level-0 px.
    verdict : {"tumor", "not tumor", "unsure"} or None
        By its class; None where that says nothing.
    identifier : str
        Of the annotation; QuPath keeps it while the outline is changed.
    note : str
        Description that a person wrote.
    untouched, untouched_note : bool
        Whether class and note are those with which it was exported, as a person's decision.
    """

    polygons: Outline
    verdict: Literal["tumor", "not tumor", "unsure"] | None
    identifier: str = ""
    note: str = ""
    untouched: bool = False
    untouched_note: bool = False


def read_judged(
    path: Path, offset: Pair = (0.0, 0.0)
) -> tuple[list[Judged], tuple[str, ...]]:
    """Read annotations as verdicts.

    Parameters
    ----------
    path : Path
        GeoJSON, or the objects of an image in a project of QuPath.
    offset : tuple of float, optional
        (y, x) level-0 px that are added.

    Returns
    -------
    tuple of list of Judged and tuple of str
        In the order of the file. The meanings of classes are those of labels
        (`annotations.classes`), and *Unsure*; a lesion of a detection that no person
        decided on has no verdict. The notes name what encloses nothing, or is no
        annotation.

    Raises
    ------
    AnnotationError
        The file is missing, damaged, or of another kind.
    """
    found = OutlineCollector(path)
    if path.suffix.lower() not in SUFFIXES:
        raise found.fault(f"verdicts are in {', '.join(SUFFIXES)}; give one of these")
    content = as_collection(content_of(path, found))
    if not isinstance(content, dict):
        raise found.fault("no GeoJSON; export it anew")
    judged = []
    for one in annotations_of(content, found):
        rings = [
            found.checked(one.name, polygon) for polygon in polygons_of(one, found)
        ]
        if crossings(chain(*rings), limit=MAXIMUM_CROSSINGS) > MAXIMUM_CROSSINGS:
            raise found.fault(
                f"outline {one.name!r} crosses itself more than {MAXIMUM_CROSSINGS:,} "
                "times; simplify it"
            )
        polygons = [tuple(ring + offset for ring in polygon) for polygon in rings]
        if outline := tidy([polygon for polygon in polygons if polygon]):
            judged.append(_judged(one, outline))
    lines = found.finish().skipped
    return judged, tuple(in_a_line(f"{path.name}: {line}") for line in lines)


def _judged(one: Annotation, outline: Outline) -> Judged:
    said = one.properties.get("metadata")
    said = said if isinstance(said, dict) else {}
    name = class_text(one.names)
    verdict: Literal["tumor", "not tumor", "unsure"] | None = None
    if is_unsure(one.names):
        verdict = "unsure"
    elif not is_undecided(one):
        match Classes("labels").verdict(one.names):
            case "inside":
                verdict = "tumor"
            case "taken out":
                verdict = "not tumor"
    exported = said.get("note")
    note = one.properties.get("description") or said.get(NOTE_KEY) or exported
    return Judged(
        polygons=outline,
        verdict=verdict,
        identifier=one.identifier,
        note=str(note or "").strip(),
        untouched=verdict is not None
        and said.get("status") == verdict
        and said.get(EXPORTED_AS, name) == name,
        untouched_note=str(note or "").strip() == str(exported or "").strip(),
    )
