"""What the panel takes in from files: where to look, corrected regions, the truth."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info, show_warning

from napari_fastnet.annotations.roi import read_outlines, read_roi
from napari_fastnet.annotations.truth_files import read_truth
from napari_fastnet.core.metrics.pixels import PixelCounts, count_pixels
from napari_fastnet.plugin.layers.data import truth_layer_data
from napari_fastnet.plugin.threads.job import Job, Work
from napari_fastnet.results.recorded_slide import (
    outline_notes,
    roi_notes,
    tissue_of,
    truth_notes,
)
from napari_fastnet.slide.notes import bounds_notes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.metrics.truth import TruthMask
    from napari_fastnet.core.polygons import Annotations
    from napari_fastnet.plugin.work.slide import SlideWork


def load_roi(work: SlideWork, path: Path, *, bounds_offset: Pair = (0.0, 0.0)) -> None:
    """Let a file's area be the region of interest; it can be painted on, and dropped.

    Parameters
    ----------
    work : SlideWork
        With masks.
    path : Path
        As `annotations.roi.read_roi` has it.
    bounds_offset : tuple of float, optional
        (y, x) level-0 px that are added to outlines, where they do not count from the
        slide's corner.

    Notes
    -----
    In a thread: faults and what is left out are told. Another such file, another µm/px
    or the end of the slide ends it without a word.
    """
    assert work.editor is not None
    slide_shape, shape = work.slide.shape, work.editor.mask("roi").shape
    masks, mpp = work.editor.tissue().by_name, work.slide.require_mpp()

    def read(should_stop: Callable[[], bool]) -> Generator[Any]:
        roi = read_roi(path, slide_shape, bounds_offset=bounds_offset)
        mask = roi.mask((shape[0], shape[1]))
        yield mask, (*roi.notes, *roi_notes(roi, mask, masks, mpp))

    def take(value: tuple[NDArray[np.bool_], tuple[str, ...]]) -> None:
        mask, notes = value
        if work.editor is not None and work.editor.mask("roi").shape == mask.shape:
            work.masks.take_painting()
            work.masks.show(work.editor.paint("roi", mask))
            _tell((*notes, *_of_bounds(work, bounds_offset)))

    _start(work, "roi", read, take)


def load_regions(
    work: SlideWork, path: Path, *, bounds_offset: Pair = (0.0, 0.0)
) -> None:
    """Let a file's outlines take the regions' place until the threshold is moved.

    Parameters
    ----------
    work : SlideWork
        With a heatmap, on which the outlines are measured.
    path : Path
        As `annotations.roi.read_outlines` has it.
    bounds_offset : tuple of float, optional
        (y, x) level-0 px that are added to outlines, where they do not count from the
        slide's corner.

    Notes
    -----
    In a thread: faults and what is left out are told. Another such file, another µm/px
    or the end of the slide ends it without a word.
    """
    slide_shape, mpp = work.slide.shape, work.slide.require_mpp()
    tissue = _tissue(work)

    def read(should_stop: Callable[[], bool]) -> Generator[Any]:
        outlines, notes = read_outlines(path, slide_shape, bounds_offset)
        odd = outline_notes(path, outlines, tissue, slide_shape, mpp)
        yield outlines, (*notes, *odd)

    def take(value: tuple[Annotations, tuple[str, ...]]) -> None:
        outlines, notes = value
        work.region_finder.take_outlines(outlines, str(path))
        _tell((*notes, *_of_bounds(work, bounds_offset)))

    _start(work, "regions", read, take)


def load_truth(
    work: SlideWork, path: Path, *, bounds_offset: Pair = (0.0, 0.0)
) -> None:
    """Show where a file says that tumour is, and tell how well the heatmap covers it.

    Parameters
    ----------
    work : SlideWork
        Its µm/px known; with a heatmap, that is compared at the threshold of now.
    path : Path
        As `annotations.truth_files.read_truth` has it.
    bounds_offset : tuple of float, optional
        (y, x) level-0 px that are added to outlines, where they do not count from the
        slide's corner.

    Notes
    -----
    In a thread: faults and what is left out are told. Another such file, another µm/px
    or the end of the slide ends it without a word.
    """
    mpp, shape, threshold = work.slide.require_mpp(), work.slide.shape, work.threshold
    tissue = _tissue(work)
    heatmap = None if work.heatmap is None else work.heatmap.only(work.heatmap.computed)

    def read(should_stop: Callable[[], bool]) -> Generator[Any]:
        truth, notes = read_truth(
            path, mpp=mpp, shape=shape, bounds_offset=bounds_offset
        )
        notes += truth_notes(truth, tissue, shape, mpp)
        if heatmap is None:
            yield truth, notes, None
        else:
            yield truth, notes, count_pixels(heatmap, truth, threshold=threshold)

    def take(value: tuple[TruthMask, tuple[str, ...], PixelCounts | None]) -> None:
        truth, notes, counts = value
        work.layers.put("truth", truth_layer_data(truth, mpp))
        _tell((*notes, *_of_bounds(work, bounds_offset)))
        if counts is not None:
            show_info(agreement(counts, threshold))

    _start(work, "truth", read, take)


def _tissue(work: SlideWork) -> NDArray[np.bool_] | None:
    """Return where tissue is by most masks, None before they are computed."""
    return None if work.editor is None else tissue_of(work.editor.tissue().by_name)


def _of_bounds(work: SlideWork, bounds_offset: Pair) -> tuple[str, ...]:
    """Return that QuPath counts from elsewhere, unless that was heeded."""
    return bounds_notes(work.slide) if bounds_offset == (0.0, 0.0) else ()


def agreement(counts: PixelCounts, threshold: float) -> str:
    """Return in words how well a heatmap covers the truth."""
    dice, iou, auc = (
        "undefined" if value is None else f"{value:.2f}"
        for value in (counts.dice, counts.iou, counts.auc)
    )
    return (
        f"heatmap and truth, px by px: Dice {dice} and IoU {iou} at the threshold "
        f"{threshold:.2f}; area under the ROC curve {auc}"
    )


def _start(work: SlideWork, kind: str, read: Work, take: Callable[[Any], None]) -> None:
    if (before := work.imports.get(kind)) is not None:
        before.abandon()
    job = work.imports[kind] = Job(read, on_value=take)
    job.start()


def _tell(notes: tuple[str, ...]) -> None:
    if notes:
        show_warning("\n".join(notes))
