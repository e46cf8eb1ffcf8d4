"""The regions of one slide, found in a thread: that takes longer than a frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.drawn_regions import regions_of_outlines
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.core.regions import Region, find_regions
from napari_fastnet.plugin.threads.latest import Latest
from napari_fastnet.plugin.work.outlines import RegionOutlines

if TYPE_CHECKING:
    from napari_fastnet.plugin.work.slide import SlideWork

#: Between two showings the window has so many times as long for everything else.
REST = 4


def regions_at(
    heatmap: Heatmap, threshold: float, outlines: Annotations | None, slide: Box
) -> list[Region]:
    """Return the regions at a threshold, or of outlines that take their place."""
    if outlines is None:
        return find_regions(heatmap, threshold)
    return regions_of_outlines(outlines, heatmap, slide)


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
    outlines : Annotations or None
        Regions that were brought, and take the place of those at the threshold.
    outlines_path : str
        The file that they were brought from.
    """

    def __init__(self, work: SlideWork) -> None:
        self.found: list[Region] = []
        self.outlines: Annotations | None = None
        self.outlines_path = ""
        self._work = work
        self._outlines = RegionOutlines(work)
        self._latest = Latest(self._prepare, self._take, rest=REST)

    def find(self) -> None:
        """Find the regions as of now; while it is busy, as of then."""
        self._latest.ask()

    def take_outlines(self, outlines: Annotations, path: str) -> None:
        """Measure a file's outlines instead of finding regions, and show them."""
        self.outlines, self.outlines_path = outlines, path
        self.drop()  # those at the threshold, which are being found
        self.find()

    def lock(self) -> None:
        """Guard the layer of the outlines, which a script or a file has put there."""
        self._outlines.guard()

    def tell_locked(self) -> None:
        """Tell, once, that the outlines cannot be edited by hand."""
        self._outlines.tell()

    def drop(self) -> None:
        """Show nothing of what is being found; what was found stays."""
        self._latest.drop()

    def close(self) -> None:
        """Find no more, and leave the layer to itself."""
        self.drop()
        self._outlines.release()

    def forget(self) -> None:
        """Have none."""
        self.close()
        self.found, self.outlines = [], None

    def _prepare(self) -> Callable[[], list[Region]] | None:
        heatmap, threshold = self._work.heatmap, self._work.threshold
        if heatmap is None:
            return None
        still = Heatmap(np.array(heatmap.probabilities), heatmap.grid, heatmap.mpp)
        outlines, slide = self.outlines, Box.of_shape(self._work.slide.shape)
        return lambda: regions_at(still, threshold, outlines, slide)

    def _take(self, regions: list[Region]) -> None:
        work, self.found = self._work, regions
        if work.heatmap is None:
            return
        self._outlines.show(regions, work.heatmap.mpp)
        work.events.regions.emit(work)
