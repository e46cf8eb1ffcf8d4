"""A view that was fitted to the slide stays so when the panel takes a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from napari.components import ViewerModel

#: The canvas has found its size beside the panel after so long, ms.
DOCKED_MS = 1000
#: napari fits a slide before its window has found its size, and is so far off.
FITTED = 0.15


class FitOnceDocked(QObject):
    """Fits the view again while the canvas changes its size because of the panel.

    A view that a hand has moved is left alone.

    Parameters
    ----------
    parent : QObject
        Owns this object; about to be docked.
    viewer : ViewerModel
        Whose canvas will be smaller.
    """

    def __init__(self, parent: QObject, viewer: ViewerModel) -> None:
        super().__init__(parent)
        self._viewer = viewer
        before = self._view()
        if not viewer.layers:
            return
        viewer.reset_view()
        self._fitted = self._view()
        centred = np.allclose(before[:3], self._fitted[:3])
        if not (centred and np.isclose(before[3], self._fitted[3], rtol=FITTED)):
            viewer.scene.camera.center, viewer.scene.camera.zoom = (
                tuple(before[:3]),
                float(before[3]),
            )
            return
        viewer.canvas.events.size.connect(self._resized)
        QTimer.singleShot(DOCKED_MS, self._leave)

    def _view(self) -> np.ndarray:
        camera = self._viewer.scene.camera
        return np.array([*camera.center, camera.zoom])

    def _resized(self, event: object) -> None:
        if np.allclose(self._view(), self._fitted):
            self._viewer.reset_view()
            self._fitted = self._view()

    def _leave(self) -> None:
        self._viewer.canvas.events.size.disconnect(self._resized)
