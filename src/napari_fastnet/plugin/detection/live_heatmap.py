"""The heatmap of a run that follows the masks: what is known, and what of it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_fastnet.core.grid import Cells, kept_after
from napari_fastnet.detection.plan import KEEP

if TYPE_CHECKING:
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.detection.run import SlideRun
    from napari_fastnet.store.store import Block

NAN = np.float32(np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """A region of interest as it was and as it is, and what of the grid that changes."""

    before: NDArray[np.bool_]
    after: NDArray[np.bool_]
    found: tuple[Cells, NDArray[np.bool_]] | None


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
        self._patches = run.plan.patches
        self._slide_shape = run.slide.shape
        self._roi = run.tissue.masks.roi
        self._known = known.probabilities
        self._kept = run.plan.patches.kept.copy()
        self.heatmap = known.only(self._kept)

    @property
    def kept(self) -> int:
        """How many patches the masks keep by now."""
        return int(self._kept.sum())

    def fill(self, block: Block, values: NDArray[np.float32]) -> None:
        """Take the values of a block, which may hold patches that are kept no more."""
        self._known[block.slices] = values
        self._show(block.slices)

    def finding(self, roi: NDArray[np.bool_]) -> Callable[[], Edit]:
        """Return what finds, in any thread, which patches another region keeps.

        Parameters
        ----------
        roi : (height, width) bool ndarray
            The region of interest as edited; not to be written to afterwards.
        """
        before, patches = self._roi, self._patches
        (height, width), (rows, columns) = self._slide_shape, roi.shape
        step = (height / rows, width / columns)

        def find() -> Edit:
            found = kept_after(patches, before, roi, mask_step=step, keep=KEEP)
            return Edit(before, roi, found)

        return find

    def apply(self, edit: Edit) -> bool:
        """Hide what an edit took away, show what is known of what it put back.

        Returns
        -------
        bool
            Whether it was done: not where the region of interest is another by now
            than the one that was edited.
        """
        if edit.before is not self._roi:
            return False
        self._roi = edit.after
        if edit.found is not None:
            place, kept = edit.found
            self._kept[place] = kept
            self._show(place)
        return True

    def lay_out(self, run: SlideRun) -> None:
        """Take the patches of a run over the same cells."""
        self._roi, self._kept = run.tissue.masks.roi, run.plan.patches.kept.copy()
        self._show((slice(None), slice(None)))

    def _show(self, place: tuple[slice, slice]) -> None:
        shown = np.where(self._kept[place], self._known[place], NAN)
        self.heatmap.probabilities[place] = shown
