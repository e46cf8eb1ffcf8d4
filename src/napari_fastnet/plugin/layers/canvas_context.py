"""Removal of layers from a window without a crash.

As soon as a layer is removed, napari 0.9 has its textures and buffers deleted, but
between two pictures it is Qt's own OpenGL context that is current, not the canvas's:
what is deleted there the canvas goes on using, and the next picture ends the process.
So the canvas's context is made current first. The smallest script that dies without
is in ``docs/explain/responsiveness.md``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

if TYPE_CHECKING:
    from napari.components import ViewerModel

_SAFE: WeakSet[ViewerModel] = WeakSet()


def real_viewer(viewer: ViewerModel) -> ViewerModel:
    """Return the viewer behind the proxy that napari hands out, a new one each time."""
    found: ViewerModel = getattr(viewer, "__wrapped__", viewer)
    return found


def make_removal_safe(viewer: ViewerModel) -> None:
    """Make the canvas's context current before each layer of a viewer is removed.

    Parameters
    ----------
    viewer : ViewerModel
        With a window or without; asked for again, nothing happens.
    """
    viewer = real_viewer(viewer)
    if viewer in _SAFE:
        return
    _SAFE.add(viewer)
    weak = ref(viewer)

    def removing(event: object) -> None:
        make_current(weak())

    viewer.layers.events.removing.connect(removing)


def make_current(viewer: Any) -> None:
    """Make the context of a viewer's canvas current; nothing without a window."""
    with suppress(AttributeError, RuntimeError):  # none, or it is being closed
        viewer.window._qt_viewer.canvas.native.makeCurrent()  # noqa: SLF001
