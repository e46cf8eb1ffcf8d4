"""The regions of one slide, found in a thread: that takes longer than a frame."""

from __future__ import annotations

from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QTimer
from superqt.utils import ensure_main_thread

from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.regions import Region, find_regions
from napari_fastnet.plugin.layers import regions_layer_data

if TYPE_CHECKING:
    from napari_fastnet.plugin.slide_work import SlideWork


#: Between two showings the window has so many times as long for everything else.
REST = 4


class RegionFinder:
    """Finds and shows the regions of what was asked for last.

    Parameters
    ----------
    work : SlideWork
        Whose heatmap and threshold.

    Attributes
    ----------
    found : list of Region
        As of when they were found last.
    """

    def __init__(self, work: SlideWork) -> None:
        self.found: list[Region] = []
        self._work = work
        self._busy = self._again = False
        self._wanted = object()  # of what is being found; another when it is not wanted

    def find(self) -> None:
        """Find the regions as of now; while it is busy, as of then."""
        heatmap = self._work.heatmap
        self._again = self._busy
        if self._busy or heatmap is None:
            return
        self._busy = True
        still = Heatmap(np.array(heatmap.probabilities), heatmap.grid, heatmap.mpp)
        threshold = self._work.threshold
        wanted, take = self._wanted, ensure_main_thread(self._take)
        Thread(
            target=lambda: take(wanted, find_regions(still, threshold)),
            name="fastnet-regions",
            daemon=True,  # nothing is lost with it
        ).start()

    def drop(self) -> None:
        """Show nothing of what is being found; what was found stays."""
        self._wanted, self._again = object(), False

    def forget(self) -> None:
        """Have none."""
        self.drop()
        self.found = []

    def _take(self, wanted: object, regions: list[Region]) -> None:
        began, heatmap = perf_counter(), self._work.heatmap
        if wanted is self._wanted and heatmap is not None:
            self.found = regions
            self._show(heatmap)
        rest_ms = REST * (perf_counter() - began) * 1e3
        QTimer.singleShot(int(rest_ms), self._next)

    def _next(self) -> None:
        self._busy = False
        if self._again:
            self.find()

    def _show(self, heatmap: Heatmap) -> None:
        work = self._work
        if self.found or work.layer_of("regions") is not None:
            data = regions_layer_data(
                self.found,
                heatmap.mpp,
                work.slide.path.stem,
                fingerprint=work.fingerprint,
                record=work.told_record(),
            )
            work.layers.put("regions", data)
        work.events.regions.emit(work)
