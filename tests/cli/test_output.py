"""What goes to standard output."""

from __future__ import annotations

import json
from pathlib import Path

from napari_fastnet.cli.output import print_columns, print_json


def test_columns_are_aligned_and_rows_may_end_early(capsys):
    print_columns([("a", "bb", "c"), ("aaa", "b"), ("a",)], indent=" ")
    assert capsys.readouterr().out == " a    bb  c\n aaa  b\n a\n"


def test_no_rows_print_nothing(capsys):
    print_columns([])
    assert capsys.readouterr().out == ""


def test_long_cells_are_not_wrapped(capsys):
    print_columns([("x" * 500, "y")])
    assert capsys.readouterr().out == "x" * 500 + "  y\n"


def test_json_reads_back_and_keeps_letters(capsys):
    print_json({"mpp": [0.5, 0.5], "unit": "µm", "auc": None})
    out = capsys.readouterr().out
    assert json.loads(out) == {"mpp": [0.5, 0.5], "unit": "µm", "auc": None}
    assert "µm" in out


def test_json_has_null_for_what_is_undefined(capsys):
    print_json({"auc": float("nan"), "path": Path("a.svs")})
    assert json.loads(capsys.readouterr().out) == {"auc": None, "path": "a.svs"}
