"""A person's decisions about the lesions of a slide, ``decisions.json``.

The file is a list of events that only grows: a verdict, a note, a line, an outline; undoing
one is an event, too. The state is what the events add up to. It is kept as
`store.kept_file` says; a change adds its event. Events of kinds that only another version
knows are kept. The rules by which decisions find the candidates of another detection are
those of `core.lesions.matching`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import numpy as np

from napari_fastnet.core.display import in_a_line, written
from napari_fastnet.core.lesions.matching import SAME_PLACE, Outline, owners, shares
from napari_fastnet.errors import OptionError, OutputError
from napari_fastnet.results.decision_events import (
    DECIMALS,
    FORMAT,
    FORMAT_VERSION,
    LESION_EVENTS,
    PIECES,
    READ_SLIDE,
    UNDO,
    VERDICTS,
    Decision,
    Event,
    Line,
    Reading,
    Verdict,
    apply,
    checked,
    checked_kind,
    drawn_outline,
    lesion_entry,
    node_piece,
    outline_key,
    parsed,
    piece_entry,
    plain_outline,
)
from napari_fastnet.results.record import DECISIONS, RESEARCH_USE, timestamp
from napari_fastnet.results.reviewed import Reviewed, reviewed
from napari_fastnet.store.kept_file import KeptFile, in_default_cache, kept_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_fastnet.core.geometry import Box
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.lesions.pieces import NodePiece
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.core.outlines import Polygon
    from napari_fastnet.results.record import SlideFacts


def decisions_path(run: Path, in_cache: bool, fingerprint: str) -> Path:
    """Return the place of the decisions about a run, as `store.kept_file.kept_path` does."""
    return kept_path(run, in_cache, fingerprint, DECISIONS)


def decisions_of(run: Path, slide: SlideFacts, *, change: bool = False) -> Decisions:
    """Read the decisions about a run, wherever they lie.

    Parameters
    ----------
    run : Path
        The folder of the run.
    slide : SlideFacts
        As recorded.
    change : bool, optional
        As for `Decisions.open`.

    Returns
    -------
    Decisions
        Perhaps none.
    """
    path = decisions_path(run, in_default_cache(run), slide.fingerprint)
    return Decisions.open(path, slide.fingerprint, slide.name, change=change)


class Decisions(KeptFile):
    """The decisions about one slide; every change is on the disk when its call returns.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    fingerprint : str
        Of the slide.
    slide : str, optional
        Name of the slide's file, for people who open the file.
    """

    nothing_known = "no decision is known"

    def __init__(self, path: Path, fingerprint: str, slide: str = "") -> None:
        super().__init__(path)
        self._fingerprint = fingerprint
        # keys of the file beside the events; another version may have more
        self._head: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "notice": RESEARCH_USE,
            "slide_fingerprint": fingerprint,
            "slide_name": written(slide),
        }
        self._events: dict[str, Event] = {}
        self._lines: dict[str, str] = {}  # the events as JSON
        self._decided: dict[str, Decision] = {}

    @classmethod
    def open(
        cls, path: Path, fingerprint: str, slide: str = "", *, change: bool = True
    ) -> Decisions:
        """Read the decisions about a slide, or begin anew where there are none.

        Parameters
        ----------
        path : Path
            The file, as from `decisions_path`.
        fingerprint : str
            Of the slide.
        slide : str, optional
            Name of the slide's file.
        change : bool, optional
            Whether a file that cannot be used is renamed at once; without it that is only
            noted, as for a program that does no more than read.

        Returns
        -------
        Decisions
            Their ``notes`` tell of a file that could not be used.
        """
        return cls(path, fingerprint, slide).begin(change=change)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All that is decided, drawn, noted or measured now, the oldest first."""
        return tuple(self._decided.values())

    @property
    def events_count(self) -> int:
        """Number of all events, those undone included."""
        return len(self._events)

    @property
    def reading(self) -> Reading | None:
        """The reader's own verdict on the slide, the last one; None without any."""
        for event in reversed(self.events(READ_SLIDE)):
            if event.get("verdict") in VERDICTS:
                return Reading(event["verdict"], event["made"])
        return None

    def events(self, kind: str) -> list[Event]:
        """Return the events of a kind that were not undone, the oldest first.

        Parameters
        ----------
        kind : str
            For example ``read_slide``.

        Returns
        -------
        list of dict
            With ``id``, ``made``, ``kind`` and what `add` was given.
        """
        undone = self._undone()
        return [
            event
            for key, event in self._events.items()
            if event["kind"] == kind and key not in undone
        ]

    def add(self, kind: str, **content: Any) -> None:
        """Add an event of a kind that is not about lesions.

        Parameters
        ----------
        kind : str
            Its name.
        **content : JSON
            What `events` gives back.
        """
        self._append(lambda: {"kind": kind, **content})

    def read_slide(self, verdict: Verdict) -> None:
        """Note the reader's own verdict on the whole slide; `undo` leaves it."""
        self.add(READ_SLIDE, verdict=checked(verdict))

    @property
    def pieces(self) -> tuple[NodePiece, ...]:
        """Node and section of pieces of tissue, as a person said last; or none."""
        for event in reversed(self.events(PIECES)):
            with suppress(KeyError, TypeError, ValueError):  # damaged: the one before
                return tuple(map(node_piece, event["pieces"]))
        return ()

    def join_pieces(self, pieces: Sequence[NodePiece]) -> None:
        """Say which section of which node pieces of tissue are; `undo` leaves it.

        Parameters
        ----------
        pieces : sequence of NodePiece
            All of the slide, as from `core.lesions.pieces.node_pieces`; what was said before no
            longer holds. Without any, each piece is a node of its own again.
        """
        self.add(PIECES, pieces=list(map(piece_entry, pieces)))

    def decide(
        self, regions: Sequence[Region], verdict: Verdict | None, origin: str = ""
    ) -> None:
        """Give lesions a verdict, in one event.

        Parameters
        ----------
        regions : sequence of Region
            Candidates, or the regions of `reviewed`.
        verdict : {"tumor", "not tumor", "unsure"} or None
            None takes a verdict back. It replaces verdicts on outlines that share at least
            half of the smaller of both.
        origin : str, optional
            The file that says so.
        """
        if verdict is not None:
            checked(verdict)

        def event() -> Event | None:
            if not regions:
                return None
            shown = [o for region in regions for o in self._shown(region.polygons)]
            lesions = [
                lesion_entry(outline, self._judged(outline)) for outline in shown
            ]
            about = {"verdict": verdict, "lesions": lesions}
            return {"kind": "decide", **about, **_from(origin)}

        self._append(event)

    def note(self, region: Region, text: str, origin: str = "") -> None:
        """Write a note on a lesion; an empty one takes it back."""
        self._append(
            lambda: {
                "kind": "note",
                "note": text,
                **self._about(region),
                **_from(origin),
            }
        )

    def measure(self, region: Region, line: Line | None) -> None:
        """Measure a lesion by a line; None takes it back.

        Parameters
        ----------
        region : Region
            A candidate, or a region of `reviewed`.
        line : tuple of (y, x) or None
            Both ends, level-0 px.
        """
        ends = None if line is None else np.round(line, DECIMALS).tolist()
        if ends is not None and not (
            np.shape(ends) == (2, 2) and np.isfinite(ends).all() and ends[0] != ends[1]
        ):
            raise OptionError(f"line is {line}; give two different points (y, x)")
        self._append(lambda: {"kind": "measure", "line": ends, **self._about(region)})

    def draw(
        self,
        polygons: Sequence[Polygon],
        verdict: Verdict | None = "tumor",
        origin: str = "",
    ) -> None:
        """Add a lesion that the detection did not find, over any earlier ones inside it.

        Parameters
        ----------
        polygons : sequence of Polygon
            Its parts; rings of (y, x), level-0 px.
        verdict : {"tumor", "not tumor", "unsure"} or None, optional
            A person who draws a lesion usually means tumor.
        origin : str, optional
            The file that has the outline.
        """
        if verdict is not None:
            checked(verdict)
        outline = drawn_outline(polygons)

        def event() -> Event:
            lesion = lesion_entry(outline, self._judged(outline, inside=True))
            about = {"verdict": verdict, "lesions": [lesion]}
            return {"kind": "draw", **about, **_from(origin)}

        self._append(event)

    def replace(
        self,
        regions: Sequence[Region],
        outlines: Sequence[Sequence[Polygon]],
        kind: Literal["corrected", "joined", "cut"],
        origin: str = "",
    ) -> None:
        """Replace outlines by a person's own.

        A verdict that the replaced ones agree on holds for the new ones, so do their
        notes; a line stays where one outline was corrected.

        Parameters
        ----------
        regions : sequence of Region
            What is replaced: one to be corrected or cut, several to be joined.
        outlines : sequence of sequence of Polygon
            The polygons of each new lesion: one corrected or joined lesion, several of
            one that is cut.
        kind : {"corrected", "joined", "cut"}
            What the person did.
        origin : str, optional
            The file that has the outlines.
        """
        checked_kind(kind)
        drawn = [drawn_outline(polygons) for polygons in outlines]
        gone = [plain_outline(region.polygons) for region in regions]

        def event() -> Event:
            of = [key for region in regions for key in self._fits(region.polygons)]
            return {
                "kind": "replace",
                "into": kind,
                "replaced": gone,
                "of": list(dict.fromkeys(of)),
                "lesions": [lesion_entry(outline, []) for outline in drawn],
                **_from(origin),
            }

        self._append(event)

    def undo(self) -> bool:
        """Take back the last change of a lesion that still holds; False without any."""

        def event() -> Event | None:
            undone = self._undone()
            for key in reversed(self._events):
                if key not in undone and self._events[key]["kind"] in LESION_EVENTS:
                    return {"kind": UNDO, "undoes": key}
            return None

        return self._append(event)

    def copy_to(self, path: Path) -> None:
        """Add all events that are missing there to another file about the same slide.

        Parameters
        ----------
        path : Path
            The file; it need not exist.
        """
        if self._events and path != self.path:
            other = Decisions(path, self._fingerprint, self._head["slide_name"])
            other._append(lambda: None, self._events)

    def reviewed(
        self, candidates: Sequence[Region], heatmap: Heatmap, slide: Box
    ) -> list[Reviewed]:
        """Return the list of lesions, as `results.reviewed.reviewed` describes it.

        Parameters
        ----------
        candidates : sequence of Region
            In their order.
        heatmap : Heatmap
            Its probabilities.
        slide : Box
            Level-0 px.

        Returns
        -------
        list of Reviewed
            Candidates with their decisions, and decided lesions without a candidate.
        """
        return reviewed(self.decisions, candidates, heatmap, slide)

    # Changing the file.

    def _append(
        self,
        make: Callable[[], Event | None],
        others: dict[str, Event] | None = None,
    ) -> bool:
        """Read the file again, add an event and those of another file, and write it.

        What cannot be written is known all the same, and is written with the next change.
        """
        added: dict[str, Event] | None = None
        try:
            with self._changing():
                added = self._add(make, others or {})
                if added:
                    self._write(self._text())
        except OutputError:
            if added is None:
                self._add(make, others or {})
            raise
        return bool(added)

    def _add(
        self, make: Callable[[], Event | None], others: dict[str, Event]
    ) -> dict[str, Event]:
        """Add an event and others that are missing; return those added."""
        added = dict(others)
        if (event := make()) is not None:
            key = uuid4().hex
            added[key] = {"id": key, "made": timestamp(), **event}
        added = {k: v for k, v in added.items() if k not in self._events}
        if added:
            self._join(added)
        return added

    def _text(self) -> bytes:
        head = json.dumps(self._head, allow_nan=False)[:-1]
        lines = ",\n".join(self._lines.values())
        return f'{head}, "events": [\n{lines}\n]}}\n'.encode()

    def _take(self, content: bytes) -> None:
        head, events = parsed(content, self._fingerprint)
        self._head |= head
        new = {e["id"]: e for e in events if e["id"] not in self._events}
        self._join(new, first=True)

    def _join(self, added: dict[str, Event], *, first: bool = False) -> None:
        """Add events, and find what all of them add up to."""
        # events that are only known here come after those of the file
        parts = (added, self._events) if first else (self._events, added)
        self._events = parts[0] | parts[1]
        for key, event in added.items():
            self._lines[key] = json.dumps(event, allow_nan=False)
        self._lines = {key: self._lines[key] for key in self._events}
        undone, decided = self._undone(), dict[str, Decision]()
        for number, (key, event) in enumerate(self._events.items(), 1):
            if event["kind"] in LESION_EVENTS and key not in undone:
                try:
                    apply(decided, event)
                except (KeyError, TypeError, ValueError) as error:
                    self._note(
                        f"{in_a_line(self.path)}: event {number} is damaged ({error!r}) "
                        "and is left out; the others hold"
                    )
        self._decided = decided

    def _undone(self) -> set[str]:
        events = self._events.values()
        return {str(event.get("undoes")) for event in events if event["kind"] == UNDO}

    # What a change is about.

    def _about(self, region: Region) -> dict[str, Any]:
        """Return the part of an event on a lesion that is not decided anew."""
        return {
            "lesions": [
                lesion_entry(outline, self._fits(outline))
                for outline in self._shown(region.polygons)
            ]
        }

    def _shown(self, outline: Outline) -> list[Outline]:
        """Return the person's outlines that take the place of one, or that one."""
        decided = [self._decided[key] for key in self._fits(outline)]
        own = [one.polygons for one in decided if one.kind != "found"]
        return own or [outline]

    def _fits(self, outline: Outline) -> list[str]:
        """Return the keys of decisions that hold for an outline."""
        if (key := outline_key(outline)) in self._decided:
            return [key]
        keys, decided = list(self._decided), self.decisions
        (chosen,) = owners([outline], [(d.polygons, *d.replaced) for d in decided])
        if len(chosen) > 1 and any(decided[index].kind == "found" for index in chosen):
            return []  # several lesions in one candidate
        return [keys[index] for index in chosen]

    def _judged(self, outline: Outline, *, inside: bool = False) -> list[str]:
        """Return the keys of decisions that one on an outline replaces.

        Those on found lesions about the same place; or all that lie ``inside`` of it by at
        least half.
        """
        if (key := outline_key(outline)) in self._decided:
            return [key]
        decided = {
            k: d for k, d in self._decided.items() if inside or d.kind == "found"
        }
        of_now, of_judged = shares(outline, [d.polygons for d in decided.values()])
        same = of_judged if inside else np.maximum(of_now, of_judged)
        return [
            key for key, share in zip(decided, same, strict=True) if share >= SAME_PLACE
        ]


def _from(origin: str) -> dict[str, str]:
    """Return the part of an event that says where it was read; none of the review's own."""
    return {"origin": in_a_line(written(origin))} if origin else {}
