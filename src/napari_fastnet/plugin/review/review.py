"""The section in which a person decides on the candidates of a slide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info
from napari.viewer import Viewer
from qtpy.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QTimer

from napari_fastnet.core.display import counted
from napari_fastnet.core.lesions.evidence import of_ten
from napari_fastnet.core.teach_order import teach_order
from napari_fastnet.plugin.detection.viewport import fly_to
from napari_fastnet.plugin.keys import key_of
from napari_fastnet.plugin.layers.data import to_um
from napari_fastnet.plugin.review import second_read, shapes
from napari_fastnet.plugin.review.board import BoardPlace
from napari_fastnet.plugin.review.by_hand import ByHand
from napari_fastnet.plugin.review.candidates import SUSPICIOUS, TEACH, Candidate
from napari_fastnet.plugin.review.ruler import Ruler
from napari_fastnet.plugin.review.tools import ReviewTools
from napari_fastnet.plugin.viewer_parts import grid_of
from napari_fastnet.plugin.work.workspace import workspace_of

if TYPE_CHECKING:
    from magicgui.widgets import Container, Label
    from magicgui.widgets.bases import Widget
    from napari.components import ViewerModel

    from napari_fastnet.core.arrays import Indices
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.plugin.work.slide import SlideWork
    from napari_fastnet.results.decision_events import Verdict

UM_PX_AT_1X = 10.0
#: Longest way of the mouse between press and release that is a click, px.
CLICK_PX = 4.0
#: Share of the canvas that a lesion too large for the magnification fills.
SHARE = 0.8


def next_undecided(
    order: Sequence[tuple[int, bool]], decided: Sequence[int]
) -> int | None:
    """Return the number of the candidate to show after a verdict.

    Parameters
    ----------
    order : sequence of (int, bool)
        Number of each candidate in the order shown, and whether it has a verdict.
    decided : sequence of int
        Those that get a verdict just now.

    Returns
    -------
    int or None
        The first without a verdict behind the last of these, else the first of all;
        None if all are decided.
    """
    places = [at for at, (number, _) in enumerate(order) if number in decided]
    start = max(places, default=-1) + 1
    for number, has_verdict in [*order[start:], *order[:start]]:
        if not has_verdict and number not in decided:
            return number
    return None


class ReviewSection(ReviewTools):
    """Review of the candidates, in the order of suspicion; one key for each verdict.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer with the slides.
    totals, files : Label, Container
        As for `ReviewTools`.
    """

    def __init__(
        self, napari_viewer: Viewer, totals: Label, files: Container[Widget]
    ) -> None:
        self._ruler = Ruler(workspace_of(napari_viewer), self._current_region)
        super().__init__(napari_viewer, self._ruler.button, totals, files)
        self._quiet = False  # while the rows change by themselves
        self._fly_next = True  # not to what is in view already
        self._noted: Candidate | None = None  # whose note stands in the field
        self._mark_soon = QTimer(
            self.native
        )  # once for a verdict and the step after it
        self._mark_soon.setSingleShot(True)
        self._mark_soon.timeout.connect(self._mark)
        self._place = BoardPlace(self.workspace.viewer, self.board, self.native)
        self._hands = ByHand(self.workspace, self.chosen, self._show_tools)
        self._second_read = second_read.SecondRead(self.workspace)
        self._connect()
        self._show_tools()
        self._other_slide()

    def _connect(self) -> None:
        events = self.workspace.events
        self.listen(self._show, events.regions, events.decisions)
        self.listen(self._other_slide, events.slides, events.spacing)
        actions = {
            self.tumor: self.say_tumor,
            self.not_tumor: self.say_not_tumor,
            self.unsure: self.say_unsure,
            self.undo: self.take_back,
            self.next: self.go_next,
            self.previous: self.go_back,
            self.next_undecided: self.go_on,
            self.no_tumor_seen: partial(self._read_slide, "not tumor"),
            self.tumor_seen: partial(self._read_slide, "tumor"),
            self.unsure_of_slide: partial(self._read_slide, "unsure"),
            self.draw: self._hands.draw,
            self.correct: self._hands.correct,
            self.join: self._hands.join,
            self.cut: self._hands.cut,
            self.done: self._hands.drawing.finish,
            self.cancel: self._hands.drawing.cancel,
            self.open: self._place.toggle,
        }
        for pressed, action in actions.items():
            pressed.native.clicked.connect(lambda _=False, action=action: action())
        for widget in (self.filter, self.size, self.search):
            widget.changed.connect(self._filter)
        self.order.changed.connect(self._reorder)
        self.magnification.changed.connect(self._fly_again)
        self.second_read.changed.connect(self._turn_second_read)
        self.note.native.editingFinished.connect(self._take_note)
        self.note.native.returnPressed.connect(self.note.native.clearFocus)
        self._chosen.currentRowChanged.connect(self._current_changed)
        for view in (self.gallery, self.table):
            view.clicked.connect(self._clicked)
        self.workspace.viewer.mouse_drag_callbacks.append(self._press)
        self.press_keys(
            {
                "tumor": self.say_tumor,
                "not_tumor": self.say_not_tumor,
                "unsure": self.say_unsure,
                "undo": self.take_back,
                "next_undecided": self.go_on,
                "next": self.go_next,
                "previous": self.go_back,
                "ruler": self._ruler.toggle,
            }
        )

    def undocked(self) -> None:
        """Release keys and mouse, and take the board along."""
        super().undocked()
        with suppress(ValueError):
            self.workspace.viewer.mouse_drag_callbacks.remove(self._press)
        self._hands.drawing.cancel()
        self._ruler.put_away()
        self._second_read.leave()
        self._place.leave()

    def leave(self) -> None:
        """Disconnect, and stop reading pictures."""
        super().leave()
        self._thumbnails.close()

    # --- choosing -----------------------------------------------------------------

    @property
    def current(self) -> Candidate | None:
        """The candidate that is shown on the slide."""
        index = self._chosen.currentIndex()
        return self._view.candidate(index.row()) if index.isValid() else None

    def _current_region(self) -> Region | None:
        return None if self.current is None else self.current.region

    def chosen(self) -> list[Candidate]:
        """Return the chosen candidates, in the order shown."""
        rows = sorted(index.row() for index in self._chosen.selectedRows())
        return [self._view.candidate(row) for row in rows]

    def go_to(self, number: int) -> None:
        """Choose one candidate by its number, and show it on the slide."""
        index = self._view.index_of(number)
        if not index.isValid():
            return
        flags = QItemSelectionModel.SelectionFlag
        self._chosen.setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
        self.gallery.scrollTo(index)
        self.table.scrollTo(index)

    def go_next(self) -> None:
        """Show the candidate behind the current one; at first, the first."""
        self._step(1)

    def go_back(self) -> None:
        """Show the candidate before the current one."""
        self._step(-1)

    def _step(self, by: int) -> None:
        count, index = self._view.rowCount(), self._chosen.currentIndex()
        if count:
            at = index.row() + by if index.isValid() else 0
            self.go_to(self._view.candidate(min(max(at, 0), count - 1)).region.label)

    def go_on(self) -> None:
        """Show the next candidate without a verdict."""
        current = self.current
        self._go_on([] if current is None else [current.region.label])

    def _go_on(self, decided: list[int]) -> None:
        """Show the first undecided one behind some; say so if there is none."""
        following = next_undecided(self._order(), decided)
        if following is not None:
            self.go_to(following)
        elif left := sum(row.verdict is None for row in self._model.rows):
            none = "none" if all(has for _, has in self._order()) else "no other"
            show_info(f"{none} undecided in this list; {left} in all")
        elif self._model.rows:
            show_info(f"decided: all {counted(len(self._model.rows), 'candidate')}")

    def _order(self) -> list[tuple[int, bool]]:
        return [(c.region.label, c.verdict is not None) for c in self._view.shown()]

    def _press(self, viewer: ViewerModel, event: Any) -> Generator[None]:
        """Choose the candidate that is clicked on the slide; a drag moves the slide."""
        began, measured = np.array(event.pos), self._ruler.up
        yield
        while event.type == "mouse_move":
            yield
        active = viewer.layers.selection.active
        looking = getattr(active, "mode", "pan_zoom") in ("pan_zoom", "select")
        if (
            looking
            and not measured
            and np.hypot(*(np.array(event.pos) - began)) < CLICK_PX
        ):
            self._choose_at(event.position[-2:])

    def _choose_at(self, place_um: Pair) -> None:
        work = self.work
        if work is None or not self._model.rows:
            return
        if grid_of(self.workspace.viewer).enabled:
            return  # all slides have the same places there
        regions = [candidate.region for candidate in self._view.shown()]
        at = shapes.index_at(place_um, work.slide.require_mpp(), regions)
        if at is not None:
            self._fly_next = False
            self.go_to(regions[at].label)
            self._fly_next = True
            work.region_outlines.choose(regions[at].label)

    # --- deciding -----------------------------------------------------------------

    def say_tumor(self) -> None:
        """Decide that the chosen candidates are tumor."""
        self._decide("tumor")

    def say_not_tumor(self) -> None:
        """Decide that the chosen candidates are not tumor."""
        self._decide("not tumor")

    def say_unsure(self) -> None:
        """Note that the chosen candidates stay in doubt."""
        self._decide("unsure")

    def _decide(self, verdict: Verdict) -> None:
        """Decide, and show the next undecided; without a choice, show the first."""
        work, chosen = self.work, self.chosen()
        if work is None or not self._model.rows:
            return
        if not chosen:
            self.go_on()
            return
        numbers = [candidate.region.label for candidate in chosen]
        following = next_undecided(self._order(), numbers)
        work.review.decide([candidate.region for candidate in chosen], verdict)
        if following is not None:
            self.go_to(following)
        else:
            self._go_on([])

    def take_back(self) -> None:
        """Take the last decision back, and show what it was on."""
        if self.work is None or self._second_read.hides(self.work):
            return
        before = {c.region.label: c.said for c in self._model.rows}
        self.work.review.undo()
        for candidate in self._model.rows:
            number = candidate.region.label
            if before.get(number) != candidate.said:
                self.go_to(number)
                return

    def _take_note(self) -> None:
        """Keep the words in the field, if they are others than before."""
        candidate, text = self._noted, self.note.value.strip()
        if self.work is not None and candidate is not None and text != candidate.note:
            self._noted = None
            self.work.review.note(candidate.region, text)

    # --- showing ------------------------------------------------------------------

    def _other_slide(self) -> None:
        work = self.work
        self._hands.drawing.cancel()
        self._ruler.put_away()
        self._thumbnails.show(work.slide if work is not None and work.ready else None)
        self._show()

    def _show(self, work: SlideWork | None = None) -> None:
        """Show the candidates of the current slide; those chosen stay so."""
        if work is not None and work is not self.work:
            return
        work = self.work
        hidden = self._second_read.hides(work)
        rows = [] if work is None or hidden else rows_of(work, self.order.value)
        if rows or hidden:
            self._place.dock()
        current, chosen = self.current, self.chosen()
        self._quiet = True
        others = self._model.show(rows)
        if others:
            self._choose(current, chosen)
        self.table.fit_columns(anew=others)
        self._quiet = False
        self.gallery.ask()
        self.board.ask(hidden)
        self.progress.value = progress_of(work, rows) if work and rows else ""
        self.readings.value = readings_of(work) if work and not hidden else ""
        self.readings.visible = bool(self.readings.value)
        self._show_note()
        self._mark_soon.start()

    def _mark(self) -> None:
        """Frame the current candidate on the slide."""
        index = self._chosen.currentIndex()
        region, row = self._current_region(), index.row() + 1
        place = f"{row} of {self._view.rowCount()}"
        if region is not None and region.label != row:  # filtered, or sorted otherwise
            place = f"no. {region.label} ({place})"
        if self.work is not None:
            self.work.marks.show_current(region, place)

    def _choose(self, current: Candidate | None, chosen: list[Candidate]) -> None:
        """Choose candidates again after the rows have changed."""
        flags = QItemSelectionModel.SelectionFlag
        again = QItemSelection()
        for candidate in chosen:
            index = self._index_at(candidate.region)
            if index.isValid():
                again.select(index, index)
        self._chosen.select(again, flags.ClearAndSelect | flags.Rows)
        index = QModelIndex() if current is None else self._index_at(current.region)
        self._chosen.setCurrentIndex(index, flags.NoUpdate)

    def _index_at(self, region: Region) -> QModelIndex:
        """Return the index of the candidate in a region's place; its rank may differ."""
        centres = [candidate.region.centroid for candidate in self._model.rows]
        if not centres:
            return QModelIndex()
        away_um = np.subtract(centres, region.centroid) * self._mpp()
        nearest = int(np.hypot(*away_um.T).argmin())
        if np.hypot(*away_um[nearest]) > region.longest_axis_mm * 1000 / 2:
            return QModelIndex()
        return self._view.index_of(self._model.rows[nearest].region.label)

    def _mpp(self) -> Pair:
        return (1.0, 1.0) if self.work is None else self.work.slide.require_mpp()

    def _filter(self, _: object = None) -> None:
        self._take_note()
        current, chosen = self.current, self.chosen()
        self._quiet = True  # else Qt would choose another for one that is filtered out
        self._view.ask(self.filter.value, self.size.value, self.search.value)
        self._choose(current, chosen)
        self._quiet = False
        index = self._chosen.currentIndex()
        for view in (self.gallery, self.table):
            view.scrollToTop()
            if index.isValid():
                view.scrollTo(index)
        self.gallery.ask()
        self._show_note()
        self._mark_soon.start()

    def _reorder(self, _: object = None) -> None:
        self._take_note()
        self._show()
        for view in (self.gallery, self.table):
            view.scrollToTop()

    def _clicked(self, index: QModelIndex) -> None:
        self._fly(self._view.candidate(index.row()))

    def _current_changed(self, index: QModelIndex, before: QModelIndex) -> None:
        if self._quiet:
            return
        self._take_note()
        self._show_note()
        if index.isValid() and self._fly_next:
            self._fly(self._view.candidate(index.row()))
        self._mark_soon.start()

    def _show_note(self) -> None:
        if not self.note.native.hasFocus():
            self._noted = self.current
            self.note.value = "" if self._noted is None else self._noted.note
        self.note.enabled = self.current is not None

    def _show_tools(self) -> None:
        task = self._hands.drawing.task
        for widget in (self.note, self._tools):
            widget.visible = task is None
        self._meanwhile.visible = task is not None
        self.done.visible = task == "correct"
        self.hint.value = self._hands.hint

    def _fly(self, candidate: Candidate) -> None:
        """Show a candidate on the slide at the chosen magnification, or all of it."""
        work = self.work
        if work is None:
            return
        points = np.concatenate([p[0] for p in candidate.region.polygons])
        points = to_um(points, work.slide.require_mpp())
        low, high = points.min(axis=0), points.max(axis=0)
        closest = self.magnification.value / UM_PX_AT_1X
        fly_to(self.workspace.viewer, tuple(low), tuple(high), SHARE, closest)

    def _fly_again(self, _: object = None) -> None:
        if (current := self.current) is not None:
            self._fly(current)

    # --- second read --------------------------------------------------------------

    def _turn_second_read(self, on: bool) -> None:
        self._second_read.turn(on=on)

    def _read_slide(self, verdict: Verdict) -> None:
        if self.work is not None:
            self.work.review.read_slide(verdict)
            self._second_read.veil()


def rows_of(work: SlideWork, order: str = SUSPICIOUS) -> list[Candidate]:
    """Return the candidates of a slide as the table and the gallery show them.

    First those that a taught model finds anew, or no longer.
    """
    nodes = {piece: str(node) for piece, (node, _) in work.pieces.nodes.items()}
    changed = dict.fromkeys(work.appeared, "appeared") | dict.fromkeys(
        work.gone, "gone"
    )
    rows = [
        Candidate(
            reviewed,
            lesion=work.is_lesion(reviewed.region),
            confidence=of_ten(reviewed.region.evidence),
            node=nodes.get(reviewed.region.piece, "") if len(nodes) > 1 else "",
            change=changed.get(reviewed.region.label, ""),
        )
        for reviewed in work.review.reviewed
    ]
    if order == TEACH:
        rows = [rows[index] for index in _to_teach(work, rows)]
    first = {"appeared": 0, "gone": 1}
    return sorted(rows, key=lambda row: first.get(row.change, 2))


def _to_teach(work: SlideWork, rows: Sequence[Candidate]) -> Indices:
    """Return the indices of candidates, those to label next first; decided ones last."""
    centres = np.reshape([row.region.centroid for row in rows], (-1, 2))
    evidence = np.array([row.region.evidence for row in rows], float)
    evidence[[row.verdict is not None for row in rows]] = np.nan
    ahead = work.ahead
    return teach_order(
        evidence - work.rule.lesion_threshold,
        to_um(centres, work.slide.require_mpp()),
        None if ahead is None else ahead.at(centres),
        None if ahead is None else ahead.labelled,
    )


def progress_of(work: SlideWork, rows: Sequence[Candidate]) -> str:
    """Describe the machine's result, and how many of the candidates are decided."""
    found = counted(len(work.regions), "lesion")
    if work.regions:
        largest = max(work.regions, key=lambda region: region.longest_axis_mm)
        size = f"{largest.longest_axis_mm:.2f} mm ({largest.size_class} by size)"
        found += f", largest {size}"
    verdicts = Counter(row.verdict for row in rows)
    unsure = f", {verdicts['unsure']} unsure" if verdicts["unsure"] else ""
    begin = (
        "" if len(rows) > verdicts[None] else f": begin with {key_of('next_undecided')}"
    )
    decided = verdicts["tumor"] + verdicts["not tumor"]
    return f"{found} · {decided} of {len(rows)} decided{unsure}{begin}"


def readings_of(work: SlideWork) -> str:
    """Describe the reader's verdict on a slide beside the machine's result."""
    reading = work.review.decisions.reading
    if reading is None:
        return ""
    found = counted(len(work.regions), "lesion")
    return f"you: {second_read.READINGS[reading.verdict]}; FastNet: {found}"
