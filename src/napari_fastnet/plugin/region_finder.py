"""The regions of one slide, found in a thread: that takes longer than a frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.regions import Region, find_regions
from napari_fastnet.plugin.latest import Latest
from napari_fastnet.plugin.layers import regions_layer_data

if TYPE_CHECKING:
    from napari_fastnet.plugin.slide_work import SlideWork

#: Between two showings the window has so many times as long for everything else.
REST = 4


class RegionFinder:
    """Finds and shows the regions at the threshold of now.

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
        self._latest = Latest(self._prepare, self._take, rest=REST)

    def find(self) -> None:
        """Find the regions as of now; while it is busy, as of then."""
        self._latest.ask()

    def drop(self) -> None:
        """Show nothing of what is being found; what was found stays."""
        self._latest.drop()

    def forget(self) -> None:
        """Have none."""
        self.drop()
        self.found = []

    def _prepare(self) -> Callable[[], list[Region]] | None:
        heatmap, threshold = self._work.heatmap, self._work.threshold
        if heatmap is None:
            return None
        still = Heatmap(np.array(heatmap.probabilities), heatmap.grid, heatmap.mpp)
        return lambda: find_regions(still, threshold)

    def _take(self, regions: list[Region]) -> None:
        work, self.found = self._work, regions
        if work.heatmap is None:
            return
        if regions or work.layer_of("regions") is not None:
            data = regions_layer_data(
                regions,
                work.heatmap.mpp,
                work.slide.path.stem,
                fingerprint=work.fingerprint,
                record=work.told_record(),
            )
            work.layers.put("regions", data)
        work.events.regions.emit(work)
