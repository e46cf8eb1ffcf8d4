"""What goes to standard output."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from napari_fastnet.cli.app import main
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


def test_json_is_json_whatever_the_names(capsys):
    value = {"slide": "M\udcfcller \N{MICRO SIGN}"}  # a byte that is no UTF-8
    print_json(value)
    assert json.loads(capsys.readouterr().out) == value


def test_a_stream_that_cannot_show_a_letter_ends_nothing(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["--version"]) == 0
    print_columns([["M\udcfcller \N{MICRO SIGN}m/px"]])
    print_json({"\N{MICRO SIGN}": 1})
    out.flush()
    _, line, *lines = out.buffer.getvalue().decode("ascii").splitlines()
    assert line == "M\\udcfcller \\xb5m/px"
    assert json.loads("".join(lines)) == {"\N{MICRO SIGN}": 1}
