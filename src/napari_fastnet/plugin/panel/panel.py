"""The FastNet panel: all sections in the order of the work."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import Container, Label
from magicgui.widgets.bases import Widget
from napari.viewer import Viewer

from napari_fastnet.plugin.panel.detect import DetectSection
from napari_fastnet.plugin.panel.export import ExportSection
from napari_fastnet.plugin.panel.regions import RegionsSection
from napari_fastnet.plugin.panel.slide import SlideSection
from napari_fastnet.plugin.panel.tissue import TissueSection
from napari_fastnet.plugin.panel.view_fit import FitOnceDocked
from napari_fastnet.plugin.widgets.dialogs import UndockWatch, WidthKeeper
from napari_fastnet.results.record import CALIBRATED, RESEARCH_USE


class FastNetPanel(Container[Widget]):
    """Slide, tissue, detect, regions, export: from top to bottom the order of work.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer that the panel is in.

    Attributes
    ----------
    slide, tissue, detect, regions, export
        The sections; scripts press their buttons and move their sliders.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self.slide = SlideSection(napari_viewer)
        self.tissue = TissueSection(napari_viewer)
        self.detect = DetectSection(napari_viewer)
        self.regions = RegionsSection(napari_viewer)
        self.export = ExportSection(napari_viewer)
        super().__init__(
            widgets=[
                self.slide,
                self.tissue,
                self.detect,
                self.regions,
                self.export,
                Label(value=f"{CALIBRATED}<br>{RESEARCH_USE}"),
            ],
            labels=False,
            scrollable=True,
        )
        self._watch = UndockWatch(self.native, self._undocked)
        self._width = WidthKeeper(self.native)
        self._fit = FitOnceDocked(self.native, self.slide.workspace.viewer)

    def _undocked(self) -> None:
        for section in (
            self.slide,
            self.tissue,
            self.detect,
            self.regions,
            self.export,
        ):
            section.undocked()

    @property
    def native(self) -> Any:
        """The scroll area: napari would dock what is in it, taller than a laptop."""
        return self.root_native_widget
