"""Tables as XLSX: what a spreadsheet shows is what there is."""

from __future__ import annotations

import pytest
from openpyxl import load_workbook

from napari_fastnet.results.formats.tables import LONGEST, write_xlsx


def cells(path):
    """Return what a foreign reader finds in the sheet."""
    (sheet,) = load_workbook(path).worksheets
    return [list(row) for row in sheet.iter_rows(values_only=True)]


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
