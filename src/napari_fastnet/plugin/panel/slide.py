"""The section that chooses the slide and shows its size and µm/px."""

from __future__ import annotations

from html import escape

from magicgui.widgets import CheckBox, ComboBox
from napari.settings import get_settings
from napari.utils.notifications import show_error
from napari.viewer import Viewer

from napari_fastnet.core.appearance.summary import quality_words
from napari_fastnet.errors import FastNetError
from napari_fastnet.plugin.widgets.numbers import NumberField
from napari_fastnet.plugin.widgets.section import Section, button, row, text_line
from napari_fastnet.plugin.work.slide import SlideWork

NO_SLIDE = "Open a slide: drop it here, or use File > Open."


class SlideSection(Section):
    """The current slide, its size, its µm/px and their source.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer with the slides.

    Attributes
    ----------
    choice : ComboBox
        The open slides.
    facts : Label
        Size, levels and µm/px of the current slide.
    edit : PushButton
        Shows the field for the µm/px, which is always visible if they are unknown. It
        stands under Advanced, as ``background``.
    mpp, use : NumberField, PushButton
        The µm/px of level 0; ``use`` applies them.
    background : CheckBox
        napari's setting that images are loaded asynchronously; changed only by a click
        here.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self.choice = ComboBox(
            choices=self._open_slides,
            nullable=True,
            tooltip="Slide that this panel works on",
        )
        self.facts = text_line()
        self.edit = button("edit µm/px", "Set the µm/px if those of the file are wrong")
        self.mpp = NumberField(
            "µm/px",
            value=0.25,
            min=0.05,
            max=5,
            step=0.0001,
            tooltip="µm per px of the slide's finest level; about 0.25 for 40x scanners",
        )
        self.use = button("use", "Use this µm/px; masks and heatmap are discarded")
        self._field = row(self.mpp, self.use, label="µm/px")
        self.background = CheckBox(
            value=get_settings().experimental.async_,
            text="load tiles in the background",
            tooltip="Smoother zooming; tiles appear a moment later. This is napari's own "
            "setting (Preferences > Experimental) for all images, and is saved",
        )
        super().__init__(napari_viewer, "Slide", [self.choice, self.facts, self._field])
        self._choosing = False
        events = self.workspace.events
        self.listen(self._show, events.slides, events.spacing)
        self.listen(self._show_facts, events.run)
        self.choice.changed.connect(self._chosen)
        self.edit.changed.connect(self._field.show)
        self.use.changed.connect(self._use)
        self.background.changed.connect(load_in_background)
        self._show()

    def _show(self, _: object = None) -> None:
        work = self.work
        self._choosing = True
        self.choice.reset_choices()
        self.choice.value = work
        self._choosing = False
        self.choice.visible = len(self.workspace.works) > 1
        self.facts.value = NO_SLIDE if work is None else facts_of(work)
        self.fold.say("" if work is None else work.layer.name)
        self.fold.settle(work is not None and work.heatmap is not None)
        if work is not None and not work.ready:
            self.fold.folded = False  # whatever the user did: nothing runs before
        self.edit.enabled = work is not None
        self._field.visible = work is not None and not work.ready
        if work is not None and work.slide.mpp is not None:
            self.mpp.value = min(max(work.slide.mpp[0], 0.05), 5)

    def _show_facts(self, _: object = None) -> None:
        """Show the quality that a run has found."""
        if self.work is not None and self.facts.value != facts_of(self.work):
            self.facts.value = facts_of(self.work)
            self.fold.settle(self.work.heatmap is not None)

    def _open_slides(self, _: object = None) -> list[tuple[str, SlideWork]]:
        # magicgui calls this before the section has a workspace
        workspace = self.__dict__.get("workspace")
        return [(w.layer.name, w) for w in workspace.works] if workspace else []

    def _chosen(self, work: SlideWork | None) -> None:
        if work is not None and not self._choosing:
            self.workspace.choose(work)

    def _use(self) -> None:
        if self.work is None:
            return
        self.mpp.take_typed()
        mpp, decimals = self.mpp.value, self.mpp.box.decimals()
        if self.work.ready:
            shown = {round(side, decimals) for side in self.work.slide.require_mpp()}
            if shown == {mpp}:  # unchanged: masks and heatmap stay
                self._show()
                return
        try:
            self.work.set_mpp(mpp)
        except FastNetError as error:
            show_error(str(error))


def load_in_background(wanted: bool) -> None:
    """Change napari's setting, as its preferences do."""
    get_settings().experimental.async_ = wanted


def facts_of(work: SlideWork) -> str:
    """Return size, levels, µm/px and notes of a slide as rich text."""
    slide = work.slide
    height, width = slide.shape
    first = f"{width:,} x {height:,} px, {len(slide.levels)} levels"
    if not work.ready:
        stated = "" if slide.mpp is None else f" ({slide.mpp[0]:g} is impossible)"
        return f"{first}<br><b>µm/px unknown{stated}: enter it below</b>"
    y, x = slide.require_mpp()
    size = f"{width * x / 1000:.1f} x {height * y / 1000:.1f} mm"
    words = "" if work.record is None else quality_words(work.record.quality)
    notes = (words, *map(escape, slide.reading_notes))
    last = "".join(f"<br>{line}" for line in notes if line)
    return f"{first}<br>{size}, {y:.4g} µm/px ({slide.mpp_source}){last}"
