"""A run repeated from its record, and compared with what it left."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from napari_fastnet.cohort.detect import detect
from napari_fastnet.cohort.folders import result_folder
from napari_fastnet.core.options import DEFAULT_COLOURS, TissueParameters
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.errors import (
    DependencyError,
    OptionError,
    SlideNotFoundError,
    StoreError,
)
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.options import BackendName, NetworkChoice
from napari_fastnet.results.reading import read_heatmap_ome_tiff, read_mask_export
from napari_fastnet.results.record import HEATMAP, RECORD, read_record
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.detection.compute import Progress
    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.results.result import Result
    from napari_fastnet.slide.slide import Slide


#: What may explain other results, and where a record says it.
CAUSES: dict[str, tuple[str, ...]] = {
    "slide fingerprint": ("slide", "fingerprint"),
    "slide µm/px": ("slide", "mpp"),
    "µm/px taken from": ("slide", "mpp_source"),
    "model": ("model", "name"),
    "model version": ("model", "version"),
    "model hash": ("model", "sha256"),
    "back end": ("options", "backend"),
}
#: What was found; where this differs, the results are other ones.
RESULTS: dict[str, tuple[str, ...]] = {
    "grid": ("grid",),
    "threshold": ("threshold",),
    "tissue fraction": ("tissue", "fraction"),
    "tissue thresholds": ("tissue", "thresholds"),
    "patches to compute": ("counts", "kept"),
    "patches computed": ("counts", "computed"),
    "patches not readable": ("counts", "failed"),
    "regions": ("regions", "regions"),
    "tumour mm²": ("regions", "area_mm2"),
}
#: Sums of equal values may differ so much, relatively, between versions of libraries.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was.

    Parameters
    ----------
    what : str
        In words.
    then, now : object
        As JSON has them.
    is_result : bool
        Whether it was found; False for what may explain it.
    """

    what: str
    then: Any
    now: Any
    is_result: bool


@dataclass(frozen=True, slots=True)
class ValueDifferences:
    """How far apart the probabilities of two heatmaps lie.

    Parameters
    ----------
    cells : int
        Cells with a value in both.
    largest : float
        The largest difference; 0 without cells.
    beyond : int
        Cells that differ by more than the tolerance, or have a value in one only.
    """

    cells: int
    largest: float
    beyond: int


def record_differences(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[Difference, ...]:
    """Return where two run records differ, causes first.

    Parameters
    ----------
    then, now : Mapping
        As ``run.json`` has them.

    Returns
    -------
    tuple of Difference
        Of slide, model, versions and what was found; paths and seconds do not count.
    """
    places: Iterator[tuple[str, tuple[str, ...], bool]] = iter(
        [
            *((what, at, False) for what, at in CAUSES.items()),
            *(
                (name, ("versions", name), False)
                for name in sorted({*then["versions"], *now["versions"]})
            ),
            *((what, at, True) for what, at in RESULTS.items()),
        ]
    )
    found = (
        Difference(what, _value(then, at), _value(now, at), is_result)
        for what, at, is_result in places
    )
    return tuple(item for item in found if not _alike(item.then, item.now))


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
    )


def _value(record: Mapping[str, Any], at: tuple[str, ...]) -> Any:
    value: Any = record
    for key in at:
        value = value.get(key) if isinstance(value, dict) else None
    return value


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
#: How far back ends may be apart.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Replay:
    """What a repeated run came to.

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
        """Whether all that was found was found again."""
        found_else = any(item.is_result for item in self.differences)
        return not found_else and (self.values is None or self.values.beyond == 0)


def replay(
    record_file: Path,
    output: Path,
    *,
    slide: Path | None = None,
    model: str | Path | None = None,
    tolerance: float = TOLERANCE,
    progress: bool | Callable[[Progress], None] = False,
) -> Replay:
    """Do a run again as its record says, and compare.

    Parameters
    ----------
    record_file : Path
        The ``run.json`` of a run. Its heatmap is compared, and its region of interest
        used where that was given or painted, if they lie beside it.
    output : Path
        Results go to ``output/<name of the slide>/``, which is not the run's own folder.
    slide : Path, optional
        Where the slide is now; by default where the record says.
    model : str or Path, optional
        The model's name or folder; by default the name in the record.
    tolerance : float, optional
        Up to and with this, probabilities are the same.
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
    if then["model"] is None or then["grid"] is None:
        raise StoreError(
            f"{record_file} is a record of tissue alone; give the run.json of a detection"
        )
    folder = record_file.parent
    path = _slide_path(then, slide)
    old = None
    if (folder / HEATMAP).is_file():
        old, _ = read_heatmap_ome_tiff(folder / HEATMAP)
    bundle = load_bundle(model or then["model"]["name"])
    given = tuple(then["slide"]["mpp"]) if _mpp_of_user(then) else None
    with open_slide(path, mpp=given) as opened:
        place = result_folder(opened, output)
        if place.resolve() == folder.resolve():
            raise OptionError(
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
    differences = record_differences(then, result.record.to_dict())
    values = None
    if old is not None and result.heatmap is not None:
        values = value_differences(old, result.heatmap, tolerance)
    return Replay(result, differences, values)


def options_of(record: dict[str, Any]) -> RunOptions:
    """Return what was asked of the run that left a record.

    Raises
    ------
    StoreError
        The record lacks it, as those of other versions may.
    """
    options = record["options"]
    try:
        return RunOptions(
            stride="dense" if options["dense"] else int(options["stride_px"]),
            anchor=tuple(record["grid"]["origin_px"]),
            tissue=TissueParameters(**record["tissue"]["parameters"]),
            stain=options["stain"]["method"],
            flips=bool(options["flips"]),
            threshold=record["threshold"],
            fresh=True,
            colours=options.get("colours", DEFAULT_COLOURS),
        )
    except OptionError as error:
        raise StoreError(f"{RECORD} asks for what is not possible: {error}") from error
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise StoreError(
            f"{RECORD} does not say how the run was made ({error}); run detect again"
        ) from error


def _slide_path(record: dict[str, Any], given: Path | None) -> Path:
    path = Path(record["slide"]["path"]) if given is None else given
    if not path.exists():
        raise SlideNotFoundError(f"{path}: the slide is not there; say where: --slide")
    return path


def _mpp_of_user(record: dict[str, Any]) -> bool:
    return bool(record["slide"]["mpp_source"] == "user")


def _painted(
    record: dict[str, Any], roi: Path, slide: Slide, options: RunOptions
) -> SlideTissue | None:
    """Return tissue with the region that a person painted or gave; None: all automatic."""
    if not (record["options"].get("mask") or record["tissue"].get("edited_px")):
        return None
    if not roi.is_file():
        raise StoreError(
            f"{roi} is missing, and the run's region of interest was given by hand; put "
            f"it beside {RECORD}"
        )
    tissue = find_tissue(slide, options.tissue)
    return tissue.with_roi(read_mask_export(roi).mask)


def _backend(record: dict[str, Any], bundle: ModelBundle) -> Backend:
    """Return what computed the run; what is the fastest here, where that is not here."""
    name, _, device = str(record["options"].get("backend", "")).partition(" on ")
    if name in get_args(BackendName):
        try:
            choice = NetworkChoice(bundle.folder, name, device.partition(",")[0])  # type: ignore[arg-type]
            return create_backend(bundle, choice)
        except (DependencyError, OptionError):  # said as a difference of back ends
            pass
    return create_backend(bundle)
