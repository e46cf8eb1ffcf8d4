"""Open slides of a viewer, and the current one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_fastnet.machine.memory import stay_flat
from napari_fastnet.plugin.detection.detection import Detection
from napari_fastnet.plugin.layers.canvas_context import make_removal_safe, real_viewer
from napari_fastnet.plugin.layers.info import SlideInfo, info_of
from napari_fastnet.plugin.layers.scale_bar import show_scale_bar
from napari_fastnet.plugin.layers.screen_width import keep_thin
from napari_fastnet.plugin.work.adopting import adopt
from napari_fastnet.plugin.work.side_by_side import SideBySide
from napari_fastnet.plugin.work.slide import SlideWork, WorkEvents

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_fastnet.plugin.detection.request import Request

_WORKSPACES: WeakKeyDictionary[ViewerModel, Workspace] = WeakKeyDictionary()


def workspace_of(viewer: ViewerModel) -> Workspace:
    """Return the workspace of a viewer, made once and shared by all sections."""
    real = real_viewer(viewer)
    if real not in _WORKSPACES:
        stay_flat()
        make_removal_safe(real)
        keep_thin(real)
        _WORKSPACES[real] = Workspace(real)
    return _WORKSPACES[real]


class Workspace:
    """Slides of a viewer, found by following its layers.

    Parameters
    ----------
    viewer : ViewerModel
        Its layers, whoever adds them.

    Attributes
    ----------
    events : WorkEvents
        Emitted on changes of any slide.
    current : SlideWork or None
        The slide whose layer, or a result of which, was selected last.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer, self.events = viewer, WorkEvents()
        self.current: SlideWork | None = None
        self._works: dict[Layer, SlideWork] = {}
        self._side_by_side = SideBySide(viewer, self._owner)
        for layer in viewer.layers:
            self._take(layer)
        # last: this moves and hides layers, which the window must know by then
        viewer.layers.events.inserted.connect(self._inserted, position="last")
        viewer.layers.events.removed.connect(self._removed)
        viewer.layers.selection.events.active.connect(self._selected)
        # a heatmap that is taught on a slide in the background must not cover this one
        self.events.teaching.connect(self._taught)
        self._selected()

    @property
    def works(self) -> list[SlideWork]:
        """The open slides, oldest first."""
        return list(self._works.values())

    def choose(self, work: SlideWork) -> None:
        """Make a slide the current one.

        If a layer of another slide is selected, the selection moves to the slide's layer:
        otherwise the next result would bring the other slide back.
        """
        if work is self.current:
            return
        self.current = work
        active = self.viewer.layers.selection.active
        if active is not None and self._owner(active) not in (work, None):
            self.viewer.layers.selection.active = work.layer
        self._side_by_side.show(work)
        self.events.slides.emit()

    def _owner(self, layer: Layer) -> SlideWork | None:
        """Return the slide that a layer is, or shows a result of."""
        if layer in self._works:
            return self._works[layer]
        for work in self.works:  # first, as two copies of a slide have one fingerprint
            if work.layers.shows(layer):
                return work
        info = info_of(layer)
        for work in self.works:
            if info is not None and info.fingerprint == work.fingerprint:
                return work
        return None

    def detect(self, work: SlideWork, request: Request) -> None:
        """Begin a detection of a slide in place of the one before."""
        if work.detection is not None:
            work.detection.abandon()
        work.masks.put_away()
        work.detection = Detection(work, request)
        work.detection.job.start()

    def stop(self) -> None:
        """Stop all jobs of all slides without further callbacks."""
        for work in self.works:
            work.stop()

    def _inserted(self, event: Any) -> None:
        shown = any(work.layers.shows(event.value) for work in self.works)
        self._take(event.value)
        if not shown:  # results of a slide in the background do not make it current
            self._selected()
        self._side_by_side.show(self.current)

    def _take(self, layer: Layer) -> None:
        info = info_of(layer)
        if isinstance(info, SlideInfo):
            image: Image = layer
            work = self._works[layer] = SlideWork(self.viewer, image, self.events)
            if work.ready:
                show_scale_bar(self.viewer)
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

    def _taught(self, work: SlideWork) -> None:
        if work is not self.current:
            self._side_by_side.show(self.current)

    def _selected(self, event: Any = None) -> None:
        """Make the slide of the selected layer the current one."""
        active = self.viewer.layers.selection.active
        owner = None if active is None else self._owner(active)
        if owner is not None:
            self.choose(owner)
            owner.masks.picked(active)
            if active is owner.layers.get("regions"):
                owner.region_outlines.tell()
