"""Several slides in one viewer: one is shown, and layer names say the slide.

All slides begin at the same corner, so that they would cover each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_fastnet.plugin.layers import data
from napari_fastnet.plugin.layers.info import ResultInfo, SlideInfo, info_of
from napari_fastnet.plugin.viewer_parts import grid_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_fastnet.plugin.work.slide import SlideWork

_NAMES = (
    *data.MASK_NAMES.values(),
    data.HEATMAP_NAME,
    data.REGIONS_NAME,
    data.MARKERS_NAME,
    *data.MARK_NAMES.values(),
    data.QUALITY_NAME,
    "truth",
)
#: Name of a layer as it was added; napari numbers duplicates.
_PLAIN = re.compile(rf"({'|'.join(map(re.escape, _NAMES))})( \[\d+\])?")


class SideBySide:
    """Shows the layers of one slide, and hides those of the others.

    Parameters
    ----------
    viewer : ViewerModel
        In its grid view all slides are shown.
    owner : callable
        Returns the slide of a layer, None for a layer that has none.
    """

    def __init__(
        self, viewer: ViewerModel, owner: Callable[[Layer], SlideWork | None]
    ) -> None:
        self._viewer, self._owner = viewer, owner
        self._hidden: WeakKeyDictionary[Layer, bool] = WeakKeyDictionary()
        self._shown: SlideWork | None = None
        grid_of(viewer).events.enabled.connect(self._grid_changed)

    def show(self, work: SlideWork | None) -> None:
        """Show the layers of a slide as they were before another was shown."""
        self._shown = work
        self._name()
        all_show = grid_of(self._viewer).enabled
        for layer in list(self._viewer.layers):
            owner = self._owner(layer)
            if owner is None:
                continue
            if owner is work or all_show:
                if self._hidden.pop(layer, False) and not layer.visible:
                    layer.visible = True
            elif layer.visible:
                self._hidden[layer] = True
                layer.visible = False

    def lay_below(self, work: SlideWork) -> None:
        """Move a slide's layer below those of its results that were opened before."""
        layers = self._viewer.layers
        at = layers.index(work.layer)
        results = [
            layers.index(layer)
            for layer in layers
            if layer is not work.layer
            and not isinstance(info_of(layer), SlideInfo)
            and self._owner(layer) is work
        ]
        lowest = min(results, default=at)
        if lowest < at:
            layers.move(at, lowest)

    def _name(self) -> None:
        """Add the slide to the names of layers, if there is more than one slide."""
        slides = {}
        for layer in self._viewer.layers:
            info, owner = info_of(layer), self._owner(layer)
            if owner is not None:
                slides[layer] = owner.layer.name
            elif isinstance(info, ResultInfo):
                slides[layer] = info.slide_name
        if len(set(slides.values())) < 2:
            return
        for layer, slide in slides.items():
            plain = _PLAIN.fullmatch(layer.name)
            if plain is not None and not isinstance(info_of(layer), SlideInfo):
                layer.name = f"{plain[1]} ({slide})"

    def _grid_changed(self, event: object) -> None:
        self.show(self._shown)
