"""The buttons, fields and lists of the review, laid out; what they do is elsewhere."""

from __future__ import annotations

from magicgui.widgets import CheckBox, ComboBox, Container, Label, LineEdit, PushButton
from magicgui.widgets.bases import Widget
from napari.viewer import Viewer
from qtpy.QtCore import QItemSelectionModel
from qtpy.QtWidgets import QSizePolicy

from napari_fastnet.plugin.keys import key_of
from napari_fastnet.plugin.review import second_read
from napari_fastnet.plugin.review.board import Board
from napari_fastnet.plugin.review.candidates import (
    ORDERS,
    SIZES,
    VERDICTS,
    CandidateModel,
    CandidateView,
)
from napari_fastnet.plugin.review.gallery import CandidateTable, Gallery
from napari_fastnet.plugin.review.thumbnails import Thumbnails
from napari_fastnet.plugin.widgets.section import Section, button, row, text_line

#: Have keys.
REVIEW_ACTIONS = (
    *("tumor", "not_tumor", "unsure", "undo", "next_undecided", "next", "previous"),
)
#: Magnifications to fly to: those of a microscope, whose 10x is 1 µm a px.
MAGNIFICATIONS = {f"at {times:g}x": times for times in (2.5, 5.0, 10.0, 20.0, 40.0)}


class ReviewTools(Section):
    """The widgets of the review; in the panel, and on a board below the slide.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer with the slides.
    ruler : PushButton
        Takes up the ruler.
    totals : Label
        Figures of found and accepted lesions.
    files : Container
        Buttons for files of lesions, on the board.

    Attributes
    ----------
    tumor, not_tumor, unsure, undo : PushButton
        Decide on the chosen candidates, and take the last decision back.
    next, previous, next_undecided : PushButton
        Show another candidate.
    draw, correct, join, cut : PushButton
        Add a lesion, change an outline, join the chosen ones, cut one in two.
    ruler : PushButton
        Measure on the slide; a line across the current candidate is its size.
    done, cancel : PushButton
        End a correction; drop what is being drawn.
    gallery, table : Gallery, CandidateTable
        The candidates, in one order and with one selection.
    filter, size, search : ComboBox, ComboBox, LineEdit
        The candidates to show, by verdict, size class, and words in the notes.
    order : ComboBox
        Most suspicious first, or those from which the network would learn most.
    note : LineEdit
        A person's words on the current candidate.
    magnification : ComboBox
        To fly to.
    progress : Label
        The machine's result, and how many of the candidates are decided.
    second_read : CheckBox
        Hide what was found until the reader has noted a verdict on the slide.
    no_tumor_seen, tumor_seen, unsure_of_slide : PushButton
        That verdict.
    readings : Label
        That verdict beside the machine's result.
    board : Board
        Holds these, in a dock below the slide.
    """

    def __init__(
        self,
        napari_viewer: Viewer,
        ruler: PushButton,
        totals: Label,
        files: Container[Widget],
    ) -> None:
        self.ruler, self._files = ruler, files
        self._make_verdicts()
        self._make_drawing()
        self._make_filters()
        self._make_second_read()
        self._model, self._thumbnails = CandidateModel(), Thumbnails()
        self._view = CandidateView(self._model)
        self.gallery = Gallery(self._view, self._thumbnails)
        self.table = CandidateTable(self._view)
        chosen = self.gallery.selectionModel()
        assert chosen is not None
        self._chosen: QItemSelectionModel = chosen
        self.table.setSelectionModel(chosen)
        self.board = Board(
            (self._controls, self._second),
            self._filters,
            self._question,
            self.gallery,
            self.table,
        )
        super().__init__(
            napari_viewer,
            "Review",
            [totals, self.readings],
        )

    def _make_verdicts(self) -> None:
        keys = {name: key_of(name) for name in REVIEW_ACTIONS}
        self.tumor = button(
            f"✓ tumor [{keys['tumor']}]", f"It is tumor [{keys['tumor']}]"
        )
        self.not_tumor = button(
            f"✗ not tumor [{keys['not_tumor']}]",
            f"It is not tumor [{keys['not_tumor']}]",
        )
        self.unsure = button(
            f"? unsure [{keys['unsure']}]", f"Decide later, or ask [{keys['unsure']}]"
        )
        self.undo = button(
            "undo",
            "Take back what you did last: a verdict, a note, an outline, or a size by "
            f"the ruler [{keys['undo']}]",
        )
        self.previous = button(
            "◀", f"The candidate before this one [{keys['previous']}]"
        )
        self.next = button("▶", f"The candidate after this one [{keys['next']}]")
        self.next_undecided = button(
            f"next [{keys['next_undecided']}]",
            f"The next candidate without a verdict [{keys['next_undecided']}]",
        )
        self.progress = Label(value="")
        self.progress.min_width = 1  # else it would widen a narrow window
        fixed, wide = QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding
        self.progress.native.setSizePolicy(wide, fixed)  # the buttons stay together
        self.note = LineEdit(tooltip="Your words on this candidate; they are exported")
        self.note.native.setPlaceholderText("note")

    def _make_drawing(self) -> None:
        self.draw = button("draw", "Draw a lesion that is missing")
        self.correct = button("correct", "Change the outline of this candidate")
        self.join = button("join", "Make the chosen candidates one lesion")
        self.cut = button("cut", "Cut this candidate in two along a line")
        self.done = button("Done", "Take the outline as it is now")
        self.cancel = button("Cancel", "Drop what is being drawn")
        self.hint = Label(value="")
        fixed, wide = QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored
        self.hint.native.setSizePolicy(wide, fixed)  # else it would widen the window
        self._tools = row(self.draw, self.correct, self.join, self.cut, self.ruler)
        self._meanwhile = row(self.hint, self.done, self.cancel)
        for narrow in (
            *(self.tumor, self.not_tumor, self.unsure, self.undo),
            *(self.previous, self.next, self.next_undecided, self.done, self.cancel),
            *(self.draw, self.correct, self.join, self.cut, self.ruler),
        ):
            narrow.native.setSizePolicy(QSizePolicy.Policy.Maximum, fixed)
        self._controls = row(
            *(self.tumor, self.not_tumor, self.unsure, self.undo),
            *(self.previous, self.next, self.next_undecided, self.progress),
        )
        self._second = row(self.note, self._tools, self._meanwhile, self._files)

    def _make_filters(self) -> None:
        self.filter = ComboBox(choices=VERDICTS, tooltip="Show candidates by verdict")
        self.size = ComboBox(choices=SIZES, tooltip="Show candidates by size class")
        self.search = LineEdit(tooltip="Show candidates whose note has these words")
        self.search.native.setPlaceholderText("words in notes")
        self.magnification = ComboBox(
            choices=list(MAGNIFICATIONS.items()),
            value=MAGNIFICATIONS["at 10x"],
            tooltip="Magnification to show a candidate at; larger ones are shown whole",
        )
        self.order = ComboBox(
            choices=ORDERS,
            tooltip="Most suspicious first; or to teach: the most doubtful, and the most "
            "unlike what is labelled, of one neighbourhood after another",
        )
        self._filters = row(
            *(self.filter, self.size, self.order, self.search, self.magnification),
            label="show",
        )

    def _make_second_read(self) -> None:
        self.second_read = CheckBox(
            text="second read",
            tooltip="Read each slide yourself first: heatmap, outlines, list and totals "
            "stay hidden until you have noted your verdict on the slide",
        )
        self.open = button("list below", "Show or hide the list", max_width=90)
        self.readings = text_line()
        question = text_line()
        question.value = second_read.QUESTION
        words = second_read.READINGS
        self.no_tumor_seen = button(words["not tumor"], "I see no tumor on this slide")
        self.tumor_seen = button(words["tumor"], "I see tumor on this slide")
        self.unsure_of_slide = button(words["unsure"], "I cannot say")
        answers = row(self.no_tumor_seen, self.tumor_seen, self.unsure_of_slide)
        answers.max_width = 480
        self._question: Container[Widget] = Container(
            widgets=[question, answers], labels=False
        )
