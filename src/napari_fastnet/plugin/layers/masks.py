"""The display of masks: outlined, filled while a threshold moves, painted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from superqt.utils import qdebounced

from napari_fastnet.detection.tissue_editor import KINDS, MaskKind
from napari_fastnet.plugin.layers.data import MASK_CONTOUR_PX

if TYPE_CHECKING:
    from napari.layers import Layer

#: napari takes 100 ms to outline 4 Mpx. Masks with more px than this are filled faintly
#: while their threshold moves, and outlined again `STILL_MS` later.
OUTLINED_AT_ONCE_PX = 1_000_000
STILL_MS = 300
FILLED_OPACITY = 0.3


class MaskDisplay:
    """The display of masks in their layers, with a callback for painting.

    Parameters
    ----------
    layer_of : callable
        Returns the layer of a mask, or None.
    on_painted : callable
        Called after a brush, an undo or a script has changed a layer.
    """

    def __init__(
        self,
        layer_of: Callable[[MaskKind], Layer | None],
        on_painted: Callable[[], None],
    ) -> None:
        self._layer_of, self._on_painted = layer_of, on_painted
        self._unheard = 0
        self._opacities: dict[MaskKind, float] = {}
        self._small_pictures: set[MaskKind] = set()
        self._still_later = qdebounced(self.still, timeout=STILL_MS)

    def watch(self, labels: Any) -> None:
        """Follow a layer that is new or has new data."""
        labels.contour = self._contour(labels)
        # A brush emits `labels_update` all along, an undo or a script `set_data`;
        # `paint` is emitted before the data are written.
        for emitter in (labels.events.labels_update, labels.events.set_data):
            emitter.disconnect(self._changed)
            emitter.connect(self._changed)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Ignore changes: they are not strokes of the user."""
        self._unheard += 1
        try:
            yield
        finally:
            self._unheard -= 1

    def show(
        self, kind: MaskKind, mask: NDArray[np.bool_], *, moving: bool = False
    ) -> None:
        """Show a mask; the undo history of its layer is kept.

        Parameters
        ----------
        kind : str
            The mask's name.
        mask : (height, width) bool ndarray
            The mask.
        moving : bool
            True while a slider moves, when the next mask follows at once.
        """
        layer: Any = self._layer_of(kind)
        if layer is None or np.array_equal(layer.data, mask):
            return
        with self.unheard():
            if moving and mask.size > OUTLINED_AT_ONCE_PX:
                self._fill(kind, layer)
            layer.data[...] = mask
            layer.refresh(extent=False, highlight=False, thumbnail=False)
        self._small_pictures.add(kind)
        self._still_later()

    def still(self) -> None:
        """Outline filled masks again, and draw the thumbnails of changed ones."""
        with self.unheard():
            for kind, opacity in self._opacities.items():
                layer: Any = self._layer_of(kind)
                if layer is not None:
                    layer.contour, layer.opacity = self._contour(layer), opacity
            for kind in self._small_pictures:
                if (layer := self._layer_of(kind)) is not None:
                    layer.refresh(extent=False, highlight=False, thumbnail=True)
        self._opacities.clear()
        self._small_pictures.clear()

    def close(self) -> None:
        """Disconnect from all layers."""
        self._still_later.cancel()
        for kind in KINDS:
            layer: Any = self._layer_of(kind)
            if layer is not None:
                layer.events.labels_update.disconnect(self._changed)
                layer.events.set_data.disconnect(self._changed)

    def _fill(self, kind: MaskKind, layer: Any) -> None:
        if kind not in self._opacities:
            self._opacities[kind] = layer.opacity
            layer.opacity, layer.contour = FILLED_OPACITY, 0

    def _contour(self, layer: Layer) -> int:
        """Return the width of an outline; the region of interest has the widest."""
        return MASK_CONTOUR_PX if layer is self._layer_of("roi") else 1

    def _changed(self, event: object) -> None:
        if not self._unheard:
            self._on_painted()
