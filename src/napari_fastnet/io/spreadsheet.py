"""Tables for people, as XLSX: Excel, LibreOffice and Numbers open it by a click.

A CSV file says neither how its letters are written nor what its decimal sign is: Excel
shows Müller as MÃ¼ller, and in German 4.5 as the fourth of May. Here numbers are numbers
and text is text, a name that begins with ``=`` included.
"""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING

from napari_fastnet.io.file_names import written
from napari_fastnet.io.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Cell = str | float | bool | None

#: Letters that a cell holds at most.
LONGEST = 32_767
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# Text stays text, whatever it begins with; nothing is written beside the file.
_OPTIONS = {
    "in_memory": True,
    "strings_to_numbers": False,
    "strings_to_formulas": False,
    "strings_to_urls": False,
}
# One date for all, so that equal tables are equal files.
_CREATED = datetime(1980, 1, 1, tzinfo=UTC)


def write_xlsx(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str
) -> None:
    """Write a table as the only sheet of a workbook.

    Parameters
    ----------
    path : Path
        ``.xlsx``.
    header : sequence of str
        Names of the columns; the line stays in view.
    rows : iterable of sequence
        Text, numbers, truth values; None and what is not finite leave a cell empty.
    title : str
        Of the sheet; a short word.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    from xlsxwriter import Workbook

    content = io.BytesIO()
    with Workbook(content, _OPTIONS) as workbook:
        workbook.set_properties({"created": _CREATED})
        sheet = workbook.add_worksheet(title)
        sheet.freeze_panes(1, 0)
        for number, row in enumerate((header, *rows)):
            sheet.write_row(number, 0, map(_cell, row))
    write_bytes(path, content.getvalue())


def _cell(value: Cell) -> Cell:
    """Return a value that a cell can hold."""
    if isinstance(value, str):
        return _NO_XML.sub("\ufffd", written(value))[:LONGEST]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
