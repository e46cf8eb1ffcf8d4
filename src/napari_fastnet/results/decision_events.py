"""Events of a person's decisions, and what they add up to.

The format of the file is in ``docs/reference/file-formats.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from napari_fastnet.core.display import in_a_line
from napari_fastnet.core.geometry import Pair
from napari_fastnet.core.lesions.matching import Outline, tidy
from napari_fastnet.core.lesions.pieces import NodePiece
from napari_fastnet.errors import OptionError
from napari_fastnet.machine.json_text import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_fastnet.core.outlines import Polygon

Verdict = Literal["tumor", "not tumor", "unsure"]
Kind = Literal["found", "drawn", "corrected", "joined", "cut"]
Line = tuple[Pair, Pair]
Event = dict[str, Any]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Kinds of outlines that take the place of others.
REPLACING: tuple[Kind, ...] = ("corrected", "joined", "cut")
FORMAT = "napari-fastnet decisions"
FORMAT_VERSION = 1
#: Decimals of a level-0 px, so under a nanometre.
DECIMALS = 3
#: Kinds of events about lesions.
LESION_EVENTS = frozenset({"decide", "note", "measure", "draw", "replace"})
READ_SLIDE, PIECES, UNDO = "read_slide", "pieces", "undo"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """A person's decision about one lesion.

    Parameters
    ----------
    polygons : Outline
        The lesion as it was seen, or as the person drew it; (y, x), level-0 px.
    verdict : {"tumor", "not tumor", "unsure"} or None
        None where the lesion was only noted, measured or outlined.
    kind : {"found", "drawn", "corrected", "joined", "cut"}
        Origin of the outline: the detection, or the person.
    note : str
        The person's note.
    line : tuple of (y, x) or None
        Both ends of the person's measuring line, level-0 px; takes the place of the
        computed longest axis.
    made : str
        Time of the last change, ISO 8601 in UTC.
    replaced : tuple of Outline
        Outlines of which this one took the place; they count as seen, too.
    origin : str
        The file that the last change was read from; empty where it was made in the review.
    """

    polygons: Outline
    verdict: Verdict | None = None
    kind: Kind = "found"
    note: str = ""
    line: Line | None = None
    made: str = ""
    replaced: tuple[Outline, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A reader's own verdict on the slide, without the detection, and its time in UTC."""

    verdict: Verdict
    made: str


def checked(verdict: str) -> Verdict:
    """Return a verdict; an OptionError for other words."""
    if verdict not in VERDICTS:
        raise OptionError(f"verdict is {verdict!r}; use {', '.join(VERDICTS)}")
    return verdict


def checked_kind(kind: str) -> Kind:
    """Return the kind of outlines that replace others; an OptionError for other words."""
    if kind not in REPLACING:
        raise OptionError(f"kind is {kind!r}; use {', '.join(REPLACING)}")
    return kind


def drawn_outline(polygons: Sequence[Polygon]) -> Outline:
    """Return drawn polygons (n, 2), (y, x), as an outline; an OptionError where it is empty."""
    outline = tidy(polygons)
    if not outline:
        raise OptionError("the outline encloses nothing; draw around an area")
    return outline


def plain_outline(outline: Outline) -> list[list[list[list[float]]]]:
    """Return polygons, rings, points and (y, x) as lists."""
    # -0.0 + 0.0 is 0.0
    return [[(np.round(r, DECIMALS) + 0.0).tolist() for r in p] for p in outline]


def lesion_entry(outline: Outline, of: Iterable[str]) -> dict[str, Any]:
    """Return an outline and the keys of the decisions it takes over, for an event."""
    return {"outline": plain_outline(outline), "of": list(of)}


def outline_key(outline: Outline) -> str:
    """Return a digest of an outline, as precise as the file."""
    digest = sha256()
    for polygon in outline:
        for ring in polygon:
            digest.update((np.round(ring, DECIMALS) + 0.0).tobytes() + b"ring")
        digest.update(b"polygon")
    return digest.hexdigest()[:16]


def _outline(plain: Any) -> Outline:
    """Return the outline that an event states; a ValueError where it is none."""
    outline = tuple(tuple(np.asarray(r, np.float64) for r in p) for p in plain)
    rings = [ring for polygon in outline for ring in polygon]
    if not all(outline) or not rings:
        raise ValueError("an outline is empty")
    for ring in rings:
        if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
            raise ValueError("a ring has not three points (y, x)")
        if not np.isfinite(ring).all():
            raise ValueError("a ring has a point that is not finite")
    return outline


def piece_entry(piece: NodePiece) -> dict[str, Any]:
    """Return a piece of tissue with its node and section, for an event."""
    outline = plain_outline(piece.polygons)
    return {"outline": outline, "node": piece.node, "section": piece.section}


def node_piece(entry: dict[str, Any]) -> NodePiece:
    """Return the piece of tissue of `piece_entry`."""
    return NodePiece(
        _outline(entry["outline"]), int(entry["node"]), int(entry["section"])
    )


def parsed(content: bytes, fingerprint: str) -> tuple[dict[str, Any], list[Event]]:
    """Return the file's keys and its events; a ValueError that says why it is not used."""
    try:
        head = parse_json(content, strict=True)
    except ValueError as error:
        raise ValueError(f"is damaged ({error})") from error
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ValueError("holds no decisions of napari-fastnet")
    version = head.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"has format version {version!r}, this version reads {FORMAT_VERSION}; "
            "update napari-fastnet"
        )
    whose, events = head.get("slide_fingerprint"), head.pop("events", None)
    if not isinstance(whose, str) or not isinstance(events, list):
        raise ValueError("is damaged (it has no slide or no events)")
    if whose != fingerprint:
        raise ValueError(
            f"is about another slide ({in_a_line(str(head.get('slide_name')))})"
        )
    for number, event in enumerate(events, 1):
        stated = isinstance(event, dict) and all(
            isinstance(event.get(name), str) for name in ("id", "made", "kind")
        )
        if not stated:
            raise ValueError(f"is damaged (event {number} has no id, time or kind)")
    return head, events


def apply(decided: dict[str, Decision], event: Event) -> None:
    """Apply an event about lesions to what was decided before, by `outline_key`.

    A KeyError, TypeError or ValueError: the event is damaged, and nothing was changed.
    """
    lesions = [
        (_outline(one["outline"]), list(map(str, one["of"])))
        for one in event["lesions"]
    ]
    changes, gone = _changes(event), list[Outline]()
    shared: list[Decision] = []
    if event["kind"] == "replace":
        gone = [_outline(plain) for plain in event["replaced"]]
        shared = [decided.pop(key) for key in map(str, event["of"]) if key in decided]
        if changes["kind"] != "corrected":
            shared = [replace(decision, line=None) for decision in shared]
    for outline, of in lesions:
        key = outline_key(outline)
        before = [decided.pop(k) for k in of if k != key and k in decided]
        if key in decided:
            before.insert(0, decided[key])
        new = replace(_inherited(outline, [*shared, *before], gone), **changes)
        if new.kind == "found" and not (new.verdict or new.line or new.note):
            decided.pop(key, None)  # all was taken back
        else:
            decided[key] = new


def _changes(event: Event) -> dict[str, Any]:
    """Return the fields of a decision that an event sets."""
    found: dict[str, Any] = {
        "made": event["made"],
        "origin": str(event.get("origin", "")),
    }
    match event["kind"]:
        case "decide" | "draw" as kind:
            verdict = event["verdict"]
            found["verdict"] = None if verdict is None else checked(verdict)
            if kind == "draw":
                found["kind"] = "drawn"
        case "note":
            found["note"] = str(event["note"]).strip()
        case "measure":
            found["line"] = None
            if event["line"] is not None:
                (y0, x0), (y1, x1) = event["line"]
                found["line"] = (float(y0), float(x0)), (float(y1), float(x1))
        case "replace":
            found["kind"] = checked_kind(event["into"])
        case other:
            raise ValueError(f"{other!r} is no kind of event about lesions")
    return found


def _inherited(
    outline: Outline, before: Sequence[Decision], gone: Sequence[Outline]
) -> Decision:
    """Return a decision with what those before it agree on."""
    verdicts = {decision.verdict for decision in before}
    kinds = [decision.kind for decision in before if decision.kind != "found"]
    lines = [decision.line for decision in before if decision.line is not None]
    seen = [o for d in before for o in (d.polygons, *d.replaced)]
    others = {outline_key(other): other for other in (*seen, *gone)}
    others.pop(outline_key(outline), None)
    return Decision(
        polygons=outline,
        verdict=verdicts.pop() if len(verdicts) == 1 else None,
        kind=kinds[0] if kinds else "found",
        note="; ".join(dict.fromkeys(d.note for d in before if d.note)),
        line=lines[0] if len(lines) == 1 else None,
        replaced=tuple(others.values()),
    )
