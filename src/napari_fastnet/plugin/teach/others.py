"""The runs of other slides, whose labels are taught, too; remembered for the next time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from magicgui.widgets import PushButton
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QMenu

from napari_fastnet.case.listing import Runs
from napari_fastnet.core.display import counted
from napari_fastnet.errors import FastNetError, OutputError
from napari_fastnet.machine.files import output_errors, write_bytes
from napari_fastnet.machine.json_text import parse_json
from napari_fastnet.results.record import RECORD

NONE = "other slides"


def remembered_path() -> Path:
    """Return the file that remembers the runs; it need not exist."""
    from platformdirs import user_data_path

    return user_data_path("napari-fastnet", appauthor=False) / "teach.json"


class OtherSlides(PushButton):
    """A menu of runs of other slides; those that are ticked are taught, too."""

    def __init__(self) -> None:
        super().__init__(
            text=NONE,
            tooltip="Teach the labels of other slides, too: choose the folders of their "
            "results, which are remembered",
        )
        self._menu = QMenu(self.native)
        self._menu.setToolTipsVisible(True)
        self._actions: dict[Path, Any] = {}
        more: Any = self._menu.addAction("Add a folder of results ...")
        more.triggered.connect(self._ask)
        self._menu.addSeparator()
        self.native.setMenu(self._menu)
        for run in _remembered():
            self._list(run)
        self._show()

    @property
    def runs(self) -> list[Path]:
        """Folders of the runs that are ticked."""
        return [run for run, action in self._actions.items() if action.isChecked()]

    def add(self, folder: Path) -> None:
        """Tick the runs in a folder, and remember them."""
        try:
            runs = Runs.at([folder]).all
        except FastNetError as error:  # there is none
            show_error(str(error))
            return
        for run in runs:
            self._list(run.absolute())
        self._changed()

    def _list(self, run: Path) -> None:
        if run not in self._actions:
            action: Any = self._menu.addAction(run.name)
            action.setCheckable(True)
            action.setToolTip(str(run))
            action.toggled.connect(self._changed)
            self._actions[run] = action
        self._actions[run].setChecked(True)

    def _ask(self) -> None:
        chosen = QFileDialog.getExistingDirectory(
            self.native, "Results of other slides"
        )
        if chosen:
            self.add(Path(chosen))

    def _changed(self, _: object = None) -> None:
        self._show()
        content = json.dumps({"runs": [str(run) for run in self.runs]}, indent=1)
        path = remembered_path()
        try:
            with output_errors(f"write {path}"):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content.encode())
        except OutputError as error:
            show_error(str(error))

    def _show(self) -> None:
        count = len(self.runs)
        self.text = f"and {counted(count, 'other slide')}" if count else NONE


def _remembered() -> list[Path]:
    """Return the runs ticked last that are still there."""
    try:
        runs = parse_json(remembered_path().read_bytes())["runs"]
        return [Path(run) for run in runs if (Path(run) / RECORD).is_file()]
    except (OSError, ValueError, KeyError, TypeError):
        return []
