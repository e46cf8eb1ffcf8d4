"""Tables for people, as XLSX (ECMA-376): Excel, LibreOffice and Numbers open it by a click.

A CSV file says neither how its letters are written nor what its decimal sign is: Excel
shows Müller as MÃ¼ller, and in German 4.5 as the fourth of May. Here numbers are numbers and text
is text, a name that begins with ``=`` included.
"""

from __future__ import annotations

import io
import re
from math import isfinite
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from napari_fastnet.io.file_names import written
from napari_fastnet.io.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Cell = str | float | bool | None

#: Letters that a cell holds at most.
LONGEST = 32_767
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
    "</Types>",
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_DOCUMENT}/officeDocument" Target="xl/workbook.xml"/>'
    "</Relationships>",
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><sheets>'
    '<sheet name="{title}" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_DOCUMENT}/worksheet" '
    'Target="worksheets/sheet1.xml"/></Relationships>',
}


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
    lines = "".join(_line(row) for row in (header, *rows))
    sheet = (
        f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
        f"</sheetView></sheetViews><sheetData>{lines}</sheetData></worksheet>"
    )
    content = io.BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED) as workbook:
        for name, part in (*_PARTS.items(), ("xl/worksheets/sheet1.xml", sheet)):
            text = part.replace("{title}", escape(title, {'"': "&quot;"}))
            # without a date, so that equal tables are equal files
            info = ZipInfo(name)
            info.compress_type = ZIP_DEFLATED
            workbook.writestr(info, _HEAD + text)
    write_bytes(path, content.getvalue())


def _line(row: Sequence[Cell]) -> str:
    return f"<row>{''.join(map(_cell, row))}</row>"


def _cell(value: Cell) -> str:
    """Return a cell; without a reference it is the next one of its row."""
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f"<c><v>{value!r}</v></c>" if isfinite(value) else "<c/>"
    if value is None:
        return "<c/>"
    text = escape(_NO_XML.sub("\ufffd", written(value))[:LONGEST])
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
