"""The outlines of a slide's regions on screen: drawn by the panel, not by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info, show_warning

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_fastnet.core.regions import Region
    from napari_fastnet.plugin.layers.data import LayerData
    from napari_fastnet.plugin.layers.shown import WorkLayers

LOCKED = (
    "the outlines follow heatmap and threshold and cannot be edited here; to correct "
    "them, export them, edit them in QuPath and load them in the Regions section"
)
FLAT_ONLY = (
    "outlines of regions are drawn in the 2D view only; go back to it to see them"
)


class RegionOutlines:
    """Shows the regions of a slide in a layer that a hand cannot change.

    Table, totals and export are of the regions, so that an outline that was deleted or
    moved would be one thing on screen and another in the files.

    Parameters
    ----------
    viewer : ViewerModel
        Its dims say whether outlines can be drawn.
    layers : WorkLayers
        Hold the layer.
    drawn : callable
        Maps regions to the layer's data; None while the slide has no heatmap.
    redraw : callable
        Asks for the regions of now.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layers: WorkLayers,
        drawn: Callable[[Sequence[Region]], LayerData | None],
        redraw: Callable[[], None],
    ) -> None:
        self._viewer, self._layers = viewer, layers
        self._drawn, self._redraw = drawn, redraw
        self._drawing = self._told = False
        self._waiting: Sequence[Region] | None = None
        self._guarded: Any = None
        viewer.dims.events.ndisplay.connect(self._dims_changed, position="last")

    def show(self, regions: Sequence[Region]) -> None:
        """Draw regions; in the 3D view, in which napari cannot, once it is left."""
        layer = self._layers.get("regions")
        if not regions and layer is None:
            return
        if self._viewer.dims.ndisplay != 2:
            self._wait(regions)
            return
        data = self._drawn(regions)
        if data is None:
            return
        with self._by_the_panel():
            self._layers.put("regions", data)
        self.guard()

    def guard(self) -> None:
        """Lock the layer, also if napari unlocks it, and draw anew what is changed."""
        layer: Any = self._layers.get("regions")
        if layer is None or self._drawn(()) is None:
            return
        if layer is not self._guarded:
            self.release()
            self._guarded = layer
            layer.events.editable.connect(self._lock)
            layer.events.data.connect(self._changed)
        self._lock()

    def release(self) -> None:
        """Guard nothing: the slide is gone, or its regions are."""
        self._waiting = None
        if self._guarded is not None:
            self._guarded.events.editable.disconnect(self._lock)
            self._guarded.events.data.disconnect(self._changed)
            self._guarded = None

    def tell(self) -> None:
        """Tell, once, that the outlines are locked."""
        if self._guarded is not None and not self._told:
            self._told = True
            show_info(f"{self._guarded.name}: {LOCKED}")

    def _lock(self, event: object = None) -> None:
        if self._guarded.editable:
            self._guarded.editable = False

    def _changed(self, event: Any) -> None:
        """Undo what a script, or a key that the lock lets through, did."""
        ours = self._guarded is self._layers.get("regions")
        if self._drawing or not ours or self._drawn(()) is None:
            return
        if str(getattr(event, "action", "")).endswith("ing"):  # not done yet
            return
        show_warning(f"{self._guarded.name}: {LOCKED}")
        self._redraw()

    def _wait(self, regions: Sequence[Region]) -> None:
        if self._waiting is None:
            show_info(FLAT_ONLY)
        self._waiting = regions
        with self._by_the_panel():  # what it shows is of another threshold
            self._layers.empty("regions")

    def _dims_changed(self, event: object) -> None:
        if self._viewer.dims.ndisplay != 2 or self._waiting is None:
            return
        regions, self._waiting = self._waiting, None
        self.show(regions)

    @contextmanager
    def _by_the_panel(self) -> Iterator[None]:
        """Take no change for one by hand."""
        self._drawing = True
        try:
            yield
        finally:
            self._drawing = False
