"""The FastNet panel: all sections in the order of the work."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary, ref

from magicgui.widgets import Container
from magicgui.widgets.bases import Widget
from napari.components import ViewerModel
from napari.viewer import Viewer
from qtpy.QtWidgets import QDialog, QToolButton

from napari_fastnet.plugin.keys import KEYS, key_of
from napari_fastnet.plugin.layers.canvas_context import real_viewer
from napari_fastnet.plugin.panel.detect import DetectSection
from napari_fastnet.plugin.panel.export import ExportSection
from napari_fastnet.plugin.panel.regions import RegionsSection
from napari_fastnet.plugin.panel.slide import SlideSection
from napari_fastnet.plugin.panel.tissue import TissueSection
from napari_fastnet.plugin.review.review import ReviewSection
from napari_fastnet.plugin.review.under_cursor import UnderCursor
from napari_fastnet.plugin.teach.teach import TeachSection
from napari_fastnet.plugin.widgets.dialogs import UndockWatch
from napari_fastnet.plugin.widgets.place import (
    FitOnceDocked,
    OnTheLeft,
    WidthKeeper,
    dock_of,
    order_tabs,
    withdraw_offer,
)
from napari_fastnet.plugin.widgets.section import Section, row, text_line
from napari_fastnet.plugin.widgets.tour import Step, Tour
from napari_fastnet.results.record import CALIBRATED, RESEARCH_USE

#: Between sections: on a laptop's screen the export is seen without scrolling.
SPACING_PX = 2
#: Words of the tour.
STEPS = (
    "Drop a slide onto the window, or open a drawn one: File &gt; Open Sample &gt; FastNet. "
    "Check its µm/px; if the file does not say, enter it here.",
    "<i>Detect tumors</i> finds the tissue, scans what is on the screen first, and draws "
    "a map: green is normal, red is tumor. <i>Alarms</i> chooses between finding more and "
    "fewer false lesions; sliders change the map at once.",
    "Three masks say where tissue is; only where all three agree is scanned. Unfold it to "
    "move their thresholds, or to paint what they miss.",
    "The list below the slide shows the most suspicious places first. Decide on each with "
    "a key, also while you look at the slide: {tumor} tumor, {not_tumor} not tumor, "
    "{unsure} unsure, {next_undecided} the next. "
    "Decisions are saved at once. <i>Teach</i>, below, adapts the model to your stain.",
    "<i>Export</i> writes masks, map and lesions for QuPath, ASAP and Fiji, <i>Report</i> "
    "a page with sizes and a suggested pN. Research use only.",
)
_PANELS: WeakKeyDictionary[ViewerModel, ref[FastNetPanel]] = WeakKeyDictionary()


def panel_of(viewer: Viewer) -> FastNetPanel | None:
    """Return the panel that was opened last in a viewer, if it is still there."""
    found = _PANELS.get(real_viewer(viewer))
    panel = None if found is None else found()
    return panel if panel is not None and dock_of(panel.native) is not None else None


class FastNetPanel(Container[Widget]):
    """The sections, from top to bottom in the order of work.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer that the panel is docked in.

    Attributes
    ----------
    help : QToolButton
        Begins the tour.
    tour : Tour or None
        Begun last.
    slide, tissue, detect, review, teach, regions, export, advanced
        The sections; scripts press their buttons and move their sliders. The widgets under
        Advanced are those of the section that they set; the regions' stand below the slide.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        withdraw_offer(napari_viewer)
        self.slide = SlideSection(napari_viewer)
        self.tissue = TissueSection(napari_viewer)
        self.detect = DetectSection(napari_viewer)
        self.regions = RegionsSection(napari_viewer)
        self.review = ReviewSection(napari_viewer, self.regions.totals, self.regions)
        self.teach = TeachSection(
            napari_viewer, self.detect.request, self.detect.choose_model
        )
        self.export = ExportSection(napari_viewer)
        self.advanced = self._advanced(napari_viewer)
        shown = (
            *(self.slide, self.tissue, self.detect, self.review, self.teach),
            *(self.export, self.advanced),
        )
        self._sections = (*shown, self.regions)
        note = text_line()
        note.value = f"{CALIBRATED}<br>{RESEARCH_USE}"
        super().__init__(widgets=[*shown, note], labels=False, scrollable=True)
        self._under_cursor = UnderCursor(self.slide.workspace)
        self.review.second_read.changed.connect(self._under_cursor.forget)
        self._watch = UndockWatch(self.native, self._undocked)
        self._width = WidthKeeper(self.native)
        self._place = OnTheLeft(self.native, self.slide.workspace.viewer)
        _PANELS[self.slide.workspace.viewer] = ref(self)
        self.help = QToolButton()
        self.help.setText("?")
        self.help.setToolTip("Explain the panel in five steps")
        self.help.clicked.connect(self.take_tour)
        self.slide.fold.put_beside(self.help)
        self.tour: Tour | None = None
        self.native.widget().layout().setSpacing(SPACING_PX)
        order_tabs(self.native.widget())
        self._fit = FitOnceDocked(self.native, self.slide.workspace.viewer)

    def _advanced(self, viewer: Viewer) -> Section:
        """Return the section of what seldom changes."""
        detect, slide = self.detect, self.slide
        widgets = [
            *detect.model_rows,
            row(detect.evidence, label="evidence"),
            row(detect.stride, label="density"),
            row(detect.backend, label="back end"),
            row(detect.results, label="keep in"),
            detect.view_first,
            slide.background,
            row(self.review.second_read, self.review.open),
            row(slide.edit, detect.copy),
        ]
        return Section(viewer, "Advanced", widgets, folded=True)

    def take_tour(self) -> None:
        """Explain the panel in five steps."""
        _close(self.tour)
        keys = {action: key_of(action) for action in KEYS}
        steps = [
            Step(part.native, part.fold.title, words.format_map(keys))
            for part, words in (
                (self.slide, STEPS[0]),
                (self.detect, STEPS[1]),
                (self.tissue, STEPS[2]),
                (self.review, STEPS[3]),
                (self.export, STEPS[4]),
            )
        ]
        self.tour = Tour(self.native, steps)
        self.tour.show()

    def _undocked(self) -> None:
        self._under_cursor.leave()
        _close(self.tour)
        _close(self.export.question)
        for section in self._sections:
            section.undocked()

    @property
    def native(self) -> Any:
        """The scroll area; its content, which magicgui returns, is taller than a laptop."""
        return self.root_native_widget


def _close(dialog: QDialog | None) -> None:
    """Close a window beside the panel, if it is still open."""
    with suppress(RuntimeError):  # closed and deleted before
        if dialog is not None:
            dialog.close()
