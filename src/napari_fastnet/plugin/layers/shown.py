"""The layers that show the results of one slide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_fastnet.detection.tissue_editor import KINDS
from napari_fastnet.plugin.layers.info import SLIDE_KEY, Kind, ResultInfo, info_of
from napari_fastnet.plugin.layers.screen_width import outline_um

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.plugin.layers.data import LayerData
    from napari_fastnet.results.record import RunRecord


#: Kinds of layers of a slide: results, the truth they are compared with, what a person
#: paints and the heatmap of a model that was taught, and marks.
MarkKind = Literal["current", "measures"]
Shown = Kind | MarkKind | Literal["truth", "taught", "corrections", "markers", "pieces"]


#: Those that lie on top.
MARKS: tuple[Shown, ...] = ("markers", "current", "measures")
#: What a person paints lies just below them.
ON_TOP: tuple[Shown, ...] = ("corrections", *MARKS)
#: Those whose data are in µm, whatever the µm/px.
IN_UM: tuple[Shown, ...] = ("regions", "pieces", *ON_TOP)
#: Kinds that stay out of the viewer behind a veil: tissue masks and truth do not.
VEILED: tuple[Shown, ...] = ("heatmap", "taught", "quality", "regions", *MARKS)


class WorkLayers:
    """One layer of each kind, which is updated and never replaced.

    A layer thus keeps its place, its appearance and its visibility.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the layers.
    slide : Layer, optional
        The slide's layer; masks are never put below it.

    Attributes
    ----------
    slide : Layer or None
        As given.
    veiled : bool
        Whether what was found is kept out of the viewer.
    """

    def __init__(self, viewer: ViewerModel, slide: Layer | None = None) -> None:
        self._viewer, self.slide = viewer, slide
        self._layers: dict[Shown, Layer] = {}
        self._behind: set[Layer] = set()
        self.veiled = False

    def veil(self, *, veil: bool) -> None:
        """Take what was found out of the viewer, or put it back.

        Not merely hidden: napari's layer list would show a small picture of it.
        """
        self.veiled = veil
        layers = self._viewer.layers
        for kind in VEILED:
            layer = self.get(kind)
            if layer is None:
                continue
            if veil and layer in layers:
                self._behind.add(layer)
                layers.remove(layer)
            elif not veil and layer in self._behind:
                self._behind.discard(layer)
                self._insert(kind, layer)

    @property
    def selection(self) -> Any:
        """The viewer's selected layers."""
        return self._viewer.layers.selection

    def get(self, kind: Shown) -> Layer | None:
        """Return the layer of a kind, None if the viewer has none."""
        layer = self._layers.get(kind)
        there = layer in self._viewer.layers or layer in self._behind
        return layer if layer is not None and there else None

    def holds(self, kind: Shown) -> bool:
        """Return whether the layer of a kind exists and is not empty."""
        layer = self.get(kind)
        return layer is not None and info_of(layer) is not None

    def shows(self, layer: Layer) -> bool:
        """Return whether a layer is one of these layers."""
        return any(layer is one for one in self._layers.values())

    def adopt(self, kind: Shown, layer: Layer) -> None:
        """Take over a layer that the user or a script added to the viewer."""
        before = self.get(kind)
        self._layers[kind] = layer
        if before is not None and before is not layer:  # an empty one
            self._behind.discard(before)
            if before in self._viewer.layers:
                self._viewer.layers.remove(before)

    def empty(self, kind: Shown) -> None:
        """Remove a layer's data and metadata; the layer stays."""
        from napari.layers import Labels, Points, Shapes

        layer: Any = self.get(kind)
        if layer is None:
            return
        if isinstance(layer, Points | Shapes):
            layer.selected_data = set()
            layer.data = []
        elif isinstance(layer, Labels):
            layer.data = np.zeros_like(layer.data)
            layer.editable = False  # forgets what could be undone, too
        else:
            layer.data = np.full_like(layer.data, np.nan)
        layer.metadata = {}

    def empty_and_scale(self, factor: Pair) -> None:
        """Empty the results, and scale all layers to other µm/px.

        Parameters
        ----------
        factor : tuple of float
            (y, x) new µm/px divided by the old ones.
        """
        for kind in tuple(self._layers):
            layer = self.get(kind)
            if layer is None:
                continue
            if kind != "truth":
                self.empty(kind)
            if kind in IN_UM:
                continue
            layer.scale = np.multiply(layer.scale, factor)
            layer.translate = np.multiply(layer.translate, factor)

    def note(self, kind: Kind, record: RunRecord) -> None:
        """Replace the record in a layer's metadata, which saving the layer writes."""
        layer = self.get(kind)
        info = None if layer is None else info_of(layer)
        if layer is not None and isinstance(info, ResultInfo):
            layer.metadata = {SLIDE_KEY: replace(info, record=record)}

    def _place_of(self, kind: Shown) -> int:
        """Return the index of a new layer: masks, then results, and marks on top."""
        layers = self._viewer.layers
        above = ON_TOP if kind not in KINDS else (*ON_TOP, "heatmap")
        if kind in ON_TOP:
            above = MARKS if kind == "corrections" else ()
        over = [self.get(one) for one in above]
        places = [layers.index(layer) for layer in over if layer in layers]
        place = min(places, default=len(layers))
        hidden = self.slide in layers and place < layers.index(self.slide)
        return len(layers) if hidden else place

    def _insert(self, kind: Shown, layer: Layer) -> None:
        selection = self.selection
        with selection.events.active.blocker():  # the user has not chosen it
            active = selection.active
            self._viewer.layers.insert(self._place_of(kind), layer)
            selection.active = active

    def put(self, kind: Shown, layer_data: LayerData) -> Layer:
        """Show data in the layer of a kind, or in a new layer."""
        from napari.layers import Layer

        data, keywords, layer_type = layer_data
        if kind == "regions":
            keywords = {**keywords, "edge_width": outline_um(self._viewer)}
        layer = self.get(kind)
        if layer is None:
            layer = Layer.create(data, keywords, layer_type)
            self._layers[kind] = layer
            if self.veiled and kind in VEILED:
                self._behind.add(layer)
            else:
                self._insert(kind, layer)
            return layer
        if layer_type == "shapes":
            layer.selected_data = set()
            looks = ("edge_width", "edge_color", "face_color")
            with layer.block_thumbnail_update():
                layer.data = []
                # with their looks: set afterwards, each redraws all shapes
                given = {name: keywords[name] for name in looks}
                layer.add(data, shape_type="path", **given)
            layer.features = keywords["features"]
        else:
            layer.data = data
            layer.editable = layer_type == "labels" or layer.editable
            layer.scale, layer.translate = keywords["scale"], keywords["translate"]
        layer.metadata = keywords["metadata"]
        return layer
