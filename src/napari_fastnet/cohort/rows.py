"""What is known of the slides of a cohort: their numbers, and the rows of its table."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_fastnet.core.heatmap import highest_probability
from napari_fastnet.core.regions import size_class
from napari_fastnet.errors import OutputError, StoreError
from napari_fastnet.machine.files import reason
from napari_fastnet.results.reading import read_run_heatmap
from napari_fastnet.results.record import (
    OVERVIEW,
    RECORD,
    RESEARCH_USE,
    THUMBNAIL,
    read_record,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap


#: Of a slide without tissue, or of which nothing could be read: it is not free of tumour.
NOT_SCANNED = "not scanned"

#: Columns of ``summary.csv``, and the decimals of those that are measures.
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
}

Status = Literal["waiting", "done", "failed"]
_ORDER: dict[Status, int] = {"done": 0, "failed": 1, "waiting": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the run of one slide found.

    Parameters
    ----------
    tissue_mm2, tumour_mm2 : float
        Areas.
    share : float or None
        Tumour over tissue, 0..1; None without tissue.
    macro, micro, itc : int
        Regions of each size class.
    largest_mm : float or None
        Longest axis of any region; None without one.
    max_probability : float or None
        Of any cell, in a region or not; None where nothing was scanned.
    unreadable : int
        Patches that could not be decoded.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    mpp_source : str
        Where that number came from.
    model : str
        Name and version.
    threshold : float
        From which a cell is tumour.
    seconds : float
        Time the slide took.
    flagged : float or None
        Share of the patches with a quality flag; None where nothing was judged.
    out_of_gamut : bool or None
        Whether the stain lies far from the training data; None where not judged.
    warn : bool
        Whether the quality is to be doubted.
    quality : str
        That in a sentence.
    """

    tissue_mm2: float
    tumour_mm2: float
    share: float | None
    macro: int
    micro: int
    itc: int
    largest_mm: float | None
    max_probability: float | None
    unreadable: int
    mpp: Pair
    mpp_source: str
    model: str
    threshold: float
    seconds: float
    flagged: float | None = None
    out_of_gamut: bool | None = None
    warn: bool = False
    quality: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any], heatmap: Heatmap) -> Findings:
        """Return what a run record, as `read_record` gives it, and its heatmap say."""
        return cls.of_record(record, highest_probability(heatmap))

    @classmethod
    def of_record(cls, record: Mapping[str, Any], highest: float | None) -> Findings:
        """Return what a run record says, given the highest probability of any cell."""
        slide, model, regions = record["slide"], record["model"], record["regions"]
        y, x = slide["mpp"]
        return cls(
            tissue_mm2=regions["tissue_mm2"],
            tumour_mm2=regions["area_mm2"],
            share=regions["tissue_fraction"],
            macro=regions["macro"],
            micro=regions["micro"],
            itc=regions["itc"],
            largest_mm=regions["longest_axis_mm"],
            max_probability=highest,
            unreadable=record["counts"]["failed"],
            mpp=(float(y), float(x)),
            mpp_source=slide["mpp_source"],
            model=f"{model['name']} {model['version']}",
            threshold=record["threshold"],
            seconds=record["seconds"]["total"],
            **_quality(record.get("quality") or {}),
        )

    @property
    def regions(self) -> int:
        """Regions of all classes."""
        return self.macro + self.micro + self.itc

    @property
    def size_class(self) -> str:
        """Class of the largest region: macro, micro, ITC, none, or not scanned."""
        if self.largest_mm is not None:
            return size_class(self.largest_mm)
        return NOT_SCANNED if self.max_probability is None else "none"


@dataclass(frozen=True, slots=True)
class SlideRow:
    """Where one slide of a cohort stands.

    Parameters
    ----------
    name : str
        Of its folder of results, beside the report.
    slide : Path
        Its file.
    status : {"waiting", "done", "failed"}
        What became of it so far.
    error : str
        Why it failed; a line.
    found : Findings or None
        Of a slide that is done.
    ended : str
        When it was done or failed, ISO 8601 with its zone; empty where not known.
    picture : str
        The file in its folder that the report shows.
    """

    name: str
    slide: Path
    status: Status = "waiting"
    error: str = ""
    found: Findings | None = None
    ended: str = ""
    picture: str = THUMBNAIL

    @property
    def rank(self) -> tuple[int, float, float, str]:
        """Sorts rows by lesion burden: tumour area, then the highest probability."""
        tumour_mm2 = self.found.tumour_mm2 if self.found else 0.0
        highest = (self.found.max_probability or 0.0) if self.found else 0.0
        return _ORDER[self.status], -tumour_mm2, -highest, self.name

    def values(self) -> dict[str, Any]:
        """Return the slide's numbers and words by `COLUMNS`; None where unknown."""
        known = {} if self.found is None else _measures(self.found)
        return {column: known.get(column) for column in COLUMNS} | {
            "name": self.name,
            "status": self.status,
            "error": self.error or None,
            "slide": str(self.slide),
            "results": self.name if self.status == "done" else None,
            "notice": RESEARCH_USE,
            "ended": self.ended or None,
        }


def _quality(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says of the quality; records of before there was any, nothing."""
    if not section:
        return {}
    return {
        "flagged": section.get("any"),
        "out_of_gamut": section.get("out_of_gamut"),
        "warn": bool(section.get("warn")),
        "quality": str(section.get("verdict", "")),
    }


def _measures(found: Findings) -> dict[str, Any]:
    """Return the columns that only a slide that is done fills."""
    return {
        "tissue_mm2": found.tissue_mm2,
        "tumour_mm2": found.tumour_mm2,
        "tumour_share": found.share,
        "regions": found.regions,
        "macro": found.macro,
        "micro": found.micro,
        "itc": found.itc,
        "largest_lesion_mm": found.largest_mm,
        "size_class": found.size_class,
        "max_probability": found.max_probability,
        "unreadable_patches": found.unreadable,
        "flagged_share": found.flagged,
        "out_of_gamut": found.out_of_gamut,
        "quality": found.quality or None,
        "mpp_y": found.mpp[0],
        "mpp_x": found.mpp[1],
        "mpp_source": found.mpp_source,
        "model": found.model,
        "threshold": found.threshold,
        "seconds": found.seconds,
    }


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
