"""The section that lists the tumor regions at the threshold; a click shows one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from magicgui.widgets import Table
from napari.utils.notifications import show_error, show_info, show_warning
from napari.viewer import Viewer
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QStyledItemDelegate
from superqt.utils import qthrottled

from napari_fastnet.core.display import counted
from napari_fastnet.core.geometry import Pair
from napari_fastnet.core.regions import Region, summarise
from napari_fastnet.errors import FastNetError
from napari_fastnet.plugin.detection.viewport import fly_to
from napari_fastnet.plugin.layers.data import to_um
from napari_fastnet.plugin.widgets.dialogs import ask_csv_path
from napari_fastnet.plugin.widgets.section import Section, button, row, text_line
from napari_fastnet.plugin.work.exporting import unfinished
from napari_fastnet.plugin.work.importing import load_regions, load_truth
from napari_fastnet.plugin.work.slide import SlideWork
from napari_fastnet.results.regions import write_regions_csv

#: Keys of the viewer that go from region to region; napari uses none like them.
NEXT_KEY, PREVIOUS_KEY = ".", ","
OUTLINE_FILES = "*.geojson *.json *.xml"
TRUTH_FILES = f"{OUTLINE_FILES} *.tif *.tiff *.png"
COLUMNS = ("class", "area mm²", "longest mm", "max p", "mean p")
#: Shortest time between two updates of the table, ms: by the threshold, by a run.
FOLLOW_MS, FOLLOW_RUN_MS = 200, 2000
#: Share of the canvas that a region fills after a click.
SHARE = 0.4
#: Most rows of the table, the largest regions; layer and export have all.
MOST_ROWS = 500


class RegionsSection(Section):
    """The regions above the threshold, largest first.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer with the slides.

    Attributes
    ----------
    totals : Label
        Number and area of the slide's regions.
    table : Table
        A row for each region.
    csv : PushButton
        Saves a table of all regions with all their measures.
    load : PushButton
        Reads corrected regions from a file.
    truth : PushButton
        Shows the truth from a file, and how well the heatmap covers it.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self.totals = text_line()
        self.csv = button("CSV", "Save all regions as a table", max_width=48)
        self.load = button(
            "load",
            "Replace the regions by outlines corrected in QuPath or ASAP (GeoJSON, XML), "
            "until the threshold is moved",
            max_width=48,
        )
        self.truth = button(
            "truth",
            "Show annotated tumor from a GeoJSON, ASAP XML or mask file, and how well the "
            "heatmap covers it at the threshold",
            max_width=48,
        )
        self.table = Table(
            value={name: [] for name in COLUMNS},
            tooltip="Click a row to show the region. "
            f"Next region [{NEXT_KEY}], previous region [{PREVIOUS_KEY}]",
        )
        self.table.read_only = True
        self.table.min_height = 120
        self.table.native.verticalHeader().hide()
        # magicgui's own delegate writes 0.074 as 7.400e-02
        self.table.native.setItemDelegate(QStyledItemDelegate(self.table.native))
        # After a click the canvas still gets the keys: a table searches for letters.
        self.table.native.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        head = row(self.totals, self.truth, self.load, self.csv)
        super().__init__(napari_viewer, "REGIONS", [head, self.table])
        self._row: int | None = None
        self._find_later = qthrottled(self._find, timeout=FOLLOW_MS)
        self._find_seldom = qthrottled(self._find, timeout=FOLLOW_RUN_MS)
        events = self.workspace.events
        self.listen(self._heatmap_changed, events.heatmap)
        self.listen(self._heatmap_filled, events.filled)
        self.listen(self._show, events.regions, events.spacing)
        self.listen(self._show_totals, events.tissue)
        self.listen(self._other_slide, events.slides)
        self.table.native.currentCellChanged.connect(self._fly)
        self.table.native.cellClicked.connect(self._fly)
        self.csv.changed.connect(self._save_csv)
        self.load.changed.connect(self._load_regions)
        self.truth.changed.connect(self._load_truth)
        self.press_keys({NEXT_KEY: self.next, PREVIOUS_KEY: self.previous})
        self._show()

    def leave(self) -> None:
        """Disconnect, and cancel updates that are due."""
        super().leave()
        self._find_later.cancel()
        self._find_seldom.cancel()

    def next(self) -> None:
        """Show the next region; at first, the largest."""
        self._step(1)

    def previous(self) -> None:
        """Show the previous region."""
        self._step(-1)

    def _step(self, by: int) -> None:
        table = self.table.native
        if not table.rowCount():
            return
        # not the table's own row, which is lost at every update of the table
        at = 0 if self._row is None else self._row + by
        at = min(max(at, 0), table.rowCount() - 1)
        with QSignalBlocker(table):
            table.setCurrentCell(at, 0)
        self._fly(at)

    def save_csv(self, path: Path) -> None:
        """Save all regions of the slide as a table; faults become messages.

        Parameters
        ----------
        path : Path
            Usually ``regions.csv``; replaced if it exists.
        """
        work = self.work
        if work is None or work.heatmap is None:
            return
        try:
            write_regions_csv(
                path, work.regions, mpp=work.heatmap.mpp, slide=work.slide.path.name
            )
        except FastNetError as error:
            show_error(str(error))
            return
        told = f"{counted(len(work.regions), 'region')} written to {path}"
        if words := unfinished(work):
            show_warning(f"{told}; {words}")
        else:
            show_info(told)

    def _save_csv(self) -> None:
        if self.work is not None:
            name = f"{self.work.layer.name}-regions.csv"
            path = ask_csv_path(self.native, self.work.slide.path.with_name(name))
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
        self._row = None
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
        regions = [] if work is None else work.regions[:MOST_ROWS]
        rows = [_row(region) for region in regions]
        with QSignalBlocker(self.table.native):
            self.table.value = {
                name: [values[index] for values in rows]
                for index, name in enumerate(COLUMNS)
            }
            self.table.native.setCurrentItem(None)
            self.table.native.resizeColumnsToContents()
        self._show_totals(work)
        self.csv.enabled = work is not None and work.heatmap is not None
        self.load.enabled = self.csv.enabled
        self.truth.enabled = work is not None and work.ready

    def _show_totals(self, work: SlideWork | None) -> None:
        """Update the totals, which depend on the tissue's area too."""
        if work is self.work:
            self.totals.value = "" if work is None else totals_of(work)

    def _fly(self, row: int, *_: Any) -> None:
        work = self.work
        if work is None or not 0 <= row < len(work.regions):
            return
        corners_px = np.concatenate([p[0] for p in work.regions[row].polygons])
        corners = to_um(corners_px, work.slide.require_mpp())
        low, high = corners.min(axis=0), corners.max(axis=0)
        self._row = row
        fly_to(self.workspace.viewer, tuple(low), tuple(high), SHARE)


def _row(region: Region) -> list[str]:
    # a region of one cell has 0.00024 mm², which three decimals would show as 0
    area = f"{region.area_mm2:{'.3f' if region.area_mm2 >= 0.01 else '.2g'}}"
    return [
        region.size_class,
        area,
        f"{region.longest_axis_mm:.2f}",
        f"{region.max_probability:.2f}",
        f"{region.mean_probability:.2f}",
    ]


def totals_of(work: SlideWork) -> str:
    """Return number and area of a slide's regions in words, empty without a heatmap."""
    if work.heatmap is None:
        return ""
    totals = summarise(work.regions, work.masks.area_mm2)
    count, area = totals.regions, totals.area_mm2
    words = f"{counted(count, 'region')}, {area:.2f} mm²"
    if work.region_finder.outlines is not None:  # outlines may lie outside the tissue
        return f"{words}, from {Path(work.region_finder.outlines_path).name}"
    share, tissue = totals.tissue_fraction, totals.tissue_mm2
    if share is None or tissue is None:
        return words
    return f"{words} of {tissue:.1f} mm² tissue ({share:.1%})"
