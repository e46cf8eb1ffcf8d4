"""The board: gallery and table with the buttons above, in a dock below the slide."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container
from magicgui.widgets.bases import Widget
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QMainWindow,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_fastnet.plugin.review.gallery import CARD, CandidateTable, Gallery
from napari_fastnet.plugin.widgets.dialogs import UndockWatch
from napari_fastnet.plugin.widgets.place import FitOnceDocked
from napari_fastnet.plugin.widgets.scroll_guard import ScrollGuard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from qtpy.QtGui import QShowEvent

TITLE = "Review (FastNet)"
#: Height that the board asks for: one line of cards, and the buttons.
LOW = QSize(900, CARD.height() + 84)
#: Room for the gallery's scroll bar.
SCROLL_BAR_PX = 24


class Board(QWidget):
    """The widgets of a review.

    Parameters
    ----------
    controls : sequence of Container
        Rows above gallery and table.
    filters : Container
        The row above the table.
    question : Widget
        Shown in place of all that until the reader has noted a verdict of her own.
    gallery, table : Gallery, CandidateTable
        Share rows and selection.
    """

    def __init__(
        self,
        controls: Sequence[Container[Widget]],
        filters: Container[Widget],
        question: Container[Widget],
        gallery: Gallery,
        table: CandidateTable,
    ) -> None:
        super().__init__()
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(filters.native)
        column.addWidget(table)
        lists = QSplitter(Qt.Orientation.Horizontal)
        lists.addWidget(gallery)
        lists.addWidget(right)
        lists.setStretchFactor(0, 0)
        lists.setStretchFactor(1, 1)
        self._lists, self._right = lists, right
        review = QWidget()
        rows = QVBoxLayout(review)
        rows.setContentsMargins(4, 2, 4, 2)
        rows.setSpacing(2)
        for line in controls:
            rows.addWidget(line.native)
        rows.addWidget(lists, 1)
        self._pages = QStackedWidget()
        self._pages.addWidget(review)
        self._pages.addWidget(question.native)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._pages)
        self._guard = ScrollGuard(self)

    def ask(self, asked: bool) -> None:
        """Show the question, or the candidates."""
        self._pages.setCurrentIndex(int(asked))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Give the gallery whole cards, and the table at least half of the width."""
        super().showEvent(event)
        most = self.width() - self._right.minimumSizeHint().width() - SCROLL_BAR_PX
        cards = max(1, min(most, self.width() // 2) // CARD.width())
        gallery = cards * CARD.width() + SCROLL_BAR_PX
        self._lists.setSizes([gallery, self.width() - gallery])

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the low size that leaves the slide room."""
        return LOW


class BoardPlace:
    """The place of the board: a dock below the slide, or in the panel without a window.

    Parameters
    ----------
    viewer : ViewerModel
        With a window, or without.
    board : Board
        Placed when there is something to review.
    inside : QWidget
        Of the section, which takes the board in where there is no window.
    """

    def __init__(self, viewer: ViewerModel, board: Board, inside: QWidget) -> None:
        self._window: Any = getattr(viewer, "window", None)
        self._viewer, self._board = viewer, board
        self._dock: QDockWidget | None = None
        self._closed = False  # by the user, who does not want it back by itself
        if self._window is None:
            layout = inside.layout()
            assert layout is not None
            layout.addWidget(board)
        self._watch = UndockWatch(board, self._undocked)

    def dock(self) -> None:
        """Show the board, unless the user has closed it."""
        if self._window is None or self._dock is not None or self._closed:
            return
        self._fit = FitOnceDocked(self._board, self._viewer)
        self._dock = self._window.add_dock_widget(
            self._board, name=TITLE, area="bottom"
        )
        window, down = self._board.window(), Qt.Orientation.Vertical
        if isinstance(window, QMainWindow):
            window.resizeDocks([self._dock], [LOW.height()], down)

    def toggle(self) -> None:
        """Show the board, or fold it away."""
        if self._window is None:
            self._board.setVisible(not self._board.isVisible())
        elif self._dock is None:
            self._closed = False
            self.dock()
        else:
            self._dock.setVisible(not self._dock.isVisible())

    def leave(self) -> None:
        """Take the board out of the window: its panel goes."""
        self._closed = True
        if self._dock is not None:
            with suppress(LookupError):  # the window goes as well
                self._window.remove_dock_widget(self._dock)

    def _undocked(self) -> None:
        self._dock, self._closed = None, True
