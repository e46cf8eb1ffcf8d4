"""Patches and regions as tables: CSV for spreadsheets, Parquet for everything else."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.display import written
from napari_fastnet.errors import DependencyError
from napari_fastnet.machine.files import atomic_path, write_bytes
from napari_fastnet.results.record import RESEARCH_USE, RunRecord, record_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.core.heatmap import Heatmap


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
    """Replace characters and numbers that a cell cannot hold."""
    if isinstance(value, str):
        return _NO_XML.sub("\ufffd", written(value))[:LONGEST]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


#: Key of the run record in the metadata of a Parquet file.
RECORD_KEY = "napari_fastnet"

# Formats of patches.csv: to under a nanometre, and under a millionth.
_CSV_FORMATS = {"probability": ".6f", "row": "d", "column": "d"}
_CSV_DEFAULT = ".3f"
# As Python's numbers, rows take ten times the room.
_ROWS_AT_ONCE = 100_000


def patch_table(heatmap: Heatmap) -> dict[str, NDArray[Any]]:
    """Return the computed cells as columns of equal length.

    Parameters
    ----------
    heatmap : Heatmap
        Read row by row; cells that were not computed are left out.

    Returns
    -------
    dict of str to ndarray
        ``row`` and ``column`` in the heatmap, the centre ``x_px``, ``y_px`` in level-0
        px and ``x_um``, ``y_um`` in µm from the slide's corner, and ``probability``.
    """
    rows, columns = np.nonzero(heatmap.computed)
    (top, left), (height, width) = heatmap.grid.origin, heatmap.grid.step
    y, x = top + (rows + 0.5) * height, left + (columns + 0.5) * width
    return {
        "row": rows.astype(np.int32),
        "column": columns.astype(np.int32),
        "x_px": x,
        "y_px": y,
        "x_um": x * heatmap.mpp[1],
        "y_um": y * heatmap.mpp[0],
        "probability": heatmap.probabilities[rows, columns],
    }


def write_patches_csv(path: Path, heatmap: Heatmap) -> None:
    """Write the columns of `patch_table` as CSV.

    A last column, ``notice`` (research use only), is filled in the first row alone: a
    million rows need not repeat it.

    Parameters
    ----------
    path : Path
        Usually ``patches.csv``.
    heatmap : Heatmap
        Without any such cell the table is its header.
    """
    table = patch_table(heatmap)
    line = ",".join(
        f"{{:{_CSV_FORMATS.get(name, _CSV_DEFAULT)}}}" for name in table
    ).format
    count = len(table["row"])
    with (
        atomic_path(path) as aside,
        aside.open("w", encoding="utf-8", newline="\r\n") as file,
    ):
        file.write(",".join((*table, "notice")) + "\n")
        for first in range(0, count, _ROWS_AT_ONCE):
            part = (
                values[first : first + _ROWS_AT_ONCE].tolist()
                for values in table.values()
            )
            lines = (line(*row) for row in zip(*part, strict=True))
            if first == 0:
                file.write(f"{next(lines)},{RESEARCH_USE}\n")
            file.writelines(f"{each},\n" for each in lines)


def write_parquet(
    path: Path,
    table: Mapping[str, Sequence[Any] | NDArray[Any]],
    *,
    record: RunRecord | None = None,
) -> None:
    """Write a table as Parquet.

    Parameters
    ----------
    path : Path
        Usually ``regions.parquet`` or ``patches.parquet``.
    table : mapping of str to sequence
        Columns by name.
    record : RunRecord, optional
        The run record, kept as JSON in the file's metadata.

    Raises
    ------
    DependencyError
        pyarrow is not installed.
    OutputError
        It cannot be written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DependencyError(
            "Parquet needs pyarrow; install it: pip install 'napari-fastnet[parquet]'"
        ) from error
    columns = pyarrow.table(dict(table))
    columns = columns.replace_schema_metadata({RECORD_KEY: record_json(record)})
    with atomic_path(path) as aside:
        parquet.write_table(columns, aside)
