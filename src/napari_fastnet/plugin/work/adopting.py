"""Taking over saved results: layers that were opened again are worked on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import outlines_of
from napari_fastnet.detection.tissue_editor import KINDS
from napari_fastnet.errors import FastNetError
from napari_fastnet.plugin.layers.data import to_px
from napari_fastnet.plugin.layers.info import ResultInfo, info_of, result_layers
from napari_fastnet.plugin.layers.regions import regions_of
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.work.masks_job import restored, start_job
from napari_fastnet.results.record import RECORD

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_fastnet.detection.tissue_editor import TissueEditor
    from napari_fastnet.plugin.work.slide import SlideWork
    from napari_fastnet.results.record import RunRecord


def adopt(work: SlideWork, layer: Layer, free: Callable[[Layer], bool]) -> None:
    """Take over a layer that shows a saved result of an open slide.

    Thresholds, brushes, the table and the next detection then work on it as on a layer
    of the panel's own. Left alone are a result of which there is one already, a result
    of another µm/px, and masks until the region of interest, the last one, is opened.

    Parameters
    ----------
    work : SlideWork
        An open slide.
    layer : Layer
        Any layer of the viewer.
    free : callable
        Returns whether a layer belongs to no other slide; two copies of a slide each have
        layers of their own.
    """
    info = info_of(layer)
    ours = isinstance(info, ResultInfo) and info.fingerprint == work.fingerprint
    if not (isinstance(info, ResultInfo) and ours and work.ready):
        return
    if work.layers.holds(info.kind) or not free(layer):
        return
    if info.kind == "roi":
        _adopt_masks(work, info, free)
    elif not np.allclose(info.mpp, work.slide.require_mpp()):
        return
    elif info.kind == "regions":
        work.layers.adopt("regions", layer)
        if work.heatmap is not None:
            work.region_outlines.guard()
        _adopt_outlines(work, layer, info)
    elif info.kind == "quality":
        work.layers.adopt("quality", layer)
    elif info.kind == "heatmap":
        _adopt_heatmap(work, layer, info)


def _adopt_heatmap(work: SlideWork, layer: Layer, info: ResultInfo) -> None:
    if work.heatmap is None and info.grid is not None:
        with suppress(FastNetError):  # values that are no probabilities
            heatmap = Heatmap(np.asarray(layer.data), info.grid, info.mpp)
            work.layers.adopt("heatmap", layer)
            work.keep_with(_run_folder(info.folder))
            take_heatmap(work, heatmap, info.record, opacity=float(layer.opacity))


def _run_folder(folder: Path | None) -> Path | None:
    """Return the folder if a run lies in it, and not in the cache."""
    if folder is None or not (folder / RECORD).is_file():
        return None
    cache = read_settings().cache_folder.absolute()
    return None if cache in folder.parents else folder


def take_heatmap(
    work: SlideWork, heatmap: Heatmap, record: RunRecord | None, *, opacity: float
) -> None:
    """Go on from a heatmap that a layer already shows."""
    work.heatmap, work.record, work.opacity = heatmap, record, opacity
    threshold = None if record is None else record.threshold
    if record is not None and threshold is not None and 0 <= threshold <= 1:  # no NaN
        work.take_rule(record.rule)
    work.show_threshold()
    work.events.heatmap.emit(work)
    work.events.run.emit(work)


def _adopt_outlines(work: SlideWork, layer: Any, info: ResultInfo) -> None:
    """Keep regions that came from a file, which no threshold would give."""
    path = "" if info.record is None else info.record.regions.outlines
    if not path:
        return
    rings = [to_px(ring, info.mpp) for ring in layer.data]
    with suppress(FastNetError):  # edited since they were saved
        regions = regions_of(rings, layer.features, info.mpp)
        work.region_finder.take_outlines(outlines_of(regions), path)


def _adopt_masks(
    work: SlideWork, info: ResultInfo, free: Callable[[Layer], bool]
) -> None:
    """Restore the saved masks, so that thresholds and brushes work on them."""
    computing = work.tissue_job is not None and work.tissue_job.running
    if work.editor is not None or computing:
        return
    saved: dict[Any, Layer] = {}
    for kind in KINDS:
        for layer in result_layers(work.viewer.layers, work.fingerprint, kind):
            if free(layer):
                saved[kind] = layer
    masks = {kind: np.asarray(layer.data) != 0 for kind, layer in saved.items()}
    parameters = None if info.record is None else info.record.tissue.parameters

    def take(editor: TissueEditor) -> None:
        for kind, layer in saved.items():
            if free(layer):
                work.layers.adopt(kind, layer)
        work.set_editor(editor)

    start_job(work, partial(restored, work.slide, parameters, masks), take)
