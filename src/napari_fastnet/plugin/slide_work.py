"""One open slide in the viewer: its masks, its heatmap, its regions and their layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from superqt.utils import qthrottled

from napari_fastnet.core.regions import Region, find_regions
from napari_fastnet.engine.tissue_editor import KINDS, MaskKind, TissueEditor
from napari_fastnet.plugin.layer_info import SLIDE_KEY, Kind, SlideInfo
from napari_fastnet.plugin.layers import (
    LayerData,
    heatmap_layer_data,
    mask_layer_data,
    place_slide_layer,
    red_green_colormap,
    regions_layer_data,
)
from napari_fastnet.plugin.mask_display import MaskDisplay
from napari_fastnet.plugin.work_events import WorkEvents

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.engine.tissue import SlideTissue
    from napari_fastnet.io.slide import Slide
    from napari_fastnet.plugin.detection import Detection
    from napari_fastnet.plugin.worker import Job

#: The screen follows a run, and the region of interest a brush, at most so often, ms.
REFRESH_MS = 100


class SlideWork:
    """What is known of one open slide, and the layers that show it.

    Layers are kept and given new data, never replaced: a Labels layer that is painted
    after another was removed crashes napari 0.9 in its OpenGL code.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the layers.
    layer : Image
        The slide's, from `slide_layer_data`.
    events : WorkEvents
        Where changes are told.

    Attributes
    ----------
    editor : TissueEditor or None
        The masks, once computed.
    heatmap : Heatmap or None
        As it is shown; fills in during a run.
    regions : list of Region
        At the threshold.
    tissue_job, detection : Job or None, Detection or None
        What computes the masks; the run in progress, or the last one.
    threshold, opacity : float
        How the heatmap is shown.
    chosen_threshold : float or None
        The threshold if the user moved it; the model's holds otherwise.
    """

    def __init__(self, viewer: ViewerModel, layer: Image, events: WorkEvents) -> None:
        self.viewer, self.layer, self.events = viewer, layer, events
        self.editor: TissueEditor | None = None
        self.heatmap: Heatmap | None = None
        self.regions: list[Region] = []
        self.tissue_job: Job | None = None
        self.detection: Detection | None = None
        self.record: dict[str, Any] = {}
        self.threshold, self.opacity = 0.5, 0.5
        self.chosen_threshold: float | None = None
        self._layers: dict[Kind, Layer] = {}
        self._touched = False
        self._masks = MaskDisplay(self.layer_of, self._painted)
        self.refresh_heatmap_soon = qthrottled(self.refresh_heatmap, timeout=REFRESH_MS)
        self._follow_painting = qthrottled(self.take_painting, timeout=REFRESH_MS)

    @property
    def info(self) -> SlideInfo:
        """The slide and where its µm/px comes from."""
        info: SlideInfo = self.layer.metadata[SLIDE_KEY]
        return info

    @property
    def slide(self) -> Slide:
        """The open slide."""
        return self.info.slide

    @property
    def fingerprint(self) -> str:
        """Of the slide's contents."""
        return self.info.fingerprint

    @property
    def name(self) -> str:
        """Of the slide's layer."""
        return str(self.layer.name)

    @property
    def ready(self) -> bool:
        """Whether the µm/px is known, so that work may begin."""
        return self.info.mpp is not None

    def layer_of(self, kind: Kind) -> Layer | None:
        """Return the layer that shows a result, None if there is none in the viewer."""
        layer = self._layers.get(kind)
        return layer if layer is not None and layer in self.viewer.layers else None

    def set_mpp(self, mpp: float) -> None:
        """Give the slide another µm/px; what was computed with the old one goes.

        Raises
        ------
        SpacingError
            The value is absurd.
        """
        slide = self.slide.with_mpp(mpp)
        self.abandon()
        for kind in tuple(self._layers):
            if (layer := self.layer_of(kind)) is not None:
                self.viewer.layers.remove(layer)
        self.editor, self.heatmap, self.regions, self.record = None, None, [], {}
        self.detection = self.tissue_job = None
        self._layers.clear()
        place_slide_layer(self.layer, slide)
        self.viewer.reset_view()
        self.events.spacing.emit(self)

    def set_editor(self, editor: TissueEditor) -> None:
        """Take new masks and show them."""
        self.editor = editor
        for kind in KINDS:
            self._masks.watch(self._put(kind, self._mask_data(kind)))
        self.viewer.layers.selection.active = self.layer
        self.events.tissue.emit(self)

    def take_painting(self) -> None:
        """Take over what a hand, an undo or a script did to the masks."""
        editor = self.editor
        if editor is None or not self._touched:
            return
        self._touched = False
        new: set[MaskKind] = set()
        # The region of interest first: painting the others moves it.
        for kind in reversed(KINDS):
            layer = self.layer_of(kind)
            if layer is not None:
                new |= set(editor.paint(kind, np.asarray(layer.data) != 0))
        self.show_masks(tuple(kind for kind in KINDS if kind in new))

    def show_masks(self, kinds: tuple[MaskKind, ...], *, moving: bool = False) -> None:
        """Bring the masks that are new to the screen."""
        assert self.editor is not None
        for kind in kinds:
            self._masks.show(kind, self.editor.mask(kind), moving=moving)
        if kinds:
            self.events.tissue.emit(self)

    def set_heatmap(self, heatmap: Heatmap, record: dict[str, Any]) -> None:
        """Take a heatmap and show it; its array may be written to."""
        self.heatmap, self.record = heatmap, record
        self._put("heatmap", self._heatmap_data())
        self._show_threshold()
        self.events.heatmap.emit(self)

    def refresh_heatmap(self) -> None:
        """Bring what was written into the heatmap's array to the screen."""
        layer = self.layer_of("heatmap")
        if layer is not None:
            layer.refresh(extent=False, highlight=False, thumbnail=False)
        self.events.heatmap.emit(self)

    def set_record(self, record: dict[str, Any]) -> None:
        """Take the record of a run that has ended; saved layers carry it."""
        self.record = record
        layer = self.layer_of("heatmap")
        if layer is not None:
            layer.metadata = self._heatmap_data()[1]["metadata"]

    def tissue(self) -> SlideTissue | None:
        """Return the masks as they look now, frozen; None before they are computed."""
        self.take_painting()
        return None if self.editor is None else self.editor.tissue()

    @property
    def tissue_mm2(self) -> float | None:
        """Area of the region of interest, mm²; None before it is known."""
        if self.editor is None:
            return None
        y, x = self.editor.mpp
        return float(self.editor.mask("roi").sum()) * y * x / 1e6

    def set_threshold(self, value: float) -> None:
        """Show another threshold as the middle of the colours; nothing is computed."""
        self.threshold = self.chosen_threshold = value
        self._show_threshold()
        self.events.heatmap.emit(self)

    def suggest_threshold(self, value: float) -> None:
        """Take a model's threshold, unless the user chose one."""
        if self.chosen_threshold is None:
            self.threshold = value

    def set_opacity(self, value: float) -> None:
        """Show the heatmap more or less opaque."""
        self.opacity = value
        layer = self.layer_of("heatmap")
        if layer is not None:
            layer.opacity = value

    def _show_threshold(self) -> None:
        layer: Any = self.layer_of("heatmap")
        if layer is not None:
            layer.colormap = red_green_colormap(self.threshold)

    def find_regions(self) -> None:
        """Find the regions at the threshold, and show them."""
        if self.heatmap is None:
            return
        self.regions = find_regions(self.heatmap, self.threshold)
        data = regions_layer_data(
            self.regions,
            self.heatmap.mpp,
            self.slide.path.stem,
            fingerprint=self.fingerprint,
            record=self.record,
        )
        if self.regions or self.layer_of("regions") is not None:
            self._put("regions", data)
        self.events.regions.emit(self)

    def stop(self) -> None:
        """Stop what is running without another word; what is shown stays."""
        self.refresh_heatmap_soon.cancel()
        for job in (self.detection, self.tissue_job):
            if job is not None:
                job.abandon()

    def abandon(self) -> None:
        """Stop, and follow the layers no more."""
        self.stop()
        self._follow_painting.cancel()
        self._masks.close()

    def _mask_data(self, kind: MaskKind) -> LayerData:
        assert self.editor is not None
        return mask_layer_data(
            kind,
            self.editor.mask(kind),
            self.editor.mpp,
            self.slide.path.stem,
            fingerprint=self.fingerprint,
        )

    def _heatmap_data(self) -> LayerData:
        assert self.heatmap is not None
        return heatmap_layer_data(
            self.heatmap,
            self.slide.path.stem,
            self.opacity,
            fingerprint=self.fingerprint,
            record=self.record,
        )

    def _put(self, kind: Kind, layer_data: LayerData) -> Layer:
        """Show data in the layer that there is, or in a new one."""
        from napari.layers import Layer

        data, keywords, layer_type = layer_data
        layer = self.layer_of(kind)
        if layer is None:
            layer = Layer.create(data, keywords, layer_type)
            self._layers[kind] = layer
            active = self.viewer.layers.selection.active
            self.viewer.add_layer(layer)
            self.viewer.layers.selection.active = active
            return layer
        if layer_type == "shapes":
            layer.selected_data = set()
            layer.data = [(ring, "polygon") for ring in data]
            # shapes that are more than before come with napari's own looks
            for name in ("edge_width", "edge_color", "face_color", "features"):
                setattr(layer, name, keywords[name])
        else:
            layer.data = data
            layer.scale, layer.translate = keywords["scale"], keywords["translate"]
        layer.metadata = keywords["metadata"]
        return layer

    def _painted(self) -> None:
        self._touched = True
        self._follow_painting()
