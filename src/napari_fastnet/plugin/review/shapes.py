"""Areas that are drawn, joined and cut by hand, as polygons of a region."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely.ops import split

from napari_fastnet.core.lesions.matching import polygon_of
from napari_fastnet.core.polygons import enclosed
from napari_fastnet.plugin.layers.data import to_px, to_um

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.core.outlines import Polygon

#: Tolerance that leaves a straight line of a flight of stairs, in cells.
STAIR = 0.75
#: Areas that are kept for the next move of the mouse; a slide has fewer candidates.
MOST_AREAS = 4096


def rings_of(region: Region, mpp: Pair, cell_px: Pair) -> list[NDArray[np.float64]]:
    """Return the outlines of a region to drag, without the stairs of the cells.

    Parameters
    ----------
    region : Region
        Any.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    cell_px : tuple of float
        (y, x) of a cell, level-0 px; corners are moved by less than that.

    Returns
    -------
    list of (n, 2) ndarray
        (y, x) in µm; of each polygon the exterior, then its holes.
    """
    flat = area_of(region).simplify(STAIR * max(cell_px))
    parts = [part for part in _parts(flat) if part.area > 0]
    return [to_um(ring, mpp) for part in parts for ring in polygon_of(part)]


def same_rings(
    before: Sequence[NDArray[np.float64]], after: Sequence[NDArray[np.float64]]
) -> bool:
    """Return whether outlines are still as they were."""
    return len(before) == len(after) and all(
        one.shape == other.shape and np.allclose(one, other)
        for one, other in zip(before, after, strict=True)
    )


def drawn_polygons(
    shapes_um: Sequence[NDArray[np.float64]], mpp: Pair
) -> tuple[Polygon, ...]:
    """Return the area that shapes enclose; one inside of another is a hole in it.

    Parameters
    ----------
    shapes_um : sequence of (n, 2) ndarray
        (y, x) in µm; lines enclose nothing.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    tuple of Polygon
        Level-0 px; empty where nothing is enclosed.
    """
    area = shapely.MultiPolygon()
    for shape in shapes_um:
        if len(shape) > 2:
            area = shapely.symmetric_difference(area, enclosed(to_px(shape, mpp)))
    return polygons_of(area)


def polygons_of(area: shapely.Geometry) -> tuple[Polygon, ...]:
    """Return the polygons of an area, exteriors with their holes, not closed."""
    parts = [part for part in _parts(area) if part.area > 0]
    return tuple(polygon_of(part) for part in parts)


def area_of(region: Region) -> shapely.MultiPolygon:
    """Return the area of a region; shapely's x is y here."""
    return shapely.MultiPolygon(
        [(polygon[0], list(polygon[1:])) for polygon in region.polygons]
    )


def index_at(place_um: Pair, mpp: Pair, regions: Iterable[Region]) -> int | None:
    """Return the index of the first region that holds a (y, x), µm; None if none does."""
    place = shapely.Point(to_px(np.asarray(place_um), mpp))
    for index, region in enumerate(regions):
        if _prepared_area(region).contains(place):
            return index
    return None


@lru_cache(maxsize=MOST_AREAS)
def _prepared_area(region: Region) -> shapely.MultiPolygon:
    area = area_of(region)
    shapely.prepare(area)
    return area


def joined_polygons(regions: Sequence[Region]) -> tuple[Polygon, ...]:
    """Return the area of several regions together."""
    return polygons_of(shapely.union_all([area_of(region) for region in regions]))


def cut_polygons(
    region: Region, line_um: NDArray[np.float64], mpp: Pair
) -> list[tuple[Polygon, ...]]:
    """Cut a region along a line.

    Parameters
    ----------
    region : Region
        Its parts that the line does not cross go with the nearest piece.
    line_um : (n, 2) ndarray
        (y, x) in µm.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    list of tuple of Polygon
        The pieces; fewer than two if the line crosses no part from edge to edge.
    """
    line = shapely.LineString(to_px(line_um, mpp))
    pieces: list[Any] = []
    whole: list[Any] = []
    for part in area_of(region).geoms:
        cut = _parts(split(part, line))
        (pieces.extend if len(cut) > 1 else whole.extend)(cut)
    for part in whole if pieces else ():
        nearest = int(np.argmin([part.distance(piece) for piece in pieces]))
        pieces[nearest] = shapely.MultiPolygon([*_parts(pieces[nearest]), part])
    return [polygons_of(piece) for piece in pieces]


def _parts(area: shapely.Geometry) -> list[Any]:
    """Return the polygons in a geometry of any kind."""
    flat = shapely.get_parts(shapely.get_parts(area))
    return [part for part in flat if part.geom_type == "Polygon"]
