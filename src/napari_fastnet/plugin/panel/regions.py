"""The section of a slide's totals, and of files with regions and truth."""

from __future__ import annotations

from pathlib import Path

from napari.utils.notifications import show_error, show_info, show_warning
from napari.viewer import Viewer
from superqt.utils import qthrottled

from napari_fastnet.core.display import counted
from napari_fastnet.core.geometry import Pair
from napari_fastnet.core.lesions.evidence import no_lesion_words
from napari_fastnet.core.lesions.regions import summarise
from napari_fastnet.errors import FastNetError
from napari_fastnet.plugin.widgets.dialogs import ask_csv_path, folder_beside
from napari_fastnet.plugin.widgets.section import Section, button, row, text_line
from napari_fastnet.plugin.work.exporting import unfinished
from napari_fastnet.plugin.work.importing import (
    load_regions,
    load_truth,
    load_verdicts,
)
from napari_fastnet.plugin.work.slide import SlideWork
from napari_fastnet.results.regions import write_regions_csv
from napari_fastnet.results.reviewed import listed

OUTLINE_FILES = "*.geojson *.json *.xml *.qpproj *.qpdata"
VERDICT_FILES = "*.qpproj *.qpdata *.geojson *.json"
TRUTH_FILES = f"{OUTLINE_FILES} *.tif *.tiff *.png"
#: Shortest time between two searches for regions, ms: by the threshold, by a run.
FOLLOW_MS, FOLLOW_RUN_MS = 200, 2000


class RegionsSection(Section):
    """Figures of found and accepted lesions; regions and truth from files.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer with the slides.

    Attributes
    ----------
    totals : Label
        Number and area of the machine's lesions, and what the person decided; the
        review has a place for it.
    csv : PushButton
        Saves a table of all regions with all their measures.
    load : PushButton
        Reads corrected regions from a file.
    verdicts : PushButton
        Takes the verdicts of a file into the review.
    truth : PushButton
        Shows the truth from a file, and how well the heatmap covers it.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self.totals = text_line()
        self.csv = button("save table", "Save all lesions as a table (CSV)")
        self.load = button(
            "outline file",
            "Replace the regions by outlines corrected in QuPath or ASAP (GeoJSON, XML), "
            "until the threshold is moved",
        )
        self.verdicts = button(
            "verdicts file",
            "Take the verdicts of a QuPath project or GeoJSON into the review: the class of "
            "an annotation says what a lesion is",
        )
        self.truth = button(
            "compare with truth",
            "Show annotated tumor from a GeoJSON, ASAP XML or mask file, and how well the "
            "heatmap covers it at the threshold",
        )
        super().__init__(
            napari_viewer,
            "Files of lesions",
            [row(self.truth, self.load, self.verdicts, self.csv)],
        )
        self.margins = (0, 0, 0, 0)
        self.fold.heading.hide()  # the board has no room for it
        self._find_later = qthrottled(self._find, timeout=FOLLOW_MS)
        self._find_seldom = qthrottled(self._find, timeout=FOLLOW_RUN_MS)
        events = self.workspace.events
        self.listen(self._heatmap_changed, events.heatmap)
        self.listen(self._heatmap_filled, events.filled)
        self.listen(
            self._show,
            *(events.regions, events.spacing, events.tissue, events.decisions),
        )
        self.listen(self._other_slide, events.slides)
        self.csv.changed.connect(self._save_csv)
        self.load.changed.connect(self._load_regions)
        self.verdicts.changed.connect(self._load_verdicts)
        self.truth.changed.connect(self._load_truth)
        self._other_slide()  # whose run may have been opened before

    def leave(self) -> None:
        """Disconnect, and cancel updates that are due."""
        super().leave()
        self._find_later.cancel()
        self._find_seldom.cancel()

    def save_csv(self, path: Path) -> None:
        """Save all lesions of the slide as a table, with what was decided on them.

        Faults become messages.

        Parameters
        ----------
        path : Path
            Usually ``regions.csv``; replaced if it exists.
        """
        work = self.work
        if work is None or work.heatmap is None:
            return
        try:
            lesions = listed(work.review.reviewed, work.regions)
            write_regions_csv(
                path, lesions, mpp=work.heatmap.mpp, slide=work.slide.path.name
            )
        except FastNetError as error:
            show_error(str(error))
            return
        told = f"{counted(len(lesions), 'region')} written to {path}"
        if words := unfinished(work):
            show_warning(f"{told}; {words}")
        else:
            show_info(told)

    def _save_csv(self) -> None:
        if self.work is not None:
            name = f"{self.work.layer.name}-regions.csv"
            path = ask_csv_path(self.native, folder_beside(self.work.slide) / name)
            if path is not None:
                self.save_csv(path)

    def load_regions(self, path: Path, bounds_offset: Pair = (0.0, 0.0)) -> None:
        """Replace the regions by outlines from a file; faults become messages.

        Parameters
        ----------
        path : Path
            GeoJSON, ASAP's XML or CAMELYON's JSON, in level-0 px.
        bounds_offset : tuple of float, optional
            (y, x) level-0 px to add to the outlines.
        """
        work = self.work
        if work is not None and work.heatmap is not None:
            load_regions(work, path, bounds_offset=bounds_offset)

    def _load_regions(self) -> None:
        self.ask_file("Corrected regions", OUTLINE_FILES, self.load_regions)

    def load_verdicts(self, path: Path, bounds_offset: Pair = (0.0, 0.0)) -> None:
        """Take the verdicts of a file into the review; faults become messages.

        Parameters
        ----------
        path : Path
            A project of QuPath, ``data.qpdata`` of one of its images, or GeoJSON.
        bounds_offset : tuple of float, optional
            (y, x) level-0 px to add to outlines; a project says its own.
        """
        work = self.work
        if work is not None and work.heatmap is not None:
            load_verdicts(work, path, bounds_offset=bounds_offset)

    def _load_verdicts(self) -> None:
        self.ask_file("Verdicts", VERDICT_FILES, self.load_verdicts)

    def load_truth(self, path: Path, bounds_offset: Pair = (0.0, 0.0)) -> None:
        """Show the tumor that a file annotates; faults become messages.

        Parameters
        ----------
        path : Path
            Outlines in level-0 px, or a mask of the whole slide.
        bounds_offset : tuple of float, optional
            (y, x) level-0 px to add to outlines.
        """
        work = self.work
        if work is not None and work.ready:
            load_truth(work, path, bounds_offset=bounds_offset)

    def _load_truth(self) -> None:
        self.ask_file("Truth", TRUTH_FILES, self.load_truth)

    def _other_slide(self) -> None:
        self._show()
        if self.work is not None and self.work.heatmap is not None:
            self._find_later()  # the heatmap may have changed meanwhile

    def _heatmap_changed(self, work: SlideWork) -> None:
        if work is self.work:
            self._find_seldom.cancel()
            self._find_later()

    def _heatmap_filled(self, work: SlideWork) -> None:
        if work is self.work:
            self._find_seldom()

    def _find(self) -> None:
        if self.work is not None:
            self.work.region_finder.find()

    def _show(self, work: SlideWork | None = None) -> None:
        if work is not None and work is not self.work:
            return
        work = self.work
        self.totals.value = "" if work is None else totals_of(work)
        self.csv.enabled = work is not None and work.heatmap is not None
        self.load.enabled = self.verdicts.enabled = self.csv.enabled
        self.truth.enabled = work is not None and work.ready


def totals_of(work: SlideWork) -> str:
    """Return the machine's totals and the person's, apart; empty without a heatmap."""
    if work.heatmap is None:
        return ""
    if work.layers.veiled:
        return "hidden until you have noted your verdict on the slide"
    totals = summarise(work.regions, work.masks.area_mm2)
    found = f"{counted(totals.regions, 'lesion')}, {totals.area_mm2:.2f} mm²"
    share, tissue = totals.tissue_fraction, totals.tissue_mm2
    who = "FastNet"
    if work.region_finder.outlines is not None:  # outlines may lie outside the tissue
        who = Path(work.region_finder.outlines_path).name
    elif not totals.regions:
        found = no_lesion_words(work.rule)
    elif share is not None and tissue is not None:
        found += f" of {tissue:.1f} mm² tissue ({share:.1%})"
    words = f"{who}: {found}"
    decided = work.review.words()
    return f"{words}; you: {decided}" if decided else words
