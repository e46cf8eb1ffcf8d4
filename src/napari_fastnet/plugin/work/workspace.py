"""The slides that are open in a viewer, and which of them the panel is about."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_fastnet.machine.memory import stay_flat
from napari_fastnet.plugin.detection.detection import Detection
from napari_fastnet.plugin.layers.canvas_context import make_removal_safe
from napari_fastnet.plugin.layers.info import SlideInfo, info_of
from napari_fastnet.plugin.work.adopting import adopt
from napari_fastnet.plugin.work.side_by_side import SideBySide
from napari_fastnet.plugin.work.slide import SlideWork, WorkEvents

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_fastnet.plugin.detection.request import Request

_WORKSPACES: WeakKeyDictionary[ViewerModel, Workspace] = WeakKeyDictionary()


def workspace_of(viewer: ViewerModel) -> Workspace:
    """Return the one workspace of a viewer, which all sections share."""
    # napari hands plugins a proxy, a new one each time.
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _WORKSPACES:
        stay_flat()
        make_removal_safe(real)
        _WORKSPACES[real] = Workspace(real)
    return _WORKSPACES[real]


class Workspace:
    """Follows the layers of a viewer.

    Parameters
    ----------
    viewer : ViewerModel
        Its slide layers are found wherever they come from.

    Attributes
    ----------
    events : WorkEvents
        What happens to any of the slides.
    current : SlideWork or None
        The slide whose layer, or one of whose results, was selected last.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer, self.events = viewer, WorkEvents()
        self.current: SlideWork | None = None
        self._works: dict[Layer, SlideWork] = {}
        self._side_by_side = SideBySide(viewer, self._owner)
        for layer in viewer.layers:
            self._take(layer)
        # last: layers are moved and hidden, which the window must know of by then
        viewer.layers.events.inserted.connect(self._inserted, position="last")
        viewer.layers.events.removed.connect(self._removed)
        viewer.layers.selection.events.active.connect(self._selected)
        self._selected()

    @property
    def works(self) -> list[SlideWork]:
        """The open slides, oldest first."""
        return list(self._works.values())

    def choose(self, work: SlideWork) -> None:
        """Make a slide the current one; where a layer of another is selected, its layer.

        Or the next result of it that is shown would bring the other back.
        """
        if work is self.current:
            return
        self.current = work
        active = self.viewer.layers.selection.active
        info = None if active is None else info_of(active)
        if info is not None and not self._belongs(active, work):
            self.viewer.layers.selection.active = work.layer
        self._side_by_side.show(work)
        self.events.slides.emit()

    def _owner(self, layer: Layer) -> SlideWork | None:
        """Return the slide that a layer is, or shows something of; None if of none."""
        if layer in self._works:
            return self._works[layer]
        info = info_of(layer)
        for work in self.works:
            if work.layers.shows(layer):
                return work
        for work in self.works:
            if info is not None and info.fingerprint == work.fingerprint:
                return work
        return None

    def _belongs(self, layer: Layer | None, work: SlideWork) -> bool:
        """Return whether a layer is a slide's, or shows a result of it."""
        if layer in self._works:  # of two copies of a slide, this one
            return self._works[layer] is work
        info = None if layer is None else info_of(layer)
        return info is not None and info.fingerprint == work.fingerprint

    def detect(self, work: SlideWork, request: Request) -> None:
        """Begin a detection of a slide in place of the one before."""
        if work.detection is not None:
            work.detection.abandon()
        work.detection = Detection(work, request)
        work.detection.start()

    def stop(self) -> None:
        """Stop all jobs of all slides without further callbacks."""
        for work in self.works:
            work.stop()

    def _inserted(self, event: Any) -> None:
        shown = any(work.layers.shows(event.value) for work in self.works)
        self._take(event.value)
        if not shown:  # a run of a slide that is not looked at chooses nothing
            self._selected()
        self._side_by_side.show(self.current)

    def _take(self, layer: Layer) -> None:
        info = info_of(layer)
        if isinstance(info, SlideInfo):
            image: Image = layer
            work = self._works[layer] = SlideWork(self.viewer, image, self.events)
            self.choose(work)
            for other in list(self.viewer.layers):
                self._adopt(work, other)
            self._side_by_side.lay_below(work)
        elif info is not None:
            for work in self.works:
                self._adopt(work, layer)

    def _adopt(self, work: SlideWork, layer: Layer) -> None:
        def free(layer: Layer) -> bool:
            others = (other for other in self.works if other is not work)
            return not any(other.layers.shows(layer) for other in others)

        adopt(work, layer, free)

    def _removed(self, event: Any) -> None:
        work = self._works.pop(event.value, None)
        if work is None:
            return
        work.close()
        if work is self.current:
            self.current = next(iter(self._works.values()), None)
            self._side_by_side.show(self.current)
        self.events.slides.emit()

    def _selected(self, event: Any = None) -> None:
        """Follow the selection to the slide that it belongs to."""
        active = self.viewer.layers.selection.active
        info = None if active is None else info_of(active)
        if info is None:
            return
        with suppress(StopIteration):
            self.choose(next(w for w in self.works if self._belongs(active, w)))
        if self.current is not None and active is self.current.layers.get("regions"):
            self.current.region_outlines.tell()
