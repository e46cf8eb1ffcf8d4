"""Exports of the panel: a snapshot of a slide's results, written in a thread."""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_fastnet.core.appearance.summary import QualitySummary
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.evidence import lesion_totals, lesions_of
from napari_fastnet.core.lesions.pieces import with_pieces
from napari_fastnet.core.lesions.regions import SizeClass, drawn_totals
from napari_fastnet.detection.tissue import slide_facts
from napari_fastnet.plugin.layers.info import ResultInfo, info_of
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.work.regions import regions_at
from napari_fastnet.results.record import (
    DECISIONS,
    RECORD,
    Counts,
    RunRecord,
    write_record,
)
from napari_fastnet.results.recorded_slide import THUMBNAIL_PX
from napari_fastnet.results.result import Part, Result

if TYPE_CHECKING:
    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.plugin.work.slide import SlideWork
    from napari_fastnet.slide.slide import Slide

#: Choices of regions, each by its size classes, smallest first.
WHICH: dict[str, tuple[SizeClass, ...]] = {
    "all regions": ("ITC", "micro", "macro"),
    "micro and macro": ("micro", "macro"),
    "macro only": ("macro",),
}


def snapshot_of(work: SlideWork, which: str = "all regions") -> Callable[[], Result]:
    """Copy a slide's results as they are now, since a detection may go on meanwhile.

    Parameters
    ----------
    work : SlideWork
        An open slide.
    which : str, optional
        Choice of regions, a key of `WHICH`.

    Returns
    -------
    callable
        Finds the regions of that moment and returns the result; may run in a thread.
    """
    heatmap, tissue, slide = work.heatmap, work.masks.tissue(), work.slide
    if heatmap is not None:
        values = np.array(heatmap.probabilities)
        heatmap = Heatmap(values, heatmap.grid, heatmap.mpp)
    bare = Result(
        record=_record(work, heatmap, tissue),
        heatmap=heatmap,
        flags=_flags(work),
        masks={} if tissue is None else tissue.by_name,
        mask_mpp=(1.0, 1.0) if tissue is None else tissue.mpp,
        picture=lambda: slide.thumbnail(THUMBNAIL_PX),
    )
    decisions = copy(work.review.decisions)  # later ones are not in it
    finder = work.region_finder
    outlines, path = finder.outlines, finder.outlines_path

    def result() -> Result:
        if heatmap is None:
            return bare.with_decisions(decisions)
        whole = Box.of_shape(slide.shape)
        rule = bare.record.rule
        roi = None if tissue is None else tissue.masks.roi
        found = regions_at(heatmap, rule, outlines, whole)
        found = with_pieces(found, roi, slide.shape, heatmap.mpp)
        lesions = found if outlines is not None else lesions_of(found, rule)
        wanted = [region for region in lesions if region.size_class in WHICH[which]]
        area = None if tissue is None else tissue.area_mm2
        if outlines is None:
            totals = lesion_totals(found, rule, heatmap, area, wanted)
        else:
            totals = drawn_totals(wanted, area, roi, slide.shape)
            totals = replace(totals, outlines=path)
        totals = replace(totals, size_classes=WHICH[which])
        found_now = replace(
            bare,
            record=replace(bare.record, regions=totals),
            regions=wanted,
            candidates=None if outlines is not None else found,
        )
        return found_now.with_decisions(decisions)

    return result


def unfinished(work: SlideWork) -> str:
    """Say how much of the run is not computed yet; empty if it has ended."""
    counts = None if work.heatmap is None else _counts(work, work.heatmap)
    if counts is None or not counts.stopped:
        return ""
    return (
        f"unfinished: {counts.stopped:,} of {counts.kept:,} patches are not computed "
        "yet, so that there may be more tumor than these files show; export again when "
        "the detection has ended"
    )


def _record(
    work: SlideWork, heatmap: Heatmap | None, tissue: SlideTissue | None
) -> RunRecord:
    """Return the record of a slide's results as they are now."""
    slide = slide_facts(work.slide)
    record = work.record or RunRecord(slide=slide)
    if heatmap is not None:
        record = record.with_rule(work.rule)
    return replace(
        record,
        slide=slide,
        tissue=record.tissue if tissue is None else tissue.facts,
        options=replace(record.options, colours=read_settings().colours),
        counts=record.counts if heatmap is None else _counts(work, heatmap),
        quality=record.quality if _has_quality(work) else QualitySummary(),
    )


def _counts(work: SlideWork, heatmap: Heatmap) -> Counts | None:
    """Return the patches by outcome as of now; None if the record has none."""
    counts = None if work.record is None else work.record.counts
    if counts is None:
        return None
    detection = work.detection
    kept = None if detection is None else detection.kept
    progress = None if detection is None else detection.progress
    return Counts(
        kept=counts.kept if kept is None else kept,
        computed=int(heatmap.computed.sum()),
        failed=counts.failed if progress is None else progress.failed,
    )


def _has_quality(work: SlideWork) -> bool:
    """Return whether the quality flags are of the current masks, not of an earlier run."""
    detection = work.detection
    ended = detection is None or detection.result is not None
    return ended and work.record is not None and bool(work.record.quality.verdict)


def _flags(work: SlideWork) -> NDArray[np.uint8] | None:
    """Return the quality flags of the heatmap's cells; None until a run has ended."""
    layer: Any = work.layers.get("quality")
    info = None if layer is None else info_of(layer)
    if work.heatmap is None or not isinstance(info, ResultInfo):
        return None
    if not _has_quality(work):
        return None
    if info.grid != work.heatmap.grid or layer.data.shape != info.grid.shape:
        return None
    return np.array(layer.data, np.uint8)


def write_case_report(path: Path, result: Result, slide: Slide) -> None:
    """Write the report of one slide as a case, with the pictures of an open slide.

    OutputError if the file cannot be written.
    """
    # matplotlib, which comes with them, takes as long to load as the rest
    from napari_fastnet.case.case import Case
    from napari_fastnet.case.gather import case_slide
    from napari_fastnet.case.listing import ListedSlide
    from napari_fastnet.case.report import write_report

    name = slide.path.stem
    case = Case.of(name, [case_slide(ListedSlide(slide=name), result)])
    write_report(path, [case], {slide.fingerprint: slide})


def write_snapshot(
    result: Result, folder: Path, parts: Collection[Part], formats: Collection[str]
) -> list[Path]:
    """Write files as ``napari-fastnet export`` does, the decisions and the run record.

    Parameters
    ----------
    result : Result
        From `snapshot_of`; parts that it lacks are left out.
    folder : Path
        Made where it is missing.
    parts : collection of str
        Out of `results.result.PARTS`.
    formats : collection of str
        Out of `results.result.FORMATS`.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    OutputError
        A file cannot be written, or there is none to write.
    DependencyError
        A format needs a package that is not installed.
    """
    files = result.export(folder, formats, parts)
    if result.decisions is not None:
        result.decisions.copy_to(folder / DECISIONS)
    write_record(folder / RECORD, result.record)
    return [*files, folder / RECORD]
