"""A finished run that is asked for again with another threshold, or other colours.

Neither changes a probability, a mask or a flag. All that is kept, and only the regions
are found anew: neither is the tissue looked for, nor the network loaded.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from napari_fastnet.core.appearance.flags import Flag
from napari_fastnet.core.appearance.summary import doubt_values, summarise_quality
from napari_fastnet.core.heatmap import highest_probability
from napari_fastnet.core.regions import find_regions, summarise
from napari_fastnet.detection.checks import require_unchanged
from napari_fastnet.detection.options import request_digest
from napari_fastnet.detection.run import write_run
from napari_fastnet.errors import OptionError, StoreError
from napari_fastnet.machine.json_text import plain
from napari_fastnet.results.reading import (
    Mask,
    read_flags_export,
    read_heatmap_ome_tiff,
    read_mask_export,
    recorded_grid,
)
from napari_fastnet.results.record import (
    HEATMAP,
    MASKS,
    QUALITY,
    RECORD,
    STORE,
    Counts,
    ModelFacts,
    RunRecord,
    SlideFacts,
    mask_file,
    read_record,
    versions,
)
from napari_fastnet.results.recorded_slide import THUMBNAIL_PX
from napari_fastnet.results.result import Result
from napari_fastnet.store.format import Seconds
from napari_fastnet.store.store import StoredRun, read_store

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.detection.options import RunOptions
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.slide.slide import Slide


def regions_anew(
    slide: Slide, bundle: ModelBundle, folder: Path, options: RunOptions
) -> Result | None:
    """Find and write the regions of a finished run once more.

    Parameters
    ----------
    slide : Slide
        Open; stays open.
    bundle : ModelBundle
        The model.
    folder : Path
        Of the slide's results.
    options : RunOptions
        What is asked for now.

    Returns
    -------
    Result or None
        What `SlideRun` would find. None where there is no run that was asked for the
        same but threshold and colours, or where a part of it is missing, damaged,
        changed since, or of other versions of what shapes results.

    Raises
    ------
    OutputError
        A file cannot be written.
    SlideNotFoundError
        The slide's file vanished or changed.
    """
    began = perf_counter()
    if options.fresh:
        return None
    try:
        record = read_record(folder / RECORD)
        if not _answers(record, slide, bundle, options) or not _is_whole(record):
            return None
        kept = _Kept(folder, record)
        told = _told(record)
        threshold = bundle.threshold if options.threshold is None else options.threshold
        quality = _quality(kept, record["quality"], threshold, options)
    except (StoreError, LookupError, TypeError, ValueError):
        return None
    require_unchanged(slide)
    regions = find_regions(kept.heatmap, threshold)
    request = request_digest(slide, bundle, options)
    new = replace(
        told,
        threshold=threshold,
        seconds=_seconds(kept.store, perf_counter() - began),
        options={**told.options, "request": request, "colours": options.colours},
        regions={
            **summarise(regions, record["tissue"]["area_mm2"]),
            "highest_probability": highest_probability(kept.heatmap),
        },
        quality=quality,
    )
    result = Result(
        record=new,
        heatmap=kept.heatmap,
        regions=regions,
        flags=kept.flags,
        masks={name: mask.mask for name, mask in kept.masks.items()},
        mask_mpp=kept.masks["roi"].mpp,
        picture=lambda: slide.thumbnail(THUMBNAIL_PX),
        all_earlier=True,
    )
    return write_run(result, kept.store)


class _Kept:
    """What a run left, all of it with the run's own record; StoreError otherwise."""

    def __init__(self, folder: Path, record: dict[str, Any]) -> None:
        self.store: StoredRun
        self.heatmap: Heatmap
        self.flags: NDArray[np.uint8]
        self.store, stored = read_store(folder / STORE)
        if self.store.notes:
            raise StoreError(self.store.notes[0])
        self.heatmap, of_heatmap = read_heatmap_ome_tiff(folder / HEATMAP)
        self.flags, of_flags = read_flags_export(folder / QUALITY)
        self.masks: dict[str, Mask] = {
            name: read_mask_export(folder / mask_file(name)) for name in MASKS
        }
        of_masks = [mask.record for mask in self.masks.values()]
        if any(other != stored for other in (of_heatmap, of_flags, *of_masks)):
            raise StoreError("its files are not of one run")
        if record != {"quality": {}, **stored}:
            raise StoreError("its record is not that of its store")


def _quality(
    kept: _Kept, before: dict[str, Any], threshold: float, options: RunOptions
) -> dict[str, Any]:
    """Return what is flagged, as before; what is doubted depends on the threshold."""
    values = kept.heatmap.probabilities
    return summarise_quality(
        kept.flags,
        kept.heatmap.computed,
        distance=before["distance"],
        judged=tuple(f for f in Flag if before[str(f.name).lower()] is not None),
        blur_known=before["blur_known"],
        doubt=doubt_values(values, threshold, whole=options.mask is None),
    )


def _seconds(store: StoredRun, own: float) -> Seconds:
    """Return what the probabilities took, and then the regions."""
    spent = store.spent()
    total = spent.total + own
    return replace(spent, total=total, earlier=spent.total)


def _answers(
    record: dict[str, Any], slide: Slide, bundle: ModelBundle, options: RunOptions
) -> bool:
    """Return whether a run was asked for the same but for threshold and colours."""
    asked = record["options"].get("request")
    try:
        before = replace(options, colours=record["options"]["colours"])
        return asked is not None and any(
            asked == request_digest(slide, bundle, replace(before, threshold=threshold))
            for threshold in (None, record["threshold"])
        )
    except OptionError:  # what no version of ours asks for
        return False


def _is_whole(record: dict[str, Any]) -> bool:
    """Return whether all was read, and computed with what is installed now."""
    counts = record["counts"]
    lost = counts["failed"] or counts["stopped"] or record["tissue"]["damaged_tiles"]
    return not lost and bool(record["versions"] == plain(versions()))


def _told(record: dict[str, Any]) -> RunRecord:
    """Return a record as it was before it was written; TypeError for another version's."""
    slide, counts = dict(record["slide"]), dict(record["counts"])
    del counts["stopped"]
    slide["mpp"] = tuple(slide["mpp"])
    return RunRecord(
        slide=SlideFacts(**slide),
        tissue=record["tissue"],
        seconds=Seconds(**record["seconds"]),
        model=ModelFacts(**record["model"]),
        grid=recorded_grid(record),
        threshold=record["threshold"],
        counts=Counts(**counts),
        options=record["options"],
        regions=record["regions"],
        quality=record["quality"],
    )
