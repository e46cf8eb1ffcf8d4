"""The regions of one slide, found in a thread: that takes longer than a frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from napari_fastnet.core.drawn_regions import regions_of_outlines
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.core.regions import Region, find_regions
from napari_fastnet.plugin.threads.latest import Latest

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
    """Finds the regions at the threshold of now.

    Parameters
    ----------
    sought : callable
        Returns the heatmap and the threshold of now, or None without a heatmap.
    slide : Box
        The whole slide, level-0 px.
    found : callable
        Is told the regions, in the window's thread.

    Attributes
    ----------
    found : list of Region
        As of when they were found last.
    outlines : Annotations or None
        Regions that were brought, and take the place of those at the threshold.
    outlines_path : str
        The file that they were brought from.
    """

    def __init__(
        self,
        sought: Callable[[], tuple[Heatmap, float] | None],
        slide: Box,
        found: Callable[[list[Region]], None],
    ) -> None:
        self.found: list[Region] = []
        self.outlines: Annotations | None = None
        self.outlines_path = ""
        self._sought, self._slide, self._found = sought, slide, found
        self._latest = Latest(self._prepare, self._take, rest=REST)

    def find(self) -> None:
        """Find the regions as of now; while it is busy, as of then."""
        self._latest.ask()

    def take_outlines(self, outlines: Annotations, path: str) -> None:
        """Measure a file's outlines instead of finding regions, and show them."""
        self.outlines, self.outlines_path = outlines, path
        self.drop()  # those at the threshold, which are being found
        self.find()

    def drop(self) -> None:
        """Show nothing of what is being found; what was found stays."""
        self._latest.drop()

    def forget(self) -> None:
        """Have none."""
        self.drop()
        self.found, self.outlines = [], None

    def _prepare(self) -> Callable[[], list[Region]] | None:
        sought = self._sought()
        if sought is None:
            return None
        heatmap, threshold = sought
        still = Heatmap(np.array(heatmap.probabilities), heatmap.grid, heatmap.mpp)
        outlines, slide = self.outlines, self._slide
        return lambda: regions_at(still, threshold, outlines, slide)

    def _take(self, regions: list[Region]) -> None:
        self.found = regions
        self._found(regions)
