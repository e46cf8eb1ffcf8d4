"""The section of the tissue masks: compute, move thresholds, paint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from magicgui.widgets import PushButton, RadioButtons
from napari.layers import Labels
from napari.utils.notifications import show_error
from napari.viewer import Viewer

from napari_fastnet.core.geometry import Pair
from napari_fastnet.detection import tissue_editor
from napari_fastnet.errors import OptionError
from napari_fastnet.plugin.panel.edits_question import EditsQuestion
from napari_fastnet.plugin.panel.keys import MASKS
from napari_fastnet.plugin.widgets.dialogs import ask_file, ask_origin
from napari_fastnet.plugin.widgets.numbers import NumberSlider
from napari_fastnet.plugin.widgets.section import Section, row, text_line
from napari_fastnet.plugin.work.importing import load_roi
from napari_fastnet.plugin.work.masks_job import compute_masks
from napari_fastnet.plugin.work.slide import SlideWork

TIPS: dict[tissue_editor.ThresholdName, str] = {
    "red": "RGB mask: tissue is at most so red",
    "green": "RGB mask: tissue is at most so green",
    "blue": "RGB mask: tissue is at most so blue",
    "saturation": "HSV mask: tissue is more saturated than this",
    "low": "Threshold mask: every channel is at least this; darker is ink or a fold",
    "high": "Threshold mask: every channel is at most this; brighter is glass",
}
AUTO_TIPS: dict[tissue_editor.ThresholdName, str] = {
    name: f"Put {name} back on the value of Otsu's method"
    for name in tissue_editor.AUTOMATIC
} | {name: f"Put {name} back on the paper's value" for name in ("low", "high")}
#: Where the name in the code is too short for the panel.
LABELS: dict[tissue_editor.ThresholdName, str] = {"low": "darkest", "high": "brightest"}
EDITED = [("RGB", "rgb"), ("HSV", "hsv"), ("threshold", "threshold"), ("ROI", "roi")]
ROI_FILES = "*.tif *.tiff *.png *.geojson *.json *.xml"
#: Diameter of the brush, px of the mask (8 µm each).
BRUSH_PX = 12


class FixedButtons(RadioButtons):
    """Radio buttons that are made once.

    magicgui makes them anew in every new window, and the tab key would then reach them
    after the widgets that follow.
    """

    def reset_choices(self, *_: Any) -> None:
        """Make the buttons, unless they are there."""
        if not len(self):
            super().reset_choices()


class TissueSection(Section):
    """Tissue masks and the region of interest.

    Parameters
    ----------
    napari_viewer : Viewer
        Its slides.

    Attributes
    ----------
    compute : PushButton
        Computes the masks in the background.
    percent : Label
        Tissue, per cent of the slide.
    red, green, blue, saturation, low, high : NumberSlider
        Thresholds, 0..255.
    auto : dict of str to PushButton
        Puts a threshold back on its automatic value.
    edited : RadioButtons
        Which mask is painted.
    brush, erase, undo, drop : PushButton
        Tools; ``drop`` forgets what was painted on any mask.
    load : PushButton
        Takes the region of interest from a file.
    question : EditsQuestion or None
        The last one that was asked, whether strokes stay when masks are computed again.
    """

    red: NumberSlider
    green: NumberSlider
    blue: NumberSlider
    saturation: NumberSlider
    low: NumberSlider
    high: NumberSlider

    def __init__(self, napari_viewer: Viewer) -> None:
        self.compute = PushButton(
            text="Compute masks", tooltip=f"Find the tissue at 8 µm/px [{MASKS}]"
        )
        self.percent = text_line()
        self.question: EditsQuestion | None = None
        self.auto: dict[tissue_editor.ThresholdName, PushButton] = {}
        rows = [self._threshold_row(name) for name in tissue_editor.MASK_OF]
        self.edited = FixedButtons(
            choices=EDITED,
            orientation="horizontal",
            tooltip="The mask that brush, eraser and undo work on",
        )
        self.edited.value = "roi"
        self.brush = PushButton(text="brush", tooltip="Paint tissue [2]")
        self.erase = PushButton(text="erase", tooltip="Take tissue away [1]")
        self.undo = PushButton(text="undo", tooltip="Undo the last stroke [Ctrl+Z]")
        self.drop = PushButton(
            text="drop edits", tooltip="Forget what was painted, on every mask"
        )
        self.load = PushButton(
            text="load ROI",
            tooltip="Look only where a file says: a TIFF or PNG of the slide, or outlines, "
            "GeoJSON or ASAP's XML",
        )
        tools = row(self.brush, self.erase, self.undo, self.drop, self.load)
        widgets = [row(self.compute, self.percent), *rows, self._edit_row(), tools]
        super().__init__(napari_viewer, "TISSUE", widgets)
        self._connect()
        self._show()

    def _threshold_row(self, name: tissue_editor.ThresholdName) -> Any:
        slider = NumberSlider(
            LABELS.get(name, name), min=0, max=255, step=0.5, page=5, tooltip=TIPS[name]
        )
        setattr(self, name, slider)
        self.auto[name] = PushButton(text="auto", tooltip=AUTO_TIPS[name])
        self.auto[name].max_width = 48
        return row(slider, self.auto[name], label=LABELS.get(name, name))

    def _edit_row(self) -> Any:
        edit = row(self.edited, label="edit")
        edit[0].min_width = edit[0].max_width = 34  # the buttons need the room
        return edit

    def _connect(self) -> None:
        events = self.workspace.events
        for signal in (events.slides, events.spacing, events.tissue):
            self.listen(signal, self._show)
        for name in tissue_editor.MASK_OF:
            getattr(self, name).changed.connect(partial(self._move, name))
            self.auto[name].changed.connect(partial(self._automatic, name))
        self.compute.changed.connect(self._compute)
        self.edited.changed.connect(self._select)
        self.brush.changed.connect(partial(self._take_tool, "paint"))
        self.erase.changed.connect(partial(self._take_tool, "erase"))
        self.undo.changed.connect(self._undo)
        self.drop.changed.connect(self._drop)
        self.load.changed.connect(self._ask_and_load)
        self.press_keys({MASKS: self._compute})

    def _show(self, _: object = None) -> None:
        """Follow the slide: its thresholds, its percentage, what can be pressed."""
        work = self.work
        editor = None if work is None else work.editor
        computing = work is not None and _computing(work)
        self.compute.enabled = work is not None and work.ready and not computing
        for name in tissue_editor.MASK_OF:
            slider = getattr(self, name)
            slider.enabled = self.auto[name].enabled = editor is not None
            if editor is not None:
                with slider.changed.blocked():
                    slider.value = max(0.0, editor.threshold(name))
        edits = (self.edited, self.brush, self.erase, self.undo, self.drop, self.load)
        for widget in edits:
            widget.enabled = editor is not None
        self.percent.value = "computing …" if computing else percentage(editor)

    def _compute(self) -> None:
        work = self.work
        if work is None or not work.ready or _computing(work):
            return
        work.masks.take_painting()
        if work.editor is None or not work.editor.edited_px:
            compute_masks(work)
            return
        answer = partial(self.compute_again, work)
        self.question = EditsQuestion(self.native, work.editor.edited_px, answer)

    def compute_again(self, work: SlideWork, keep: bool) -> None:
        """Compute a slide's masks anew, and keep or drop what was painted by hand."""
        if work not in self.workspace.works or _computing(work):
            return
        if work.editor is not None and not keep:
            work.masks.take_painting()
            work.masks.show(work.editor.drop_edits())
        compute_masks(work)

    def _move(self, name: tissue_editor.ThresholdName, value: float) -> None:
        """Follow a slider; low and high push each other along."""
        self._change(partial(moved, name=name, value=value))

    def _automatic(self, name: tissue_editor.ThresholdName) -> None:
        self._change(lambda editor: editor.set_threshold(name, None))

    def _drop(self) -> None:
        self._change(lambda editor: editor.drop_edits())

    def load_roi(self, path: Path, bounds_offset: Pair = (0.0, 0.0)) -> None:
        """Look only where a file says, as `annotations.roi.read_roi` reads it; faults are told."""
        work = self.work
        if work is not None and work.editor is not None:
            load_roi(work, path, bounds_offset=bounds_offset)

    def _ask_and_load(self) -> None:
        if self.work is not None:
            start, title = self.work.slide.path.parent, "Region of interest"
            path = ask_file(self.native, title, start, ROI_FILES)
            offset = ask_origin(self.native, path, self.work.slide.bounds)
            if path is not None and offset is not None:
                self.load_roi(path, offset)

    def _change(self, change: Callable[[tissue_editor.TissueEditor], Any]) -> None:
        work = self.work
        if work is None or work.editor is None:
            return
        work.masks.take_painting()
        try:
            work.masks.show(change(work.editor), moving=True)
        except OptionError as error:
            show_error(str(error))
        self._show()

    def _select(self) -> None:
        layer = self._edited_layer()
        if layer is not None:
            layer.visible = True
            self.workspace.viewer.layers.selection.active = layer

    def _take_tool(self, mode: str) -> None:
        self._select()
        labels = self._edited_layer()
        if labels is not None:
            labels.selected_label, labels.brush_size = 1, BRUSH_PX
            labels.mode = mode

    def _undo(self) -> None:
        labels = self._edited_layer()
        if labels is not None:
            labels.undo()

    def _edited_layer(self) -> Labels | None:
        layer = None if self.work is None else self.work.masks.layer(self.edited.value)
        return layer if isinstance(layer, Labels) else None


def moved(
    editor: tissue_editor.TissueEditor, name: tissue_editor.ThresholdName, value: float
) -> tuple[tissue_editor.MaskKind, ...]:
    """Move a threshold; low and high never cross, one pushes the other along."""
    if name == "low" and value > editor.threshold("high"):
        editor.set_threshold("high", value)
    if name == "high" and value < editor.threshold("low"):
        editor.set_threshold("low", value)
    return editor.set_threshold(name, value)


def percentage(editor: tissue_editor.TissueEditor | None) -> str:
    """Return how much of the slide is tissue, in words."""
    if editor is None:
        return ""
    roi = editor.mask("roi")
    share = float(roi.mean()) if roi.size else 0.0
    edits = f", {editor.edited_px:,} px by hand" if editor.edited_px else ""
    return f"tissue {share:.1%}{edits}" if share else f"no tissue found{edits}"


def _computing(work: SlideWork) -> bool:
    return work.tissue_job is not None and work.tissue_job.running
