"""What the panel exports: a snapshot of a slide's results, written without the viewer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_fastnet.core.drawn_regions import drawn_totals
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.regions import Region, SizeClass, summarise
from napari_fastnet.detection.tissue import slide_facts
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.machine.json_text import to_json
from napari_fastnet.plugin.detection.detection import detection_of
from napari_fastnet.plugin.layers.info import ResultInfo, info_of
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.work.regions import regions_at
from napari_fastnet.results.formats import THUMBNAIL_PX, Part, Results, write_formats
from napari_fastnet.results.record import RECORD, Counts, RunRecord
from napari_fastnet.store.format import Seconds

if TYPE_CHECKING:
    from napari_fastnet.core.polygons import Annotations
    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.plugin.work.slide import SlideWork
    from napari_fastnet.slide.slide import Slide

#: Which regions: their size classes, the smallest of them first.
WHICH: dict[str, tuple[SizeClass, ...]] = {
    "all regions": ("ITC", "micro", "macro"),
    "micro and macro": ("micro", "macro"),
    "macro only": ("macro",),
}


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What is known of a slide at the moment of an export.

    Parameters
    ----------
    slide : Slide
        Open.
    tissue : SlideTissue or None
        Masks as edited.
    heatmap : Heatmap or None
        A copy: a run may go on meanwhile.
    threshold : float
        From which a patch is tumour.
    record : dict
        Of the run, brought up to date.
    sizes : tuple of str
        Size classes of the regions that are wanted.
    outlines : Annotations or None
        Regions that take the place of those at the threshold.
    outlines_path : str
        The file that they are from.
    flags : ndarray or None
        Quality flags of the heatmap's cells, once a run has ended.
    """

    slide: Slide
    tissue: SlideTissue | None
    heatmap: Heatmap | None
    threshold: float
    record: dict[str, Any]
    sizes: tuple[SizeClass, ...] = WHICH["all regions"]
    outlines: Annotations | None = None
    outlines_path: str = ""
    flags: NDArray[np.uint8] | None = None

    def results(self) -> Results:
        """Return what there is to write; finds the regions."""
        record, heatmap, tissue = self.record, self.heatmap, self.tissue
        regions = None
        if heatmap is not None:
            slide = Box.of_shape(self.slide.shape)
            found = regions_at(heatmap, self.threshold, self.outlines, slide)
            regions = [region for region in found if region.size_class in self.sizes]
            record = {**record, "regions": self._totals(regions)}
        return Results(
            record=record,
            mpp=self.slide.require_mpp(),
            slide_shape=self.slide.shape,
            heatmap=heatmap,
            regions=regions,
            flags=self.flags,
            masks={} if tissue is None else tissue.by_name,
            mask_mpp=(1.0, 1.0) if tissue is None else tissue.mpp,
            picture=lambda: self.slide.thumbnail(THUMBNAIL_PX),
        )

    @property
    def unfinished(self) -> str:
        """What is not computed yet of the run, in words; empty of one that ended."""
        counts = self.record.get("counts") or {}
        left = counts.get("stopped", 0) if self.heatmap is not None else 0
        if not left:
            return ""
        return (
            f"unfinished: {left:,} of {counts['kept']:,} patches are not computed yet, so "
            "that there may be more tumor than these files show; export again when the "
            "detection has ended"
        )

    def _totals(self, regions: list[Region]) -> dict[str, Any]:
        tissue, sizes = self.tissue, self.sizes
        area = None if tissue is None else tissue.area_mm2
        if self.outlines is None:
            return {**summarise(regions, area), "size_classes": sizes}
        roi = None if tissue is None else tissue.masks.roi
        return {
            **drawn_totals(regions, area, roi, self.slide.shape),
            "size_classes": sizes,
            "outlines": self.outlines_path,
        }


def snapshot_of(work: SlideWork, which: str = "all regions") -> Snapshot:
    """Return a slide's results as they are now, with the regions named in `WHICH`."""
    heatmap = work.heatmap
    if heatmap is not None:
        values = np.array(heatmap.probabilities)
        heatmap = Heatmap(values, heatmap.grid, heatmap.mpp)
    tissue = work.tissue()
    record = _record(work, heatmap, tissue)
    return Snapshot(
        work.slide,
        tissue,
        heatmap,
        work.threshold,
        record,
        WHICH[which],
        work.region_finder.outlines,
        work.region_finder.outlines_path,
        _flags(work),
    )


def _record(
    work: SlideWork, heatmap: Heatmap | None, tissue: SlideTissue | None
) -> dict[str, Any]:
    """Return the record of a slide's results as they are now, whole in any case."""
    facts, masks = slide_facts(work.slide), {} if tissue is None else tissue.to_dict()
    bare = RunRecord(slide=facts, tissue=masks, seconds=Seconds(0.0, 0.0, 0.0))
    record = {**bare.to_dict(), **work.record}
    record["slide"] = asdict(facts)
    record["tissue"] = masks or record["tissue"]
    colours = read_settings().colours
    record["options"] = {**record["options"], "colours": colours}
    if heatmap is not None:
        record["threshold"] = work.threshold
        record["counts"] = _counts(work, heatmap)
    if not _has_quality(work):
        record["quality"] = {}
    return record


def _counts(work: SlideWork, heatmap: Heatmap) -> dict[str, int] | None:
    """Return what of the patches is done by now; None where nobody knows."""
    recorded: dict[str, int] = work.record.get("counts") or {}
    if not recorded.keys() >= {"kept", "failed"}:
        return None
    detection = detection_of(work)
    kept = None if detection is None else detection.kept
    progress = None if detection is None else detection.progress
    counts = Counts(
        kept=recorded["kept"] if kept is None else kept,
        computed=int(heatmap.computed.sum()),
        failed=recorded["failed"] if progress is None else progress.failed,
    )
    return {**asdict(counts), "stopped": max(0, counts.stopped)}


def _has_quality(work: SlideWork) -> bool:
    """Return whether what is flagged is of the masks of now, not of a run before."""
    detection = detection_of(work)
    ended = detection is None or detection.result is not None
    return ended and bool(work.record.get("quality"))


def _flags(work: SlideWork) -> NDArray[np.uint8] | None:
    """Return the flags of the heatmap's cells; None where a run has not ended yet."""
    layer: Any = work.layer_of("quality")
    info = None if layer is None else info_of(layer)
    if work.heatmap is None or not isinstance(info, ResultInfo):
        return None
    if not _has_quality(work):
        return None
    if info.grid != work.heatmap.grid or layer.data.shape != info.grid.shape:
        return None
    return np.array(layer.data, np.uint8)


def write_snapshot(
    snapshot: Snapshot, folder: Path, parts: Collection[Part], formats: Collection[str]
) -> list[Path]:
    """Write what is asked for, as ``napari-fastnet export`` does, and the record.

    Parameters
    ----------
    snapshot : Snapshot
        What there is; what there is not is left out.
    folder : Path
        Made where it is missing.
    parts : collection of str
        Out of `results.formats.PARTS`.
    formats : collection of str
        Out of `results.formats.FORMATS`.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    OutputError
        A file cannot be written, or there is nothing of what is asked for.
    DependencyError
        A format needs a package that is not installed.
    """
    results = snapshot.results()
    written = write_formats(results, folder, formats, parts)
    write_bytes(folder / RECORD, to_json(results.record, indent=2).encode())
    return [*written, folder / RECORD]
