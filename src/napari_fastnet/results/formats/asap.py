"""Results for ASAP: the heatmap as an overlay, the regions as annotations.

ASAP puts an overlay's corner on the slide's, stretches it to the slide's width, and
assumes factors of 2 between levels. So the overlay covers the whole slide, and its px are
a power of 2 of the slide's.
"""

from __future__ import annotations

from math import ceil, floor, log2
from typing import TYPE_CHECKING

import numpy as np
import shapely
import tifffile

from napari_fastnet.core.geometry import Box
from napari_fastnet.core.heatmap import halvings
from napari_fastnet.core.polygons import Annotations, joined
from napari_fastnet.machine.files import atomic_path
from napari_fastnet.results.formats.ome_tiff import UM_PER_CM
from napari_fastnet.results.record import RunRecord, record_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from napari_fastnet.core.arrays import Floats
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.lesions.regions import Region

#: Side of a tile, and at most of the smallest level, as in ASAP's own files.
TILE_PX = 512
#: First line of the description; the run record is the second.
TITLE = "napari-fastnet heatmap for ASAP"


def write_asap_heatmap(
    path: Path,
    heatmap: Heatmap,
    slide_shape: tuple[int, int],
    *,
    record: RunRecord | None = None,
) -> None:
    """Write the probabilities as a float pyramid, an overlay for ASAP.

    Each px has the value of the cell under its centre, and is no larger than a cell.

    Parameters
    ----------
    path : Path
        Usually ``heatmap_asap.tif``.
    heatmap : Heatmap
        Cells that were not computed become 0, for which ASAP's tables have a colour:
        transparent.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.
    record : RunRecord, optional
        The run record, kept as JSON in the description's second line.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    px = overlay_px(heatmap)
    shape = (ceil(slide_shape[0] / px), ceil(slide_shape[1] / px))
    covered = Box.of_shape((shape[0] * px, shape[1] * px))
    values = np.nan_to_num(heatmap.resampled_to(covered, shape), copy=False)
    with (
        atomic_path(path) as aside,
        tifffile.TiffWriter(aside) as tif,
    ):
        for index, level in enumerate(halvings(values, TILE_PX)):
            y_um, x_um = (mpp * px * 2**index for mpp in heatmap.mpp)
            about = f"{TITLE}\n{record_json(record)}"
            tif.write(
                level,
                photometric="minisblack",
                tile=(TILE_PX, TILE_PX),
                compression="lzw",
                resolution=(UM_PER_CM / x_um, UM_PER_CM / y_um),
                resolutionunit="CENTIMETER",
                software="napari-fastnet",
                metadata=None,
                description=None if index else about,
                subfiletype=1 if index else 0,
            )


def overlay_px(heatmap: Heatmap) -> int:
    """Return the side of an overlay's px in level-0 px: the largest power of 2 up to a cell's."""
    return int(2 ** max(0, floor(log2(min(heatmap.grid.step)))))


def asap_annotations(regions: Iterable[Region]) -> Annotations:
    """Return regions as outlines and the holes in them.

    Parameters
    ----------
    regions : iterable of Region
        May be empty.

    Returns
    -------
    Annotations
        Exteriors, largest region first, and the holes. A region inside a hole is cut out
        of the hole, or the hole would remove it as well.
    """
    polygons = [polygon for region in regions for polygon in region.polygons]
    exteriors = tuple(polygon[0] for polygon in polygons)
    holes = [hole for polygon in polygons for hole in polygon[1:]]
    return Annotations(exteriors, tuple(_without_islands(holes, exteriors)))


def _without_islands(
    holes: list[Floats], exteriors: tuple[Floats, ...]
) -> Iterator[Floats]:
    """Yield holes less the outlines inside them."""
    outlines = [shapely.Polygon(ring) for ring in exteriors] if holes else []
    tree = shapely.STRtree(outlines)
    for hole in holes:
        inside = tree.query(shapely.Polygon(hole), predicate="contains")
        if not inside.size:
            yield hole
            continue
        islands = shapely.union_all([outlines[index] for index in inside])
        for part in shapely.get_parts(shapely.Polygon(hole).difference(islands)):
            rings = (part.exterior, *part.interiors)
            yield joined([np.asarray(ring.coords)[:-1] for ring in rings])
