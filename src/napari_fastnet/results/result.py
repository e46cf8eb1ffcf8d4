"""Results of a finished run, read back from its folder to be written in other formats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.annotations.roi import read_outlines
from napari_fastnet.core.display import (
    counted,
    never_scanned_words,
    notebook_card,
    number_words,
    unreadable_words,
)
from napari_fastnet.core.drawn_regions import drawn_totals, regions_of_outlines
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.regions import Region, find_regions, summarise
from napari_fastnet.errors import FastNetError, OptionError, OutputError, StoreError
from napari_fastnet.results.formats import THUMBNAIL_PX, Results
from napari_fastnet.results.reading import (
    Mask,
    read_flags_export,
    read_mask_export,
    read_run_heatmap,
    recorded_mpp,
)
from napari_fastnet.results.record import (
    CALIBRATED,
    MASKS,
    OVERVIEW,
    QUALITY,
    RECORD,
    RESEARCH_USE,
    STORE,
    mask_file,
    read_record,
)
from napari_fastnet.results.recorded_slide import (
    outline_notes,
    recorded_corner,
    tissue_of,
)
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.options import ColoursName
    from napari_fastnet.results.record import RunRecord


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
        Bits of `core.appearance.flags.Flag` of each cell.
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


_WANTED = "give the folder that detect, or an export of the panel, left"


@dataclass(frozen=True, slots=True)
class Saved:
    """What is to be read: a run, and what is not as it was.

    Parameters
    ----------
    run : Path
        The folder of results, or the ``run.zarr`` or ``run.json`` in it.
    threshold : float, optional
        Of the regions; the run's own by default.
    slide : Path, optional
        Where the slide is now, for the overview; as recorded by default.
    bounds_offset : tuple of float or "scanned"
        (y, x) level-0 px; see `results.regions.write_regions_geojson`. "scanned" is
        where the scanned part of the slide begins.
    colours : {"red-green", "blue-orange"}, optional
        Of the heatmap in the overview; as recorded by default.
    regions : Path, optional
        Outlines that take the regions' place, as `annotations.reading` reads them, from
        which ``bounds_offset`` was taken off.
    tumor_classes : tuple of str
        Classes of the outlines that are tumor, see `annotations.classes.Classes`.
    """

    run: Path
    threshold: float | None = None
    slide: Path | None = None
    bounds_offset: Pair | Literal["scanned"] = (0.0, 0.0)
    colours: ColoursName | None = None
    regions: Path | None = None
    tumor_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold is {self.threshold}; use 0 to 1")

    @property
    def folder(self) -> Path:
        """The folder of results."""
        path = self.run.absolute()
        return path.parent if path.name in (STORE, RECORD) else path


def load_results(run: str | Path | Saved) -> Results:
    """Read the results of a run.

    Parameters
    ----------
    run : str, Path or Saved
        The folder that ``detect`` left; a `Saved` says what is to be otherwise.

    Returns
    -------
    Results
        The heatmap of ``heatmap.ome.tif``, or of ``run.zarr`` where that is missing; the
        regions at the threshold; the masks that are there. The slide is opened when the
        overview is drawn.

    Raises
    ------
    StoreError
        There is no finished run, or it is damaged.
    """
    saved = run if isinstance(run, Saved) else Saved(Path(run))
    folder = saved.folder
    if not folder.is_dir():
        raise StoreError(f"{saved.run}: no such folder; {_WANTED}")
    if not (folder / RECORD).is_file():
        inside = sorted(path.parent.name for path in folder.glob(f"*/{RECORD}"))
        if inside:
            raise StoreError(
                f"{saved.run}: holds results of slides in folders of their own "
                f"({len(inside)}); give one, such as {saved.run / inside[0]}"
            )
        raise StoreError(
            f"{saved.run}: no finished run, there is no {RECORD}; {_WANTED}, or run "
            "detect again: it goes on from where it stopped"
        )
    record = read_record(folder / RECORD)
    slide, mpp = record["slide"], recorded_mpp(folder / RECORD, record)
    offset = OutlineOptions(bounds_offset=saved.bounds_offset).offset(
        lambda: recorded_corner(folder, record)
    )
    saved = replace(saved, bounds_offset=offset)
    heatmap = read_run_heatmap(folder, record)
    shape = (int(slide["height"]), int(slide["width"]))
    regions: list[Region] | None = None
    notes: tuple[str, ...] = ()
    masks = _masks(folder)
    if heatmap is not None:
        if saved.threshold is not None:
            record["threshold"] = saved.threshold
        regions, notes = _regions(saved, heatmap, record, shape, masks)
    if saved.colours is not None:
        options = record.get("options") or {}
        record["options"] = {**options, "colours": saved.colours}
    return Results(
        record=record,
        mpp=mpp,
        slide_shape=shape,
        heatmap=heatmap,
        regions=regions,
        masks={name: mask.mask for name, mask in masks.items()},
        mask_mpp=next((mask.mpp for mask in masks.values()), (1.0, 1.0)),
        picture=lambda: _picture(saved.slide or Path(slide["path"]), slide),
        bounds_offset=offset,
        flags=_flags(folder, heatmap),
        notes=notes,
    )


def _regions(
    saved: Saved,
    heatmap: Heatmap,
    record: dict[str, Any],
    shape: tuple[int, int],
    masks: dict[str, Mask],
) -> tuple[list[Region], tuple[str, ...]]:
    """Return the regions, and what is to be told of them; the record counts them."""
    tissue_mm2 = record["tissue"].get("area_mm2")
    if saved.regions is None:
        regions = find_regions(heatmap, float(record["threshold"]))
        # of cells, not of regions, whatever these are
        name = "highest_probability"
        before = record.get("regions") or {}
        kept = {name: before[name]} if name in before else {}
        record["regions"] = {**summarise(regions, tissue_mm2), **kept}
        return regions, ()
    assert saved.bounds_offset != "scanned"
    outlines, notes = read_outlines(
        saved.regions,
        shape,
        bounds_offset=saved.bounds_offset,
        tumor_classes=saved.tumor_classes,
    )
    tissue_found = tissue_of({name: mask.mask for name, mask in masks.items()})
    notes += outline_notes(saved.regions, outlines, tissue_found, shape, heatmap.mpp)
    roi = masks.get("roi")
    regions = regions_of_outlines(outlines, heatmap, Box.of_shape(shape))
    tissue = None if roi is None else roi.mask
    record["regions"] = {
        **drawn_totals(regions, tissue_mm2, tissue, shape),
        "outlines": str(saved.regions),
    }
    return regions, notes


def _flags(folder: Path, heatmap: Heatmap | None) -> NDArray[np.uint8] | None:
    """Return a run's flags; None where it has none, or they are of other cells."""
    if heatmap is None or not (folder / QUALITY).is_file():
        return None
    flags, _ = read_flags_export(folder / QUALITY)
    return flags if flags.shape == heatmap.grid.shape else None


def _masks(folder: Path) -> dict[str, Mask]:
    paths = {name: folder / mask_file(name) for name in MASKS}
    return {name: read_mask_export(p) for name, p in paths.items() if p.is_file()}


def _picture(path: Path, recorded: dict[str, Any]) -> NDArray[Any]:
    """Return the slide's thumbnail, if it is still the slide of the run."""
    try:
        with open_slide(path) as slide:
            if slide.fingerprint != recorded["fingerprint"]:
                raise OutputError(
                    f"{path}: not the slide of this run; give it with --slide"
                )
            return slide.thumbnail(THUMBNAIL_PX)
    except OutputError:
        raise
    except FastNetError as error:
        raise OutputError(
            f"the overview shows the slide, which cannot be opened ({error}); give it "
            "with --slide, or leave png out"
        ) from error
