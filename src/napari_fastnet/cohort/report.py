"""What a cohort came to: ``report.html``, ``summary.csv`` and ``.xlsx``, one row a slide.

All are of the folder, whatever commands put slides into it, one after another or at
once: whoever writes them takes what the others did along.
"""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from napari_fastnet.cohort.page import report_page
from napari_fastnet.cohort.rows import (
    COLUMNS,
    FolderRows,
    SlideRow,
    merged,
    now,
    read_open_rows,
)
from napari_fastnet.errors import BusyError, OutputError
from napari_fastnet.machine.files import reason, write_bytes
from napari_fastnet.results.record import written
from napari_fastnet.results.tables import write_xlsx
from napari_fastnet.store.lock import hold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SUMMARY = "summary.csv"
WORKBOOK = "summary.xlsx"
REPORT = "report.html"

#: While slides finish, the files are written at most so often, and so that no more than
#: a tenth of the time goes there: a cohort of thousands must not spend it on its report.
EVERY_S, SHARE = 2.0, 0.1
#: Another command's writing of the files ends within that.
WAIT_S = 60.0


class CohortReport:
    """The files of a folder, kept up to date while slides finish.

    Parameters
    ----------
    folder : Path
        Where they go; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own: dict[Path, SlideRow] = {}
        self._of_folder = FolderRows(folder)
        self._next = 0.0
        self.rows: list[SlideRow] = []

    def promised(self) -> dict[str, str]:
        """Return names of folders in lower case, and which slide each is for.

        Of slides that by the table failed or wait: another command is about to do them,
        or may be started again.
        """
        rows = read_open_rows(self.folder / SUMMARY)
        return {row.name.casefold(): written(row.slide) for row in rows}

    @contextmanager
    def alone(self, wait_s: float = WAIT_S) -> Iterator[None]:
        """Keep other commands from writing the files.

        Raises
        ------
        BusyError
            Another one still is.
        OutputError
            The folder cannot be made, or written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {self.folder}: {reason(error)}") from error
        with hold(self.folder, wait_s):
            yield

    def add(self, rows: Iterable[SlideRow]) -> None:
        """Take slides that are about to be done."""
        self._own |= {row.slide: row for row in rows}

    def put(self, row: SlideRow) -> OutputError | None:
        """Take what became of a slide; the files follow soon.

        Returns
        -------
        OutputError or None
            Why they cannot be written, and are tried again later: a spreadsheet that has
            one of them open is no reason to end a cohort.
        """
        ended = "" if row.status == "waiting" else now()
        self._own[row.slide] = replace(row, ended=ended)
        if monotonic() < self._next:
            return None
        try:
            self.write(wait_s=0)
        except BusyError:  # soon again
            return None
        except OutputError as error:
            return error
        return None

    def write(self, wait_s: float = WAIT_S) -> None:
        """Write the files, aside and renamed, with all that the folder holds.

        Raises
        ------
        OutputError
            A file cannot be written.
        """
        with self.alone(wait_s):
            self.write_alone()

    def write_alone(self) -> None:
        """Write the files within `alone`."""
        began = monotonic()
        try:
            self.rows = merged(
                self._of_folder.read(),
                read_open_rows(self.folder / SUMMARY),
                self._own.values(),
            )
            write_tables(self.folder, self.rows)
        finally:
            took = monotonic() - began
            self._next = monotonic() + max(EVERY_S, took / SHARE)


def update_report(folder: Path, *rows: SlideRow) -> None:
    """Bring the files of a folder up to date, if it has them.

    Parameters
    ----------
    folder : Path
        Around the folders of slides.
    *rows : SlideRow
        What became of slides, besides what their records say: that they failed.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    if (folder / SUMMARY).is_file():
        report = CohortReport(folder)
        report.add(replace(row, ended=now()) for row in rows)
        report.write()


def write_tables(folder: Path, rows: Iterable[SlideRow]) -> None:
    """Write the files, each aside and renamed.

    Parameters
    ----------
    folder : Path
        Where they go.
    rows : iterable of SlideRow
        By lesion burden they stand, then those that failed, then those that wait.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    ordered = sorted(rows, key=lambda row: row.rank)
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for row in ordered:
        table.writerow(_cell(*pair) for pair in row.values().items())
    write_bytes(folder / SUMMARY, written(text.getvalue()).encode())
    write_xlsx(
        folder / WORKBOOK,
        list(COLUMNS),
        ([_rounded(*pair) for pair in row.values().items()] for row in ordered),
        title="slides",
    )
    page = report_page(folder.absolute().name, ordered)
    write_bytes(folder / REPORT, written(page).encode())


def _rounded(column: str, value: str | float | None) -> str | float | None:
    """Return what stands in ``summary.xlsx``."""
    decimals = COLUMNS[column]
    if isinstance(value, float) and decimals is not None:
        return round(value, decimals)
    return value


def _cell(column: str, value: str | float | None) -> str:
    """Return what stands in ``summary.csv``."""
    decimals = COLUMNS[column]
    if value is None or decimals is None:
        return "" if value is None else str(value)
    return f"{value:.{decimals}f}"
