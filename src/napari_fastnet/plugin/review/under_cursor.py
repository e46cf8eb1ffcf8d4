"""The probability and the lesion under the mouse, in napari's status bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from napari_fastnet.plugin.layers.data import to_px
from napari_fastnet.plugin.review.shapes import area_of
from napari_fastnet.plugin.viewer_parts import grid_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.plugin.work.workspace import Workspace


class UnderCursor:
    """A watch of the mouse that says what the current slide's results are there.

    It stands on the right of the status bar, where napari says what its keys do; on the
    left napari says the px of the selected layer.

    Parameters
    ----------
    workspace : Workspace
        The slides of the viewer.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        # The layer that says it, and its own help, which comes back where nothing is.
        self._layer: Any = None
        self._said = self._own = ""
        # Polygons of the regions, found once for each.
        self._polygons: dict[int, tuple[Region, shapely.Geometry]] = {}
        workspace.viewer.mouse_move_callbacks.append(self._moved)
        workspace.viewer.layers.selection.events.active.connect(self.forget)

    def leave(self) -> None:
        """Stop watching."""
        callbacks = self._workspace.viewer.mouse_move_callbacks
        if self._moved in callbacks:
            callbacks.remove(self._moved)
        viewer = self._workspace.viewer
        viewer.layers.selection.events.active.disconnect(self.forget)
        self.forget()

    def words(self, place_um: Pair) -> str:
        """Say what is at a (y, x), µm, of the current slide; empty where nothing is."""
        work = self._workspace.current
        if work is None or work.heatmap is None or work.layers.veiled:
            return ""
        if grid_of(self._workspace.viewer).enabled:
            return ""  # all slides have the same places there
        place = to_px(np.asarray(place_um), work.slide.require_mpp())
        value = work.heatmap.value_at((float(place[0]), float(place[1])))
        parts = [] if np.isnan(value) else [f"tumor probability {value:.2f}"]
        for number, lesion in enumerate(work.review.reviewed):
            if self._polygon(number, lesion.region).contains(shapely.Point(place)):
                region = lesion.region
                parts.append(
                    f"lesion {region.label}: {region.longest_axis_mm:.2f} mm, "
                    f"{lesion.status}"
                )
                break
        return ", ".join(parts)

    def _polygon(self, number: int, region: Region) -> shapely.Geometry:
        known = self._polygons.get(number)
        if known is None or known[0] is not region:
            polygon = area_of(region)
            shapely.prepare(polygon)
            known = self._polygons[number] = region, polygon
        return known[1]

    def forget(self, _: object = None) -> None:
        """Give the layer its own help back."""
        if self._layer is not None and self._layer.help == self._said:
            self._layer.help = self._own
        self._layer = None

    def _moved(self, viewer: ViewerModel, event: Any) -> None:
        layer: Any = viewer.layers.selection.active
        if layer is not self._layer:
            self.forget()
            self._layer, self._own = layer, "" if layer is None else layer.help
        elif layer is not None and layer.help != self._said:
            self._own = layer.help  # in another mode
        if layer is None:
            return
        # napari shows the help of the selected layer whenever the mouse moves
        self._said = self.words(event.position[-2:]) or self._own
        if layer.help != self._said:
            layer.help = self._said
