"""What the panel exports: a snapshot of a slide's results, written without the viewer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.regions import SizeClass, find_regions, summarise
from napari_fastnet.engine.run_result import OVERVIEW
from napari_fastnet.engine.runs import (
    HEATMAP,
    RECORD,
    REGIONS_CSV,
    REGIONS_GEOJSON,
    THUMBNAIL_PX,
)
from napari_fastnet.engine.tissue import slide_facts, write_masks
from napari_fastnet.errors import OutputError
from napari_fastnet.io.export import write_heatmap_ome_tiff
from napari_fastnet.io.files import write_bytes
from napari_fastnet.io.overview import Caption, write_overview
from napari_fastnet.io.record import to_json
from napari_fastnet.io.region_files import write_regions_csv, write_regions_geojson

if TYPE_CHECKING:
    from napari_fastnet.engine.tissue import SlideTissue
    from napari_fastnet.io.slide import Slide
    from napari_fastnet.plugin.slide_work import SlideWork

#: What can be exported.
WHAT = ("masks", "heatmap", "regions", "overview")
#: Which regions: their size classes, the smallest of them first.
WHICH: dict[str, tuple[SizeClass, ...]] = {
    "all regions": ("ITC", "micro", "macro"),
    "micro and macro": ("micro", "macro"),
    "macro only": ("macro",),
}


@dataclass(frozen=True, slots=True, eq=False)
class Results:
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
    model : str
        Name and version, for the overview.
    record : dict
        Of the run, brought up to date.
    sizes : tuple of str
        Size classes of the regions that are wanted.
    """

    slide: Slide
    tissue: SlideTissue | None
    heatmap: Heatmap | None
    threshold: float
    model: str
    record: dict[str, Any]
    sizes: tuple[SizeClass, ...] = WHICH["all regions"]


def results_of(work: SlideWork, which: str = "all regions") -> Results:
    """Return a slide's results as they are now, with the regions named in `WHICH`."""
    heatmap = work.heatmap
    if heatmap is not None:
        values = np.array(heatmap.probabilities)
        heatmap = Heatmap(values, heatmap.grid, heatmap.mpp)
    tissue = work.tissue()
    slide = asdict(slide_facts(work.slide))
    record = {**work.record, "slide": slide, "threshold": work.threshold}
    if tissue is not None:
        record["tissue"] = tissue.to_dict()
    model = record.get("model") or {}
    label = f"{model.get('name', '')} {model.get('version', '')}".strip()
    return Results(
        work.slide, tissue, heatmap, work.threshold, label, record, WHICH[which]
    )


def write_results(results: Results, folder: Path, what: Collection[str]) -> list[Path]:
    """Write what is asked for, under the names that ``napari-fastnet detect`` gives.

    Parameters
    ----------
    results : Results
        What there is; what there is not is left out.
    folder : Path
        Made where it is missing.
    what : collection of str
        Out of `WHAT`.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    OutputError
        A file cannot be written, or there is nothing of what is asked for.
    """
    record, heatmap, written = results.record, results.heatmap, list[Path]()
    found = [] if heatmap is None else find_regions(heatmap, results.threshold)
    regions = [region for region in found if region.size_class in results.sizes]
    area = None if results.tissue is None else results.tissue.area_mm2
    if heatmap is not None:
        totals = {**summarise(regions, area), "size_classes": results.sizes}
        record = {**record, "regions": totals}
    if "masks" in what and results.tissue is not None:
        written += write_masks(folder, results.tissue, record=record)
    if "heatmap" in what and heatmap is not None:
        write_heatmap_ome_tiff(folder / HEATMAP, heatmap, record=record)
        written.append(folder / HEATMAP)
    if "regions" in what and heatmap is not None:
        write_regions_geojson(folder / REGIONS_GEOJSON, regions, record=record)
        write_regions_csv(folder / REGIONS_CSV, regions, mpp=heatmap.mpp)
        written += [folder / REGIONS_GEOJSON, folder / REGIONS_CSV]
    if "overview" in what and heatmap is not None:
        write_overview(
            folder / OVERVIEW,
            results.slide.thumbnail(THUMBNAIL_PX),
            heatmap,
            regions,
            slide_shape=results.slide.shape,
            caption=Caption(
                title=results.slide.path.name,
                model=results.model,
                threshold=results.threshold,
                tissue_mm2=area,
            ),
            record=record,
        )
        written.append(folder / OVERVIEW)
    if not written:
        raise OutputError(
            "nothing to export of what is ticked; compute masks or detect tumors first"
        )
    write_bytes(folder / RECORD, to_json(record, indent=2).encode())
    return [*written, folder / RECORD]
