"""Regions as the features table of a Shapes layer, and back.

Each ring has a row: its region, its part, whether it is a hole, and the measures of its
region. napari's Features Table shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from napari_fastnet.core.geometry import Pair
from napari_fastnet.core.lesions.regions import Region
from napari_fastnet.errors import OutputError

#: Relative tolerance: an unchanged outline has the area of its cells but for rounding.
AREA_TOLERANCE = 1e-3

#: Columns of both ends of the longest axis, level-0 px.
AXIS = ("axis_y0_px", "axis_x0_px", "axis_y1_px", "axis_x1_px")

_MEND = (
    "undo that, or move the threshold to draw the outlines again; draw your own shapes in "
    "another layer"
)


def region_features(regions: Sequence[Region]) -> dict[str, NDArray[Any]]:
    """Return the features of the regions' rings, one row for each ring."""
    rows = [
        (region, part, hole)
        for region in regions
        for part, polygon in enumerate(region.polygons)
        for hole in range(len(polygon))
    ]
    columns: dict[str, tuple[list[Any], type]] = {
        "region": ([r.label for r, *_ in rows], np.int64),
        "class": ([r.size_class for r, *_ in rows], np.str_),
        "area_mm2": ([r.area_mm2 for r, *_ in rows], np.float64),
        "longest_axis_mm": ([r.longest_axis_mm for r, *_ in rows], np.float64),
        "max_probability": ([r.max_probability for r, *_ in rows], np.float64),
        "mean_probability": ([r.mean_probability for r, *_ in rows], np.float64),
        "centroid_y_px": ([r.centroid[0] for r, *_ in rows], np.float64),
        "centroid_x_px": ([r.centroid[1] for r, *_ in rows], np.float64),
        "evidence": ([r.evidence for r, *_ in rows], np.float64),
        "piece": ([r.piece for r, *_ in rows], np.int64),
        **{
            name: ([_axis(r)[at] for r, *_ in rows], np.float64)
            for at, name in enumerate(AXIS)
        },
        "part": ([part for _, part, _ in rows], np.int64),
        "hole": ([hole > 0 for *_, hole in rows], np.bool_),
    }
    return {name: np.asarray(values, kind) for name, (values, kind) in columns.items()}


def _axis(region: Region) -> NDArray[np.float64]:
    return np.ravel(np.full((2, 2), np.nan) if region.axis is None else region.axis)


def regions_of(
    rings_px: Sequence[NDArray[np.float64]], features: Any, mpp: Pair
) -> list[Region]:
    """Rebuild the regions from the layer that shows them.

    Parameters
    ----------
    rings_px : sequence of (n, 2) ndarray
        The layer's shapes, (y, x) in level-0 px, closed or not.
    features : DataFrame
        From `region_features`, one row for each ring.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    list of Region
        In the order of their labels, but for those that a person rejected.

    Raises
    ------
    OutputError
        A shape was drawn, moved or reshaped by hand, so that its measures are wrong.
    """
    found = []
    if "status" in features:
        features = features[features["status"] != "not tumor"]
    for label, rows in features.groupby("region", sort=True):
        first = rows.iloc[0]
        polygons = tuple(
            tuple(_opened(rings_px[row]) for row in part.index)
            for _, part in rows.groupby("part", sort=True)
        )
        y0, x0, y1, x1 = ends = [float(first[name]) for name in AXIS]
        region = Region(
            label=int(label),
            area_mm2=float(first["area_mm2"]),
            longest_axis_mm=float(first["longest_axis_mm"]),
            max_probability=float(first["max_probability"]),
            mean_probability=float(first["mean_probability"]),
            centroid=(float(first["centroid_y_px"]), float(first["centroid_x_px"])),
            polygons=polygons,
            axis=None if np.isnan(ends).any() else ((y0, x0), (y1, x1)),
            evidence=float(first["evidence"]),
            piece=int(first["piece"]),
        )
        _check_untouched(region, mpp)
        found.append(region)
    return found


def _opened(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a ring without a last point that repeats the first."""
    ring = np.asarray(ring, np.float64)
    return ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring


def _check_untouched(region: Region, mpp: Pair) -> None:
    """Raise if the outlines no longer have the measured area and centroid."""
    shape = shapely.MultiPolygon(
        [(polygon[0], list(polygon[1:])) for polygon in region.polygons]
    )
    area_mm2 = shape.area * mpp[0] * mpp[1] / 1e6
    centre = (shape.centroid.x, shape.centroid.y)
    slack_px = AREA_TOLERANCE * np.sqrt(region.area_mm2 * 1e6 / (mpp[0] * mpp[1]))
    moved = np.abs(np.subtract(centre, region.centroid)).max() > slack_px
    if moved or abs(area_mm2 - region.area_mm2) > AREA_TOLERANCE * region.area_mm2:
        raise OutputError(
            f"region {region.label} was changed by hand, so that its measures are wrong; "
            f"{_MEND}"
        )
