"""The section of the tissue masks: compute, adjust thresholds, paint."""

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
from napari_fastnet.plugin.keys import key_of
from napari_fastnet.plugin.widgets.dialogs import EditsQuestion
from napari_fastnet.plugin.widgets.numbers import NumberSlider
from napari_fastnet.plugin.widgets.section import Section, button, row, text_line
from napari_fastnet.plugin.work.importing import load_roi
from napari_fastnet.plugin.work.masks_job import compute_masks
from napari_fastnet.plugin.work.slide import SlideWork

TIPS: dict[tissue_editor.ThresholdName, str] = {
    "red": "RGB mask: highest red value of tissue",
    "green": "RGB mask: highest green value of tissue",
    "blue": "RGB mask: highest blue value of tissue",
    "saturation": "HSV mask: tissue is more saturated than this",
    "low": "Threshold mask: lowest value of every channel; darker is ink or a fold",
    "high": "Threshold mask: highest value of every channel; brighter is glass",
}
#: Labels in the panel for names that are too short to be understood.
LABELS: dict[tissue_editor.ThresholdName, str] = {"low": "darkest", "high": "brightest"}
EDITED = [("RGB", "rgb"), ("HSV", "hsv"), ("threshold", "threshold"), ("ROI", "roi")]
ROI_FILES = "*.tif *.tiff *.png *.geojson *.json *.xml *.qpproj *.qpdata"
#: Diameter of the brush, px of the mask (8 µm each).
BRUSH_PX = 12


class FixedButtons(RadioButtons):
    """Radio buttons that are made once.

    magicgui makes them again in every new window, and the tab key would then reach them
    after the widgets that follow.
    """

    def reset_choices(self, *_: Any) -> None:
        """Make the buttons, unless they exist."""
        if not len(self):
            super().reset_choices()


class TissueSection(Section):
    """Tissue masks and the region of interest.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer with the slides.

    Attributes
    ----------
    compute : PushButton
        Computes the masks in the background.
    percent : Label
        Tissue, per cent of the slide.
    red, green, blue, saturation, low, high : NumberSlider
        Thresholds, 0..255.
    auto : dict of str to PushButton
        Resets a threshold to its automatic value.
    edited : RadioButtons
        The mask to paint on.
    brush, erase, undo, drop : PushButton
        Tools; ``drop`` removes all strokes from all masks.
    load : PushButton
        Reads the region of interest from a file.
    question : EditsQuestion or None
        The latest question whether to keep strokes when masks are computed again.
    """

    red: NumberSlider
    green: NumberSlider
    blue: NumberSlider
    saturation: NumberSlider
    low: NumberSlider
    high: NumberSlider

    def __init__(self, napari_viewer: Viewer) -> None:
        self.compute = button(
            "Compute masks", f"Find the tissue, at 8 µm/px [{key_of('masks')}]"
        )
        self.percent = text_line()
        self.question: EditsQuestion | None = None
        self.auto: dict[tissue_editor.ThresholdName, PushButton] = {}
        thresholds = [self._threshold_row(name) for name in tissue_editor.MASK_OF]
        self.edited = FixedButtons(
            choices=EDITED,
            orientation="horizontal",
            tooltip="Mask to paint on with the brush, eraser and undo",
        )
        self.edited.value = "roi"
        edit = row(self.edited, label="edit")
        edit[0].min_width = edit[0].max_width = 34  # the buttons need the room
        self.brush = button("brush", "Add tissue [2]")
        self.erase = button("erase", "Remove tissue [1]")
        self.undo = button("undo", "Undo the last stroke [Ctrl+Z]")
        self.drop = button("forget painting", "Remove all strokes from all masks")
        self.load = button(
            "outline file",
            "Read the region of interest from a file: a TIFF or PNG mask of the slide, or "
            "outlines (GeoJSON, ASAP XML)",
        )
        tools = row(self.brush, self.erase, self.undo)
        widgets = [
            row(self.compute, self.percent),
            *thresholds,
            edit,
            tools,
            row(self.drop, self.load),
        ]
        super().__init__(napari_viewer, "Tissue", widgets)
        self._connect()
        self._show()

    def _threshold_row(self, name: tissue_editor.ThresholdName) -> Any:
        label = LABELS.get(name, name)
        slider = NumberSlider(
            label, min=0, max=255, step=0.5, page=5, tooltip=TIPS[name]
        )
        setattr(self, name, slider)
        source = "Otsu's method" if name in tissue_editor.AUTOMATIC else "the paper"
        self.auto[name] = button(
            "auto", f"Reset {name} to the value of {source}", max_width=48
        )
        return row(slider, self.auto[name], label=label)

    def _connect(self) -> None:
        events = self.workspace.events
        self.listen(self._show, events.slides, events.spacing, events.tissue)
        for name in tissue_editor.MASK_OF:
            getattr(self, name).changed.connect(partial(self._move, name))
            self.auto[name].changed.connect(partial(self._automatic, name))
        self.compute.changed.connect(self._compute)
        self.edited.changed.connect(self._select)
        self.brush.changed.connect(partial(self._take_tool, "paint"))
        self.erase.changed.connect(partial(self._take_tool, "erase"))
        self.undo.changed.connect(self._undo)
        self.drop.changed.connect(self._drop)
        self.load.changed.connect(self._load_roi)
        self.press_keys({"masks": self._compute})

    def _show(self, _: object = None) -> None:
        """Update thresholds, percentage and buttons from the current slide."""
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
        self.fold.say(self.percent.value.removeprefix("tissue "))
        self.fold.settle(editor is not None)

    def _compute(self) -> None:
        work = self.work
        if work is None or not work.ready or _computing(work):
            return
        work.masks.bring_back()
        work.masks.take_painting()
        if work.editor is None or not work.editor.edited_px:
            compute_masks(work)
            return
        answer = partial(self.compute_again, work)
        self.question = EditsQuestion(self.native, work.editor.edited_px, answer)

    def compute_again(self, work: SlideWork, keep: bool) -> None:
        """Compute a slide's masks again, and keep or drop the strokes on them."""
        if work not in self.workspace.works or _computing(work):
            return
        if work.editor is not None and not keep:
            work.masks.take_painting()
            work.masks.show(work.editor.drop_edits())
        compute_masks(work)

    def _move(self, name: tissue_editor.ThresholdName, value: float) -> None:
        """Set a threshold; low and high never cross, one pushes the other along."""

        def move(
            editor: tissue_editor.TissueEditor,
        ) -> tuple[tissue_editor.MaskKind, ...]:
            if name == "low" and value > editor.threshold("high"):
                editor.set_threshold("high", value)
            if name == "high" and value < editor.threshold("low"):
                editor.set_threshold("low", value)
            return editor.set_threshold(name, value)

        self._change(move)

    def _automatic(self, name: tissue_editor.ThresholdName) -> None:
        self._change(lambda editor: editor.set_threshold(name, None))

    def _drop(self) -> None:
        self._change(lambda editor: editor.drop_edits())

    def _change(
        self,
        change: Callable[
            [tissue_editor.TissueEditor], tuple[tissue_editor.MaskKind, ...]
        ],
    ) -> None:
        """Change the masks, and show those that the function returns."""
        work = self.work
        if work is None or work.editor is None:
            return
        work.masks.bring_back()
        work.masks.take_painting()
        try:
            work.masks.show(change(work.editor), moving=True)
        except OptionError as error:
            show_error(str(error))
        self._show()

    def load_roi(self, path: Path, bounds_offset: Pair = (0.0, 0.0)) -> None:
        """Read the region of interest from a file; faults become messages.

        Parameters
        ----------
        path : Path
            Anything that `annotations.roi.read_roi` reads.
        bounds_offset : tuple of float, optional
            (y, x) level-0 px to add to outlines.
        """
        work = self.work
        if work is not None and work.editor is not None:
            load_roi(work, path, bounds_offset=bounds_offset)

    def _load_roi(self) -> None:
        self.ask_file("Region of interest", ROI_FILES, self.load_roi)

    def _select(self) -> Labels | None:
        """Select the layer of the mask to paint on, and return it."""
        layer = self._edited_layer()
        if layer is not None:
            layer.visible = True
            self.workspace.viewer.layers.selection.active = layer
        return layer

    def _take_tool(self, mode: str) -> None:
        if (labels := self._select()) is not None:
            labels.selected_label, labels.brush_size = 1, BRUSH_PX
            labels.mode = mode

    def _undo(self) -> None:
        if (labels := self._edited_layer()) is not None and self.work is not None:
            self.work.masks.picked(labels)
            labels.undo()

    def _edited_layer(self) -> Labels | None:
        layer = None if self.work is None else self.work.masks.layer(self.edited.value)
        return layer if isinstance(layer, Labels) else None


def percentage(editor: tissue_editor.TissueEditor | None) -> str:
    """Return the tissue's share of the slide in words, empty without masks."""
    if editor is None:
        return ""
    roi = editor.mask("roi")
    share = float(roi.mean()) if roi.size else 0.0
    edits = f", {editor.edited_px:,} px by hand" if editor.edited_px else ""
    return f"tissue {share:.1%}{edits}" if share else f"no tissue found{edits}"


def _computing(work: SlideWork) -> bool:
    return work.tissue_job is not None and work.tissue_job.running
