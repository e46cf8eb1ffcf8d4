"""Rows of a cohort's table: the state and the numbers of each slide."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_fastnet.cohort.slide_numbers import SlideNumbers
from napari_fastnet.core.display import written
from napari_fastnet.core.heatmap import highest_probability
from napari_fastnet.errors import OutputError, StoreError
from napari_fastnet.machine.files import reason
from napari_fastnet.machine.remote.url import recorded_path
from napari_fastnet.results.decisions import decisions_of
from napari_fastnet.results.loading import load
from napari_fastnet.results.reading import read_run_heatmap
from napari_fastnet.results.record import (
    DECISIONS,
    OVERVIEW,
    PLAIN_THUMBNAIL,
    RECORD,
    REGIONS_CSV,
    RESEARCH_USE,
    THUMBNAIL,
    read_record,
)
from napari_fastnet.results.regions import region_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from napari_fastnet.machine.remote.url import SlidePath
    from napari_fastnet.results.record import RunRecord


SUMMARY = "summary.csv"
#: Its columns, and the decimals of those that are measures.
COLUMNS: dict[str, int | None] = {
    "name": None,
    "status": None,
    "error": None,
    "tissue_mm2": 4,
    "tumour_mm2": 6,
    "tumour_share": 6,
    "regions": None,
    "macro": None,
    "micro": None,
    "itc": None,
    "largest_lesion_mm": 4,
    "size_class": None,
    "max_probability": 4,
    "unreadable_patches": None,
    "flagged_share": 4,
    "out_of_gamut": None,
    "quality": None,
    "mpp_y": 6,
    "mpp_x": 6,
    "mpp_source": None,
    "model": None,
    "threshold": 6,
    "seconds": 2,
    "slide": None,
    "results": None,
    "notice": None,
    "ended": None,
    "lesion_threshold": 4,
    "sensitivity_02_mm": 4,
    "top_evidence": 4,
    "top_confidence": 4,
    "accepted": None,
    "accepted_mm2": 6,
    "accepted_largest_mm": 4,
    "rejected": None,
    "unsure": None,
    "undecided": None,
    "read_as": None,
}

#: Columns of the cohort's table of lesions: the slide's name in the summary, and those of
#: a slide's own table.
REGION_COLUMNS = ("name", *region_table((), mpp=(0.0, 0.0), notice="", slide=""))
_KNOWN = frozenset(REGION_COLUMNS[1:])

Status = Literal["waiting", "done", "failed"]
_ORDER: dict[Status, int] = {"done": 0, "failed": 1, "waiting": 2}


@dataclass(frozen=True, slots=True)
class SlideRow:
    """State of one slide of a cohort.

    Parameters
    ----------
    name : str
        Of its folder of results, beside the report.
    slide : Path or Url
        Its file.
    status : {"waiting", "done", "failed"}
        So far.
    error : str
        Why it failed; a line.
    found : SlideNumbers or None
        Of a slide that is done.
    ended : str
        When it was done or failed, ISO 8601 with its zone; empty where not known.
    pictures : tuple of str
        The files in its folder for the report.
    notes : tuple of str
        Notes about its results for the user.
    """

    name: str
    slide: SlidePath
    status: Status = "waiting"
    error: str = ""
    found: SlideNumbers | None = None
    ended: str = ""
    pictures: tuple[str, ...] = (THUMBNAIL, PLAIN_THUMBNAIL)
    notes: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[int, float, int, float, float, str]:
        """Sort key by suspicion: top evidence, then lesions, tumor area and probability."""
        order, found = _ORDER[self.status], self.found
        if found is None:
            return order, 0.0, 0, 0.0, 0.0, self.name
        evidence = -inf if found.top_evidence is None else found.top_evidence
        highest = found.max_probability or 0.0
        return order, -evidence, -found.regions, -found.tumour_mm2, -highest, self.name

    def values(self) -> dict[str, Any]:
        """Return the slide's numbers and words by `COLUMNS`; None where unknown."""
        return {
            **{column: getattr(self.found, column, None) for column in COLUMNS},
            "name": self.name,
            "status": self.status,
            "error": self.error or None,
            "slide": str(self.slide),
            "results": self.name if self.status == "done" else None,
            "notice": RESEARCH_USE,
            "ended": self.ended or None,
        }


_EVERY_REGION = (
    "found by a version without evidence, which lists every region of cells; run detect "
    "again"
)
_NEVER = datetime.fromtimestamp(0, UTC)


def now() -> str:
    """Return the time, in finer steps than a record's, so that later is greater."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def folder_rows(folder: Path) -> list[SlideRow]:
    """Return a row for each detection in a folder.

    A detection whose record or heatmap is damaged has failed: it is not a slide without a
    lesion.

    Parameters
    ----------
    folder : Path
        Around the folders of the slides.

    Returns
    -------
    list of SlideRow
        By name of the slides' folders.

    Raises
    ------
    OutputError
        The folder cannot be read.
    """
    try:
        folders = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise OutputError(f"cannot read {folder}: {reason(error)}") from error
    rows = []
    for place in folders:
        facts = _facts(place / RECORD)
        if facts:
            rows.append(_row(place, *facts, *_facts(place / DECISIONS)))
    return [row for row in rows if row is not None]


def _facts(path: Path) -> tuple[int, ...]:
    """Return numbers that change with a file; none where there is no file."""
    try:
        facts = path.stat()
    except OSError:
        return ()
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


@lru_cache(maxsize=2**16)
def _row(folder: Path, *_: int) -> SlideRow | None:
    """Return the row of a slide's folder; None if it is no detection.

    The other arguments change with record and decisions, which are then read again.
    """
    try:
        record = read_record(folder / RECORD)
    except StoreError as error:
        return SlideRow(folder.name, folder, "failed", str(error), ended=now())
    if record.model is None or record.counts is None:
        return None
    slide = recorded_path(record.slide.path)
    try:
        decisions = decisions_of(folder, record.slide)
        if decisions.events_count != record.decisions.events:  # decided since
            record = replace(record, decisions=load(folder).record.decisions)
        found = SlideNumbers.of(record, _highest(folder, record))
    except (StoreError, ValueError) as error:
        line = f"{folder}: its results are damaged ({error}); run detect again"
        return SlideRow(folder.name, slide, "failed", line, ended=now())
    earlier = (_EVERY_REGION,) if record.lesion_threshold is None else ()
    small = (THUMBNAIL, PLAIN_THUMBNAIL)
    pictures = tuple(name for name in small if (folder / name).is_file()) or (OVERVIEW,)
    return SlideRow(
        folder.name,
        slide,
        "done",
        found=found,
        ended=record.created,
        pictures=pictures,
        notes=(*earlier, *decisions.notes),
    )


def _highest(folder: Path, record: RunRecord) -> float | None:
    """Return the highest probability of a run; early records state that of regions alone."""
    for known in (record.regions.highest_probability, record.regions.max_probability):
        if known is not None:
            return known
    if record.counts is not None and not record.counts.computed:
        return None
    heatmap = read_run_heatmap(folder, record)
    if heatmap is None:
        raise StoreError("there is no heatmap")
    return highest_probability(heatmap)


def region_lines(folder: Path, row: SlideRow) -> Iterator[dict[str, str]]:
    """Read the table of a slide's lesions, perhaps of an earlier version.

    Parameters
    ----------
    folder : Path
        Around the slide's folder.
    row : SlideRow
        The slide.

    Yields
    ------
    dict of str to str
        By `REGION_COLUMNS`, without those that the table lacks. Nothing where the slide
        is not done, or its table is gone or another one.
    """
    if row.status != "done":
        return
    try:
        text = (folder / row.name / REGIONS_CSV).read_bytes().decode(errors="replace")
        header, *lines = list(csv.reader(io.StringIO(text, newline=""))) or [[]]
    except (OSError, csv.Error):
        return
    if "label" not in header:
        return
    name = {"name": written(row.name)}
    for line in lines:
        cells = zip(header, line, strict=False)  # a line may have been cut off
        yield name | {column: cell for column, cell in cells if column in _KNOWN}


def read_open_rows(summary: Path) -> list[SlideRow]:
    """Return the slides that failed or wait according to a table.

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
    """Return the row of a line of the table, None for a slide that is done."""
    slide = recorded_path(line.get("slide") or "")
    name, ended = line.get("name") or slide.stem, line.get("ended") or ""
    match line.get("status") if slide != Path() else None:
        case "failed":
            return SlideRow(name, slide, "failed", line.get("error") or "", ended=ended)
        case "waiting":
            return SlideRow(name, slide)
        case _:
            return None


def merged(
    folder: Iterable[SlideRow], listed: Iterable[SlideRow], own: Iterable[SlideRow]
) -> list[SlideRow]:
    """Merge rows of several sources, with one for each slide.

    Parameters
    ----------
    folder : iterable of SlideRow
        Of the records that are there.
    listed : iterable of SlideRow
        Failed or waiting according to the table.
    own : iterable of SlideRow
        Of this command: newer than those of the table for the same slide.

    Returns
    -------
    list of SlideRow
        A slide is done if there is a record, unless it failed since; else it failed, or
        it waits.
    """
    # by name: an address may lack what tells two slides apart, and a slide may have moved
    open_rows = {_key(row): row for row in listed}
    for row in own:
        key = _key(row)
        if _failed_after(open_rows.get(key), row):
            continue
        if row.status == "done":
            open_rows.pop(key, None)
        elif row.status == "failed" or key not in open_rows:
            open_rows[key] = row
    rows = []
    for row in folder:
        key = _key(row)
        if _failed_after(open_rows.get(key), row):
            continue
        rows.append(row)
        if row.status == "done":
            open_rows.pop(key, None)
    return [*rows, *open_rows.values()]


def _key(row: SlideRow) -> str:
    """Return the name of a slide's folder, as tables have it."""
    return written(row.name).casefold()


def _failed_after(other: SlideRow | None, row: SlideRow) -> bool:
    """Return whether another row of a slide says that it failed later."""
    if other is None or other.status != "failed":
        return False
    return _time(other) > _time(row)


def _time(row: SlideRow) -> datetime:
    try:
        time = datetime.fromisoformat(row.ended)
    except ValueError:
        return _NEVER
    return time if time.tzinfo else time.replace(tzinfo=UTC)
