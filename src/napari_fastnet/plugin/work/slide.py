"""One open slide in the viewer: its masks, its heatmap, its regions and their layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from napari.utils.notifications import show_warning
from numpy.typing import NDArray
from superqt.utils import qthrottled

from napari_fastnet.core.geometry import Box
from napari_fastnet.core.regions import Region
from napari_fastnet.detection.tissue_editor import KINDS, MaskKind, TissueEditor
from napari_fastnet.plugin.layers.data import (
    LayerData,
    heatmap_colormap,
    heatmap_layer_data,
    mask_layer_data,
    place_slide_layer,
    quality_layer_data,
    regions_layer_data,
)
from napari_fastnet.plugin.layers.info import SLIDE_KEY, Kind, SlideInfo, info_of
from napari_fastnet.plugin.layers.masks import MaskDisplay
from napari_fastnet.plugin.layers.shown import WorkLayers
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.threads.job import Job
from napari_fastnet.plugin.work.events import WorkEvents
from napari_fastnet.plugin.work.outlines import RegionOutlines
from napari_fastnet.plugin.work.regions import RegionFinder
from napari_fastnet.slide.notes import finer_notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.tissue import MaskEdits
    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.slide.slide import Slide

#: The region of interest follows a brush at most so often, ms.
FOLLOW_MS = 100


class Abandonable(Protocol):
    """A job in a thread, or a detection, which is several one after the other."""

    def abandon(self) -> None:
        """Stop, and tell nobody any more."""


class SlideWork:
    """What is known of one open slide, and the layers that show it.

    Parameters
    ----------
    viewer : ViewerModel
        Gets the layers.
    layer : Image
        The slide's, from `slide_layer_data`.
    events : WorkEvents
        Where changes are told.

    Attributes
    ----------
    region_finder : RegionFinder
        What finds the regions, or measures those that were brought.
    region_outlines : RegionOutlines
        What shows them, locked.
    layers : WorkLayers
        What shows masks, heatmap and regions.
    editor : TissueEditor or None
        The masks, once computed.
    heatmap : Heatmap or None
        As it is shown; fills in during a run.
    tissue_job : Job or None
        What computes the masks.
    threshold, opacity : float
        How the heatmap is shown.
    chosen_threshold : float or None
        The threshold if the user moved it; the model's holds otherwise.
    """

    def __init__(self, viewer: ViewerModel, layer: Image, events: WorkEvents) -> None:
        self.viewer, self.layer, self.events = viewer, layer, events
        self.editor: TissueEditor | None = None
        self.heatmap: Heatmap | None = None
        self.tissue_job: Job | None = None
        self.record: dict[str, Any] = {}
        self.threshold, self.opacity = 0.5, 0.5
        self.chosen_threshold: float | None = None
        self.layers = WorkLayers(viewer, layer)
        self.region_outlines = RegionOutlines(
            viewer, self.layers, self._regions_data, self.find_regions
        )
        self.region_finder = RegionFinder(
            self._sought, Box.of_shape(self.slide.shape), self._show_regions
        )
        self._touched = self._told_damage = False
        self._told_finer: set[int] = set()
        self._painted_before: dict[MaskKind, MaskEdits] = {}
        self._jobs: dict[str, Abandonable] = {}
        self._masks = MaskDisplay(self.layer_of, self._painted)
        self._follow_painting = qthrottled(self.take_painting, timeout=FOLLOW_MS)

    @property
    def info(self) -> SlideInfo:
        """The slide and where its µm/px comes from."""
        info: SlideInfo = self.layer.metadata[SLIDE_KEY]
        return info

    @property
    def slide(self) -> Slide:
        """The open slide."""
        return self.info.slide

    @property
    def fingerprint(self) -> str:
        """Of the slide's contents."""
        return self.info.fingerprint

    @property
    def regions(self) -> list[Region]:
        """The regions at the threshold, as of when they were found last."""
        return self.region_finder.found

    @property
    def name(self) -> str:
        """Of the slide's layer."""
        return str(self.layer.name)

    @property
    def ready(self) -> bool:
        """Whether the µm/px is known, so that work may begin."""
        return self.info.mpp is not None

    def layer_of(self, kind: Kind) -> Layer | None:
        """Return the layer that shows a result, None if there is none in the viewer."""
        return self.layers.get(kind)

    def set_mpp(self, mpp: float) -> None:
        """Give the slide another µm/px; what was computed with the old one goes.

        Its layers stay, empty until it is computed anew. What was painted by hand
        comes back with the next masks.

        Raises
        ------
        SpacingError
            The value is absurd.
        """
        before, slide = self.info.mpp, self.slide.with_mpp(mpp)
        self.take_painting()
        if self.editor is not None:
            self._painted_before = self.editor.edits
        self.abandon()
        self.editor, self.heatmap, self.record = None, None, {}
        self.region_finder.forget()
        self.tissue_job = None
        self._jobs.clear()
        place_slide_layer(self.layer, slide)
        if before is not None:
            y, x = slide.require_mpp()
            self.layers.empty_and_scale((y / before[0], x / before[1]))
        self.viewer.reset_view()
        self.events.spacing.emit(self)

    def set_editor(self, editor: TissueEditor) -> None:
        """Take new masks and show them; what was painted on those before stays."""
        self.take_painting()
        painted = self._painted_before if self.editor is None else self.editor.edits
        if painted and not editor.edited_px:
            editor.take_edits(painted)
        self._painted_before = {}
        self.editor = editor
        with self._masks.unheard():  # one after the other they are no masks of anything
            for kind in KINDS:
                self._masks.watch(self.layers.put(kind, self._mask_data(kind)))
        self._touched = False
        active = self.viewer.layers.selection.active
        info = None if active is None else info_of(active)
        if info is None or info.fingerprint == self.fingerprint:
            self.viewer.layers.selection.active = self.layer
        if damaged := editor.tissue().damaged:
            self.tell_damage(f"{damaged} tiles cannot be decoded and count as glass")
        self.tell_finer()
        self.events.tissue.emit(self)

    def take_painting(self) -> None:
        """Take over what a hand, an undo or a script did to the masks."""
        editor = self.editor
        if editor is None or not self._touched:
            return
        self._touched = False
        new: set[MaskKind] = set()
        # The region of interest first: painting the others moves it.
        for kind in reversed(KINDS):
            layer = self.layer_of(kind)
            if layer is not None:
                new |= set(editor.paint(kind, np.asarray(layer.data) != 0))
        self.show_masks(tuple(kind for kind in KINDS if kind in new))

    def show_masks(self, kinds: tuple[MaskKind, ...], *, moving: bool = False) -> None:
        """Bring the masks that are new to the screen."""
        assert self.editor is not None
        for kind in kinds:
            self._masks.show(kind, self.editor.mask(kind), moving=moving)
        if kinds:
            self.events.tissue.emit(self)

    def set_heatmap(self, heatmap: Heatmap, record: dict[str, Any]) -> None:
        """Take a heatmap and show it; its array may be written to."""
        self.heatmap, self.record = heatmap, record
        self.layers.put("heatmap", self._heatmap_data())
        self.show_threshold()
        self.events.heatmap.emit(self)

    def take_heatmap(
        self, heatmap: Heatmap, record: dict[str, Any], *, opacity: float
    ) -> None:
        """Go on from a heatmap that a layer shows already."""
        self.heatmap, self.record, self.opacity = heatmap, dict(record), opacity
        threshold = record.get("threshold")
        if isinstance(threshold, int | float) and 0 <= threshold <= 1:  # NaN is neither
            self.suggest_threshold(float(threshold))
        self.show_threshold()
        self.events.heatmap.emit(self)
        self.events.run.emit(self)

    def bring_back(self, kind: Kind) -> Layer | None:
        """Return the layer of a mask or the heatmap, anew where it was removed."""
        layer = self.layer_of(kind)
        if layer is not None and self.layers.holds(kind):
            return layer
        if kind == "heatmap" and self.heatmap is not None:
            return self.layers.put("heatmap", self._heatmap_data())
        if kind in KINDS and self.editor is not None:
            with self._masks.unheard():
                self._masks.watch(self.layers.put(kind, self._mask_data(kind)))
            return self.layer_of(kind)
        return layer

    def refresh_heatmap(self) -> None:
        """Bring what was written into the heatmap's array to the screen."""
        self._draw_heatmap(thumbnail=True)
        self.events.heatmap.emit(self)

    def refresh_filling_heatmap(self) -> None:
        """Bring it to the screen while a detection goes on writing."""
        self._draw_heatmap()
        self.events.filled.emit(self)

    def _draw_heatmap(self, *, thumbnail: bool = False) -> None:
        layer = self.layer_of("heatmap")
        if layer is not None:
            layer.refresh(extent=False, highlight=False, thumbnail=thumbnail)

    def set_quality(self, flags: NDArray[np.uint8], record: dict[str, Any]) -> None:
        """Show the flags of a run that has ended; the layer is kept, once it is there."""
        assert self.heatmap is not None
        before: Any = self.layer_of("quality")
        had_flags = before is not None and bool(np.any(before.data))
        data = quality_layer_data(
            flags,
            self.heatmap.grid,
            self.heatmap.mpp,
            self.slide.path.stem,
            fingerprint=self.fingerprint,
            record=record,
        )
        layer = self.layers.put("quality", data)
        if not had_flags:  # who hid the flags has seen them
            layer.visible = bool(flags.any())

    def set_record(self, record: dict[str, Any]) -> None:
        """Take the record of a run that has ended; saved layers carry it."""
        self.record = record
        self.layers.note("heatmap", self.told_record())

    def tissue(self) -> SlideTissue | None:
        """Return the masks as they look now, frozen; None before they are computed."""
        self.take_painting()
        return None if self.editor is None else self.editor.tissue()

    @property
    def tissue_mm2(self) -> float | None:
        """Area of the region of interest, mm²; None before it is known."""
        if self.editor is None:
            return None
        y, x = self.editor.mpp
        return float(self.editor.mask("roi").sum()) * y * x / 1e6

    def set_threshold(self, value: float) -> None:
        """Show another threshold as the middle of the colours; nothing is computed."""
        self.threshold = self.chosen_threshold = value
        self.region_finder.outlines = None
        self.bring_back("heatmap")
        self.show_threshold()
        self.events.heatmap.emit(self)

    def suggest_threshold(self, value: float) -> None:
        """Take a model's threshold, unless the user chose one."""
        if self.chosen_threshold is None:
            self.threshold = value

    def set_opacity(self, value: float) -> None:
        """Show the heatmap more or less opaque."""
        self.opacity = value
        layer = self.bring_back("heatmap")
        if layer is not None:
            layer.opacity = value

    def show_threshold(self) -> None:
        """Colour the heatmap by the threshold and the settings of now."""
        layer: Any = self.layer_of("heatmap")
        if layer is not None:
            colours = read_settings().colours
            layer.colormap = heatmap_colormap(self.threshold, colours)
            self.layers.note("heatmap", self.told_record())

    def told_record(self) -> dict[str, Any]:
        """Return what saved layers say of themselves: with the threshold of now."""
        totals = dict(self.record.get("regions") or {})
        totals.pop("outlines", None)
        if self.region_finder.outlines is not None:
            totals["outlines"] = self.region_finder.outlines_path
        return {**self.record, "threshold": self.threshold, "regions": totals}

    def find_regions(self) -> None:
        """Find the regions at the threshold in the background, and show them."""
        self.region_finder.find()

    def tell_finer(self) -> None:
        """Tell that levels were read from finer ones, once for each level."""
        levels = set(self.slide.finer_tiles)
        if levels - self._told_finer:
            self._told_finer |= levels
            show_warning("\n".join(finer_notes(self.slide)))

    def tell_damage(self, what: str) -> None:
        """Tell that parts of the slide cannot be read, once."""
        if not self._told_damage:
            self._told_damage = True
            show_warning(
                f"{self.slide.path.name}: {what}; the rest is worked on as ever. Copy the "
                "file again if its original is whole"
            )

    @property
    def importing(self) -> bool:
        """Whether a file is being read that the user brought."""
        return any(isinstance(j, Job) and j.running for j in self._jobs.values())

    @property
    def detection(self) -> Any:
        """The `Detection` that goes on or ended last, for scripts; None without one."""
        return self.job_of("detection")

    def job_of(self, kind: str) -> Abandonable | None:
        """Return what was taken note of last; None where there is none."""
        return self._jobs.get(kind)

    def take_job(self, kind: str, job: Abandonable) -> None:
        """Take note of what works on the slide; of a kind, there is one at a time."""
        self.end_job(kind)
        self._jobs[kind] = job

    def end_job(self, kind: str) -> None:
        """Stop what of a kind is at work, without another word."""
        if (before := self._jobs.pop(kind, None)) is not None:
            before.abandon()

    def stop(self) -> None:
        """Stop what is running without another word; what is shown stays."""
        self.region_finder.drop()
        for job in (*self._jobs.values(), self.tissue_job):
            if job is not None:
                job.abandon()

    def abandon(self) -> None:
        """Stop, and follow the layers no more."""
        self.stop()
        self.region_outlines.release()
        self._follow_painting.cancel()
        self._masks.close()

    def _mask_data(self, kind: MaskKind) -> LayerData:
        assert self.editor is not None
        return mask_layer_data(
            kind,
            self.editor.mask(kind),
            self.editor.mpp,
            self.slide.path.stem,
            fingerprint=self.fingerprint,
        )

    def _heatmap_data(self) -> LayerData:
        assert self.heatmap is not None
        return heatmap_layer_data(
            self.heatmap,
            self.slide.path.stem,
            self.opacity,
            fingerprint=self.fingerprint,
            record=self.told_record(),
            colours=read_settings().colours,
        )

    def _sought(self) -> tuple[Heatmap, float] | None:
        return None if self.heatmap is None else (self.heatmap, self.threshold)

    def _regions_data(self, regions: Sequence[Region]) -> LayerData | None:
        if self.heatmap is None:
            return None
        return regions_layer_data(
            regions,
            self.heatmap.mpp,
            self.slide.path.stem,
            fingerprint=self.fingerprint,
            record=self.told_record(),
        )

    def _show_regions(self, regions: list[Region]) -> None:
        if self.heatmap is not None:
            self.region_outlines.show(regions)
            self.events.regions.emit(self)

    def _painted(self) -> None:
        self._touched = True
        self._follow_painting()
