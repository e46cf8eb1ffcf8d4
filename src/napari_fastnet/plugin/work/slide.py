"""State of one open slide in the viewer, and signals of its changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_warning
from psygnal import Signal
from superqt.utils import qdebounced

from napari_fastnet.core.geometry import Box
from napari_fastnet.core.lesions.evidence import lesions_of
from napari_fastnet.core.options import LesionRule
from napari_fastnet.detection.tissue import slide_facts
from napari_fastnet.plugin.layers.corrections import SlideCorrections
from napari_fastnet.plugin.layers.data import (
    HEATMAP_OPACITY,
    heatmap_colormap,
    heatmap_layer_data,
    place_slide_layer,
    quality_layer_data,
    regions_layer_data,
)
from napari_fastnet.plugin.layers.info import SLIDE_KEY, SlideInfo, info_of
from napari_fastnet.plugin.layers.marks import LesionMarks
from napari_fastnet.plugin.layers.scale_bar import show_scale_bar
from napari_fastnet.plugin.layers.shown import WorkLayers
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.work.masks import SlideMasks
from napari_fastnet.plugin.work.pieces import SlidePieces
from napari_fastnet.plugin.work.regions import RegionFinder, RegionOutlines, Sought
from napari_fastnet.plugin.work.reviewing import SlideReview
from napari_fastnet.results.record import RunRecord
from napari_fastnet.slide.notes import finer_notes

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_fastnet.core.arrays import Bools, Bytes
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.detection.tissue_editor import TissueEditor
    from napari_fastnet.plugin.threads.job import Job
    from napari_fastnet.results.reviewed import Reviewed

#: Time without a decision before the layers follow, ms: drawing takes longer than a key.
DRAW_MS = 150


class WorkEvents:
    """Signals that the sections of the panel listen to; most carry the `SlideWork`."""

    #: Slides were opened or removed, or another is current. Carries nothing.
    slides = Signal()
    #: The µm/px changed.
    spacing = Signal(object)
    #: The masks changed, or are about to be computed.
    tissue = Signal(object)
    #: The heatmap, or its colours, changed.
    heatmap = Signal(object)
    #: A detection in progress wrote new values into the heatmap.
    filled = Signal(object)
    #: The regions were found anew.
    regions = Signal(object)
    #: A person decided on candidates, or on the slide.
    decisions = Signal(object)
    #: A person painted labels, or took up another brush.
    corrections = Signal(object)
    #: A teaching began, went on or ended.
    teaching = Signal(object)
    #: A detection began, went on, paused or ended.
    run = Signal(object)


class SlideWork:
    """State of one open slide, shown by its layers.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the layers.
    layer : Image
        The slide's, from `slide_layer_data`.
    events : WorkEvents
        Emitted on changes.

    Attributes
    ----------
    slide : Slide
        Open; another object once `set_mpp` was called.
    layers : WorkLayers
        Layers of masks, heatmap, regions and truth.
    masks : SlideMasks
        Tissue masks.
    heatmap : Heatmap or None
        As shown; a detection writes into it.
    record : RunRecord or None
        Run record of the heatmap.
    candidates, regions : list of Region
        As found last: all candidates, and those that are lesions.
    appeared, gone : frozenset of int
        Labels of lesions that a taught model finds anew, and of those it does not find.
    review : SlideReview
        A person's decisions on the candidates.
    corrections : SlideCorrections
        A person's painted labels.
    pieces : SlidePieces
        Pieces of the tissue, and their nodes.
    region_finder, region_outlines : RegionFinder, RegionOutlines
        Find and draw the regions.
    marks : LesionMarks
        Markers of the candidates, the frame of the current one, measuring lines.
    rule : LesionRule
        Threshold of the outlines, and lesion threshold.
    opacity : float
        Of the heatmap.
    suspicious_only : bool
        Whether the heatmap is clear below the threshold; `show_threshold` draws it.
    chosen_threshold, chosen_lesion_threshold : float or None
        The thresholds if the user moved them; else the model's hold.
    tissue_job : Job or None
        Computes the masks.
    imports : dict of str to Job
        Read files that the user chose: "roi", "regions", "truth".
    detection : Detection or None
        In progress or ended last; the workspace begins it. (Typed, it would close a
        circle of modules.)
    teaching : Teaching or None
        In progress or waiting to be kept or dropped.
    ahead : Ahead or None
        Features of cells, which teaching needs first.
    """

    def __init__(self, viewer: ViewerModel, layer: Image, events: WorkEvents) -> None:
        self.viewer, self.layer, self.events = viewer, layer, events
        info: SlideInfo = layer.metadata[SLIDE_KEY]
        self.slide, self.fingerprint = info.slide, info.fingerprint
        self.heatmap: Heatmap | None = None
        self.record: RunRecord | None = None
        self.candidates: list[Region] = []
        self.regions: list[Region] = []
        self.rule, self.opacity = LesionRule(), HEATMAP_OPACITY
        self.suspicious_only = False
        self.chosen_threshold: float | None = None
        self.chosen_lesion_threshold: float | None = None
        self.tissue_job: Job | None = None
        self.imports: dict[str, Job] = {}
        self.detection: Any = None
        self.teaching: Any = None
        self.ahead: Any = None
        self._appeared: Sequence[Region] = ()
        self.appeared = self.gone = frozenset[int]()
        self.layers = WorkLayers(viewer, layer)
        self.masks = SlideMasks(self.layers, info, lambda: events.tissue.emit(self))
        self.review = SlideReview(lambda: self.heatmap, self.slide, self._decided)
        self.corrections = SlideCorrections(
            viewer,
            self.layers,
            lambda: self.slide,
            lambda: events.corrections.emit(self),
        )
        self.pieces = SlidePieces(self.layers, self._tissue_sought, self.review)
        events.tissue.connect(self._find_pieces)
        self.region_finder = RegionFinder(
            self._sought,
            Box.of_shape(self.slide.shape),
            self._take_candidates,
            self.pieces.of,
        )
        self.region_outlines = RegionOutlines(
            viewer, self.layers, self.region_finder.find, self.review.reject
        )
        self.marks = LesionMarks(viewer, self.layers, lambda: self.slide.require_mpp())
        self._drawn: list[Reviewed] = []
        self._draw_soon = qdebounced(self._draw, timeout=DRAW_MS)
        self._warned: set[str | int] = set()

    @property
    def ready(self) -> bool:
        """Whether the µm/px is known, so that work may begin."""
        info: SlideInfo = self.layer.metadata[SLIDE_KEY]
        return info.mpp is not None

    @property
    def editor(self) -> TissueEditor | None:
        """The masks and their thresholds, once computed."""
        return self.masks.editor

    def set_mpp(self, mpp: float) -> None:
        """Give the slide another µm/px, and drop all that was computed with the old one.

        The layers stay, empty until they are computed again. Strokes of a brush come
        back with the next masks.

        Raises
        ------
        SpacingError
            The value is absurd.
        """
        slide, before = self.slide.with_mpp(mpp), self.layer.metadata[SLIDE_KEY].mpp
        self.masks.forget()
        self.corrections.forget()
        self.close()
        self.slide, self.heatmap, self.record = slide, None, None
        self.candidates, self.regions, self._drawn = [], [], []
        self._appeared, self.appeared, self.gone = (), frozenset(), frozenset()
        self.review.show([])
        self.region_finder.outlines = None
        self.detection = self.tissue_job = self.teaching = self.ahead = None
        self.imports.clear()
        place_slide_layer(self.layer, slide)
        if before is not None:
            y, x = slide.require_mpp()
            self.layers.empty_and_scale((y / before[0], x / before[1]))
        self.corrections.show()
        self.viewer.reset_view()
        show_scale_bar(self.viewer)
        self.events.spacing.emit(self)

    def keep_with(self, run: Path | None) -> None:
        """Keep decisions and corrections beside a run; None for one in the cache."""
        self.review.keep_with(run)
        self.corrections.keep_with(run)

    def set_editor(self, editor: TissueEditor) -> None:
        """Take and show new masks; brush strokes on the ones before are kept."""
        self.masks.take(editor)
        active = self.viewer.layers.selection.active
        info = None if active is None else info_of(active)
        if info is None or info.fingerprint == self.fingerprint:
            self.viewer.layers.selection.active = self.layer
        damaged = editor.tissue().damaged
        self.warn(
            f"{damaged} tiles cannot be decoded and count as glass" if damaged else ""
        )
        self.events.tissue.emit(self)

    def set_heatmap(self, heatmap: Heatmap, record: RunRecord) -> None:
        """Take and show a heatmap, whose array may be written to."""
        self.heatmap, self.record = heatmap, record
        self.heatmap_layer(new=True)
        self.show_threshold()
        self.events.heatmap.emit(self)

    def heatmap_layer(self, *, new: bool = False) -> Layer | None:
        """Return the heatmap's layer, put back if it was removed or the heatmap is new."""
        if self.heatmap is None or (self.layers.holds("heatmap") and not new):
            return self.layers.get("heatmap")
        data = heatmap_layer_data(
            self.heatmap,
            self.slide.path.stem,
            self.opacity,
            fingerprint=self.fingerprint,
            record=self.record_now(),
            colours=read_settings().colours,
        )
        return self.layers.put("heatmap", data)

    def refresh_heatmap(self, *, filling: bool = False) -> None:
        """Draw the values written into the heatmap; without its thumbnail in a run."""
        layer = self.layers.get("heatmap")
        if layer is not None:
            layer.refresh(extent=False, highlight=False, thumbnail=not filling)
        (self.events.filled if filling else self.events.heatmap).emit(self)

    def show_flags(self, flags: Bytes) -> None:
        """Show the quality flags of the heatmap's cells."""
        assert self.heatmap is not None
        before: Any = self.layers.get("quality")
        had_flags = before is not None and bool(np.any(before.data))
        data = quality_layer_data(
            flags,
            self.heatmap.grid,
            self.heatmap.mpp,
            self.slide.path.stem,
            fingerprint=self.fingerprint,
            record=self.record,
        )
        layer = self.layers.put("quality", data)
        if not had_flags:  # else the user has seen flags, and perhaps hidden them
            layer.visible = bool(flags.any())

    def set_threshold(self, value: float) -> None:
        """Set the threshold by hand; the regions follow, brought ones are dropped."""
        self.chosen_threshold = value
        self.rule = replace(self.rule, threshold=value)
        self.region_finder.outlines = None
        self.heatmap_layer()
        self.show_threshold()
        self.events.heatmap.emit(self)

    def set_lesion_threshold(self, value: float) -> None:
        """Set the lesion threshold by hand; the candidates stay, the lesions follow."""
        self.chosen_lesion_threshold = value
        self.rule = replace(self.rule, lesion_threshold=value)
        self.layers.note("heatmap", self.record_now())
        if self.region_finder.outlines is None:
            self._show_regions(self._draw_soon)

    def show_changes(self, appeared: Sequence[Region], gone: Collection[int]) -> None:
        """List lesions that a taught model finds anew, and those that it does not find.

        The former get labels behind those of the candidates. They are in no file unless
        a person accepts them.
        """
        self._appeared, self.gone = appeared, frozenset(gone)
        self._show_regions(self._draw_soon)

    def take_rule(self, rule: LesionRule) -> None:
        """Take the rule of a model or a run, but for thresholds that the user moved."""
        chosen, least = self.chosen_threshold, self.chosen_lesion_threshold
        if chosen is not None:
            rule = replace(rule, threshold=chosen)
        if least is not None:
            rule = replace(rule, lesion_threshold=least)
        self.rule = rule

    @property
    def threshold(self) -> float:
        """Probability from which a cell belongs to an outline."""
        return self.rule.threshold

    def show_threshold(self) -> None:
        """Colour the heatmap by the current threshold and settings."""
        layer: Any = self.layers.get("heatmap")
        if layer is not None:
            colours = read_settings().colours
            layer.colormap = heatmap_colormap(
                self.threshold, colours, suspicious_only=self.suspicious_only
            )
            self.layers.note("heatmap", self.record_now())

    def record_now(self) -> RunRecord:
        """Return the run record with the current threshold, for the layers' metadata."""
        record = self.record or RunRecord(slide=slide_facts(self.slide))
        finder = self.region_finder
        path = "" if finder.outlines is None else finder.outlines_path
        totals = replace(record.regions, outlines=path)
        return replace(record.with_rule(self.rule), regions=totals)

    def warn(self, damage: str = "") -> None:
        """Warn, once each, of damage to the file and of levels read from finer ones."""
        if damage and "damage" not in self._warned:
            self._warned.add("damage")
            show_warning(
                f"{self.slide.path.name}: {damage}; the rest is worked on as ever. Copy "
                "the file again if its original is whole"
            )
        if not self._warned.issuperset(self.slide.finer_tiles):
            self._warned.update(self.slide.finer_tiles)
            show_warning("\n".join(finer_notes(self.slide)))

    def is_lesion(self, region: Region) -> bool:
        """Return whether the machine counts a candidate as a lesion."""
        return region.label <= len(self.regions)

    def stop(self) -> None:
        """Stop all jobs without further callbacks; the layers stay as they are."""
        self._draw_soon.cancel()
        self.region_finder.drop()
        jobs = (self.detection, self.teaching, self.tissue_job, *self.imports.values())
        for job in jobs:
            if job is not None:
                job.abandon()

    def close(self) -> None:
        """Stop all jobs, and no longer follow the layers."""
        self.stop()
        self.region_outlines.release()
        self.corrections.close()
        self.masks.close()
        self.marks.close()
        self.pieces.close()

    def _sought(self) -> Sought | None:
        if self.heatmap is None:
            return None
        roi = None if self.editor is None else self.editor.mask("roi")
        return self.heatmap, self.rule, roi

    def _tissue_sought(self) -> tuple[Bools, Pair, Pair] | None:
        if self.editor is None:
            return None
        return self.editor.mask("roi"), self.slide.shape, self.slide.require_mpp()

    def _find_pieces(self, work: SlideWork) -> None:
        if work is self:
            self.pieces.find()

    def _take_candidates(self, candidates: list[Region]) -> None:
        if self.heatmap is None:
            return
        self.candidates = candidates
        self._show_regions(self._draw)

    def _show_regions(self, draw: Callable[[], object]) -> None:
        if self.heatmap is None:
            return
        regions = self.candidates
        if self.region_finder.outlines is None:  # those of a file are all regions
            regions = lesions_of(regions, self.rule)
        self.regions = regions
        last = max((region.label for region in self.candidates), default=0)
        appeared = [
            replace(region, label=label)
            for label, region in enumerate(self._appeared, last + 1)
        ]
        self.appeared = frozenset(region.label for region in appeared)
        self.review.show([*self.candidates, *appeared])
        draw()
        self.events.regions.emit(self)

    def _decided(self) -> None:
        """Show what a person decided; the layers follow when the keys rest."""
        self._draw_soon()
        self.pieces.draw()
        self.events.decisions.emit(self)

    def _draw(self) -> None:
        """Draw outlines and marks of the lesions, the machine's and a person's."""
        reviewed = self.review.reviewed
        drawn = [
            one
            for one in reviewed
            if one.status != "undecided" or self.is_lesion(one.region)
        ]
        there = self.layers.get("regions") is not None
        new = self._is_new(drawn) or not there  # as the user removed the layer
        if self.heatmap is not None and (drawn or there) and new:
            data = regions_layer_data(
                [one.region for one in drawn],
                self.heatmap.mpp,
                self.slide.path.stem,
                fingerprint=self.fingerprint,
                record=self.record_now(),
                statuses=[one.status for one in drawn],
            )
            self.region_outlines.show(data)
            self._drawn = drawn
        self.layers.note("regions", self.record_now())
        self.marks.show(reviewed, self.rule.lesion_threshold)

    def _is_new(self, drawn: list[Reviewed]) -> bool:
        """Return whether the outlines are others than those drawn; notes do not count."""
        return len(drawn) != len(self._drawn) or any(
            one.region.polygons is not before.region.polygons
            or one.status != before.status
            for one, before in zip(drawn, self._drawn, strict=True)
        )
