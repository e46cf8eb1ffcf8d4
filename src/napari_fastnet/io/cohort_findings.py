"""What is known of the slides of a cohort: their numbers, and the rows of its table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_fastnet.core.regions import size_class
from napari_fastnet.io.cohort_report_page import NOT_SCANNED
from napari_fastnet.io.file_names import THUMBNAIL
from napari_fastnet.io.record import RESEARCH_USE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap

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


def highest_probability(heatmap: Heatmap) -> float | None:
    """Return the highest probability of any cell; None where there is none."""
    highest = np.fmax.reduce(heatmap.probabilities, axis=None, initial=np.nan)
    return None if np.isnan(highest) else float(highest)


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
