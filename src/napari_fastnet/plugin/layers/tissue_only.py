"""The tissue alone: what lies over a slide is put out of sight while a key is held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from napari_fastnet.plugin.layers.info import SlideInfo, info_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


class TissueOnly:
    """Hides all layers but slides, and shows them again.

    Parameters
    ----------
    viewer : ViewerModel
        With the layers.

    Attributes
    ----------
    held : bool
        Whether layers are hidden just now.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._hidden: list[Layer] = []
        self.held = False

    def hide(self) -> None:
        """Hide whatever is shown over the slides."""
        if self.held:
            return
        self.held = True
        self._hidden = [
            layer
            for layer in self._viewer.layers
            if layer.visible and not isinstance(info_of(layer), SlideInfo)
        ]
        for layer in self._hidden:
            layer.visible = False
        if isinstance(app := QGuiApplication.instance(), QGuiApplication):
            # a window that loses the keyboard does not hear that the key is released
            app.applicationStateChanged.connect(self._state_changed)

    def show(self) -> None:
        """Show again what `hide` has hidden."""
        if not self.held:
            return
        if isinstance(app := QGuiApplication.instance(), QGuiApplication):
            app.applicationStateChanged.disconnect(self._state_changed)
        self.held = False
        for layer in self._hidden:
            if layer in self._viewer.layers:
                layer.visible = True
        self._hidden = []

    def _state_changed(self, state: object) -> None:
        if state != Qt.ApplicationState.ApplicationActive:
            self.show()
