"""Windows beside the panel: a model's card, questions, files to open and save."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import (
    QDialog,
    QFileDialog,
    QMessageBox,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_fastnet.annotations.reading import SUFFIXES
from napari_fastnet.machine.remote.url import Url

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Box, Pair
    from napari_fastnet.slide.slide import Slide


class UndockWatch(QObject):
    """A watch that calls back when a widget has lost its parent.

    When a dock is closed, napari takes the widget out of it. The widget itself is not
    destroyed as long as somebody holds it, so that no other signal tells of the closing.

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
        """Watch the widget's events and let all pass."""
        if (
            event is not None
            and event.type() == QEvent.Type.ParentChange
            and watched is not None
            and watched.parent() is None
        ):
            self._on_undocked()
        return False


#: Width and height of a card, px.
CARD_SIZE = (680, 760)


class CardDialog(QDialog):
    """A window with a Markdown text; the other windows stay usable.

    Parameters
    ----------
    parent : QWidget
        Closing it closes the dialog.

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
        """Show a card and raise the window."""
        self.setWindowTitle(title)
        self.text.setMarkdown(markdown)
        self.show()
        self.raise_()


def folder_beside(slide: Slide) -> Path:
    """Return the folder of a slide's file; of an address the user's own folder."""
    return Path.home() if isinstance(slide.path, Url) else slide.path.parent


def ask_csv_path(parent: QWidget, suggestion: Path) -> Path | None:
    """Ask for the file name of a table; return None if the user cancels."""
    chosen, _ = QFileDialog.getSaveFileName(
        parent, "Save the table of regions", str(suggestion), "Tables (*.csv)"
    )
    if not chosen:
        return None
    path = Path(chosen)
    return path if path.suffix else path.with_suffix(".csv")


class EditsQuestion(QMessageBox):
    """A question whether to keep brush strokes; it does not block.

    Parameters
    ----------
    parent : QWidget
        Closing it closes the question.
    edited_px : int
        Number of painted px.
    answered : callable
        Called with True to keep the strokes, False to drop them; not called after
        "Cancel".

    Attributes
    ----------
    keep, drop : QPushButton
        The answers; Return keeps, Escape cancels.
    """

    def __init__(
        self, parent: QWidget, edited_px: int, answered: Callable[[bool], None]
    ) -> None:
        kind, roles = QMessageBox.Icon.Question, QMessageBox.ButtonRole
        text = (
            f"{edited_px:,} px of the masks were painted by hand. Keep these strokes?"
        )
        super().__init__(kind, "Compute masks", text, parent=parent)
        self.setInformativeText(
            "The thresholds become automatic again. Strokes that are kept are applied to "
            "the new masks."
        )
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.keep = self.addButton("Keep strokes", roles.AcceptRole)
        self.drop = self.addButton("Drop strokes", roles.DestructiveRole)
        self.addButton(QMessageBox.StandardButton.Cancel)
        self.setDefaultButton(self.keep)
        self._answered = answered
        self.buttonClicked.connect(self._clicked)
        self.open()

    def _clicked(self, button: object) -> None:
        if button in (self.keep, self.drop):
            self._answered(button is self.keep)


class KeepAnywayQuestion(QMessageBox):
    """A question whether to keep a model that the gate refuses; it does not block.

    Parameters
    ----------
    parent : QWidget
        Closing it closes the question.
    figures : str
        The gate's figures, and why it refuses them.
    keep : callable
        Called without arguments to keep the model.

    Attributes
    ----------
    anyway : QPushButton
        Keeps it; Return and Escape do not.
    """

    def __init__(self, parent: QWidget, figures: str, keep: Callable[[], None]) -> None:
        kind, role = QMessageBox.Icon.Warning, QMessageBox.ButtonRole.DestructiveRole
        super().__init__(kind, "Keep the model", "Keep it anyway?", parent=parent)
        self.setInformativeText(
            f"{figures}. Its card will say that it was kept anyway."
        )
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.anyway = self.addButton("Keep anyway", role)
        self.setDefaultButton(self.addButton(QMessageBox.StandardButton.Cancel))
        self._keep = keep
        self.buttonClicked.connect(self._clicked)
        self.open()

    def _clicked(self, button: object) -> None:
        if button is self.anyway:
            self._keep()


def ask_file(
    parent: QWidget, title: str, slide: Slide, suffixes: str
) -> tuple[Path, Pair] | None:
    """Ask for a file to open and for the origin of its outlines.

    Parameters
    ----------
    parent : QWidget
        Parent of the dialogs.
    title : str
        Title of the dialog and name of the file type.
    slide : Slide
        The dialog begins in its folder.
    suffixes : str
        Such as ``*.png *.tif``.

    Returns
    -------
    tuple or None
        The file, and (y, x) level-0 px to add to its outlines; None if the user cancels.
    """
    chosen, _ = QFileDialog.getOpenFileName(
        parent, title, str(folder_beside(slide)), f"{title} ({suffixes})"
    )
    if not chosen:
        return None
    offset = ask_origin(parent, Path(chosen), slide.bounds)
    return None if offset is None else (Path(chosen), offset)


def ask_origin(parent: QWidget, path: Path, bounds: Box | None) -> Pair | None:
    """Ask for the origin of a file's outlines, if it makes a difference.

    Parameters
    ----------
    parent : QWidget
        Parent of the question.
    path : Path
        The file; only outlines can have another origin than the slide's corner.
    bounds : Box or None
        The scanned part of the slide, level-0 px.

    Returns
    -------
    tuple of float or None
        (y, x) level-0 px to add to the outlines; None if the user cancels.
    """
    corner = (0.0, 0.0) if bounds is None else (bounds.top, bounds.left)
    if path.suffix.lower() not in SUFFIXES or corner == (0, 0):
        return 0.0, 0.0
    question = QMessageBox(parent)
    question.setWindowTitle("Origin of the outlines")
    question.setText(
        f"The scanned part of this slide begins at {corner[0]:g} (y), {corner[1]:g} (x) "
        "px. QuPath measures from there, ASAP and this panel from the corner of the "
        f"slide.\n\nWhich origin do the outlines of {path.name} have?"
    )
    role = QMessageBox.ButtonRole.AcceptRole
    scanned = question.addButton("Scanned part (QuPath)", role)
    whole = question.addButton("Corner of the slide", role)
    question.addButton(QMessageBox.StandardButton.Cancel)
    question.exec()
    clicked = question.clickedButton()
    if clicked is scanned:
        return corner
    return (0.0, 0.0) if clicked is whole else None
