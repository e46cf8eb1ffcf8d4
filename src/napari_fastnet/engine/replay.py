"""A run repeated from its record, and compared with what it left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from napari_fastnet.core.colour import DEFAULT_COLOURS
from napari_fastnet.core.tissue import TissueParameters
from napari_fastnet.engine.backends import BackendName, create_backend
from napari_fastnet.engine.result_folders import result_folder
from napari_fastnet.engine.run_differences import (
    Difference,
    ValueDifferences,
    record_differences,
    value_differences,
)
from napari_fastnet.engine.runs import RunOptions
from napari_fastnet.engine.tissue import find_tissue
from napari_fastnet.engine.whole_slide import detect
from napari_fastnet.errors import (
    DependencyError,
    OptionError,
    SlideNotFoundError,
    StoreError,
)
from napari_fastnet.io.bundle import load_bundle
from napari_fastnet.io.file_names import HEATMAP, RECORD
from napari_fastnet.io.record import read_record
from napari_fastnet.io.results import read_heatmap_ome_tiff, read_mask_export
from napari_fastnet.io.slide import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fastnet.engine.backends import Backend
    from napari_fastnet.engine.detect import Progress
    from napari_fastnet.engine.run_result import RunResult
    from napari_fastnet.engine.tissue import SlideTissue
    from napari_fastnet.io.bundle import ModelBundle
    from napari_fastnet.io.slide import Slide

ROI = "tissue_roi.tif"
#: How far back ends may be apart.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Replay:
    """What a repeated run came to.

    Parameters
    ----------
    result : RunResult
        Of the repetition.
    differences : tuple of Difference
        Between the two records.
    values : ValueDifferences or None
        Between the two heatmaps; None where the first is gone or has another grid.
    """

    result: RunResult
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
    values = None if old is None else value_differences(old, result.heatmap, tolerance)
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
            return create_backend(bundle, name=name, device=device.partition(",")[0])  # type: ignore[arg-type]
        except (DependencyError, OptionError):  # said as a difference of back ends
            pass
    return create_backend(bundle)
