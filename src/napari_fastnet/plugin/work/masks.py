"""Tissue masks of one slide, kept in step with their layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from superqt.utils import qthrottled

from napari_fastnet.detection.tissue_editor import KINDS, MaskKind
from napari_fastnet.plugin.layers.data import mask_layer_data
from napari_fastnet.plugin.layers.masks import MaskDisplay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari.layers import Layer

    from napari_fastnet.core.tissue import MaskEdits
    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.detection.tissue_editor import TissueEditor
    from napari_fastnet.plugin.layers.info import SlideInfo
    from napari_fastnet.plugin.layers.shown import WorkLayers

#: The masks that the region of interest is made of.
THREE: tuple[MaskKind, ...] = tuple(kind for kind in KINDS if kind != "roi")
#: Shortest time between two updates of the region of interest during a stroke, ms.
FOLLOW_MS = 100


class SlideMasks:
    """Tissue masks of one slide, and the layers that show them and are painted on.

    Parameters
    ----------
    layers : WorkLayers
        Hold the layers.
    info : SlideInfo
        Of the slide, for the layers' metadata.
    changed : callable
        Called when a mask changed.

    Attributes
    ----------
    editor : TissueEditor or None
        The masks, once computed.
    """

    def __init__(
        self, layers: WorkLayers, info: SlideInfo, changed: Callable[[], None]
    ) -> None:
        self.editor: TissueEditor | None = None
        self._layers, self._info, self._changed = layers, info, changed
        self._display = MaskDisplay(layers.get, self._painted)
        self._follow_painting = qthrottled(self.take_painting, timeout=FOLLOW_MS)
        self._touched = False
        self._away: set[MaskKind] | None = None
        self._strokes: dict[MaskKind, MaskEdits] = {}  # of masks that were forgotten

    def take(self, editor: TissueEditor) -> None:
        """Show new masks; brush strokes on the ones before are kept."""
        self.take_painting()
        strokes = self._strokes if self.editor is None else self.editor.edits
        if strokes and not editor.edited_px:
            editor.take_edits(strokes)
        self.editor, self._strokes = editor, {}
        self._put(KINDS)
        self._touched = False

    def forget(self) -> None:
        """Drop the masks; brush strokes come back with the next ones."""
        self.take_painting()
        if self.editor is not None:
            self._strokes = self.editor.edits
        self.editor = None

    def put_away(self) -> None:
        """Hide the three masks, which nearly halve the speed of panning.

        `bring_back` shows them again; masks that are computed meanwhile stay hidden.
        One that the user shows by hand stays shown.
        """
        self._away = set()
        selection = self._layers.selection
        for kind in THREE:
            layer = self._layers.get(kind)
            if layer is not None and layer.visible:
                layer.visible = False
                self._away.add(kind)
                if selection.active is layer:  # so that it can be picked
                    selection.active = self._layers.slide

    def bring_back(self) -> None:
        """Show the masks that were put away: one was picked, or is being changed."""
        away, self._away = self._away, None
        for kind in away or ():
            if (layer := self._layers.get(kind)) is not None:
                layer.visible = True

    def picked(self, layer: Layer | None) -> None:
        """Bring the masks back if a layer that is selected or painted is one of them."""
        if layer is not None and any(layer is self._layers.get(kind) for kind in THREE):
            self.bring_back()

    def take_painting(self) -> None:
        """Read the masks from their layers if a brush, an undo or a script changed one."""
        if self.editor is None or not self._touched:
            return
        self._touched = False
        new: set[MaskKind] = set()
        # The region of interest first: painting the others moves it.
        for kind in reversed(KINDS):
            layer = self._layers.get(kind)
            if layer is not None:
                new |= set(self.editor.paint(kind, np.asarray(layer.data) != 0))
        self.show(kind for kind in KINDS if kind in new)

    def show(self, kinds: Iterable[MaskKind], *, moving: bool = False) -> None:
        """Draw masks that changed; `moving` while a slider moves their threshold."""
        assert self.editor is not None
        kinds = tuple(kinds)
        for kind in kinds:
            self._display.show(kind, self.editor.mask(kind), moving=moving)
        if kinds:
            self._changed()

    def layer(self, kind: MaskKind) -> Layer | None:
        """Return the layer of a mask, put back if it was removed."""
        if self.editor is not None and not self._layers.holds(kind):
            self._put((kind,))
        return self._layers.get(kind)

    def tissue(self) -> SlideTissue | None:
        """Return the masks as they are now, frozen; None before they are computed."""
        self.take_painting()
        return None if self.editor is None else self.editor.tissue()

    @property
    def area_mm2(self) -> float | None:
        """Area of the region of interest, mm²; None before it is computed."""
        if self.editor is None:
            return None
        y, x = self.editor.mpp
        return float(self.editor.mask("roi").sum()) * y * x / 1e6

    def close(self) -> None:
        """No longer follow the layers."""
        self._follow_painting.cancel()
        self._display.close()
        for kind in KINDS:
            if (layer := self._layers.get(kind)) is not None:
                layer.events.paint.disconnect(self._stroke)

    def _put(self, kinds: Iterable[MaskKind]) -> None:
        assert self.editor is not None
        with self._display.unheard():  # half of them new, they are no consistent set
            for kind in kinds:
                data, keywords, layer_type = mask_layer_data(
                    kind,
                    self.editor.mask(kind),
                    self.editor.mpp,
                    self._info.path.stem,
                    fingerprint=self._info.fingerprint,
                )
                if self._away is not None and kind in THREE:
                    if self._layers.get(kind) is None:
                        self._away.add(kind)
                    keywords["visible"] = False  # of a new layer only
                layer = self._layers.put(kind, (data, keywords, layer_type))
                layer.events.paint.connect(self._stroke)  # again: nothing happens
                self._display.watch(layer)

    def _stroke(self, event: Any) -> None:
        self.picked(event.source)

    def _painted(self) -> None:
        self._touched = True
        self._follow_painting()
