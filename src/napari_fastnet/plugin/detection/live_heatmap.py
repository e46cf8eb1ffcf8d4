"""The heatmap of a run, of which the patches that the masks keep are shown."""

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
    """A region of interest before and after an edit, and the cells of the grid that change."""

    before: NDArray[np.bool_]
    after: NDArray[np.bool_]
    found: tuple[Cells, NDArray[np.bool_]] | None


class LiveHeatmap:
    """Known probabilities; those of patches that the masks keep are shown.

    A patch erased from the region of interest is hidden, not forgotten: once it is
    painted again, it shows its value.

    Parameters
    ----------
    run : SlideRun
        Laid out.
    known : Heatmap
        Values in its store; written to.

    Attributes
    ----------
    heatmap : Heatmap
        As shown; written to, so that a layer of its array needs a refresh only.
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
        """Number of patches that the masks keep now."""
        return int(self._kept.sum())

    def fill(self, block: Block, values: NDArray[np.float32]) -> None:
        """Take the values of a block, also of patches that are no longer kept."""
        self._known[block.slices] = values
        self._show(block.slices)

    def finding(self, roi: NDArray[np.bool_]) -> Callable[[], Edit]:
        """Return a function that finds, in any thread, the patches another region keeps.

        Parameters
        ----------
        roi : (height, width) bool ndarray
            The region of interest after the edit; not written to afterwards.
        """
        before, patches = self._roi, self._patches
        (height, width), (rows, columns) = self._slide_shape, roi.shape
        step = (height / rows, width / columns)
        return lambda: Edit(
            before, roi, kept_after(patches, before, roi, mask_step=step, keep=KEEP)
        )

    def apply(self, edit: Edit) -> bool:
        """Hide the patches that an edit took away, show the known ones it put back.

        Returns
        -------
        bool
            False if the region of interest changed since the edit was prepared; nothing
            is done then.
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
        """Take the kept patches of another run over the same grid."""
        self._roi, self._kept = run.tissue.masks.roi, run.plan.patches.kept.copy()
        self._show((slice(None), slice(None)))

    def _show(self, place: tuple[slice, slice]) -> None:
        shown = np.where(self._kept[place], self._known[place], NAN)
        self.heatmap.probabilities[place] = shown
