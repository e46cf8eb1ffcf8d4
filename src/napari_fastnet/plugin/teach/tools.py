"""The buttons and fields of teaching, laid out; what they do is elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import LineEdit, ProgressBar
from napari.viewer import Viewer
from qtpy.QtGui import QColor, QIcon, QPixmap

from napari_fastnet.plugin.keys import key_of
from napari_fastnet.plugin.layers.corrections import BRUSH_UM, CORRECTION_COLOURS
from napari_fastnet.plugin.teach.others import OtherSlides
from napari_fastnet.plugin.widgets.numbers import NumberField
from napari_fastnet.plugin.widgets.section import Section, button, row, text_line

if TYPE_CHECKING:
    from magicgui.widgets import PushButton

    from napari_fastnet.core.labelled_cells import Kind

#: Side of the colour on a button, px.
SIGN_PX = 12
#: Name of a laboratory until a person gives one.
NAME = "my-lab"


class TeachTools(Section):
    """The widgets of teaching.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer with the slides.

    Attributes
    ----------
    paint_tumor, paint_normal, ignore : PushButton
        Take up a brush, or put it away.
    undo : PushButton
        Takes the last stroke back.
    brush : NumberField
        Diameter of the brush, µm.
    painted : Label
        Number of painted labels.
    others : OtherSlides
        Chooses runs of other slides, whose labels are taught, too.
    name : LineEdit
        Name of the laboratory; the model is called ``<base>@<name>``.
    start, cancel : PushButton
        Teach the chosen model; stop.
    progress : ProgressBar
        Of the teaching, then of the new heatmap.
    words : Label
        What is being done, then the gate's figures.
    blink : PushButton
        Shows the old heatmap, or the new one.
    keep, drop : PushButton
        Keep the taught model under the name, or forget it.
    """

    name: LineEdit  # type: ignore[assignment]

    def __init__(self, napari_viewer: Viewer) -> None:
        paint = "Paint {} with the brush; once more puts it away [{}]"
        self.paint_tumor = _brush("tumor", paint.format("tumor", key_of("paint_tumor")))
        self.paint_normal = _brush(
            "normal", paint.format("tissue without tumor", key_of("paint_normal"))
        )
        self.ignore = _brush(
            "ignore", paint.format("what teaches nothing", key_of("paint_ignore"))
        )
        self.undo = button(
            "undo", f"Take the last stroke back [{key_of('undo_stroke')}]"
        )
        self.brush = NumberField(
            "brush",
            value=BRUSH_UM,
            min=15,
            max=2000,
            step=15,
            tooltip="Diameter of the brush, µm; napari's keys [ and ] change it, too",
        )
        self.painted = text_line()
        self.others = OtherSlides()
        name = LineEdit(
            value=NAME, tooltip="Name of your laboratory: the model is called after it"
        )
        self.start = button(
            "Teach",
            f"Teach the model chosen in Detect by your labels [{key_of('teach')}]",
        )
        self.cancel = button("Cancel", "Stop teaching; your labels stay")
        self.progress = ProgressBar(
            min=0, max=100, value=0, tooltip="Steps taught, then patches computed"
        )
        self.words = text_line()
        self.blink = button(
            "old / new",
            f"Show the heatmap before, or that of now [{key_of('old_new')}]",
        )
        self.keep = button("Keep", "Keep the taught model, and choose it in Detect")
        self.drop = button("Drop", "Forget the taught model; your labels stay")
        brushes = row(self.paint_tumor, self.paint_normal, self.ignore, self.undo)
        widgets = [
            brushes,
            row(self.brush, self.others, label="brush, µm"),
            self.painted,
            row(name, label="name"),
            row(self.start, self.cancel),
            self.progress,
            self.words,
            row(self.blink, self.keep, self.drop),
        ]
        super().__init__(napari_viewer, "Teach", widgets, folded=True)
        # in place of magicgui's name of the section, for parameters that nobody uses
        self.name, self.gui_only = name, True

    @property
    def brushes(self) -> dict[Kind, PushButton]:
        """The buttons of the brushes."""
        return {
            "tumor": self.paint_tumor,
            "normal": self.paint_normal,
            "ignore": self.ignore,
        }


def _brush(kind: Kind, tooltip: str) -> PushButton:
    made = button(kind, tooltip)
    sign = QPixmap(SIGN_PX, SIGN_PX)
    sign.fill(QColor(CORRECTION_COLOURS[kind]))
    made.native.setIcon(QIcon(sign))
    made.native.setCheckable(True)
    return made
