"""The slides that a folder of results holds: by the records in it, and by its table.

The records say what is done. The table, ``summary.csv``, says besides which slides
failed or wait; of a slide the newer of both holds.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fastnet.errors import OutputError, StoreError
from napari_fastnet.io.cohort_findings import (
    Findings,
    SlideRow,
    highest_probability,
)
from napari_fastnet.io.file_names import OVERVIEW, RECORD, THUMBNAIL, written
from napari_fastnet.io.files import reason
from napari_fastnet.io.record import read_record
from napari_fastnet.io.run_heatmap import read_run_heatmap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NEVER = datetime.fromtimestamp(0, UTC)
_Stamp = tuple[int, int, int]


def now() -> str:
    """Return the time; finer than records have it, so that what follows is later."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class FolderRows:
    """The rows of a folder's records; read again where one changed.

    Parameters
    ----------
    folder : Path
        Around the folders of the slides.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[_Stamp, SlideRow | None]] = {}

    def read(self) -> list[SlideRow]:
        """Return a row for each detection in the folder.

        One whose record or heatmap is damaged has failed: that is no slide without a
        lesion.

        Raises
        ------
        OutputError
            The folder cannot be read.
        """
        known = {}
        try:
            folders = sorted(path for path in self._folder.iterdir() if path.is_dir())
        except OSError as error:
            raise OutputError(f"cannot read {self._folder}: {reason(error)}") from error
        for folder in folders:
            try:
                found = (folder / RECORD).stat()
            except OSError:
                continue
            stamp = found.st_mtime_ns, found.st_size, found.st_ino
            before = self._known.get(folder.name)
            if before is None or before[0] != stamp:
                before = stamp, _row(folder)
            known[folder.name] = before
        self._known = known
        return [row for _, row in known.values() if row is not None]


def _row(folder: Path) -> SlideRow | None:
    """Return the row of a slide's folder; None where it is no detection."""
    try:
        record = read_record(folder / RECORD)
    except StoreError as error:
        return SlideRow(folder.name, folder, "failed", str(error), ended=now())
    if record["model"] is None or record["counts"] is None:
        return None
    slide, ended = Path(record["slide"]["path"]), str(record.get("created", ""))
    try:
        found = Findings.of_record(record, _highest(folder, record))
    except (StoreError, LookupError, TypeError, ValueError) as error:
        line = f"{folder}: its results are damaged ({error}); run detect again"
        return SlideRow(folder.name, slide, "failed", line, ended=now())
    picture = THUMBNAIL if (folder / THUMBNAIL).is_file() else OVERVIEW
    return SlideRow(
        folder.name, slide, "done", found=found, ended=ended, picture=picture
    )


def _highest(folder: Path, record: dict[str, Any]) -> float | None:
    """Return the highest probability of a run; records of before had none."""
    regions = record["regions"]
    for name in ("highest_probability", "max_probability"):
        if regions.get(name) is not None:  # of any cell, of any region
            return float(regions[name])
    if "highest_probability" in regions:
        return None
    heatmap = read_run_heatmap(folder, record)
    if heatmap is None:
        raise StoreError("there is no heatmap")
    return highest_probability(heatmap)


def read_open_rows(summary: Path) -> list[SlideRow]:
    """Return the slides that a table says failed or wait.

    Parameters
    ----------
    summary : Path
        ``summary.csv``, perhaps of an earlier version; may be missing, and of another
        table than ours nothing is taken.

    Returns
    -------
    list of SlideRow
        Names and paths as `written`.

    Raises
    ------
    OutputError
        It cannot be read.
    """
    try:
        text = summary.read_bytes().decode("utf-8-sig", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"cannot read {summary}: {reason(error)}") from error
    lines = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        return [row for line in lines if (row := _open_row(line)) is not None]
    except csv.Error:
        return []


def _open_row(line: Mapping[str, str | None]) -> SlideRow | None:
    """Return what a line says of a slide that is not done."""
    slide = Path(line.get("slide") or "")
    name, ended = line.get("name") or slide.stem, line.get("ended") or ""
    match line.get("status") if slide != Path() else None:
        case "failed":
            return SlideRow(name, slide, "failed", line.get("error") or "", ended=ended)
        case "waiting":
            return SlideRow(name, slide)
        case _:
            return None


def merged(
    folder: Iterable[SlideRow], told: Iterable[SlideRow], own: Iterable[SlideRow]
) -> list[SlideRow]:
    """Return what holds of each slide.

    Parameters
    ----------
    folder : iterable of SlideRow
        Of the records that are there.
    told : iterable of SlideRow
        Failed or waiting, by the table.
    own : iterable of SlideRow
        What this command did: newer than what the table says of the same slide.

    Returns
    -------
    list of SlideRow
        A slide is done if there is a record, unless it failed since; else it failed, or
        it waits.
    """
    open_rows = {_key(row): row for row in told}
    for row in own:
        before = open_rows.get(_key(row))
        if before is not None and before.status == "failed" and _is_later(before, row):
            continue
        if row.status == "done":
            open_rows.pop(_key(row), None)
        elif row.status == "failed" or before is None:
            open_rows[_key(row)] = row
    rows = []
    for row in folder:
        later = open_rows.get(_key(row))
        if later is not None and later.status == "failed" and _is_later(later, row):
            continue
        rows.append(row)
        if row.status == "done":
            open_rows.pop(_key(row), None)
    return [*rows, *open_rows.values()]


def _key(row: SlideRow) -> str:
    """Return what tells slides apart: the path, as a table can have it."""
    return written(row.slide)


def _is_later(row: SlideRow, than: SlideRow) -> bool:
    return _time(row) > _time(than)


def _time(row: SlideRow) -> datetime:
    try:
        time = datetime.fromisoformat(row.ended)
    except ValueError:
        return _NEVER
    return time if time.tzinfo else time.replace(tzinfo=UTC)
