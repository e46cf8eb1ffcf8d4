"""Heatmap, masks and regions as one SpatialData object, for scverse.

There are two coordinate systems: ``global``, level-0 px of the slide, as slides in
SpatialData have it, and ``um``, µm; both from the slide's top left corner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.errors import DependencyError
from napari_fastnet.machine.files import atomic_folder
from napari_fastnet.results.formats.ome_zarr import (
    HEATMAP_NAME,
    RECORD_ATTRIBUTE,
    is_ours,
)
from napari_fastnet.results.record import RESEARCH_USE, RunRecord
from napari_fastnet.results.regions import region_table
from napari_fastnet.results.reviewed import as_reviewed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_fastnet.core.arrays import Bools
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.results.reviewed import Reviewed


def write_spatialdata(
    path: Path,
    heatmap: Heatmap,
    regions: Sequence[Region | Reviewed],
    masks: Mapping[str, Bools] | None = None,
    *,
    mask_mpp: Pair = (1.0, 1.0),
    record: RunRecord | None = None,
) -> None:
    """Write a SpatialData store.

    Parameters
    ----------
    path : Path
        Usually ``spatialdata.zarr``; one that was written before is replaced.
    heatmap : Heatmap
        The image ``heatmap``, NaN where not computed; without cells, a single NaN.
    regions : sequence of Region or Reviewed
        The shapes ``regions`` in level-0 px, with their measures; left out where there
        are none, which a store cannot hold.
    masks : mapping of str to (height, width) ndarray of bool, optional
        The labels ``tissue_<name>``, 1 inside.
    mask_mpp : tuple of float
        (y, x) µm per px of the masks.
    record : RunRecord, optional
        The run record, kept among the object's ``attrs``.

    Raises
    ------
    DependencyError
        spatialdata is not installed.
    OutputError
        It cannot be written, or something else is there.
    """
    try:
        from spatialdata import SpatialData
        from spatialdata.models import Image2DModel, Labels2DModel
    except ImportError as error:
        raise DependencyError(
            f"SpatialData needs a package that cannot be loaded ({error}); install it: "
            "pip install 'napari-fastnet[spatialdata]'"
        ) from error
    values = heatmap.probabilities
    if not values.size:
        values = np.full((1, 1), np.nan, np.float32)
    grid, mpp = heatmap.grid, heatmap.mpp
    image = Image2DModel.parse(
        values[None],
        dims=("c", "y", "x"),
        c_coords=[HEATMAP_NAME],
        transformations=_placement(grid.step, grid.origin, mpp),
    )
    mask_step = (mask_mpp[0] / mpp[0], mask_mpp[1] / mpp[1])
    labels = {
        f"tissue_{name}": Labels2DModel.parse(
            mask.astype(np.uint8),
            dims=("y", "x"),
            transformations=_placement(mask_step, (0.0, 0.0), mpp),
        )
        for name, mask in (masks or {}).items()
    }
    data = SpatialData(
        images={"heatmap": image},
        labels=labels,
        shapes={"regions": _shapes(regions, mpp)} if regions else {},
        attrs={
            RECORD_ATTRIBUTE: record.to_dict() if record else {"notice": RESEARCH_USE}
        },
    )
    with atomic_folder(path, is_ours) as aside:
        data.write(aside)


def _placement(step: Pair, origin: Pair, mpp: Pair) -> dict[str, Any]:
    """Return transformations of px to both coordinate systems; step and origin in level-0 px."""
    from spatialdata.transformations import Scale, Sequence, Translation

    axes = ("y", "x")
    in_px = [Scale(list(step), axes), Translation(list(origin), axes)]
    return {"global": Sequence(in_px), "um": Sequence([*in_px, Scale(list(mpp), axes)])}


def _shapes(regions: Sequence[Region | Reviewed], mpp: Pair) -> Any:
    """Return regions as the GeoDataFrame of a store."""
    from geopandas import GeoDataFrame
    from shapely import MultiPolygon
    from spatialdata.models import ShapesModel

    outlines = [
        MultiPolygon(
            [
                (part[0][:, ::-1], [hole[:, ::-1] for hole in part[1:]])
                for part in one.region.polygons
            ]
        )
        for one in map(as_reviewed, regions)
    ]
    frame = GeoDataFrame({**region_table(regions, mpp=mpp), "geometry": outlines})
    placed = _placement((1.0, 1.0), (0.0, 0.0), mpp)
    return ShapesModel.parse(frame, transformations=placed)
