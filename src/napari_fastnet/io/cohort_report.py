"""What a cohort came to: ``summary.csv`` and ``report.html``, one row a slide."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_fastnet.core.regions import size_class
from napari_fastnet.io.cohort_report_page import NOT_SCANNED, report_page
from napari_fastnet.io.files import write_bytes
from napari_fastnet.io.record import RESEARCH_USE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap

SUMMARY = "summary.csv"
REPORT = "report.html"

#: While slides finish, the files are written at most so often: a cohort of thousands
#: must not spend its time on its report.
EVERY_S = 2.0

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
        slide, model, regions = record["slide"], record["model"], record["regions"]
        highest = np.fmax.reduce(heatmap.probabilities, axis=None, initial=np.nan)
        y, x = slide["mpp"]
        return cls(
            tissue_mm2=regions["tissue_mm2"],
            tumour_mm2=regions["area_mm2"],
            share=regions["tissue_fraction"],
            macro=regions["macro"],
            micro=regions["micro"],
            itc=regions["itc"],
            largest_mm=regions["longest_axis_mm"],
            max_probability=None if np.isnan(highest) else float(highest),
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
    """

    name: str
    slide: Path
    status: Status = "waiting"
    error: str = ""
    found: Findings | None = None

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
        }


class CohortReport:
    """The two files of a cohort, kept up to date while its slides finish.

    Parameters
    ----------
    folder : Path
        Where they go; made where it is missing.
    rows : iterable of SlideRow
        Every slide, waiting.
    """

    def __init__(self, folder: Path, rows: Iterable[SlideRow]) -> None:
        self.folder = folder
        self._rows = {row.name: row for row in rows}
        self._written = -EVERY_S

    @property
    def rows(self) -> list[SlideRow]:
        """All rows: by lesion burden, then those that failed, then those that wait."""
        return sorted(self._rows.values(), key=lambda row: row.rank)

    @property
    def files(self) -> tuple[Path, Path]:
        """Both files."""
        return self.folder / SUMMARY, self.folder / REPORT

    def put(self, row: SlideRow) -> None:
        """Replace the row of that name; the files follow within two seconds' work."""
        self._rows[row.name] = row
        if monotonic() - self._written >= EVERY_S:
            self.write()

    def write(self) -> None:
        """Write both files, aside and renamed.

        Raises
        ------
        OutputError
            A file cannot be written.
        """
        rows = self.rows
        summary, report = self.files
        text = io.StringIO(newline="")
        table = csv.writer(text)
        table.writerow(COLUMNS)
        for row in rows:
            table.writerow(_cell(*pair) for pair in row.values().items())
        write_bytes(summary, text.getvalue().encode())
        page = report_page(self.folder.absolute().name, rows)
        write_bytes(report, page.encode())
        self._written = monotonic()


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


def _cell(column: str, value: str | float | None) -> str:
    """Return what stands in ``summary.csv``."""
    decimals = COLUMNS[column]
    if value is None or decimals is None:
        return "" if value is None else str(value)
    return f"{value:.{decimals}f}"
