"""Windows and docks beside the panel: a model's card, files to open and save."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import (
    QDialog,
    QFileDialog,
    QMessageBox,
    QScrollArea,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_fastnet.annotations.reading import SUFFIXES

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Box, Pair


class UndockWatch(QObject):
    """Calls back when a widget has no parent any more.

    napari takes the widget out of a dock that is closed, and whoever holds it keeps it
    alive: nothing is destroyed, nothing hidden is shown again.

    Parameters
    ----------
    widget : QWidget
        Owns this object.
    on_undocked : callable
        Called without arguments.
    """

    def __init__(self, widget: QWidget, on_undocked: Callable[[], None]) -> None:
        super().__init__(widget)
        self._on_undocked = on_undocked
        widget.installEventFilter(self)

    def eventFilter(  # noqa: N802 - Qt's name
        self, watched: QObject | None, event: QEvent | None
    ) -> bool:
        """Look at the events of the widget; none is held back."""
        if (
            event is not None
            and event.type() == QEvent.Type.ParentChange
            and watched is not None
            and watched.parent() is None
        ):
            self._on_undocked()
        return False


class WidthKeeper(QObject):
    """Keeps a scroll area as wide as what it shows, in every theme.

    magicgui measures before napari's theme makes the widgets wider, and their right
    ends lay under the scroll bar.

    Parameters
    ----------
    area : QScrollArea
        Owns this object; scrolls up and down only.
    """

    def __init__(self, area: QScrollArea) -> None:
        super().__init__(area)
        area.installEventFilter(self)

    def eventFilter(  # noqa: N802 - Qt's name
        self, watched: QObject | None, event: QEvent | None
    ) -> bool:
        """Look at the events of the area; none is held back."""
        shown = event is not None and event.type() == QEvent.Type.Show
        if shown and isinstance(watched, QScrollArea):
            content, bar = watched.widget(), watched.verticalScrollBar()
            assert content is not None
            assert bar is not None
            width = content.minimumSizeHint().width() + bar.sizeHint().width()
            watched.setMinimumWidth(width + 2 * watched.frameWidth())
        return False


#: Width and height of a card, px.
CARD_SIZE = (680, 760)


class CardDialog(QDialog):
    """A text in Markdown to be read while work goes on in the other windows.

    Parameters
    ----------
    parent : QWidget
        Closes it with itself.

    Attributes
    ----------
    text : QTextBrowser
        Read-only; its links open in the browser.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.text = QTextBrowser(self)
        self.text.setOpenExternalLinks(True)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        self.resize(*CARD_SIZE)

    def show_card(self, title: str, markdown: str) -> None:
        """Show a card, and come to the front."""
        self.setWindowTitle(title)
        self.text.setMarkdown(markdown)
        self.show()
        self.raise_()


def ask_csv_path(parent: QWidget, suggestion: Path) -> Path | None:
    """Ask where to save a table; None where the user thought better of it."""
    chosen, _ = QFileDialog.getSaveFileName(
        parent, "Save the table of regions", str(suggestion), "Tables (*.csv)"
    )
    if not chosen:
        return None
    path = Path(chosen)
    return path if path.suffix else path.with_suffix(".csv")


def ask_file(parent: QWidget, title: str, start: Path, suffixes: str) -> Path | None:
    """Ask which file to open, of suffixes such as ``*.png *.tif``; None for none."""
    chosen, _ = QFileDialog.getOpenFileName(
        parent, title, str(start), f"{title} ({suffixes})"
    )
    return Path(chosen) if chosen else None


def ask_origin(parent: QWidget, path: Path | None, bounds: Box | None) -> Pair | None:
    """Ask where the outlines of a file count from, if that makes a difference.

    Parameters
    ----------
    parent : QWidget
        Under the question.
    path : Path or None
        The file; none was chosen.
    bounds : Box or None
        Of the scanned part of the slide, level-0 px.

    Returns
    -------
    tuple of float or None
        (y, x) level-0 px that are to be added; None where the user thought better of it.
    """
    corner = (0.0, 0.0) if bounds is None else (bounds.top, bounds.left)
    outlines = path is not None and path.suffix.lower() in SUFFIXES
    if path is None or not outlines or corner == (0, 0):
        return 0.0, 0.0
    question = QMessageBox(parent)
    question.setWindowTitle("Where do the outlines count from?")
    question.setText(
        f"The scanned part of this slide begins at {corner[0]:g} (y), {corner[1]:g} (x) "
        f"px. QuPath counts from there, ASAP and this panel from the slide's corner.\n\n"
        f"Where do the outlines of {path.name} count from?"
    )
    role = QMessageBox.ButtonRole.AcceptRole
    scanned = question.addButton("Scanned part (QuPath)", role)
    whole = question.addButton("Slide's corner", role)
    question.addButton(QMessageBox.StandardButton.Cancel)
    question.exec()
    clicked = question.clickedButton()
    if clicked is scanned:
        return corner
    return (0.0, 0.0) if clicked is whole else None
