"""Parts of a viewer, and the plugin's settings, wherever the installed napari has them.

napari 0.9 moved camera, grid and scale bar from the viewer to its ``scene`` and ``canvas``,
tells when the canvas has another size, and brought the settings of plugins.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from napari_fastnet.plugin.layers.canvas_context import real_viewer

if TYPE_CHECKING:
    from napari.components import ViewerModel

_BEFORE_0_9 = tuple(map(int, version("napari").split(".")[:2])) < (0, 9)


def camera_of(viewer: ViewerModel) -> Any:
    """Return a viewer's camera."""
    return viewer.camera if _BEFORE_0_9 else viewer.scene.camera


def grid_of(viewer: ViewerModel) -> Any:
    """Return the grid in which a viewer may show its layers beside each other."""
    return viewer.grid if _BEFORE_0_9 else viewer.canvas.grid


def scale_bar_of(viewer: ViewerModel) -> Any:
    """Return a viewer's scale bar."""
    return viewer.scale_bar if _BEFORE_0_9 else viewer.canvas.overlays.scale_bar


def viewbox_size(viewer: ViewerModel) -> tuple[float, float]:
    """Return height and width of a picture on the canvas, px; in a grid there are several."""
    if _BEFORE_0_9:
        height, width = real_viewer(viewer)._get_viewbox_size()  # noqa: SLF001
    else:
        height, width = viewer.canvas.viewbox_size(viewer.layers)
    return float(height), float(width)


def resized(viewer: ViewerModel) -> Any:
    """Return the signal of a canvas that has another size.

    Connect with ``position="last"`` what asks for the new size. Before napari 0.9 a viewer
    without a window gives a signal that is never emitted.
    """
    if not _BEFORE_0_9:
        return viewer.canvas.events.size
    window = getattr(real_viewer(viewer), "window", None)
    if window is not None:
        return window._qt_viewer.canvas._scene_canvas.events.resize  # noqa: SLF001
    from napari.utils.events import EventEmitter

    return EventEmitter()


def plugin_settings(name: str) -> Any:
    """Return the preferences of a plugin, as the user has them.

    None where there is nothing to choose: the plugin is disabled, or used by a script
    without being installed, or napari is older than 0.9.
    """
    if _BEFORE_0_9:
        return None
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings(name)
    except KeyError:
        return None
