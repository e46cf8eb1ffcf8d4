"""A lock on layers that only the panel draws, so that none is edited by accident."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Lock:
    """Keeps a layer from being edited, and has it drawn again if that happened.

    Parameters
    ----------
    redraw : callable
        Draws the layer as it was; called after an edit by a script, or by a key that
        napari's own lock lets through.
    """

    def __init__(self, redraw: Callable[[], None]) -> None:
        self._redraw = redraw
        self._layer: Any = None
        self._opened = 0

    def __enter__(self) -> None:
        """Let the panel draw."""
        self._opened += 1

    def __exit__(self, *_: object) -> None:
        """Lock the layer again."""
        self._opened -= 1

    def guard(self, layer: Any) -> None:
        """Lock a layer, also if napari unlocks it, as after the 3D view."""
        if layer is not self._layer:
            self.release()
            self._layer = layer
            layer.events.editable.connect(self._lock)
            layer.events.data.connect(self._edited)
        self._lock()

    def release(self) -> None:
        """Stop guarding."""
        if self._layer is not None:
            self._layer.events.editable.disconnect(self._lock)
            self._layer.events.data.disconnect(self._edited)
            self._layer = None

    def _lock(self, event: object = None) -> None:
        if self._layer.editable:
            self._layer.editable = False

    def _edited(self, event: Any) -> None:
        # napari announces "adding", "removing" ... before "added", "removed"
        announced = str(getattr(event, "action", "")).endswith("ing")
        if not (self._opened or announced):
            self._redraw()
