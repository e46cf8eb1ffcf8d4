"""Reader of the result of a finished run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.annotations.qupath.project import objects_of
from napari_fastnet.annotations.roi import read_outlines
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.lesions import regions as core_regions
from napari_fastnet.core.lesions.evidence import (
    find_candidates,
    lesion_totals,
    lesions_of,
)
from napari_fastnet.core.lesions.pieces import with_pieces
from napari_fastnet.errors import OptionError, StoreError
from napari_fastnet.machine.remote.url import path_of
from napari_fastnet.results import reading, recorded_slide
from napari_fastnet.results.decisions import decisions_of
from napari_fastnet.results.record import (
    MASKS,
    QUALITY,
    RECORD,
    STORE,
    mask_file,
    read_record,
)
from napari_fastnet.results.result import Result

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.options import ColoursName
    from napari_fastnet.machine.remote.url import SlidePath
    from napari_fastnet.results.record import RunRecord

_WANTED = "give the folder that detect, or an export of the panel, left"


def load(  # noqa: PLR0913  # plain keywords, as for detect
    run: str | Path,
    *,
    threshold: float | None = None,
    lesion_threshold: float | None = None,
    slide: str | SlidePath | None = None,
    colours: ColoursName | None = None,
    regions: str | Path | None = None,
    tumor_classes: Collection[str] = (),
    bounds_offset: Pair | Literal["scanned"] = (0.0, 0.0),
) -> Result:
    """Read the result of a finished run.

    Parameters
    ----------
    run : str or Path
        The folder that ``detect``, `Result.save` or an export of the panel left, or the
        ``run.zarr`` or ``run.json`` in it.
    threshold : float, optional
        Probability from which a cell belongs to an outline, 0..1; the run's own by
        default.
    lesion_threshold : float, optional
        Evidence from which a candidate is a lesion, log odds; the run's own by default.
    slide : str, Path or Url, optional
        Where the slide is now, for the overview and a project of QuPath; as recorded by
        default.
    colours : {"red-green", "blue-orange"}, optional
        Colours of the heatmap in the overview; as recorded by default.
    regions : str or Path, optional
        A file of outlines that take the place of the lesions found, as
        `annotations.reading` reads them.
    tumor_classes : collection of str, optional
        Classes of these outlines that are tumor; see `annotations.classes.Classes`.
    bounds_offset : tuple of float or "scanned", optional
        (y, x) level-0 px that GeoJSON takes off, and that were taken off the outlines in
        ``regions``; "scanned" is the corner of the scanned part of the slide.

    Returns
    -------
    Result
        The heatmap of ``heatmap.ome.tif``, or of ``run.zarr`` where that is missing; the
        lesions at the threshold, with a person's decisions; the masks that are there. The slide is opened when the
        overview is drawn.

    Raises
    ------
    StoreError
        There is no finished run, or it is damaged.
    OptionError
        A threshold is not in 0..1, or not finite.
    """
    if lesion_threshold is not None and not isfinite(lesion_threshold):
        raise OptionError(
            f"lesion threshold is {lesion_threshold}; use a finite number of log odds"
        )
    if threshold is not None and not 0 <= threshold <= 1:
        raise OptionError(f"threshold is {threshold}; use 0 to 1")
    folder = run_folder(Path(run))
    then = read_record(folder / RECORD)
    offset = OutlineOptions(bounds_offset=bounds_offset).offset(
        lambda: recorded_slide.recorded_corner(folder, then)
    )
    heatmap = reading.read_run_heatmap(folder, then)
    masks = {
        name: reading.read_mask_export(folder / mask_file(name))
        for name in MASKS
        if (folder / mask_file(name)).is_file()
    }
    flags = None
    if heatmap is not None and (folder / QUALITY).is_file():
        flags, _ = reading.read_flags_export(folder / QUALITY)
        if flags.shape != heatmap.grid.shape:  # of another run
            flags = None
    record = then
    if colours is not None:
        record = replace(record, options=replace(record.options, colours=colours))
    if threshold is not None and heatmap is not None:
        record = replace(record, threshold=threshold)
    if lesion_threshold is not None and heatmap is not None:
        record = replace(record, lesion_threshold=lesion_threshold)
    result = Result(
        record=record,
        heatmap=heatmap,
        masks={name: mask.mask for name, mask in masks.items()},
        mask_mpp=next((mask.mpp for mask in masks.values()), (1.0, 1.0)),
        flags=flags,
        files=_files(folder) if record == then else (),
        picture=None
        if slide is None
        else partial(recorded_slide.recorded_picture, then, path_of(slide)),
        bounds_offset=offset,
        slide_path=None if slide is None else path_of(slide),
    )
    if heatmap is None:
        return result
    decisions = decisions_of(folder, then.slide)
    if regions is not None:
        drawn = _with_outlines(
            folder, result, heatmap, Path(regions), tuple(tumor_classes)
        )
        return drawn.with_decisions(decisions)
    roi = result.masks.get("roi")
    candidates = with_pieces(
        find_candidates(heatmap, record.rule), roi, result.slide_shape, heatmap.mpp
    )
    found = replace(
        result,
        record=replace(
            record,
            lesion_threshold=record.rule.lesion_threshold,
            regions=lesion_totals(
                candidates, record.rule, heatmap, record.tissue.area_mm2
            ),
        ),
        regions=lesions_of(candidates, record.rule),
        candidates=candidates,
        notes=(*result.notes, *_rule_notes(then)),
    )
    return found.with_decisions(decisions)


def _files(folder: Path) -> tuple[Path, ...]:
    """Return the files of a run, without locks and the like."""
    return tuple(p for p in sorted(folder.iterdir()) if not p.name.startswith("."))


def _rule_notes(record: RunRecord) -> tuple[str, ...]:
    """Note that a run of an earlier version states no lesion threshold."""
    if record.lesion_threshold is not None:
        return ()
    return (
        "the run is of a version without lesion thresholds, and listed every region of "
        f"cells; its lesions are now those with evidence from "
        f"{record.rule.lesion_threshold:g} log odds on, as for fastnet-pcam 1.0",
    )


def run_folder(run: Path) -> Path:
    """Return the folder of a finished run.

    Parameters
    ----------
    run : Path
        The folder, or the ``run.zarr`` or ``run.json`` in it.

    Returns
    -------
    Path
        Absolute.

    Raises
    ------
    StoreError
        There is none; describes any other content.
    """
    path = run.absolute()
    folder = path.parent if path.name in (STORE, RECORD) else path
    if not folder.is_dir():
        raise StoreError(f"{run}: no such folder; {_WANTED}")
    if (folder / RECORD).is_file():
        return folder
    inside = sorted(path.parent.name for path in folder.glob(f"*/{RECORD}"))
    if inside:
        raise StoreError(
            f"{run}: holds results of slides in folders of their own ({len(inside)}); "
            f"give one, such as {run / inside[0]}"
        )
    raise StoreError(
        f"{run}: no finished run, there is no {RECORD}; {_WANTED}, or run detect again: "
        "it goes on from where it stopped"
    )


def _with_outlines(
    folder: Path,
    result: Result,
    heatmap: Heatmap,
    path: Path,
    tumor_classes: tuple[str, ...],
) -> Result:
    """Return a result with the outlines of a file as its lesions."""
    shape, tissue_mm2 = result.slide_shape, result.record.tissue.area_mm2
    record = result.record
    path, offset, found_by = objects_of(
        path,
        record.slide.path,
        lambda: recorded_slide.recorded_corner(folder, record),
        result.bounds_offset,
    )
    outlines, notes = read_outlines(
        path, shape, bounds_offset=offset, tumor_classes=tumor_classes
    )
    tissue = recorded_slide.tissue_of(result.masks)
    roi = result.masks.get("roi")
    found = core_regions.regions_of_outlines(outlines, heatmap, Box.of_shape(shape))
    found = with_pieces(found, roi, shape, heatmap.mpp)
    totals = core_regions.drawn_totals(found, tissue_mm2, roi, shape)
    return replace(
        result,
        record=replace(result.record, regions=replace(totals, outlines=str(path))),
        regions=found,
        notes=(
            *found_by,
            *notes,
            *recorded_slide.outline_notes(path, outlines, tissue, shape, heatmap.mpp),
        ),
        files=(),
    )
