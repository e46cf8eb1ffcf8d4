"""How the heatmap looks: threshold, opacity, colours, and what these mean."""

from __future__ import annotations

from magicgui.widgets import Label
from magicgui.widgets.bases import Widget

from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.options import ColoursName
from napari_fastnet.plugin.panel.keys import HEATMAP
from napari_fastnet.plugin.settings import (
    forget_colours,
    listen_to_colours,
    read_settings,
)
from napari_fastnet.plugin.widgets.numbers import NumberSlider
from napari_fastnet.plugin.widgets.section import row
from napari_fastnet.plugin.work.slide import SlideWork
from napari_fastnet.plugin.work.workspace import Workspace


class HeatmapLook:
    """The widgets that say how the heatmaps of a viewer look; nothing is computed.

    Parameters
    ----------
    workspace : Workspace
        Its slides.

    Attributes
    ----------
    threshold, opacity : NumberSlider
        Of the current slide.
    legend : Label
        What the colours mean; they are chosen in napari's preferences.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.threshold = NumberSlider(
            "threshold",
            value=0.5,
            max=1,
            step=0.01,
            page=0.05,
            tooltip="From this probability on a patch is tumour; display only",
        )
        self.opacity = NumberSlider(
            "opacity",
            value=0.5,
            max=1,
            step=0.01,
            page=0.05,
            tooltip=f"Opacity of the heatmap; show or hide it [{HEATMAP}]",
        )
        self.legend = Label(
            value=legend_of(read_settings().colours),
            tooltip="Other colours: Preferences > Plugins > FastNet > Display",
        )
        self.rows: list[Widget] = [
            row(self.threshold, label="threshold"),
            row(self.opacity, label="opacity"),
            self.legend,
        ]
        self.threshold.changed.connect(self._set_threshold)
        self.opacity.changed.connect(self._set_opacity)
        listen_to_colours(self._colours_changed)

    def show(self, work: SlideWork) -> None:
        """Follow a slide, and its layer's opacity, which napari's controls move too."""
        layer = work.layers.get("heatmap")
        if layer is not None:
            work.opacity = layer.opacity
            layer.events.opacity.connect(self._layer_changed)  # once, however often
        with self.threshold.changed.blocked(), self.opacity.changed.blocked():
            self.threshold.value, self.opacity.value = work.threshold, work.opacity

    def leave(self) -> None:
        """Follow the preferences no more."""
        forget_colours(self._colours_changed)

    def toggle(self) -> None:
        """Show or hide the heatmap of the current slide."""
        work = self._workspace.current
        if work is None:
            return
        layer = work.layers.get("heatmap")
        if layer is None:
            work.heatmap_layer()
        else:
            layer.visible = not layer.visible

    def _layer_changed(self, event: object = None) -> None:
        if (work := self._workspace.current) is not None:
            self.show(work)

    def _set_threshold(self, value: float) -> None:
        if self._workspace.current is not None:
            self._workspace.current.set_threshold(value)

    def _set_opacity(self, value: float) -> None:
        work = self._workspace.current
        if work is not None:
            work.opacity = value
            if (layer := work.heatmap_layer()) is not None:
                layer.opacity = value

    def _colours_changed(self, event: object = None) -> None:
        self.legend.value = legend_of(read_settings().colours)
        for work in self._workspace.works:
            work.show_threshold()


def legend_of(colours: ColoursName) -> str:
    """Return what the colours mean, as rich text."""
    words = {0.0: "normal", 0.5: "at the threshold", 1.0: "tumor"}
    shown = (
        f'<span style="color:rgb({red},{green},{blue})">&#9632;</span> {words[at]}'
        for at, red, green, blue in HEATMAP_COLOURS[colours]
        if at in words
    )
    return f"{' &nbsp; '.join(shown)}<br>clear: glass, or not looked at yet"
