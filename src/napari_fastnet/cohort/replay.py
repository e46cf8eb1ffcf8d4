"""Repetition of a run from its record, and comparison with its results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from napari_fastnet import errors
from napari_fastnet.cohort.detect import detect
from napari_fastnet.cohort.folders import result_folder
from napari_fastnet.core.lesions.evidence import find_candidates, lesion_totals
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.machine.remote.url import recorded_path
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle, load_recorded
from napari_fastnet.model.options import BackendName, NetworkChoice
from napari_fastnet.results.reading import read_heatmap_ome_tiff, read_mask_export
from napari_fastnet.results.record import HEATMAP, RECORD, read_record
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.detection.compute import Progress
    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.machine.remote.url import SlidePath
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.results.record import RunRecord
    from napari_fastnet.results.result import Result
    from napari_fastnet.slide.slide import Slide


#: Possible causes of other results, with their places in a record.
CAUSES: dict[str, tuple[str, ...]] = {
    "slide fingerprint": ("slide", "fingerprint"),
    "slide µm/px": ("slide", "mpp"),
    "µm/px taken from": ("slide", "mpp_source"),
    "model": ("model", "name"),
    "model version": ("model", "version"),
    "model hash": ("model", "sha256"),
    "back end": ("options", "backend"),
    "scale of evidence": ("evidence", "scale"),
    "offset of evidence": ("evidence", "offset"),
}
#: Results, with their places in a record.
RESULTS: dict[str, tuple[str, ...]] = {
    "grid": ("grid",),
    "threshold": ("threshold",),
    "lesion threshold": ("lesion_threshold",),
    "tissue fraction": ("tissue", "fraction"),
    "tissue thresholds": ("tissue", "thresholds"),
    "patches to compute": ("counts", "kept"),
    "patches computed": ("counts", "computed"),
    "patches not readable": ("counts", "failed"),
    "regions": ("regions", "regions"),
    "tumor mm²": ("regions", "area_mm2"),
}
#: Relative difference of sums of equal values between versions of libraries.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between two records.

    Parameters
    ----------
    what : str
        Its name in words.
    then, now : object
        As JSON has them.
    is_result : bool
        Whether it is a result; False for a possible cause.
    """

    what: str
    then: Any
    now: Any
    is_result: bool


@dataclass(frozen=True, slots=True)
class ValueDifferences:
    """Differences between the probabilities of two heatmaps.

    Parameters
    ----------
    cells : int
        Cells with a value in both.
    largest : float
        The largest difference; 0 without cells.
    beyond : int
        Cells that differ by more than the tolerance, or have a value in one only.
    tolerance : float
        Up to and with this, probabilities are the same.
    """

    cells: int
    largest: float
    beyond: int
    tolerance: float


def record_differences(then: RunRecord, now: RunRecord) -> tuple[Difference, ...]:
    """Compare two run records.

    Parameters
    ----------
    then, now : RunRecord
        Of one slide.

    Returns
    -------
    tuple of Difference
        Causes first: of slide, model and versions, then of the results; paths and seconds
        do not count.
    """
    names = sorted({*then.versions, *now.versions})
    places = [
        *((what, at, False) for what, at in CAUSES.items()),
        *((name, ("versions", name), False) for name in names),
        *((what, at, True) for what, at in RESULTS.items()),
    ]
    old, new = then.to_dict(), now.to_dict()
    found = (
        Difference(what, reduce(_part, at, old), reduce(_part, at, new), is_result)
        for what, at, is_result in places
    )
    return tuple(item for item in found if not _alike(item.then, item.now))


def _part(section: Any, key: str) -> Any:
    """Return a value of a JSON object, None where there is none."""
    return section.get(key) if isinstance(section, dict) else None


def value_differences(
    then: Heatmap, now: Heatmap, tolerance: float
) -> ValueDifferences | None:
    """Compare two heatmaps cell by cell.

    Parameters
    ----------
    then, now : Heatmap
        Of one slide.
    tolerance : float
        Up to and with this, probabilities are the same.

    Returns
    -------
    ValueDifferences or None
        None where the grids differ: then no cell of one is a cell of the other.
    """
    if then.probabilities.shape != now.probabilities.shape:
        return None
    both = then.computed & now.computed
    apart = np.abs(then.probabilities[both] - now.probabilities[both])
    in_one = int((then.computed != now.computed).sum())
    return ValueDifferences(
        cells=int(both.sum()),
        largest=float(apart.max(initial=0)),
        beyond=int((apart > tolerance).sum()) + in_one,
        tolerance=tolerance,
    )


def _alike(then: Any, now: Any) -> bool:
    """Return whether two values of JSON are equal, numbers up to rounding."""
    if isinstance(then, dict) and isinstance(now, dict):
        return then.keys() == now.keys() and all(
            _alike(then[key], now[key]) for key in then
        )
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(_alike, then, now))
    if isinstance(then, float) or isinstance(now, float):
        if then is None or now is None:
            return False
        return isclose(then, now, rel_tol=ROUNDING)
    return bool(then == now)


ROI = "tissue_roi.tif"
#: Largest difference of probabilities between back ends in single precision, and between
#: programs that round to bfloat16 in other places.
TOLERANCE, TOLERANCE_BF16 = 1e-4, 0.02


@dataclass(frozen=True, slots=True)
class Replay:
    """Outcome of a repeated run.

    Parameters
    ----------
    result : Result
        Of the repetition.
    differences : tuple of Difference
        Between the two records.
    values : ValueDifferences or None
        Between the two heatmaps; None where the first is gone or has another grid.
    """

    result: Result
    differences: tuple[Difference, ...]
    values: ValueDifferences | None

    @property
    def same(self) -> bool:
        """Whether all results are the same."""
        found_else = any(item.is_result for item in self.differences)
        return not found_else and (self.values is None or self.values.beyond == 0)


def replay(
    record_file: Path,
    output: Path,
    *,
    slide: SlidePath | None = None,
    model: str | Path | None = None,
    tolerance: float | None = None,
    progress: bool | Callable[[Progress], None] = False,
) -> Replay:
    """Repeat a run from its record, and compare the results.

    Parameters
    ----------
    record_file : Path
        The ``run.json`` of a run. Its heatmap is compared, and its region of interest
        used where that was given or painted, if they lie beside it.
    output : Path
        Results go to ``output/<name of the slide>/``, which is not the run's own folder.
    slide : Path or Url, optional
        Where the slide is now; by default where the record says.
    model : str or Path, optional
        The model's name or folder; by default that of the record, by its weights.
    tolerance : float, optional
        Up to and with this, probabilities are the same; by default 0.0001, and 0.02 where
        a network computed in bfloat16.
    progress : bool or callable, optional
        As for `detect`.

    Returns
    -------
    Replay
        Also where slide or model are not what they were: the differences say so.

    Raises
    ------
    StoreError
        The record is damaged, or is of tissue alone.
    SlideNotFoundError
        The slide is not where it was.
    FastNetError
        What else `detect` raises.
    """
    then = read_record(record_file)
    if then.model is None or then.grid is None:
        raise errors.StoreError(
            f"{record_file} is a record of tissue alone; give the run.json of a detection"
        )
    folder = record_file.parent
    path = slide or recorded_path(then.slide.path)
    if isinstance(path, Path) and not path.exists():
        raise errors.SlideNotFoundError(
            f"{path}: the slide is not there; say where: --slide"
        )
    old = None
    if (folder / HEATMAP).is_file():
        old, _ = read_heatmap_ome_tiff(folder / HEATMAP)
    bundle = (
        load_recorded(then.model.name, then.model.sha256)
        if model is None
        else load_bundle(model)
    )
    given = then.slide.mpp if then.slide.mpp_source == "user" else None
    with open_slide(path, mpp=given) as opened:
        place = result_folder(opened, output)
        if place.resolve() == folder.resolve():
            raise errors.OptionError(
                f"{place} is the folder of the run itself; choose another output"
            )
        options = options_of(then)
        result = detect(
            opened,
            output,
            model=bundle,
            options=options,
            tissue=_painted(then, folder / ROI, opened, options),
            backend=_backend(then, bundle),
            progress=progress,
        )
    if then.lesion_threshold is None:
        then = _by_evidence(then, old, result.record)
    differences = record_differences(then, result.record)
    values = None
    if old is not None and result.heatmap is not None:
        if tolerance is None:
            backends = (then.options.backend, result.record.options.backend)
            rounded = any("bf16" in (name or "") for name in backends)
            tolerance = TOLERANCE_BF16 if rounded else TOLERANCE
        values = value_differences(old, result.heatmap, tolerance)
    return Replay(result, differences, values)


def options_of(record: RunRecord) -> RunOptions:
    """Return the options of the run that left a record.

    Raises
    ------
    StoreError
        The record lacks them, as those of other versions may.
    """
    asked = record.options
    needed = {
        "dense": asked.dense,
        "flips": asked.flips,
        "grid": record.grid,
        "stain": asked.stain.get("method"),
        "stride_px": asked.stride_px,
        "tissue.parameters": record.tissue.parameters,
    }
    if lost := [name for name, value in needed.items() if value is None]:
        raise errors.StoreError(
            f"{RECORD} does not say how the run was made ({', '.join(lost)}); run detect "
            "again"
        )
    assert record.grid is not None
    assert record.tissue.parameters is not None
    try:
        return RunOptions(
            stride="dense" if asked.dense else asked.stride_px,
            anchor=record.grid.origin,
            tissue=record.tissue.parameters,
            stain=asked.stain["method"],
            flips=asked.flips,
            spacing_tolerance=asked.spacing_tolerance,
            threshold=record.threshold,
            lesion_threshold=record.lesion_threshold,
            fresh=True,
            colours=asked.colours,
        )
    except errors.OptionError as error:
        raise errors.StoreError(
            f"{RECORD} asks for what is not possible: {error}"
        ) from error


def _by_evidence(then: RunRecord, heatmap: Heatmap | None, now: RunRecord) -> RunRecord:
    """Return a record of version 0.1 with the lesions that the rule of now finds.

    That version listed every region of cells. Without its heatmap there are none to
    compare.
    """
    totals = now.regions
    if heatmap is not None:
        candidates = find_candidates(heatmap, now.rule)
        totals = lesion_totals(candidates, now.rule, heatmap, then.tissue.area_mm2)
    return replace(
        then,
        lesion_threshold=now.lesion_threshold,
        evidence=now.evidence,
        regions=totals,
    )


def _painted(
    record: RunRecord, roi: Path, slide: Slide, options: RunOptions
) -> SlideTissue | None:
    """Return tissue with the painted or given region of interest; None: all automatic."""
    if not (record.options.mask or record.tissue.edited_px):
        return None
    if not roi.is_file():
        raise errors.StoreError(
            f"{roi} is missing, and the run's region of interest was given by hand; put "
            f"it beside {RECORD}"
        )
    return find_tissue(slide, options.tissue).with_roi(read_mask_export(roi).mask)


def _backend(record: RunRecord, bundle: ModelBundle) -> Backend:
    """Return the run's back end, or the fastest available if that one is not installed."""
    name, _, device = (record.options.backend or "").partition(" on ")
    if name in get_args(BackendName):
        try:
            choice = NetworkChoice(bundle.folder, name, device.partition(",")[0])  # type: ignore[arg-type]
            return create_backend(bundle, choice)
        except (
            errors.DependencyError,
            errors.OptionError,
        ):  # said as a difference of back ends
            pass
    return create_backend(bundle)
