"""The section in which a person teaches the network by labels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_info
from napari.viewer import Viewer
from superqt.utils import qdebounced

from napari_fastnet.core.display import counted
from napari_fastnet.core.labelled_cells import KINDS
from napari_fastnet.errors import FastNetError
from napari_fastnet.plugin.teach.teaching import Teaching, look_ahead
from napari_fastnet.plugin.teach.tools import TeachTools
from napari_fastnet.plugin.widgets.dialogs import KeepAnywayQuestion
from napari_fastnet.plugin.widgets.section import drawn_later
from napari_fastnet.training.adapt.options import AdaptOptions

if TYPE_CHECKING:
    from napari_fastnet.core.labelled_cells import Kind
    from napari_fastnet.plugin.detection.request import Request
    from napari_fastnet.plugin.threads.job import Job
    from napari_fastnet.plugin.work.slide import SlideWork

#: Time without a stroke or a move before what is seen is read ahead for teaching, ms.
STILL_MS = 800


class TeachSection(TeachTools):
    """Labels painted on slides teach the network; its new heatmap lies beside the old.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer with the slides.
    request : callable
        Returns the options of a detection, whose model is taught.
    choose : callable
        Gets the name of a model that was kept, to be used from then on.

    Attributes
    ----------
    adapt_options : AdaptOptions
        Steps, seed and part, for scripts.
    """

    def __init__(
        self,
        napari_viewer: Viewer,
        request: Callable[[], Request],
        choose: Callable[[str], None],
    ) -> None:
        super().__init__(napari_viewer)
        self.adapt_options = AdaptOptions()
        self._request, self._choose = request, choose
        self._question: KeepAnywayQuestion | None = None
        self._looking: Job | None = None
        self._look_ahead_soon = qdebounced(self._look_ahead, timeout=STILL_MS)
        events = self.workspace.events
        self.listen(self._show, events.slides, events.spacing, events.run)
        self.listen(self._show, events.corrections, events.teaching)
        self.listen(self._labelled, events.corrections)
        self.workspace.viewer.layers.selection.events.active.connect(self._show)
        actions = {
            self.undo: self.take_back,
            self.start: self.teach,
            self.cancel: self.stop,
            self.blink: self.look_at_other,
            self.keep: self.keep_model,
            self.drop: self.drop_model,
        }
        for pressed, action in actions.items():
            pressed.native.clicked.connect(lambda _=False, action=action: action())
        for kind, pressed in self.brushes.items():
            pressed.native.clicked.connect(partial(self._paint, kind))
        self.brush.changed.connect(self._set_brush)
        self.press_keys(
            {
                "paint_tumor": self.brush_tumor,
                "paint_normal": self.brush_normal,
                "paint_ignore": self.brush_ignore,
                "undo_stroke": self.take_back,
                "teach": self.teach,
                "old_new": self.look_at_other,
            }
        )
        self._show()

    def leave(self) -> None:
        """Disconnect, and stop teaching."""
        super().leave()
        self._look_ahead_soon.cancel()
        if self._looking is not None:
            self._looking.abandon()
        active = self.workspace.viewer.layers.selection.events.active
        active.disconnect(self._show)

    def undocked(self) -> None:
        """Stop teaching, put the brush away, and release the keys."""
        super().undocked()
        for work in self.workspace.works:
            work.corrections.put_away()
            if work.teaching is not None:
                work.teaching.cancel()

    # --- painting -----------------------------------------------------------------

    def brush_tumor(self) -> None:
        """Paint tumor, or put the brush away."""
        self._paint("tumor")

    def brush_normal(self) -> None:
        """Paint normal tissue, or put the brush away."""
        self._paint("normal")

    def brush_ignore(self) -> None:
        """Paint what teaches nothing, or put the brush away."""
        self._paint("ignore")

    def _paint(self, kind: Kind, _: object = None) -> None:
        work = self.work
        if work is not None and work.ready:
            if work.corrections.painting == kind:
                work.corrections.put_away()
            else:
                work.corrections.paint(kind)
        self._show()

    def take_back(self) -> None:
        """Take the last stroke back."""
        if self.work is not None:
            self.work.corrections.undo()

    def _set_brush(self, value: float) -> None:
        for work in self.workspace.works:
            work.corrections.brush_um = value

    # --- teaching -----------------------------------------------------------------

    @property
    def teaching(self) -> Teaching | None:
        """The teaching on the slide, in progress or waiting to be kept or dropped."""
        teaching: Teaching | None = None if self.work is None else self.work.teaching
        return teaching

    def teach(self) -> None:
        """Teach the chosen model by all labels, in place of what was taught before."""
        work, teaching = self.work, self.teaching
        if work is None or not work.ready or (teaching and teaching.running):
            return
        try:
            request = self._request()
        except FastNetError as error:
            show_error(str(error))
            return
        self.drop_model()
        work.corrections.put_away()
        work.corrections.settle()
        if self._looking is not None:
            self._looking.cancel()
        work.teaching = Teaching(work, request, self.others.runs, self.adapt_options)
        work.teaching.start()
        self._show()

    def stop(self) -> None:
        """Stop teaching; the labels stay."""
        if self.teaching is not None:
            self.teaching.cancel()

    def look_at_other(self) -> None:
        """Show the other heatmap: the old one, or the new."""
        if self.teaching is not None:
            trial = self.teaching.trial
            trial.look(taught=not trial.shown)
            self._show()

    def keep_model(self) -> None:
        """Keep the taught model; one that the gate refuses only after a question."""
        teaching = self.teaching
        if teaching is None or teaching.adapted is None:
            return
        refusal = teaching.adapted.gate.refusal
        if refusal is None:
            self._keep(teaching)
        else:
            words = teaching.adapted.words
            self._question = KeepAnywayQuestion(
                self.native, words, partial(self._keep, teaching)
            )

    def _keep(self, teaching: Teaching) -> None:
        teaching.keep(self.name.value, self._kept)
        self._show()

    def _kept(self, name: str) -> None:
        self._choose(name)
        show_info(f"kept as {name}, which is chosen in Detect from now on")
        self._show()

    def drop_model(self) -> None:
        """Forget the taught model and its heatmap."""
        if self.work is not None and self.teaching is not None:
            self.teaching.drop()
            self.work.teaching = None
            self._show()

    def _labelled(self, work: SlideWork) -> None:
        if work is self.work and any(work.corrections.counts().values()):
            self._look_ahead_soon()

    def _look_ahead(self) -> None:
        """Compute features ahead: a person who labels is likely to teach."""
        work = self.work
        looking = self._looking is not None and self._looking.running
        busy = self.teaching is not None and self.teaching.running
        if work is None or not work.ready or looking or busy:
            return
        with suppress(FastNetError):  # no model is chosen
            self._looking = look_ahead(work, self._request())

    # --- showing ------------------------------------------------------------------

    def _show(self, _: Any = None) -> None:
        """Update buttons, numbers and words from the current slide."""
        work, teaching = self.work, self.teaching
        ready = work is not None and work.ready
        painting = work.corrections.painting if work is not None else None
        for kind, pressed in self.brushes.items():
            pressed.enabled = ready
            pressed.native.setChecked(kind == painting)
        self.painted.value = "" if work is None or not ready else painted_words(work)
        self.undo.enabled = ready
        if work is not None:
            with self.brush.changed.blocked():
                self.brush.value = work.corrections.brush_um
        busy = teaching is not None and teaching.running
        self.start.enabled = ready and not busy
        self.cancel.enabled = busy
        self.keep.enabled = teaching is not None and teaching.may_keep
        self.drop.enabled = teaching is not None
        self.blink.enabled = teaching is not None and teaching.trial.heatmap is not None
        self.words.value = "" if teaching is None else said_of(teaching)
        with drawn_later(self.progress.native):
            self.progress.value = 0 if teaching is None else teaching.per_cent


def said_of(teaching: Teaching) -> str:
    """Return the present work or the gain, and the lesions of the new heatmap."""
    if teaching.adapted is None or teaching.trial.found is None:
        return teaching.words
    return f"{teaching.words}; it finds {counted(teaching.trial.found, 'lesion')} here"


def painted_words(work: SlideWork) -> str:
    """Count the labelled cells of a slide in words."""
    counts = work.corrections.counts()
    painted = [f"{counts[kind]:,} {kind}" for kind in KINDS if counts[kind]]
    decided = sum(one.status in ("tumor", "not tumor") for one in work.review.reviewed)
    said = [f"painted: {', '.join(painted)} cells"] if painted else []
    if decided:
        said.append(f"decided: {counted(decided, 'lesion')}")
    return "; ".join(said) or "no labels yet: paint tumor and normal tissue"
