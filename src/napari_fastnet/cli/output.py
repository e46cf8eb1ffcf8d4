"""What commands print on standard output: JSON for machines, columns for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

#: The ``--json`` option of every command that has one.
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print plain data as JSON; what is undefined must be None already."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_columns(rows: Sequence[Sequence[str]], *, indent: str = "") -> None:
    """Print rows as left-aligned columns two spaces apart, never wrapped.

    Parameters
    ----------
    rows : sequence of sequence of str
        Cells; rows may end early.
    indent : str, optional
        Text in front of every line.
    """
    widths: dict[int, int] = {}
    for row in rows:
        for column, cell in enumerate(row):
            widths[column] = max(widths.get(column, 0), len(cell))
    for row in rows:
        cells = (cell.ljust(widths[column]) for column, cell in enumerate(row))
        print((indent + "  ".join(cells)).rstrip())
