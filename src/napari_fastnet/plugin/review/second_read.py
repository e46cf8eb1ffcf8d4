"""Second reads: what was found stays out of sight until the reader has a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from napari_fastnet.plugin.work.slide import SlideWork
    from napari_fastnet.plugin.work.workspace import Workspace

QUESTION = (
    "<b>Second read.</b> Read the slide yourself; what FastNet found is hidden. "
    "Then note your verdict on the slide:"
)
#: The reader's verdicts, in the reader's words.
READINGS = {
    "not tumor": "no tumor seen",
    "tumor": "tumor seen",
    "unsure": "unsure",
}


class SecondRead:
    """Hides the results of slides that the reader has not read yet.

    Parameters
    ----------
    workspace : Workspace
        The slides of the viewer.

    Attributes
    ----------
    on : bool
        Whether results wait for the reader.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.on = False
        self._soon = QTimer()
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.veil)
        events = workspace.events
        self._signals = (events.slides, events.heatmap, events.decisions)
        for signal in self._signals:
            signal.connect(self._look_again)
        workspace.viewer.layers.events.inserted.connect(self._look_again)

    def turn(self, *, on: bool) -> None:
        """Turn the mode on or off."""
        self.on = on
        self.veil()

    def hides(self, work: SlideWork | None) -> bool:
        """Return whether the results of a slide wait for the reader."""
        return self.on and work is not None and work.review.decisions.reading is None

    def veil(self) -> None:
        """Take the layers of waiting results out of the viewer, and put others back."""
        for work in self._workspace.works:
            before, hidden = work.layers.veiled, self.hides(work)
            work.layers.veil(veil=hidden)
            if hidden != before:
                self._workspace.events.regions.emit(work)

    def leave(self) -> None:
        """Show all results again: nobody is left to ask for a verdict."""
        for signal in self._signals:
            signal.disconnect(self._look_again, missing_ok=True)
        self._workspace.viewer.layers.events.inserted.disconnect(self._look_again)
        self._soon.stop()
        self.turn(on=False)

    def _look_again(self, _: object = None) -> None:
        if self.on:  # not at once: napari may be in the middle of adding a layer
            self._soon.start(0)
