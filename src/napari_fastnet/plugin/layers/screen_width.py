"""Outlines of the same width on the screen at every zoom.

napari 0.9 gives the edges of shapes a width in world coordinates, here µm, so that an
outline is a hair on the whole slide and a beam over a nucleus. The width is therefore set
anew when the zoom changes; panning costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from superqt.utils import qdebounced, qthrottled

from napari_fastnet.plugin.layers.canvas_context import real_viewer
from napari_fastnet.plugin.layers.info import ResultInfo, info_of
from napari_fastnet.plugin.viewer_parts import camera_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

#: Width of an outline on the screen, px: below 1.5 some sides are not drawn.
OUTLINE_PX = 1.6
#: Shortest time between two updates while the zoom changes, ms.
FOLLOW_MS = 150
#: Relative change of the width that is worth drawing.
VISIBLE_CHANGE = 0.1

_FOLLOWED: WeakSet[ViewerModel] = WeakSet()


def outline_um(viewer: ViewerModel, width_px: float = OUTLINE_PX) -> float:
    """Return the width in µm that an outline of so many px has at the current zoom."""
    return float(width_px / camera_of(viewer).zoom)


def keep_thin(viewer: ViewerModel) -> None:
    """Keep the outlines of regions as wide on the screen, whoever adds their layers.

    Parameters
    ----------
    viewer : ViewerModel
        With a window or without; asked for again, nothing happens.
    """
    viewer = real_viewer(viewer)
    if viewer in _FOLLOWED:
        return
    _FOLLOWED.add(viewer)
    weak = ref(viewer)

    def fit(event: Any = None) -> None:
        if (alive := weak()) is not None:
            for layer in alive.layers:
                fit_outlines(layer, outline_um(alive))

    def inserted(event: Any) -> None:
        if (alive := weak()) is not None:
            fit_outlines(event.value, outline_um(alive))

    viewer.layers.events.inserted.connect(inserted)
    follow_zoom(viewer, fit)


def follow_zoom(
    viewer: ViewerModel, then: Callable[[], None], *, still: bool = False
) -> Callable[[], None]:
    """Call a function when the zoom has changed, and return what stops that.

    Parameters
    ----------
    viewer : ViewerModel
        Its camera.
    then : callable
        Called seldom while the zoom changes.
    still : bool
        Call it only once the zoom stands still: it takes longer.
    """
    soon: Any = (
        qdebounced(then, timeout=2 * FOLLOW_MS)
        if still
        else qthrottled(then, timeout=FOLLOW_MS, leading=False)
    )

    def changed(event: object = None) -> None:
        soon()

    zoom = camera_of(viewer).events.zoom
    zoom.connect(changed)

    def stop() -> None:
        zoom.disconnect(changed)
        soon.cancel()

    return stop


def fit_outlines(layer: Layer, width_um: float) -> None:
    """Give the outlines of regions a width; nothing for other layers."""
    info = info_of(layer)
    if isinstance(info, ResultInfo) and info.kind == "regions":
        set_width(layer, width_um)


def set_width(layer: Any, width_um: float) -> None:
    """Set the width of all shapes of a layer, unless nobody could see the change."""
    before = layer.edge_width[0] if layer.nshapes else layer.current_edge_width
    if abs(before - width_um) <= VISIBLE_CHANGE * width_um:
        return
    with layer.events.edge_width.blocker():
        layer.current_edge_width = width_um  # of shapes to come; draws nothing
    if layer.nshapes:
        layer.edge_width = width_um
        layer.refresh(extent=False, highlight=False, thumbnail=False)
