"""The heatmap of a run that follows the masks: what is known, and what of it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.grid_edits import kept_after

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.engine.runs import SlideRun
    from napari_fastnet.io.store import Block

NAN = np.float32(np.nan)


class LiveHeatmap:
    """Known probabilities, of which those of patches in the masks show.

    A patch that is taken out of the region of interest is hidden, not forgotten: put
    back, it shows what is known of it.

    Parameters
    ----------
    run : SlideRun
        Laid out.
    known : Heatmap
        What its store holds; written to.

    Attributes
    ----------
    heatmap : Heatmap
        What shows; written to, so a layer of its array follows after a refresh.
    """

    def __init__(self, run: SlideRun, known: Heatmap) -> None:
        self._patches, self._keep = run.plan.patches, run.plan.keep
        self._slide_shape = run.slide.shape
        self._roi = run.tissue.masks.roi
        self._known = known.probabilities
        self._kept = run.plan.patches.kept.copy()
        self.heatmap = known.only(self._kept)

    @property
    def computed(self) -> int:
        """How many of the patches that are kept have a value."""
        return int(self.heatmap.computed.sum())

    def fill(self, block: Block, values: NDArray[np.float32]) -> None:
        """Take the values of a block, which may hold patches that are kept no more."""
        self._known[block.slices] = values
        self._show(block.slices)

    def follow(self, roi: NDArray[np.bool_]) -> bool:
        """Hide what an edit of the region of interest took away, show what it put back.

        Parameters
        ----------
        roi : (height, width) bool ndarray
            As edited; not to be written to afterwards.

        Returns
        -------
        bool
            Whether it is another region of interest than before.
        """
        before, self._roi = self._roi, roi
        if roi is before or np.array_equal(before, roi):
            return False
        (height, width), (rows, columns) = self._slide_shape, roi.shape
        found = kept_after(
            self._patches,
            before,
            roi,
            mask_step=(height / rows, width / columns),
            keep=self._keep,
        )
        if found is not None:
            place, kept = found
            self._kept[place] = kept
            self._show(place)
        return True

    def _show(self, place: tuple[slice, slice]) -> None:
        shown = np.where(self._kept[place], self._known[place], NAN)
        self.heatmap.probabilities[place] = shown
