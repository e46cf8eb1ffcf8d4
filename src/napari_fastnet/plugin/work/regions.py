"""Regions of one slide: found in a thread, drawn as outlines that cannot be moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info, show_warning

from napari_fastnet.core.geometry import Box
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.evidence import find_candidates, strength
from napari_fastnet.core.lesions.pieces import Pieces
from napari_fastnet.core.lesions.regions import Region, regions_of_outlines
from napari_fastnet.core.options import LesionRule
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.plugin.threads.latest import Latest

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_fastnet.core.arrays import Bools, Singles
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.plugin.layers.data import LayerData
    from napari_fastnet.plugin.layers.shown import WorkLayers

#: Pause after showing regions, as a multiple of the time that took: the rest is left to
#: the window.
REST = 4
LOCKED = (
    "the outlines follow heatmap and threshold and cannot be moved here; Delete says that "
    "a chosen one is not tumor; correct, join and cut them in Review"
)
FLAT_ONLY = (
    "outlines of regions are drawn in the 2D view only; go back to it to see them"
)


#: Heatmap, rule and tissue, the last None where it is not known.
Sought = tuple[Heatmap, LesionRule, "Bools | None"]


def regions_at(
    heatmap: Heatmap,
    rule: LesionRule,
    outlines: Annotations | None,
    slide: Box,
    strengths: Singles | None = None,
) -> list[Region]:
    """Find the candidates by a rule, or measure the outlines in their place."""
    if outlines is None:
        return find_candidates(heatmap, rule, strengths)
    return regions_of_outlines(outlines, heatmap, slide)


class RegionFinder:
    """Finds the regions at the current threshold, in a thread.

    Parameters
    ----------
    sought : callable
        Returns heatmap, rule and tissue as they are now; None without a heatmap.
    slide : Box
        The whole slide, level-0 px.
    found : callable
        Gets the regions, on the GUI thread.
    pieces_of : callable
        Returns the pieces of tissue, slide's (height, width) and µm/px; in the thread.

    Attributes
    ----------
    outlines : Annotations or None
        Regions read from a file, in place of those at the threshold.
    outlines_path : str
        That file.
    """

    def __init__(
        self,
        sought: Callable[[], Sought | None],
        slide: Box,
        found: Callable[[list[Region]], None],
        pieces_of: Callable[[Bools, Pair, Pair], Pieces],
    ) -> None:
        self.outlines: Annotations | None = None
        self.outlines_path = ""
        self._sought, self._slide, self._pieces_of = sought, slide, pieces_of
        self._latest = Latest(self._prepare, found, rest=REST)
        self._still: Heatmap | None = None
        self._strengths: Callable[[], Singles]

    def find(self) -> None:
        """Find the regions as of now; while busy, once more afterwards."""
        self._latest.ask()

    def take_outlines(self, outlines: Annotations, path: str) -> None:
        """Measure the outlines of a file, which take the place of the regions."""
        self.outlines, self.outlines_path = outlines, path
        self.drop()  # those at the threshold, which are being found
        self.find()

    def drop(self) -> None:
        """Discard the regions that are being found."""
        self._latest.drop()

    def _prepare(self) -> Callable[[], list[Region]] | None:
        sought = self._sought()
        if sought is None:
            return None
        heatmap, rule, roi = sought
        still, strengths = self._kept_still(heatmap)
        outlines, slide = self.outlines, self._slide

        def regions() -> list[Region]:
            of_cells = strengths() if outlines is None else None
            found = regions_at(still, rule, outlines, slide, of_cells)
            if roi is None:
                return found
            shape = slide.height, slide.width
            return self._pieces_of(roi, shape, heatmap.mpp).place(found)

        return regions

    def _kept_still(self, heatmap: Heatmap) -> tuple[Heatmap, Callable[[], Singles]]:
        """Copy the heatmap, to which a run may write; while it stays the same, once.

        The strengths of its cells are computed with the first candidates, and stay the
        same whatever the threshold.
        """
        still, values = self._still, heatmap.probabilities
        if (
            still is None
            or still.grid != heatmap.grid
            or still.mpp != heatmap.mpp
            or not np.array_equal(still.probabilities, values, equal_nan=True)
        ):
            still = Heatmap(np.array(values), heatmap.grid, heatmap.mpp)
            self._still, self._strengths = still, cache(partial(strength, still))
        return still, self._strengths


class RegionOutlines:
    """Draws the regions in a layer in which they can be rejected, but not moved.

    Table, totals and export are of the regions: an outline that was moved would be one
    thing on screen and another in the files. One that is deleted is a decision.

    Parameters
    ----------
    viewer : ViewerModel
        Outlines are drawn in its 2D view only.
    layers : WorkLayers
        Hold the layer.
    redraw : callable
        Finds the regions, and draws them again.
    rejected : callable
        Gets the labels of regions that the user deleted.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layers: WorkLayers,
        redraw: Callable[[], None],
        rejected: Callable[[set[int]], None],
    ) -> None:
        self._viewer, self._layers, self._redraw = viewer, layers, redraw
        self._rejected = rejected
        self._deleted: set[int] = set()
        self._drawing = self._told = False
        self._waiting: LayerData | None = None
        self._guarded: Any = None
        viewer.dims.events.ndisplay.connect(self._dims_changed, position="last")

    def show(self, data: LayerData) -> None:
        """Draw outlines; in the 3D view, which napari cannot, once that is left."""
        flat = self._viewer.dims.ndisplay == 2
        if not flat and self._waiting is None:
            show_info(FLAT_ONLY)
        self._waiting = None if flat else data
        with self._by_the_panel():
            if flat:
                self._layers.put("regions", data)
            else:  # those on screen are of another threshold
                self._layers.empty("regions")
        if flat:
            self.guard()

    def guard(self) -> None:
        """Lock the layer, also if napari unlocks it, and undo edits by scripts."""
        layer: Any = self._layers.get("regions")
        if layer is not self._guarded:
            self.release()
            self._guarded = layer
            layer.events.editable.connect(self._lock)
            layer.events.data.connect(self._edited)
        self._lock()

    def choose(self, label: int) -> None:
        """Choose the outlines of a region if their layer is selected, for Delete."""
        layer = self._guarded
        if layer is not None and layer is self._viewer.layers.selection.active:
            rows = np.flatnonzero(layer.features["region"] == label)
            layer.selected_data = {int(row) for row in rows}

    def release(self) -> None:
        """Stop guarding: the slide is closed, or its regions are gone."""
        self._waiting = None
        if self._guarded is not None:
            self._guarded.events.editable.disconnect(self._lock)
            self._guarded.events.data.disconnect(self._edited)
            self._guarded = None

    def tell(self) -> None:
        """Say, once, that the outlines are locked."""
        if self._guarded is not None and not self._told:
            self._told = True
            show_info(f"{self._guarded.name}: {LOCKED}")

    def _lock(self, event: object = None) -> None:
        if self._guarded.editable:
            self._guarded.editable = False

    def _edited(self, event: Any) -> None:
        """Take a deletion as a rejection; undo other edits, of a script for example."""
        removed = self._guarded is not self._layers.get("regions")
        if self._drawing or removed:
            return
        action = str(getattr(event, "action", ""))
        if action == "removing":  # the rows of the features are still there
            rows = self._guarded.features["region"].iloc[list(event.data_indices)]
            self._deleted = {int(label) for label in rows}
        elif action == "removed" and self._deleted:
            labels, self._deleted = self._deleted, set()
            self._redraw()
            self._rejected(labels)
        elif not action.endswith("ing"):  # "adding", "changing" come before
            show_warning(f"{self._guarded.name}: {LOCKED}")
            self._redraw()

    def _dims_changed(self, event: object) -> None:
        if self._viewer.dims.ndisplay == 2 and self._waiting is not None:
            self.show(self._waiting)

    @contextmanager
    def _by_the_panel(self) -> Iterator[None]:
        """Do not mistake the panel's own changes for edits."""
        self._drawing = True
        try:
            yield
        finally:
            self._drawing = False
