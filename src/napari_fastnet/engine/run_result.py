"""What a run found and wrote, and how that reads: in a terminal and in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_fastnet.io.file_names import OVERVIEW
from napari_fastnet.io.notebook import notebook_card
from napari_fastnet.io.number_words import (
    counted,
    never_scanned_words,
    number_words,
    unreadable_words,
)
from napari_fastnet.io.record import CALIBRATED, RESEARCH_USE

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.regions import Region
    from napari_fastnet.io.record import RunRecord

OVERVIEW_WIDTH_PX = 900


@dataclass(frozen=True, slots=True, repr=False)
class RunResult:
    """What a run found and wrote.

    Parameters
    ----------
    record : RunRecord
        As in ``run.json``.
    heatmap : Heatmap
        Probabilities.
    regions : list of Region
        At the threshold, largest first.
    files : tuple of Path
        Everything written, the store included.
    notes : tuple of str
        What the user should be told: damage in an earlier run that was set aside.
    flags : (rows, columns) uint8 ndarray or None
        Bits of `core.quality.Flag` of each cell.
    all_earlier : bool
        Every probability was computed by an earlier run.
    """

    record: RunRecord
    heatmap: Heatmap
    regions: list[Region]
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    flags: NDArray[np.uint8] | None = None
    all_earlier: bool = False

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.files[0].parent

    def rows(self, seconds: float | None = None) -> list[tuple[str, str]]:
        """Return what was found as rows of (what, text).

        Parameters
        ----------
        seconds : float, optional
            What it took in all, with what is not part of the run: loading programs,
            writing files.
        """
        record = self.record
        totals: Any = record.regions
        counts, tissue_mm2 = record.counts, totals["tissue_mm2"]
        assert counts is not None
        rows = [
            ("slide", record.slide.path),
            ("tissue", _area(tissue_mm2) if tissue_mm2 else self._none_found()),
            ("patches", f"{counts.computed:,} computed{self._when()}"),
        ]
        if counts.failed:
            words = unreadable_words(counts.failed, counts.kept)
            rows.append(("", f"{words}, and are left out of the heatmap"))
        if words := never_scanned_words(record.tissue.get("never_scanned", 0.0)):
            rows.insert(2, ("", words))
        if damaged := record.tissue.get("damaged_tiles"):
            words = counted(damaged, "damaged tile")
            rows.insert(2, ("", f"{words}, taken as glass"))
        found = (
            f"{totals['regions']}: {totals['macro']} macro, {totals['micro']} micro, "
            f"{totals['itc']} ITC"
        )
        share = totals["tissue_fraction"]
        area = _area(totals["area_mm2"]) + (
            f" ({share:.1%} of the tissue)" if share is not None else ""
        )
        return [
            *rows,
            ("regions", f"{found}, at threshold {record.threshold:g}"),
            ("tumour", area),
            ("quality", str(record.quality.get("verdict", "not judged"))),
            ("time", self._time(seconds)),
        ]

    def _none_found(self) -> str:
        """Return that there is no tissue, as far as the slide could be read."""
        damaged = self.record.tissue.get("damaged_tiles")
        return "none found in what could be read" if damaged else "none found"

    def _when(self) -> str:
        """Return that nothing was left to compute, where that is so."""
        idle = self.all_earlier and self.heatmap.computed.any()
        return ", all by an earlier run" if idle else ""

    def _time(self, last: float | None) -> str:
        """Return how long the run took; where it has several parts, with those before."""
        seconds = self.record.seconds
        if last is None:
            last = seconds.total - seconds.earlier
        if not seconds.earlier:
            return f"{last:.1f} s"
        return f"{last:.1f} s, and {seconds.earlier:.1f} s before"

    def __repr__(self) -> str:
        return f"<RunResult {len(self.regions)} regions, {self.heatmap!r}>"

    def _repr_html_(self) -> str:
        """Return the overview and what was found, as a notebook shows them."""
        notice = f"{CALIBRATED} {RESEARCH_USE}"
        rows = [*self.rows(), ("files", str(self.folder)), ("", notice)]
        return notebook_card(rows, png=self._overview(), width_px=OVERVIEW_WIDTH_PX)

    def _repr_png_(self) -> bytes | None:
        """Return the overview alone, where a notebook shows no HTML."""
        return self._overview()

    def _overview(self) -> bytes | None:
        """Return ``overview.png`` as it was written; None where it is gone."""
        try:
            return (self.folder / OVERVIEW).read_bytes()
        except OSError:
            return None


def _area(area_mm2: float) -> str:
    return f"{number_words(area_mm2)} mm²"
