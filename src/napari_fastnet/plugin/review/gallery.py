"""The gallery: a strip of cards, each a candidate at two magnifications."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QItemSelectionModel, QRect, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QKeyEvent, QPainter, QPalette, QPen
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QTableView,
)

from napari_fastnet.plugin.review.candidates import (
    COLOURS,
    COLUMNS,
    SIGNS,
    Candidate,
    CandidateView,
)
from napari_fastnet.plugin.review.thumbnails import SIDE_PX, Thumbnails

#: Around the pictures of a card, and the line of words below them, px.
GAP, LINE = 4, 18
CARD = QSize(2 * SIDE_PX + 3 * GAP, SIDE_PX + 2 * GAP + LINE)
#: The column of verdicts.
YOU = [column.title for column in COLUMNS].index("you")
#: Rows whose words determine the width of the columns, besides those in view.
MEASURED = 20
#: Cards beyond either edge of the view whose pictures are read ahead.
AHEAD = 60


def is_for_viewer(event: QKeyEvent | None) -> bool:
    """Return whether a key writes a letter or a sign: those are keys of the viewer."""
    text = "" if event is None else event.text().strip()
    return bool(text) and text.isprintable()


class CardDelegate(QStyledItemDelegate):
    """Paints a candidate as a card: overview, detail, and a line of words.

    Parameters
    ----------
    view : CandidateView
        The rows.
    thumbnails : Thumbnails
        Their pictures.
    """

    def __init__(self, view: CandidateView, thumbnails: Thumbnails) -> None:
        super().__init__()
        self._view, self._thumbnails = view, thumbnails

    def sizeHint(self, option: Any, index: Any) -> QSize:  # noqa: N802 - Qt's name
        """Return the size of a card."""
        return CARD

    def paint(self, painter: QPainter | None, option: Any, index: Any) -> None:
        """Paint a card."""
        assert painter is not None
        candidate = self._view.candidate(index.row())
        card: QRect = option.rect
        painter.save()
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        palette: QPalette = option.palette
        if chosen:
            painter.fillRect(card, palette.color(QPalette.ColorRole.Highlight))
        self._paint_pictures(painter, card, candidate)
        verdict = candidate.verdict
        if verdict is not None:
            painter.setPen(QPen(QColor(COLOURS[verdict]), 3))
            painter.drawRect(card.adjusted(1, 1, -2, -2))
        painter.setPen(palette.color(QPalette.ColorRole.WindowText))
        if candidate.source == "possible" and not chosen:
            painter.setOpacity(0.6)
        words = card.adjusted(GAP, card.height() - LINE - 2, -GAP, -2)
        align = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(words, align | Qt.AlignmentFlag.AlignLeft, words_of(candidate))
        painter.restore()

    def _paint_pictures(
        self, painter: QPainter, card: QRect, candidate: Candidate
    ) -> None:
        pictures = self._thumbnails.pictures(candidate.region)
        for place in (0, 1):
            left = card.left() + GAP + place * (SIDE_PX + GAP)
            frame = QRect(left, card.top() + GAP, SIDE_PX, SIDE_PX)
            if pictures is None:
                painter.fillRect(frame, QColor(127, 127, 127, 60))
            else:
                painter.drawPixmap(frame, pictures[place])


def words_of(candidate: Candidate) -> str:
    """Return the line below the pictures of a card."""
    region, verdict = candidate.region, candidate.verdict
    sign = "" if verdict is None else f"{SIGNS[verdict]} "  # no room for the word
    source = "" if candidate.source == "lesion" else f" · {candidate.source}"
    size = f"{region.longest_axis_mm:.2f} mm{candidate.by_whom}"
    noted = " ✎" if candidate.note else ""
    return f"{sign}{region.label}{noted} · {size}{source}"


class Gallery(QListView):
    """A strip of cards; pictures of those in view are read first.

    Parameters
    ----------
    view : CandidateView
        The rows.
    thumbnails : Thumbnails
        Their pictures.
    """

    def __init__(self, view: CandidateView, thumbnails: Thumbnails) -> None:
        super().__init__()
        self._view, self.thumbnails = view, thumbnails
        thumbnails.arrived = self._repaint
        self.setModel(view)
        self._delegate = CardDelegate(view, thumbnails)  # Qt keeps none alive
        self.setItemDelegate(self._delegate)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(True)
        self.setUniformItemSizes(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        # after a click the canvas still gets the keys
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMinimumSize(CARD.width() + 24, CARD.height() + 4)
        self.setToolTip(
            "Left: about 1 mm around the candidate; right: 0.25 mm. Click to see it on the "
            "slide; Shift or Ctrl and click to choose several"
        )
        self._ask_soon = QTimer(self)
        self._ask_soon.setSingleShot(True)
        self._ask_soon.timeout.connect(self._ask)
        bar = self.verticalScrollBar()
        assert bar is not None
        bar.valueChanged.connect(self.ask)
        for signal in (view.modelReset, view.layoutChanged, view.rowsInserted):
            signal.connect(self.ask)
        view.rowsRemoved.connect(self.ask)

    @property
    def native(self) -> Gallery:
        """The Qt widget, as of the other widgets of the section."""
        return self

    def ask(self, *_: object) -> None:
        """Read the pictures that are in view by now, once the view stands still."""
        self._ask_soon.start(30)

    def _ask(self) -> None:
        count = self._view.rowCount()
        if not (self.isVisible() and count):
            self.thumbnails.want(())
            return
        first, last = self.rows_in_view()
        before = range(first - 1, max(first - AHEAD, 0) - 1, -1)
        after = range(last + 1, min(last + AHEAD, count))
        rows = [*range(first, last + 1), *after, *before]
        self.thumbnails.want(self._view.candidate(row).region for row in rows)

    def rows_in_view(self) -> tuple[int, int]:
        """Return the first and last row whose card is in view; there must be one."""
        per_line = max(1, self._area().width() // CARD.width())
        bar = self.verticalScrollBar()
        assert bar is not None
        top = bar.value() // CARD.height() * per_line
        lines = self._area().height() // CARD.height() + 2
        last = self._view.rowCount() - 1
        return min(top, last), min(top + lines * per_line, last)

    def _area(self) -> QRect:
        port = self.viewport()
        assert port is not None
        return port.rect()

    def _repaint(self) -> None:
        port = self.viewport()
        assert port is not None
        port.update()

    def selectionCommand(  # noqa: N802 - Qt's name
        self, index: Any, event: Any = None
    ) -> QItemSelectionModel.SelectionFlag:
        """Choose whole rows: the table shares the selection."""
        flags = super().selectionCommand(index, event)
        return flags | QItemSelectionModel.SelectionFlag.Rows

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Read what comes into view."""
        super().resizeEvent(event)
        self.ask()

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Read what is in view."""
        super().showEvent(event)
        self.ask()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Leave letters and signs to the viewer; arrows move the selection."""
        if event is not None and is_for_viewer(event):
            event.ignore()
        else:
            super().keyPressEvent(event)


class CandidateTable(QTableView):
    """The sortable table of the candidates.

    Parameters
    ----------
    view : CandidateView
        The rows.
    """

    def __init__(self, view: CandidateView) -> None:
        super().__init__()
        self._view = view
        self.setModel(view)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setWordWrap(False)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        rows.setDefaultSectionSize(20)
        columns.setStretchLastSection(True)
        columns.setResizeContentsPrecision(MEASURED)
        for column in range(len(COLUMNS)):
            self.setColumnWidth(column, self.sizeHintForColumn(column) + 24)
        self.setToolTip("Click a row to see it on the slide, a heading to sort")

    @property
    def native(self) -> CandidateTable:
        """The Qt widget, as of the other widgets of the section."""
        return self

    def fit_columns(self, *, anew: bool) -> None:
        """Hide columns without any words; fit the widths if others are shown, or anew."""
        rows = self._view.model.rows
        for at, column in enumerate(COLUMNS):
            empty = not any(map(column.text, rows))
            anew |= empty != self.isColumnHidden(at)
            self.setColumnHidden(at, empty)
        if not anew:
            return  # the user may have changed the widths
        self.resizeColumnsToContents()
        # of the longest verdict, which may be still to come
        width = self.fontMetrics().horizontalAdvance("✗ not tumor") + 24
        self.setColumnWidth(YOU, max(width, self.columnWidth(YOU)))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Leave letters and signs to the viewer; arrows move the selection."""
        if event is not None and is_for_viewer(event):
            event.ignore()
        else:
            super().keyPressEvent(event)
