"""Tables as XLSX: what a spreadsheet shows is what there is."""

from __future__ import annotations

from zipfile import ZipFile

import pytest
from defusedxml.ElementTree import fromstring

from napari_fastnet.io.spreadsheet import LONGEST, write_xlsx

NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def cells(path):
    """Return what stands in the sheet: text, numbers, truth values or None."""
    with ZipFile(path) as workbook:
        assert workbook.testzip() is None
        for name in workbook.namelist():
            fromstring(workbook.read(name))
        sheet = fromstring(workbook.read("xl/worksheets/sheet1.xml"))
    return [[value(cell) for cell in row] for row in sheet.iter(f"{NAMESPACE}row")]


def value(cell):
    if cell.get("t") == "inlineStr":
        return "".join(cell.itertext())
    number = cell.findtext(f"{NAMESPACE}v")
    if cell.get("t") == "b":
        return number == "1"
    return None if number is None else float(number)


@pytest.mark.parametrize(
    "text",
    ["Müller", "日本", "=1+1", "001", "1e5", "<a> & b", " a\n", "-rf", 'say "a"'],
)
def test_text_is_text_and_numbers_are_numbers(tmp_path, text):
    path = tmp_path / "a.xlsx"
    rows = [[text, 4.5, 3, True], [None, float("nan"), -1e-9, False]]
    write_xlsx(path, ["name", "mm", "regions", "doubt"], rows, title="a & b")
    assert cells(path) == [
        ["name", "mm", "regions", "doubt"],
        [text, 4.5, 3.0, True],
        [None, None, -1e-9, False],
    ]


def test_what_no_sheet_can_hold_is_marked_or_cut(tmp_path):
    path = tmp_path / "a.xlsx"
    write_xlsx(path, ["name"], [["M\udcfcller\0"], ["x" * 40_000]], title="a")
    assert cells(path)[1:] == [["M\ufffdller\ufffd"], ["x" * LONGEST]]


def test_equal_tables_are_equal_files(tmp_path):
    for name in ("a.xlsx", "b.xlsx"):
        write_xlsx(tmp_path / name, ["a"], [[1]], title="a")
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
