"""The scale bar of napari, shown with the first slide whose µm/px is known."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from napari_fastnet.plugin.layers.canvas_context import real_viewer
from napari_fastnet.plugin.viewer_parts import scale_bar_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

_SHOWN: WeakSet[ViewerModel] = WeakSet()


def show_scale_bar(viewer: ViewerModel) -> None:
    """Show a viewer's scale bar, once: who hides it does not see it again."""
    viewer = real_viewer(viewer)
    if viewer not in _SHOWN:
        _SHOWN.add(viewer)
        scale_bar_of(viewer).visible = True
