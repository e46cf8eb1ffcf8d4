"""Files that the user brings to a slide: region of interest, regions, truth, verdicts.

A project of QuPath stands for the objects of the slide in it.

They are read in a thread. Errors and remarks are shown; another file of the same kind,
another µm/px or closing the slide ends the reading silently.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info, show_warning

from napari_fastnet.annotations.qupath.project import SUFFIX as PROJECT_SUFFIX
from napari_fastnet.annotations.qupath.project import objects_of
from napari_fastnet.annotations.roi import read_outlines, read_roi
from napari_fastnet.annotations.truth_files import read_truth
from napari_fastnet.core.metrics.pixels import PixelCounts, count_pixels
from napari_fastnet.plugin.layers.data import truth_layer_data
from napari_fastnet.plugin.threads.job import Job
from napari_fastnet.results import recorded_slide
from napari_fastnet.results.formats.verdicts import VerdictFile, read_verdict_file
from napari_fastnet.slide.notes import bounds_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.metrics.truth import TruthMask
    from napari_fastnet.core.polygons import Annotations
    from napari_fastnet.plugin.work.slide import SlideWork

#: Value of a file, and remarks on it.
Read = tuple[Any, tuple[str, ...]]


def load_roi(work: SlideWork, path: Path, *, bounds_offset: Pair = (0.0, 0.0)) -> None:
    """Take the region of interest from a file; it can be painted on, and dropped.

    Parameters
    ----------
    work : SlideWork
        With masks.
    path : Path
        A file that `annotations.roi.read_roi` reads.
    bounds_offset : tuple of float, optional
        (y, x) level-0 px added to outlines that do not count from the slide's corner.
    """
    assert work.editor is not None
    editor, slide = work.editor, work.slide
    (rows, columns), masks = editor.mask("roi").shape, editor.tissue().by_name

    def read() -> Read:
        file, offset, found_by = _objects(work, path, bounds_offset)
        roi = read_roi(file, slide.shape, bounds_offset=offset)
        mask = roi.mask((rows, columns))
        return mask, (
            *found_by,
            *roi.notes,
            *recorded_slide.roi_notes(roi, mask, masks, slide.require_mpp()),
        )

    def show(mask: NDArray[np.bool_]) -> None:
        assert work.editor is not None
        work.masks.take_painting()
        work.masks.show(work.editor.paint("roi", mask))

    _start(work, "roi", read, show, _corner_notes(work, path, bounds_offset))


def load_regions(
    work: SlideWork, path: Path, *, bounds_offset: Pair = (0.0, 0.0)
) -> None:
    """Replace the regions by a file's outlines until the threshold is moved.

    Parameters
    ----------
    work : SlideWork
        With a heatmap, on which the outlines are measured.
    path : Path
        A file that `annotations.roi.read_outlines` reads.
    bounds_offset : tuple of float, optional
        As in `load_roi`.
    """
    slide, tissue = work.slide, _tissue(work)

    def read() -> Read:
        file, offset, found_by = _objects(work, path, bounds_offset)
        outlines, notes = read_outlines(file, slide.shape, offset)
        odd = recorded_slide.outline_notes(
            file, outlines, tissue, slide.shape, slide.require_mpp()
        )
        return outlines, (*found_by, *notes, *odd)

    def show(outlines: Annotations) -> None:
        work.region_finder.take_outlines(outlines, str(path))

    _start(work, "regions", read, show, _corner_notes(work, path, bounds_offset))


def load_verdicts(
    work: SlideWork, path: Path, *, bounds_offset: Pair = (0.0, 0.0)
) -> None:
    """Take the verdicts of a file into the review; each can be undone there.

    Parameters
    ----------
    work : SlideWork
        With candidates.
    path : Path
        A project of QuPath, or a file that `annotations.judged.read_judged` reads.
    bounds_offset : tuple of float, optional
        As in `load_roi`.
    """

    def read() -> Read:
        file, offset, found_by = _objects(work, path, bounds_offset, by_name=False)
        found = read_verdict_file(
            file, offset, slide=work.slide.fingerprint, shape=work.slide.shape
        )
        return replace(found, origin=str(path.absolute())), (*found_by, *found.notes)

    def show(found: VerdictFile) -> None:
        if (taken := work.review.take(found)) is not None:
            show_info(f"{path.name}: {taken.words}")

    _start(work, "verdicts", read, show, _corner_notes(work, path, bounds_offset))


def load_truth(
    work: SlideWork, path: Path, *, bounds_offset: Pair = (0.0, 0.0)
) -> None:
    """Show a file's tumor outlines or mask, and compare the heatmap with it.

    Parameters
    ----------
    work : SlideWork
        With its µm/px; a heatmap is compared at the current threshold.
    path : Path
        A file that `annotations.truth_files.read_truth` reads.
    bounds_offset : tuple of float, optional
        As in `load_roi`.
    """
    mpp, shape, threshold = work.slide.require_mpp(), work.slide.shape, work.threshold
    tissue = _tissue(work)
    heatmap = None if work.heatmap is None else work.heatmap.only(work.heatmap.computed)

    def read() -> Read:
        file, offset, found_by = _objects(work, path, bounds_offset)
        truth, notes = read_truth(file, mpp=mpp, shape=shape, bounds_offset=offset)
        counts = None
        if heatmap is not None:
            counts = count_pixels(heatmap, truth, threshold=threshold)
        return (truth, counts), (
            *found_by,
            *notes,
            *recorded_slide.truth_notes(truth, tissue, shape, mpp),
        )

    def show(value: tuple[TruthMask, PixelCounts | None]) -> None:
        truth, counts = value
        work.layers.put("truth", truth_layer_data(truth, mpp))
        if counts is not None:
            show_info(agreement(counts, threshold))

    _start(work, "truth", read, show, _corner_notes(work, path, bounds_offset))


def agreement(counts: PixelCounts, threshold: float) -> str:
    """Describe the agreement of heatmap and truth."""
    dice, iou, auc = (
        "undefined" if value is None else f"{value:.2f}"
        for value in (counts.dice, counts.iou, counts.auc)
    )
    return (
        f"heatmap and truth, px by px: Dice {dice} and IoU {iou} at the threshold "
        f"{threshold:.2f}; area under the ROC curve {auc}"
    )


def _tissue(work: SlideWork) -> NDArray[np.bool_] | None:
    """Return the px that most masks count as tissue, None before they are computed."""
    return (
        None
        if work.editor is None
        else recorded_slide.tissue_of(work.editor.tissue().by_name)
    )


def _objects(
    work: SlideWork, path: Path, bounds_offset: Pair, *, by_name: bool = True
) -> tuple[Path, Pair, tuple[str, ...]]:
    """Return a file of outlines, their origin and notes; of a project, those of the slide."""
    bounds = work.slide.bounds
    return objects_of(
        path,
        str(work.slide.path),
        lambda: recorded_slide.corner_of(bounds),
        bounds_offset,
        work.slide.fingerprint,
        by_name=by_name,
    )


def _corner_notes(work: SlideWork, path: Path, bounds_offset: Pair) -> tuple[str, ...]:
    """Say that QuPath may count from elsewhere, unless an origin was chosen or is known."""
    known = any(bounds_offset) or path.suffix.lower() == PROJECT_SUFFIX
    return () if known else bounds_notes(work.slide)


def _start(
    work: SlideWork,
    kind: str,
    read: Callable[[], Read],
    show: Callable[[Any], None],
    more: tuple[str, ...],
) -> None:
    """Read a file in a thread; then show its value and the remarks on it."""

    def reading(should_stop: Callable[[], bool]) -> Generator[Read]:
        yield read()

    def take(found: Read) -> None:
        value, notes = found
        show(value)
        if notes := (*notes, *more):
            show_warning("\n".join(notes))

    if (before := work.imports.get(kind)) is not None:
        before.abandon()
    job = work.imports[kind] = Job(reading, on_value=take)
    job.start()
