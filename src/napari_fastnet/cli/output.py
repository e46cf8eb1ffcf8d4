"""Output of commands: JSON for programs, columns and warnings for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print data as JSON: paths as text, arrays as lists, NaN as null."""
    import json

    from napari_fastnet.machine.json_text import plain

    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:  # a name that is no UTF-8, or a terminal that is not
        text = json.dumps(json.loads(text), indent=2)
    print(text)


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


def wrote(files: Sequence[object]) -> list[tuple[str, str]]:
    """Return the rows that name the files a command wrote."""
    return [("" if index else "wrote", str(file)) for index, file in enumerate(files)]


def print_notes(notes: Iterable[str], kind: str = "") -> None:
    """Print lines to standard error, each after its kind, such as ``warning: ``."""
    for note in notes:
        print(f"{kind}{note}", file=sys.stderr, flush=True)
