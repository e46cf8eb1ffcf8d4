"""Windows beside the panel: a model's card, files to open and to save."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QDialog, QFileDialog, QTextBrowser, QVBoxLayout, QWidget

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
