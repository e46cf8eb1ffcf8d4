"""The log of the paper's experiments: a CSV file with a line for each training."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from napari_fastnet.errors import DataError
from napari_fastnet.machine.files import atomic_path
from napari_fastnet.store.lock import hold

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOG = "experiments.csv"
#: What a training is told from others by.
KEY = ("network", "loss", "weight", "focusing", "seed", "budget")
_WAIT_S = 60.0


def read_log(path: Path) -> list[dict[str, str]]:
    """Return the lines of a log, in the order in which they were written.

    Parameters
    ----------
    path : Path
        May be missing: then there are no lines.

    Raises
    ------
    DataError
        It is another kind of file.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no log of experiments ({error})") from error
    if any(None in row or not row.keys() >= set(KEY) for row in rows):
        raise DataError(f"{path} is no log of experiments; choose another folder")
    return rows


def keys(path: Path) -> set[tuple[str, ...]]:
    """Return the `KEY` of each line."""
    return {tuple(row[name] for name in KEY) for row in read_log(path)}


def written(value: Any) -> str:
    """Return a value as the log has it: six digits, and nothing for None."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add a line; the file is the old one or the new one, never half.

    Parameters
    ----------
    path : Path
        The log, in a folder that exists.
    row : mapping
        By column; every line has the same columns.

    Raises
    ------
    OutputError
        It cannot be written; the old one is kept.
    """
    with hold(path.parent, wait_s=_WAIT_S):
        rows = [*read_log(path), {name: written(row[name]) for name in row}]
        with atomic_path(path) as aside, aside.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(rows)
