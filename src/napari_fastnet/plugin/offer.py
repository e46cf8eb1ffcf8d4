"""The offer of the panel to a person who opens a slide without it; made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from napari_fastnet.plugin.commands import find_tumors
from napari_fastnet.plugin.layers.canvas_context import real_viewer
from napari_fastnet.plugin.settings import forget_offer, may_offer
from napari_fastnet.plugin.widgets.place import OFFERS, withdraw_offer

if TYPE_CHECKING:
    from napari.components import ViewerModel

WORDS = "FastNet: find tumors in this slide"
#: A window that begins with a slide is shown so long after it was read, ms.
SHOWN_MS = 300


class Offer(QWidget):
    """A line above the slide with a button that finds its tumors.

    Parameters
    ----------
    viewer : ViewerModel
        With a window.

    Attributes
    ----------
    begin, not_now : QPushButton
        Open the panel and begin; close the line.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self.begin = QPushButton("Find tumors")
        self.begin.setToolTip(
            "Open the panel of FastNet, find the tissue and its tumors"
        )
        self.not_now = QPushButton("Not now")
        self.not_now.setToolTip(
            "Later: Plugins > FastNet (FastNet), or 'Find tumors' in the command palette"
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 2, 8, 2)
        layout.addWidget(QLabel(WORDS))
        layout.addWidget(self.begin)
        layout.addWidget(self.not_now)
        layout.addStretch(1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.begin.clicked.connect(self._find)
        self.not_now.clicked.connect(self._close)

    def _find(self) -> None:
        viewer: Any = self._viewer()
        if viewer is not None:
            withdraw_offer(viewer)
            find_tumors(viewer)

    def _close(self) -> None:
        if (viewer := self._viewer()) is not None:
            withdraw_offer(viewer)


def offer_panel(viewer: ViewerModel) -> None:
    """Offer the panel in a viewer soon, unless it was offered before or is there."""
    if not may_offer():
        return
    weak = ref(real_viewer(viewer))
    QTimer.singleShot(SHOWN_MS, lambda: _show(weak()))


def _show(viewer: Any) -> None:
    from napari_fastnet.plugin.panel.panel import panel_of

    window: Any = getattr(viewer, "window", None)
    if window is None or not may_offer() or panel_of(viewer) is not None:
        return
    try:
        offer = Offer(viewer)
        dock = window.add_dock_widget(offer, area="top", name="FastNet")
    except (RuntimeError, AttributeError):  # the window is gone
        return
    OFFERS[viewer] = offer
    dock.visibilityChanged.connect(lambda shown: forget_offer() if shown else None)
