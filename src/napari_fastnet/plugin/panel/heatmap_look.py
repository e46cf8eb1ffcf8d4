"""The display of the heatmap: threshold, opacity, and the legend of its colours."""

from __future__ import annotations

from magicgui.widgets import Label
from magicgui.widgets.bases import Widget

from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.options import ColoursName
from napari_fastnet.plugin import settings
from napari_fastnet.plugin.widgets.numbers import NumberSlider
from napari_fastnet.plugin.widgets.section import row
from napari_fastnet.plugin.work.slide import SlideWork
from napari_fastnet.plugin.work.workspace import Workspace

#: Key of the viewer that shows or hides the heatmap; napari uses none like it.
HEATMAP_KEY = "Shift+H"


class HeatmapLook:
    """The widgets that set how the heatmaps of a viewer look; nothing is computed.

    Parameters
    ----------
    workspace : Workspace
        The slides of the viewer.

    Attributes
    ----------
    threshold, opacity : NumberSlider
        Of the current slide.
    legend : Label
        The meaning of the colours, which are chosen in napari's preferences.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.threshold = _slider(
            "threshold", "Patches from this probability on count as tumor"
        )
        self.opacity = _slider(
            "opacity", f"Opacity of the heatmap; show or hide it [{HEATMAP_KEY}]"
        )
        self.legend = Label(
            value=legend_of(settings.read_settings().colours),
            tooltip="Other colors: Preferences > Plugins > FastNet > Display",
        )
        self.rows: list[Widget] = [
            row(self.threshold, label="threshold"),
            row(self.opacity, label="opacity"),
            self.legend,
        ]
        self.threshold.changed.connect(self._set_threshold)
        self.opacity.changed.connect(self._set_opacity)
        settings.listen_to_colours(self._colours_changed)

    def show(self, work: SlideWork) -> None:
        """Show a slide's values; napari's own controls move its layer's opacity too."""
        layer = work.layers.get("heatmap")
        if layer is not None:
            work.opacity = layer.opacity
            # connecting again does nothing
            layer.events.opacity.connect(self._layer_changed)
        with self.threshold.changed.blocked(), self.opacity.changed.blocked():
            self.threshold.value, self.opacity.value = work.threshold, work.opacity

    def leave(self) -> None:
        """Stop listening to the preferences."""
        settings.forget_colours(self._colours_changed)

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
        if (work := self._workspace.current) is not None:
            work.set_threshold(value)

    def _set_opacity(self, value: float) -> None:
        if (work := self._workspace.current) is not None:
            work.opacity = value
            if (layer := work.heatmap_layer()) is not None:
                layer.opacity = value

    def _colours_changed(self, event: object = None) -> None:
        self.legend.value = legend_of(settings.read_settings().colours)
        for work in self._workspace.works:
            work.show_threshold()


def _slider(name: str, tooltip: str) -> NumberSlider:
    return NumberSlider(name, value=0.5, max=1, step=0.01, page=0.05, tooltip=tooltip)


def legend_of(colours: ColoursName) -> str:
    """Return the legend of the heatmap's colours as rich text."""
    words = {0.0: "normal", 0.5: "at the threshold", 1.0: "tumor"}
    shown = (
        f'<span style="color:rgb({red},{green},{blue})">&#9632;</span> {words[at]}'
        for at, red, green, blue in HEATMAP_COLOURS[colours]
        if at in words
    )
    return f"{' &nbsp; '.join(shown)}<br>clear: glass, or not computed yet"
