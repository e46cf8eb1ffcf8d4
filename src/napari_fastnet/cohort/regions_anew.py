"""Another threshold, or other colours, for a finished run.

Neither changes a probability, a mask or a flag: all are read back, and only the lesions
are found anew. Tissue is not computed and no network is loaded.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from time import perf_counter
from typing import TYPE_CHECKING, Any, get_args

from napari_fastnet.core.appearance.flags import Flag
from napari_fastnet.core.appearance.summary import doubt_values, summarise_quality
from napari_fastnet.core.lesions.evidence import (
    find_candidates,
    lesion_totals,
    lesions_of,
)
from napari_fastnet.core.lesions.pieces import with_pieces
from napari_fastnet.core.options import Alarms
from napari_fastnet.detection.options import request_digest
from napari_fastnet.detection.run import write_run
from napari_fastnet.detection.slide_checks import require_unchanged
from napari_fastnet.errors import OptionError, StoreError
from napari_fastnet.results import reading
from napari_fastnet.results.record import (
    HEATMAP,
    MASKS,
    QUALITY,
    RECORD,
    STORE,
    mask_file,
    parse_record,
    read_record,
    timestamp,
    versions,
)
from napari_fastnet.results.recorded_slide import THUMBNAIL_PX
from napari_fastnet.results.result import Result
from napari_fastnet.store.store import StoredRun, read_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_fastnet.detection.options import RunOptions
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.results.record import RunRecord
    from napari_fastnet.slide.slide import Slide


def regions_anew(
    slide: Slide, bundle: ModelBundle, folder: Path, options: RunOptions
) -> Result | None:
    """Find and write the lesions of a finished run once more.

    Parameters
    ----------
    slide : Slide
        Open; stays open.
    bundle : ModelBundle
        The model.
    folder : Path
        Of the slide's results.
    options : RunOptions
        The request of now.

    Returns
    -------
    Result or None
        The result that `SlideRun` would give. None if no run answers the same request but
        for threshold and colours, or if a part of it is missing, damaged, changed since,
        or of other versions of what shapes results.

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
        then, store = _kept(folder, record)
    except (StoreError, ValueError):
        return None
    require_unchanged(slide)
    assert then.heatmap is not None
    assert then.flags is not None
    rule = options.rule(bundle)
    candidates = with_pieces(
        find_candidates(then.heatmap, rule),
        then.masks["roi"],
        slide.shape,
        slide.require_mpp(),
    )
    before, spent = record.quality, store.spent()
    new = replace(
        record.with_rule(rule),
        seconds=replace(
            spent, total=spent.total + perf_counter() - began, earlier=spent.total
        ),
        options=replace(
            record.options,
            request=request_digest(slide, bundle, options),
            colours=options.colours,
        ),
        regions=lesion_totals(candidates, rule, then.heatmap, record.tissue.area_mm2),
        # the flags stay, but the doubt depends on the threshold
        quality=summarise_quality(
            then.flags,
            then.heatmap.computed,
            distance=before.distance,
            judged=tuple(flag for flag in Flag if before.share(flag) is not None),
            blur_known=before.blur_known,
            doubt=doubt_values(
                then.heatmap.probabilities, rule.threshold, whole=options.mask is None
            ),
        ),
        created=timestamp(),
    )
    result = replace(
        then,
        record=new,
        regions=lesions_of(candidates, rule),
        candidates=candidates,
        picture=lambda: slide.thumbnail(THUMBNAIL_PX),
        all_earlier=True,
    )
    return write_run(result, store)


def _answers(
    record: RunRecord, slide: Slide, bundle: ModelBundle, options: RunOptions
) -> bool:
    """Return whether a run was asked for the same but for threshold and colours."""
    asked = record.options.request
    try:
        before = replace(options, colours=record.options.colours)
        return asked is not None and any(
            asked == request_digest(slide, bundle, replace(before, **thresholds))
            for thresholds in _possible_thresholds(record)
        )
    except OptionError:  # no version of ours asks for that
        return False


def _possible_thresholds(record: RunRecord) -> Iterator[dict[str, Any]]:
    """Yield the options by which a run may have got its thresholds."""
    lesion = [{"alarms": name, "lesion_threshold": None} for name in get_args(Alarms)]
    lesion += [{"alarms": None, "lesion_threshold": record.lesion_threshold}]
    lesion += [{"alarms": None, "lesion_threshold": None}]
    for threshold, of_lesions in product((None, record.threshold), lesion):
        yield {"threshold": threshold, **of_lesions}


def _is_whole(record: RunRecord) -> bool:
    """Return whether all was read, and computed with the versions installed now."""
    counts = record.counts
    if counts is None or counts.failed or counts.stopped or record.tissue.damaged_tiles:
        return False
    return record.versions == versions()


def _kept(folder: Path, record: RunRecord) -> tuple[Result, StoredRun]:
    """Read a run whose files all carry the same record; StoreError otherwise."""
    store, text = read_store(folder / STORE)
    if store.notes:
        raise StoreError(store.notes[0])
    heatmap, of_heatmap = reading.read_heatmap_ome_tiff(folder / HEATMAP)
    flags, of_flags = reading.read_flags_export(folder / QUALITY)
    masks = {name: reading.read_mask_export(folder / mask_file(name)) for name in MASKS}
    of_masks = [mask.record for mask in masks.values()]
    if any(
        other != record
        for other in (parse_record(text), of_heatmap, of_flags, *of_masks)
    ):
        raise StoreError("its files are not of one run")
    result = Result(
        record=record,
        heatmap=heatmap,
        flags=flags,
        masks={name: mask.mask for name, mask in masks.items()},
        mask_mpp=masks["roi"].mpp,
    )
    return result, store
