"""The FastNet panel: all sections in the order of the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import Container, Label
from magicgui.widgets.bases import Widget
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QScrollArea

from napari_fastnet.plugin.panel.detect import DetectSection
from napari_fastnet.plugin.panel.export import ExportSection
from napari_fastnet.plugin.panel.regions import RegionsSection
from napari_fastnet.plugin.panel.slide import SlideSection
from napari_fastnet.plugin.panel.tissue import TissueSection
from napari_fastnet.plugin.review.review import ReviewSection
from napari_fastnet.plugin.teach.teach import TeachSection
from napari_fastnet.plugin.widgets.dialogs import UndockWatch
from napari_fastnet.results.record import CALIBRATED, RESEARCH_USE

if TYPE_CHECKING:
    from napari.components import ViewerModel

#: The canvas has its new size so long after the panel is docked, ms.
DOCKED_MS = 1000
#: napari fits a slide before its window has its final size; relative error of the zoom.
FITTED = 0.15


class FastNetPanel(Container[Widget]):
    """The sections, from top to bottom in the order of work.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer that the panel is docked in.

    Attributes
    ----------
    slide, tissue, detect, review, teach, regions, export
        The sections; scripts press their buttons and move their sliders.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self.slide = SlideSection(napari_viewer)
        self.tissue = TissueSection(napari_viewer)
        self.detect = DetectSection(napari_viewer)
        self.review = ReviewSection(napari_viewer)
        self.teach = TeachSection(
            napari_viewer, self.detect.request, self.detect.choose_model
        )
        self.regions = RegionsSection(napari_viewer)
        self.export = ExportSection(napari_viewer)
        self._sections = (
            self.slide,
            self.tissue,
            self.detect,
            self.review,
            self.teach,
            self.regions,
            self.export,
        )
        note = Label(value=f"{CALIBRATED}<br>{RESEARCH_USE}")
        super().__init__(widgets=[*self._sections, note], labels=False, scrollable=True)
        self._watch = UndockWatch(self.native, self._undocked)
        self._width = WidthKeeper(self.native)
        self._fit = FitOnceDocked(self.native, self.slide.workspace.viewer)

    def _undocked(self) -> None:
        for section in self._sections:
            section.undocked()

    @property
    def native(self) -> Any:
        """The scroll area; its content, which magicgui returns, is taller than a laptop."""
        return self.root_native_widget


class WidthKeeper(QObject):
    """A watch that keeps a scroll area as wide as its content, in every theme.

    magicgui measures the content before napari's theme widens it. Without this, the
    right ends of the widgets lie under the scroll bar.

    Parameters
    ----------
    area : QScrollArea
        Owns this object; scrolls up and down only.
    """

    def __init__(self, area: QScrollArea) -> None:
        super().__init__(area)
        area.installEventFilter(self)

    def eventFilter(  # noqa: N802 - Qt's name
        self, watched: QObject | None, event: QEvent | None
    ) -> bool:
        """Watch the area's events and let all pass."""
        shown = event is not None and event.type() == QEvent.Type.Show
        if shown and isinstance(watched, QScrollArea):
            content, bar = watched.widget(), watched.verticalScrollBar()
            assert content is not None
            assert bar is not None
            width = content.minimumSizeHint().width() + bar.sizeHint().width()
            watched.setMinimumWidth(width + 2 * watched.frameWidth())
        return False


class FitOnceDocked(QObject):
    """A watch that keeps the slide fitted to the canvas while the panel is docked.

    A view that the user has moved is left alone.

    Parameters
    ----------
    parent : QObject
        Owns this object; about to be docked.
    viewer : ViewerModel
        The viewer whose canvas becomes smaller.
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
            camera = viewer.scene.camera
            camera.center, camera.zoom = tuple(before[:3]), float(before[3])
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
