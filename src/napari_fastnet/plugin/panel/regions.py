"""The section that lists tumour regions at the threshold; a click flies there."""

from __future__ import annotations

from typing import Any

import numpy as np
from magicgui.widgets import Label, Table
from napari.viewer import Viewer
from qtpy.QtWidgets import QStyledItemDelegate
from superqt.utils import qthrottled

from napari_fastnet.core.regions import Region, summarise
from napari_fastnet.plugin.layers import to_um
from napari_fastnet.plugin.panel.section import Section
from napari_fastnet.plugin.slide_work import SlideWork

COLUMNS = ("class", "area mm²", "longest mm", "max p", "mean p")
#: The table follows threshold and run at most so often, ms.
FOLLOW_MS = 200
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
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self.totals = Label(value="")
        self.table = Table(
            value={name: [] for name in COLUMNS}, tooltip="Click a row to fly there"
        )
        self.table.read_only = True
        self.table.min_height = 120
        self.table.native.verticalHeader().hide()
        # magicgui's own would write 0.074 as 7.400e-02
        self.table.native.setItemDelegate(QStyledItemDelegate(self.table.native))
        super().__init__(napari_viewer, "REGIONS", [self.totals, self.table])
        self._find_later = qthrottled(self._find, timeout=FOLLOW_MS)
        events = self.workspace.events
        self.listen(events.heatmap, self._heatmap_changed)
        self.listen(events.regions, self._show)
        self.listen(events.spacing, self._show)
        self.listen(events.slides, self._show)
        self.table.native.currentCellChanged.connect(self._fly)
        self.table.native.cellClicked.connect(self._fly)
        self._show()

    def leave(self) -> None:
        """Listen no more."""
        super().leave()
        self._find_later.cancel()

    def _heatmap_changed(self, work: SlideWork) -> None:
        if work is self.work:
            self._find_later()

    def _find(self) -> None:
        if self.work is not None:
            self.work.find_regions()

    def _show(self, work: SlideWork | None = None) -> None:
        if work is not None and work is not self.work:
            return
        work = self.work
        regions = [] if work is None else work.regions[:MOST_ROWS]
        self.table.native.blockSignals(True)
        rows = [_row(region) for region in regions]
        self.table.value = {
            name: [values[index] for values in rows]
            for index, name in enumerate(COLUMNS)
        }
        self.table.native.setCurrentItem(None)
        self.table.native.resizeColumnsToContents()
        self.table.native.blockSignals(False)
        self.totals.value = "" if work is None else totals_of(work)

    def _fly(self, row: int, *_: Any) -> None:
        work = self.work
        if work is None or not 0 <= row < len(work.regions):
            return
        corners_px = np.concatenate([p[0] for p in work.regions[row].polygons])
        corners = to_um(corners_px, work.slide.require_mpp())
        low, high = corners.min(axis=0), corners.max(axis=0)
        viewer = self.workspace.viewer
        size = np.asarray(viewer.canvas.size)
        viewer.scene.camera.center = (0, *((low + high) / 2))
        viewer.scene.camera.zoom = float((SHARE * size / (high - low)).min())


def _row(region: Region) -> list[str]:
    return [
        region.size_class,
        f"{region.area_mm2:.3f}",
        f"{region.longest_axis_mm:.2f}",
        f"{region.max_probability:.2f}",
        f"{region.mean_probability:.2f}",
    ]


def totals_of(work: SlideWork) -> str:
    """Return a slide's totals in words."""
    if work.heatmap is None:
        return ""
    totals = summarise(work.regions, work.tissue_mm2)
    count, area = totals["regions"], totals["area_mm2"]
    words = f"{count} region{'' if count == 1 else 's'}, {area:.2f} mm²"
    share, tissue = totals["tissue_fraction"], totals["tissue_mm2"]
    if share is None or tissue is None:
        return words
    return f"{words} of {tissue:.1f} mm² tissue ({share:.1%})"
