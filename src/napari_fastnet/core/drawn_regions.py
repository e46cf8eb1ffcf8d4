"""Regions drawn or corrected by a person, measured on a heatmap."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.core.polygons import (
    Annotations,
    enclosed,
    joined,
    rasterise,
    slide_mask,
)
from napari_fastnet.core.regions import Region, Totals, longest_axes_mm, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.outlines import Polygon


def regions_of_outlines(
    outlines: Annotations, heatmap: Heatmap, slide: Box
) -> list[Region]:
    """Measure outlines as regions.

    Outlines that overlap or touch are one region, as cells that touch are. Parts outside
    the slide are cut off.

    Parameters
    ----------
    outlines : Annotations
        Positive rings less the negative ones.
    heatmap : Heatmap
        A region has the probabilities of the cells whose centre lies in it; where there
        is none, of the cell under a point of the region.
    slide : Box
        Level-0 px.

    Returns
    -------
    list of Region
        By area, largest first. Area, centroid and longest axis are those of the
        outlines; a probability is NaN where no cell of the region was computed.
    """
    parts = _parts(outlines, slide)
    if not len(parts):
        return []
    groups = _touching(parts)
    polygons = [tuple(_polygon(parts[index]) for index in group) for group in groups]
    shapes = [shapely.MultiPolygon(list(parts[group])) for group in groups]
    longest_mm = longest_axes_mm(polygons, heatmap.mpp)
    mm2 = heatmap.mpp[0] * heatmap.mpp[1] / 1e6
    order = np.argsort([-shape.area for shape in shapes], kind="stable").tolist()
    regions = []
    for label, index in enumerate(order, 1):
        shape = shapes[index]
        highest, mean = _probabilities(polygons[index], shape, heatmap)
        regions.append(
            Region(
                label=label,
                area_mm2=float(shape.area * mm2),
                longest_axis_mm=longest_mm[index],
                max_probability=highest,
                mean_probability=mean,
                centroid=(float(shape.centroid.x), float(shape.centroid.y)),
                polygons=polygons[index],
            )
        )
    return regions


def outlines_of(regions: Sequence[Region]) -> Annotations:
    """Return regions as outlines, the inverse of `regions_of_outlines`.

    Parameters
    ----------
    regions : sequence of Region
        Perhaps none.

    Returns
    -------
    Annotations
        A positive ring for each polygon.
    """
    polygons = [polygon for region in regions for polygon in region.polygons]
    return Annotations(tuple(joined(polygon) for polygon in polygons), ())


def drawn_totals(
    regions: Sequence[Region],
    tissue_mm2: float | None,
    roi: NDArray[np.bool_] | None,
    slide_shape: tuple[int, int],
) -> Totals:
    """Compute the totals of drawn regions, which may also lie beside the tissue.

    Parameters
    ----------
    regions : sequence of Region
        From `regions_of_outlines`.
    tissue_mm2 : float or None
        Area of the tissue in mm²; None where it is not known.
    roi : ndarray or None
        bool (h, w), the tissue, a mask of the whole slide; None where there is none.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.

    Returns
    -------
    Totals
        As from `summarise`, but ``tissue_fraction`` is the share of the tissue inside the
        regions, None without tissue.
    """
    inside: float | None = None
    if roi is not None and roi.any():
        shape = roi.shape[0], roi.shape[1]
        mask = slide_mask(outlines_of(regions), slide_shape, shape)
        inside = float((mask & roi).sum() / roi.sum())
    return {**summarise(regions, tissue_mm2), "tissue_fraction": inside}


def _parts(outlines: Annotations, slide: Box) -> NDArray[np.object_]:
    """Return what the outlines enclose as polygons that touch in points at most.

    shapely's x is y here, and its y is x.
    """
    inside, outside = (
        shapely.union_all([enclosed(ring) for ring in rings])
        for rings in (outlines.positive, outlines.negative)
    )
    kept = shapely.intersection(
        shapely.difference(inside, outside),
        shapely.box(slide.top, slide.left, slide.bottom, slide.right),
    )
    parts = shapely.get_parts(shapely.get_parts(kept))
    found: NDArray[np.object_] = parts[shapely.area(parts) > 0]
    return found


def _touching(parts: NDArray[np.object_]) -> list[NDArray[np.intp]]:
    """Return the indices of parts that touch, group by group."""
    first, second = shapely.STRtree(parts).query(parts, predicate="intersects")
    links = coo_array((np.ones(len(first)), (first, second)), shape=(len(parts),) * 2)
    count, group = connected_components(links, directed=False)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=count))[:-1]
    return np.split(order, ends)


def _polygon(shape: shapely.Polygon) -> Polygon:
    """Return exterior and holes, wound as `core.outlines` has them."""
    # anticlockwise in (y, x), and so clockwise to the eye
    upright = shapely.orient_polygons(shape)
    rings = (upright.exterior, *upright.interiors)
    return tuple(np.asarray(ring.coords, np.float64)[:-1] for ring in rings)


def _probabilities(
    polygons: Sequence[Polygon], shape: shapely.MultiPolygon, heatmap: Heatmap
) -> Pair:
    """Return the greatest and the mean probability of a region's cells."""
    grid, bounds = heatmap.grid, shape.bounds
    cells = []  # that the region may cover
    for axis in (0, 1):
        count = grid.shape[axis]
        first, last = (
            floor((bounds[edge] - grid.origin[axis]) / grid.step[axis])
            for edge in (axis, axis + 2)
        )
        begin = min(max(0, first), count)
        cells.append(slice(begin, min(max(begin, last + 1), count)))
    rows, columns = cells
    values = heatmap.probabilities[rows, columns]
    corner = grid.cells_box((rows.start, columns.start), (rows.stop, columns.stop))
    window = Grid(
        (corner.top, corner.left), grid.step, (values.shape[0], values.shape[1])
    )
    values = values[rasterise([joined(polygon) for polygon in polygons], window)]
    values = values[~np.isnan(values)].astype(np.float64)
    if not values.size:
        point = shape.representative_point()
        values = np.array([heatmap.value_at((point.x, point.y))])
    return float(values.max()), float(min(values.mean(), values.max()))
