"""The reports of a cohort: ``report.html``, ``summary.csv``, ``.xlsx``, ``regions.csv``.

They list all slides of the folder, whatever commands computed them, one after another or
at once: each command that writes them includes the rows of the others.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from napari_fastnet.cohort.page import report_page
from napari_fastnet.cohort.rows import (
    COLUMNS,
    REGION_COLUMNS,
    SUMMARY,
    SlideRow,
    folder_rows,
    merged,
    now,
    read_open_rows,
    region_lines,
)
from napari_fastnet.core.display import written
from napari_fastnet.errors import BusyError, OutputError
from napari_fastnet.machine.files import reason, write_bytes, write_csv
from napari_fastnet.results.formats.tables import write_xlsx
from napari_fastnet.results.record import REGIONS_CSV
from napari_fastnet.store.lock import hold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from napari_fastnet.machine.remote.url import SlidePath

WORKBOOK = "summary.xlsx"
REPORT = "report.html"

#: Shortest time between two writings of the files while slides finish, and largest share
#: of the time spent on them: a cohort of thousands has large reports.
EVERY_S, SHARE = 2.0, 0.1
#: The table of all lesions is written again when so many times as many slides are done:
#: in all some ten times its size, however many slides there are.
GROWTH = 1.1
#: Longest time to wait for another command that writes the files.
WAIT_S = 600.0  # a hundred tasks that start together write thousands of slides in turn


class CohortReport:
    """The report files of a folder, kept up to date while slides finish.

    Parameters
    ----------
    folder : Path
        The folder; made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own: dict[SlidePath, SlideRow] = {}
        self._next = 0.0
        self._with_regions = 0
        self.rows: list[SlideRow] = []

    def promised(self) -> dict[str, str]:
        """Return the slide of each reserved folder, by its name in lower case.

        Reserved are the folders of slides that failed or wait in the table: another
        command is about to compute them, or may be started again.
        """
        rows = read_open_rows(self.folder / SUMMARY)
        return {row.name.casefold(): written(row.slide) for row in rows}

    @contextmanager
    def alone(self, wait_s: float = WAIT_S) -> Iterator[None]:
        """Keep other commands from writing the files.

        Raises
        ------
        BusyError
            Another command is still writing.
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
        """Add slides that will be computed."""
        self._own |= {row.slide: row for row in rows}

    def put(self, row: SlideRow) -> OutputError | None:
        """Add a slide that ended; the files are written soon.

        Returns
        -------
        OutputError or None
            The error of writing, which is tried again later: a spreadsheet that has one
            of the files open must not end a cohort.
        """
        ended = "" if row.status == "waiting" else now()
        self._own[row.slide] = replace(row, ended=ended)
        if monotonic() < self._next:
            return None
        try:
            self.write(wait_s=0, ended=False)
        except BusyError:  # the next slide will write them
            return None
        except OutputError as error:
            return error
        return None

    def write(self, wait_s: float = WAIT_S, *, ended: bool = True) -> None:
        """Write the files, aside and renamed, with all slides of the folder.

        Parameters
        ----------
        wait_s : float
            Longest time to wait for another command that writes.
        ended : bool, optional
            False while slides finish: then the table of all lesions, the one large file,
            waits until `GROWTH` times as many slides are done as are in it.

        Raises
        ------
        OutputError
            A file cannot be written.
        """
        with self.alone(wait_s):
            self.write_alone(ended=ended)

    def write_alone(self, *, ended: bool = True) -> None:
        """Write the files within `alone`; ``ended`` as for `write`."""
        began = monotonic()
        try:
            self.rows = merged(
                folder_rows(self.folder),
                read_open_rows(self.folder / SUMMARY),
                self._own.values(),
            )
            write_tables(self.folder, self.rows)
            done = sum(row.status == "done" for row in self.rows)
            if ended or done >= GROWTH * self._with_regions:
                write_all_regions(self.folder, self.rows)
                self._with_regions = done
        finally:
            took = monotonic() - began
            self._next = monotonic() + max(EVERY_S, took / SHARE)


def update_report(folder: Path, *rows: SlideRow) -> None:
    """Update the report files of a folder, if it has them.

    Parameters
    ----------
    folder : Path
        The folder around those of the slides.
    *rows : SlideRow
        Slides that ended without a record, because they failed.

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
    """Write the report files, each aside and renamed.

    Parameters
    ----------
    folder : Path
        The folder of the files.
    rows : iterable of SlideRow
        Sorted here by lesion burden, then those that failed, then those that wait.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    ordered = sorted(rows, key=lambda row: row.rank)
    lines = [row.values() for row in ordered]
    write_csv(folder / SUMMARY, ({**line, **_texts(line)} for line in lines), COLUMNS)
    numbers = (
        [
            value if decimals is None or value is None else round(value, decimals)
            for value, decimals in zip(line.values(), COLUMNS.values(), strict=True)
        ]
        for line in lines
    )
    write_xlsx(folder / WORKBOOK, list(COLUMNS), numbers, title="slides")
    page = report_page(folder, ordered)
    write_bytes(folder / REPORT, written(page).encode())


def write_all_regions(folder: Path, rows: Iterable[SlideRow]) -> None:
    """Write the lesions of all slides as one table, slide after slide.

    Parameters
    ----------
    folder : Path
        Of the file, around the slides' folders.
    rows : iterable of SlideRow
        In any order; slides without a readable table of their own have no line.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    ordered = sorted(rows, key=lambda row: row.rank)
    lines = (line for row in ordered for line in region_lines(folder, row))
    write_csv(folder / REGIONS_CSV, lines, REGION_COLUMNS)


def _texts(line: dict[str, Any]) -> dict[str, str]:
    """Return the values of a line as text, measures with the decimals of `COLUMNS`."""
    return {
        column: written(value) if decimals is None else f"{value:.{decimals}f}"
        for column, decimals in COLUMNS.items()
        if (value := line[column]) is not None
    }
