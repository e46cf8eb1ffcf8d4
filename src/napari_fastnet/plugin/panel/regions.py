"""The section that lists tumour regions at the threshold; a click flies there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from magicgui.widgets import PushButton, Table
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
from napari_fastnet.plugin.panel.keys import NEXT_REGION, PREVIOUS_REGION
from napari_fastnet.plugin.widgets.dialogs import ask_csv_path, ask_file, ask_origin
from napari_fastnet.plugin.widgets.section import Section, row, text_line
from napari_fastnet.plugin.work.exporting import unfinished
from napari_fastnet.plugin.work.importing import load_regions, load_truth
from napari_fastnet.plugin.work.slide import SlideWork
from napari_fastnet.results.regions import write_regions_csv

OUTLINE_FILES = "*.geojson *.json *.xml"
TRUTH_FILES = f"{OUTLINE_FILES} *.tif *.tiff *.png"
COLUMNS = ("class", "area mm²", "longest mm", "max p", "mean p")
#: The table follows the threshold at most so often, ms, and a run that is going on.
FOLLOW_MS, FOLLOW_RUN_MS = 200, 2000
#: A region fills this share of the canvas after a click.
SHARE = 0.4
#: The table shows so many, the largest; all are in the layer and the export.
MOST_ROWS = 500


class RegionsSection(Section):
    """Regions from the threshold on, largest first.

    Parameters
    ----------
    napari_viewer : Viewer
        Its slides.

    Attributes
    ----------
    totals : Label
        Of the slide.
    table : Table
        A row a region.
    csv : PushButton
        Saves the table, with all regions and all their measures.
    load : PushButton
        Takes corrected regions from a file.
    truth : PushButton
        Shows the truth out of a file, and how well the heatmap covers it.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self.totals = text_line()
        self.csv = PushButton(
            text="CSV", tooltip="Save the table for a spreadsheet: every region"
        )
        self.load = PushButton(
            text="load",
            tooltip="Let outlines that were corrected in QuPath or ASAP, GeoJSON or XML, "
            "take the regions' place until the threshold is moved",
        )
        self.truth = PushButton(
            text="truth",
            tooltip="Show where GeoJSON, ASAP's XML or a mask says that tumour is, and how "
            "well the heatmap covers it at the threshold",
        )
        for button in (self.csv, self.load, self.truth):
            button.max_width = 48
        self.table = Table(
            value={name: [] for name in COLUMNS},
            tooltip="Click a row to fly there; the next and the one before: "
            f"[{NEXT_REGION}] and [{PREVIOUS_REGION}]",
        )
        self.table.read_only = True
        self.table.min_height = 120
        self.table.native.verticalHeader().hide()
        # magicgui's own would write 0.074 as 7.400e-02
        self.table.native.setItemDelegate(QStyledItemDelegate(self.table.native))
        # A click leaves the keys to the canvas: a table would search for the letters.
        self.table.native.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        head = row(self.totals, self.truth, self.load, self.csv)
        super().__init__(napari_viewer, "REGIONS", [head, self.table])
        self._row: int | None = None
        self._find_later = qthrottled(self._find, timeout=FOLLOW_MS)
        self._find_seldom = qthrottled(self._find, timeout=FOLLOW_RUN_MS)
        events = self.workspace.events
        self.listen(events.heatmap, self._heatmap_changed)
        self.listen(events.filled, self._heatmap_filled)
        self.listen(events.regions, self._show)
        self.listen(events.spacing, self._show)
        self.listen(events.tissue, self._show_totals)
        self.listen(events.slides, self._other_slide)
        self.table.native.currentCellChanged.connect(self._fly)
        self.table.native.cellClicked.connect(self._fly)
        self.csv.changed.connect(self._ask_and_save)
        self.load.changed.connect(self._ask_and_load)
        self.truth.changed.connect(self._ask_and_show_truth)
        self.press_keys({NEXT_REGION: self.next, PREVIOUS_REGION: self.previous})
        self._show()

    def leave(self) -> None:
        """Listen no more."""
        super().leave()
        self._find_later.cancel()
        self._find_seldom.cancel()

    def next(self) -> None:
        """Fly to the next region; from none, to the largest."""
        self._step(1)

    def previous(self) -> None:
        """Fly to the region before."""
        self._step(-1)

    def _step(self, by: int) -> None:
        table = self.table.native
        if not table.rowCount():
            return
        # not the table's own row, which is lost whenever the table follows a run
        at = 0 if self._row is None else self._row + by
        at = min(max(at, 0), table.rowCount() - 1)
        with QSignalBlocker(table):
            table.setCurrentCell(at, 0)
        self._fly(at)

    def save_csv(self, path: Path) -> None:
        """Save all regions of the slide as a table; a failure is told.

        Parameters
        ----------
        path : Path
            Usually ``regions.csv``; replaced where it exists.
        """
        work = self.work
        if work is None or work.heatmap is None:
            return
        try:
            write_regions_csv(
                path,
                work.regions,
                mpp=work.heatmap.mpp,
                slide=work.slide.path.name,
            )
        except FastNetError as error:
            show_error(str(error))
            return
        told = f"{counted(len(work.regions), 'region')} written to {path}"
        if words := unfinished(work):
            show_warning(f"{told}; {words}")
        else:
            show_info(told)

    def _ask_and_save(self) -> None:
        if self.work is None:
            return
        suggestion = self.work.slide.path.with_name(
            f"{self.work.layer.name}-regions.csv"
        )
        path = ask_csv_path(self.native, suggestion)
        if path is not None:
            self.save_csv(path)

    def load_regions(self, path: Path, bounds_offset: Pair = (0.0, 0.0)) -> None:
        """Let a file's outlines take the regions' place; faults are told.

        Parameters
        ----------
        path : Path
            GeoJSON, ASAP's XML or CAMELYON's JSON, in level-0 px.
        bounds_offset : tuple of float, optional
            (y, x) level-0 px that are added to outlines.
        """
        work = self.work
        if work is not None and work.heatmap is not None:
            load_regions(work, path, bounds_offset=bounds_offset)

    def load_truth(self, path: Path, bounds_offset: Pair = (0.0, 0.0)) -> None:
        """Show where a file says that tumour is; faults are told.

        Parameters
        ----------
        path : Path
            Outlines in level-0 px, or a mask of the whole slide.
        bounds_offset : tuple of float, optional
            (y, x) level-0 px that are added to outlines.
        """
        work = self.work
        if work is not None and work.ready:
            load_truth(work, path, bounds_offset=bounds_offset)

    def _ask_and_show_truth(self) -> None:
        if self.work is not None:
            start, title = self.work.slide.path.parent, "Truth"
            path = ask_file(self.native, title, start, TRUTH_FILES)
            offset = ask_origin(self.native, path, self.work.slide.bounds)
            if path is not None and offset is not None:
                self.load_truth(path, offset)

    def _ask_and_load(self) -> None:
        if self.work is not None:
            start, title = self.work.slide.path.parent, "Corrected regions"
            path = ask_file(self.native, title, start, OUTLINE_FILES)
            offset = ask_origin(self.native, path, self.work.slide.bounds)
            if path is not None and offset is not None:
                self.load_regions(path, offset)

    def _other_slide(self) -> None:
        self._row = None
        self._show()
        if self.work is not None and self.work.heatmap is not None:
            self._find_later()  # it may have changed while another was looked at

    def _heatmap_changed(self, work: SlideWork) -> None:
        if work is self.work:
            self._find_seldom.cancel()  # found anew soon
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
        """Follow the regions, and the tissue that they are a share of."""
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
    return [
        region.size_class,
        # of a single value, 0.00024: three decimals would say that it is none
        f"{region.area_mm2:.3f}"
        if region.area_mm2 >= 0.01
        else f"{region.area_mm2:.2g}",
        f"{region.longest_axis_mm:.2f}",
        f"{region.max_probability:.2f}",
        f"{region.mean_probability:.2f}",
    ]


def totals_of(work: SlideWork) -> str:
    """Return a slide's totals in words."""
    if work.heatmap is None:
        return ""
    totals = summarise(work.regions, work.masks.area_mm2)
    count, area = totals.regions, totals.area_mm2
    words = f"{counted(count, 'region')}, {area:.2f} mm²"
    if work.region_finder.outlines is not None:  # they may lie beside the tissue
        return f"{words}, from {Path(work.region_finder.outlines_path).name}"
    share, tissue = totals.tissue_fraction, totals.tissue_mm2
    if share is None or tissue is None:
        return words
    return f"{words} of {tissue:.1f} mm² tissue ({share:.1%})"
