"""The display of results: threshold, opacity, parts shown, and legends."""

from __future__ import annotations

import numpy as np
from magicgui.widgets import ComboBox
from magicgui.widgets.bases import Widget
from napari.layers import Layer

from napari_fastnet.core.appearance.flags import WORDS
from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.options import (
    DEFAULT_ALARMS,
    Alarms,
    ColoursName,
    CurvePoint,
    EvidenceScale,
)
from napari_fastnet.plugin import settings
from napari_fastnet.plugin.keys import key_of
from napari_fastnet.plugin.layers.data import (
    FLAG_COLOURS,
    OUTLINE_COLOURS,
    VERDICT_COLOURS,
)
from napari_fastnet.plugin.layers.marks import SYMBOLS
from napari_fastnet.plugin.layers.tissue_only import TissueOnly
from napari_fastnet.plugin.widgets.numbers import NumberSlider
from napari_fastnet.plugin.widgets.section import Fold, row, text_line
from napari_fastnet.plugin.work.slide import SlideWork
from napari_fastnet.plugin.work.workspace import Workspace

#: Choices of the lesion threshold, and the one of the slider.
ALARMS: dict[Alarms, str] = {
    "fewer": "fewer alarms",
    "balanced": "balanced",
    "more": "find more",
}
OTHER = "other"
#: Highest lesion threshold of the slider, log odds.
MOST_EVIDENCE = 6.0
#: Signs of the markers' symbols, and words of verdicts as the totals say them.
SIGNS = {
    "disc": "&#9679;",
    "diamond": "&#9670;",
    "x": "&#10006;",
    "triangle_up": "&#9650;",
}
SAID = {"tumor": "accepted", "not tumor": "rejected"}
#: Behind signs that are white or black, as the panel may be.
BEHIND = "#808080"
ALL, SUSPICIOUS, OUTLINES = "all", "suspicious only", "outlines"


class HeatmapLook:
    """The widgets that set how the heatmaps of a viewer look; nothing is computed.

    Parameters
    ----------
    workspace : Workspace
        The slides of the viewer.

    Attributes
    ----------
    threshold, evidence, opacity : NumberSlider
        Of the current slide: of outlines, of lesions, of the heatmap.
    alarms : ComboBox
        The lesion threshold by name.
    figures : Label
        Found and false lesions at it, as measured.
    display : ComboBox
        The part of the heatmap that is shown: all of it, what reaches the threshold, or
        nothing but the outlines of regions.
    legend : Label
        The meaning of the colours, which are chosen in napari's preferences.
    marks : Label
        The meaning of markers and outlines, while there are markers.
    flags : Label
        The meaning of the flags' colours, while flags are shown.
    fold : Fold
        Holds the legends.
    tissue_only : TissueOnly
        Hides and shows whatever lies over the slides.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.tissue_only = TissueOnly(workspace.viewer)
        self.threshold = _slider(
            "threshold", "Places from this probability on belong to an outline"
        )
        self.alarms = ComboBox(
            # all of them from the start: choices that change choose the first
            choices=[
                *((words, name) for name, words in ALARMS.items()),
                ("by evidence", OTHER),
            ],
            value=DEFAULT_ALARMS,
            tooltip="Fewer false lesions, or more small ones found",
        )
        self.evidence = NumberSlider(
            "evidence",
            value=EvidenceScale().balanced,
            min=EvidenceScale().more,
            max=MOST_EVIDENCE,
            step=0.01,
            page=0.5,
            tooltip="Candidates with this evidence or more are lesions, log odds",
        )
        self.figures = text_line()
        self.figures.tooltip = (
            "As measured on mosaics of the model's validation patches"
        )
        self.opacity = _slider(
            "opacity", f"Opacity of the heatmap; show or hide it [{key_of('heatmap')}]"
        )
        self.display = ComboBox(
            choices=(ALL, SUSPICIOUS, OUTLINES),
            tooltip="Part of the heatmap that is shown; the next one "
            f"[{key_of('display')}]. Nothing but the tissue: hold [{key_of('tissue_only')}]",
        )
        self.legend = text_line()
        self.legend.value = legend_of(settings.read_settings().colours)
        self.legend.tooltip = "Other colors: Preferences > Plugins > FastNet > Display"
        self.marks, self.flags = text_line(), text_line()
        self.marks.value = legend_of_marks()
        self.marks.visible = self.flags.visible = False
        self.fold = Fold("Legend", [self.legend, self.marks, self.flags], folded=True)
        self.rows: list[Widget] = [
            row(self.alarms, label="alarms"),
            self.figures,
            row(self.threshold, label="threshold"),
            row(self.opacity, label="opacity"),
            row(self.display, label="show"),
            self.fold,
        ]
        self.threshold.changed.connect(self._set_threshold)
        self.alarms.changed.connect(self._set_alarms)
        self.evidence.changed.connect(self._set_evidence)
        self.opacity.changed.connect(self._set_opacity)
        self.display.changed.connect(self._set_display)
        settings.listen_to_colours(self._colours_changed)

    def show(self, work: SlideWork) -> None:
        """Show a slide's values; napari's own controls move its layer's opacity too."""
        if self.tissue_only.held:
            return
        heatmap, flags = work.layers.get("heatmap"), work.layers.get("quality")
        if heatmap is not None:
            work.opacity = heatmap.opacity
            # connecting again does nothing
            heatmap.events.opacity.connect(self._layer_changed)
            heatmap.events.visible.connect(self._layer_changed)
        if flags is not None:
            flags.events.visible.connect(self._layer_changed)
        with self.threshold.changed.blocked(), self.opacity.changed.blocked():
            self.threshold.value, self.opacity.value = work.threshold, work.opacity
        self._show_evidence(work)
        self.display.enabled = heatmap is not None
        with self.display.changed.blocked():
            self.display.value = _display_of(work, heatmap)
        self.flags.value = "" if flags is None else legend_of_flags(flags)
        self.flags.visible = bool(self.flags.value)

    def show_marks(self, _: object = None) -> None:
        """Show the legend of markers while the current slide has some."""
        work = self._workspace.current
        there = work is not None and not work.layers.veiled
        self.marks.visible = work is not None and there and bool(work.review.reviewed)

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

    def next_display(self) -> None:
        """Show the next part of the heatmap; after the last, the first."""
        work = self._workspace.current
        if work is not None and work.layers.get("heatmap") is not None:
            at = self.display.choices.index(self.display.value)
            self.display.value = self.display.choices[(at + 1) % 3]

    def _layer_changed(self, event: object = None) -> None:
        if (work := self._workspace.current) is not None:
            self.show(work)

    def _set_threshold(self, value: float) -> None:
        if (work := self._workspace.current) is not None:
            work.set_threshold(value)

    def _show_evidence(self, work: SlideWork) -> None:
        scale, least = work.rule.evidence, work.rule.lesion_threshold
        with self.evidence.changed.blocked(), self.alarms.changed.blocked():
            self.evidence.min = min(scale.more, least)
            self.evidence.max = max(MOST_EVIDENCE, least)
            self.evidence.value = least
            named = [name for name in ALARMS if scale.of(name) == least]
            self.alarms.value = named[0] if named else OTHER
        # until a run says so, the model whose alarms they are is not known
        known = work.heatmap is not None
        self.figures.value = figures_of(work.rule.measured) if known else ""

    def _set_alarms(self, name: str) -> None:
        work = self._workspace.current
        if work is not None and name in ALARMS:
            work.set_lesion_threshold(work.rule.evidence.of(name))
            self._show_evidence(work)

    def _set_evidence(self, value: float) -> None:
        if (work := self._workspace.current) is not None:
            work.set_lesion_threshold(value)
            self._show_evidence(work)

    def _set_opacity(self, value: float) -> None:
        if (work := self._workspace.current) is not None:
            work.opacity = value
            if (layer := work.heatmap_layer()) is not None:
                layer.opacity = value

    def _set_display(self, value: str) -> None:
        work = self._workspace.current
        layer = None if work is None else work.layers.get("heatmap")
        if work is None or layer is None:
            return
        if value != OUTLINES:
            work.suspicious_only = value == SUSPICIOUS
            work.show_threshold()
        layer.visible = value != OUTLINES
        regions = work.layers.get("regions")
        if value == OUTLINES and regions is not None:
            regions.visible = True

    def _colours_changed(self, event: object = None) -> None:
        self.legend.value = legend_of(settings.read_settings().colours)
        for work in self._workspace.works:
            work.show_threshold()


def _slider(name: str, tooltip: str) -> NumberSlider:
    return NumberSlider(name, value=0.5, max=1, step=0.01, page=0.05, tooltip=tooltip)


def figures_of(point: CurvePoint | None) -> str:
    """Describe the figures measured at a lesion threshold."""
    if point is None:
        return "this model's alarms were not measured"
    return (
        f"{point.sensitivity:.0%} of lesions found, "
        f"{point.false_per_10_mm2:.1f} false per 10 mm²"
    )


def _display_of(work: SlideWork, heatmap: Layer | None) -> str:
    taught = work.layers.get("taught")
    if heatmap is not None and not (heatmap.visible or (taught and taught.visible)):
        return OUTLINES
    return SUSPICIOUS if work.suspicious_only else ALL


def legend_of(colours: ColoursName) -> str:
    """Return the legend of the heatmap's colours as rich text."""
    words = {0.0: "normal", 0.5: "at the threshold", 1.0: "tumor"}
    shown = (
        f'<span style="color:rgb({red},{green},{blue})">&#9632;</span> {words[at]}'
        for at, red, green, blue in HEATMAP_COLOURS[colours]
        if at in words
    )
    return f"{' &nbsp; '.join(shown)}<br>clear: glass, or not computed yet"


def legend_of_marks() -> str:
    """Return the legend of markers and outlines as rich text."""
    shown = [
        _sign(SIGNS[symbol], VERDICT_COLOURS[status])
        + f"{_sign('&#9633;', OUTLINE_COLOURS[status])} {SAID.get(status, status)}"
        for status, symbol in SYMBOLS.items()
    ]
    shown.append(f"{_sign('&#9675;', VERDICT_COLOURS['undecided'])} possible")
    return " &nbsp; ".join(shown)


def _sign(sign: str, colour: str) -> str:
    plain = colour in (VERDICT_COLOURS["undecided"], OUTLINE_COLOURS["undecided"])
    behind = f";background-color:{BEHIND}" if plain else ""
    return f'<span style="color:{colour}{behind}">&nbsp;{sign}&nbsp;</span>'


def legend_of_flags(layer: Layer) -> str:
    """Return the legend of the flags that a layer shows; empty if it shows none."""
    found = np.unique(layer.data) if layer.visible else np.zeros(1, np.uint8)
    shown = [
        f'<span style="color:{FLAG_COLOURS[flag]}">&#9632;</span> {words}'
        for flag, words in WORDS.items()
        if (found & flag).any()
    ]
    if any(int(value).bit_count() > 1 for value in found):
        shown.append("&#9633; several of these")
    return f"Flagged patches:<br>{'<br>'.join(shown)}" if shown else ""
