"""The probability and the lesion under the mouse, in napari's status bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.plugin.layers.data import to_px
from napari_fastnet.plugin.review.shapes import index_at
from napari_fastnet.plugin.viewer_parts import grid_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_fastnet.core.geometry import Pair
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
        mpp, lesions = work.slide.require_mpp(), work.review.reviewed
        y, x = to_px(np.asarray(place_um), mpp)
        value = work.heatmap.value_at((float(y), float(x)))
        parts = [] if np.isnan(value) else [f"tumor probability {value:.2f}"]
        at = index_at(place_um, mpp, (lesion.region for lesion in lesions))
        if at is not None:
            region, status = lesions[at].region, lesions[at].status
            size = f"{region.longest_axis_mm:.2f} mm"
            parts.append(f"lesion {region.label}: {size}, {status}")
        return ", ".join(parts)

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
