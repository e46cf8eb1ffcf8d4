"""The folder of an export: proposed, confirmed by a person, and opened afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from platformdirs import user_documents_path
from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_fastnet.errors import StoreError
from napari_fastnet.machine.remote.url import Url
from napari_fastnet.results.record import RECORD, read_record

if TYPE_CHECKING:
    from napari_fastnet.slide.slide import Slide

#: Behind the slide's name in the name of its folder.
SUFFIX = "-fastnet"
#: Width that shows most paths whole, px.
WIDTH = 560


def proposed_folder(slide: Slide) -> Path:
    """Return a folder for a slide's files: beside it, else in the user's documents.

    One that holds the results of another slide of this name is not proposed.
    """
    beside, path = user_documents_path() / "FastNet", slide.path
    if not isinstance(path, Url) and _can_be_written(path.absolute().parent):
        beside = path.absolute().parent
    first = folder = beside / f"{slide.path.stem}{SUFFIX}"
    number = 2
    while belongs_to_another(folder, slide):
        folder = first.with_name(f"{first.name}-{number}")
        number += 1
    return folder


def _can_be_written(folder: Path) -> bool:
    """Try it: rights alone do not tell, as on network drives."""
    try:
        with TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def belongs_to_another(folder: Path, slide: Slide) -> bool:
    """Return whether a folder holds the results of another slide."""
    try:
        return read_record(folder / RECORD).slide.fingerprint != slide.fingerprint
    except StoreError:  # none, or none that can be read
        return False


def show_path(path: Path) -> None:
    """Open a folder or a page in the system's own program."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


class FolderDialog(QDialog):
    """A question for a folder, with a proposal; Return takes it, and nothing blocks.

    Parameters
    ----------
    parent : QWidget
        Closing it closes the dialog.
    title : str
        Of the window.
    words : str
        About the files.
    proposal : Path
        In the field at first.
    then : callable
        Called with the folder once it is chosen.
    is_taken : callable
        Returns whether a folder holds results of another slide, and cannot be chosen.

    Attributes
    ----------
    field : QLineEdit
        The folder.
    choose : QPushButton
        Opens the system's dialog.
    fault : QLabel
        Says why a folder cannot be chosen.
    buttons : QDialogButtonBox
        OK and Cancel.
    """

    def __init__(
        self,
        parent: QWidget,
        title: str,
        words: str,
        proposal: Path,
        then: Callable[[Path], None],
        is_taken: Callable[[Path], bool],
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._then, self._is_taken = then, is_taken
        self.fault = QLabel()
        self.fault.setWordWrap(True)
        self.fault.hide()
        about = QLabel(words)
        about.setWordWrap(True)
        self.field = QLineEdit(str(proposal))
        self.choose = QPushButton("choose...")
        self.choose.setAutoDefault(False)
        self.choose.clicked.connect(self._choose)
        line = QHBoxLayout()
        line.addWidget(self.field, 1)
        line.addWidget(self.choose)
        standard = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(standard.Ok | standard.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(about)
        layout.addLayout(line)
        layout.addWidget(self.fault)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(WIDTH)
        ok = self.buttons.button(standard.Ok)
        assert ok is not None
        self.field.textChanged.connect(lambda text: ok.setEnabled(bool(text.strip())))
        ok.setFocus()

    def accept(self) -> None:
        """Take the folder."""
        folder = Path(self.field.text().strip()).expanduser()
        if self._is_taken(folder):
            self.fault.setText(
                f"{folder} holds the results of another slide; choose another folder"
            )
            self.fault.show()
            return
        super().accept()
        self._then(folder)

    def _choose(self) -> None:
        begin = Path(self.field.text()).parent
        chosen = QFileDialog.getExistingDirectory(
            self, self.windowTitle(), str(begin if begin.is_dir() else Path.home())
        )
        if chosen:
            self.field.setText(chosen)
