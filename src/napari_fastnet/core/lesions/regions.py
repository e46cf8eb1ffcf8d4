"""Regions of a heatmap, found by a threshold or drawn, measured and outlined.

Size classes are those of the lymph node classification (AJCC/UICC): isolated tumor
cells up to 0.2 mm, micrometastasis up to 2 mm, macrometastasis beyond. Here they name
the size of a region of a heatmap; they are not a diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor, isnan, nan
from typing import TYPE_CHECKING, Literal

import numpy as np
import shapely
from scipy import ndimage

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.lesions.matching import polygon_of
from napari_fastnet.core.morphology import EIGHT_NEIGHBOURS
from napari_fastnet.core.outlines import Polygon, trace_parts
from napari_fastnet.core.polygons import (
    Annotations,
    enclosed,
    joined,
    rasterise,
    slide_mask,
)
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Floats, Indices
    from napari_fastnet.core.geometry import Box, Pair
    from napari_fastnet.core.heatmap import Heatmap

SizeClass = Literal["ITC", "micro", "macro"]
ITC_LIMIT_MM = 0.2
MICRO_LIMIT_MM = 2.0

# Hulls of at most so many corners are measured by comparing each corner with each.
_FEW_CORNERS = 256


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Region:
    """One connected region of a heatmap.

    Parameters
    ----------
    label : int
        From 1, in the order of the list.
    area_mm2 : float
        Cells times the area of a cell; holes are not counted.
    longest_axis_mm : float
        Greatest distance between two points of the outline (maximum Feret diameter);
        for a region of one cell, the cell's diagonal.
    max_probability, mean_probability : float
        Over the region's cells, 0..1; NaN for a region drawn by a person where nothing
        was computed.
    centroid : tuple of float
        (y, x) mean of the cells' centres, level-0 px; may lie in a hole.
    polygons : tuple of tuple of (n, 2) ndarray
        One entry for each part that is connected along cell edges; an entry is an
        exterior followed by its holes, as (y, x) in level-0 px. The last point joins
        the first. Parts meet in cell corners only.
    axis : tuple of tuple of float, or None
        The two outline points that are farthest apart, (y, x) in level-0 px; None where
        only the distance is known.
    peak : tuple of float, or None
        (y, x) centre of the cell with the strongest evidence, level-0 px; None of a region
        without evidence.
    evidence : float
        Log odds that it is tumor, see `core.lesions.evidence`; NaN if it was drawn by a person.
    piece : int
        Number of its piece of tissue, from 1; 0 where that is not known.
    """

    label: int
    area_mm2: float
    longest_axis_mm: float
    max_probability: float
    mean_probability: float
    centroid: Pair
    polygons: tuple[Polygon, ...]
    axis: tuple[Pair, Pair] | None = None
    peak: Pair | None = None
    evidence: float = nan
    piece: int = 0

    def __repr__(self) -> str:
        return (
            f"<Region {self.label}: {self.size_class}, {self.area_mm2:.3g} mm², longest "
            f"{self.longest_axis_mm:.3g} mm, highest {self.max_probability:.2f}>"
        )

    @property
    def size_class(self) -> SizeClass:
        """The class of the longest axis: ITC, micro or macro."""
        return size_class(self.longest_axis_mm)


def size_class(longest_axis_mm: float) -> SizeClass:
    """Classify a region by its size.

    Parameters
    ----------
    longest_axis_mm : float
        Maximum Feret diameter in mm.

    Returns
    -------
    {"ITC", "micro", "macro"}
        ITC up to and with 0.2 mm, micro up to and with 2 mm, else macro.
    """
    if longest_axis_mm <= ITC_LIMIT_MM:
        return "ITC"
    return "micro" if longest_axis_mm <= MICRO_LIMIT_MM else "macro"


def find_regions(heatmap: Heatmap, threshold: float) -> list[Region]:
    """Find the connected regions of cells at or above a threshold.

    Cells that touch along an edge or at a corner belong to one region. Cells that were
    not computed (NaN) belong to none. Holes stay holes.

    Parameters
    ----------
    heatmap : Heatmap
        May have no cells.
    threshold : float
        0..1; compared in float32, as the probabilities are.

    Returns
    -------
    list of Region
        By area, largest first; equal ones from top to bottom, then left to right of
        their first cell. Empty where nothing reaches the threshold.

    Raises
    ------
    OptionError
        If ``threshold`` lies outside 0..1.

    Examples
    --------
    >>> from napari_fastnet.core.geometry import Grid
    >>> from napari_fastnet.core.heatmap import Heatmap
    >>> values = np.array([[0.9, 0.1], [0.2, 0.7]], np.float32)
    >>> grid = Grid(origin=(0.0, 0.0), step=(64.0, 64.0), shape=(2, 2))
    >>> find_regions(Heatmap(values, grid, mpp=(0.5, 0.5)), threshold=0.5)
    [<Region 1: ITC, 0.00205 mm², longest 0.0905 mm, highest 0.90>]
    """
    if not 0 <= threshold <= 1:
        raise OptionError(f"threshold is {threshold}; give a probability in 0..1")
    above = heatmap.probabilities >= np.float32(threshold)
    labels, count = ndimage.label(above, structure=EIGHT_NEIGHBOURS)
    found = measure_cells(heatmap, labels, count)
    order = sorted(range(count), key=lambda index: -found[index].area_mm2)
    return [replace(found[index], label=label) for label, index in enumerate(order, 1)]


def measure_cells(heatmap: Heatmap, labels: Indices, count: int) -> list[Region]:
    """Measure regions of cells.

    Parameters
    ----------
    heatmap : Heatmap
        With a probability for each cell of a region.
    labels : (rows, columns) ndarray of int
        The region of each cell, from 1; 0 outside of all.
    count : int
        Number of regions; each has a cell.

    Returns
    -------
    list of Region
        In the order of their labels.
    """
    if count == 0:
        return []
    cells = np.flatnonzero(labels)
    owner = labels.ravel()[cells] - 1
    values = heatmap.probabilities.ravel()[cells].astype(np.float64)
    sizes = np.bincount(owner)
    mean = np.bincount(owner, weights=values) / sizes
    highest = np.zeros(count)
    np.maximum.at(highest, owner, values)
    centroid = [
        heatmap.grid.origin[axis]
        + heatmap.grid.step[axis] * (np.bincount(owner, weights=index) / sizes + 0.5)
        for axis, index in enumerate(np.divmod(cells, labels.shape[1]))
    ]

    outlines = _outlines(labels, heatmap.grid)
    return [
        Region(
            label=index + 1,
            area_mm2=float(sizes[index] * heatmap.cell_area_mm2),
            longest_axis_mm=length_mm,
            max_probability=float(highest[index]),
            # the sum may leave a mean of equal values one rounding step too high
            mean_probability=float(min(mean[index], highest[index])),
            centroid=(float(centroid[0][index]), float(centroid[1][index])),
            polygons=outlines[index],
            axis=ends,
        )
        for index, (length_mm, ends) in enumerate(longest_axes(outlines, heatmap.mpp))
    ]


def _outlines(labels: Indices, grid: Grid) -> list[tuple[Polygon, ...]]:
    """Return the polygons of label 1, 2, ... in level-0 px."""
    parts, count = ndimage.label(labels)  # along edges only, as outlines need it
    region_of_part = np.zeros(count + 1, dtype=np.intp)
    region_of_part[parts] = labels
    found: list[list[Polygon]] = [[] for _ in range(int(labels.max()))]
    for part, polygon in trace_parts(parts, grid).items():
        found[region_of_part[part] - 1].append(polygon)
    return [tuple(polygons) for polygons in found]


def longest_axes(
    outlines: list[tuple[Polygon, ...]], mpp: Pair
) -> list[tuple[float, tuple[Pair, Pair]]]:
    """Find the two outline points of each region that are farthest apart.

    Parameters
    ----------
    outlines : list of tuple of Polygon
        The polygons of each region, (y, x) in level-0 px; at least one region.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    list of tuple
        Their distance in mm and the two points, (y, x) in level-0 px, one a region.
    """
    exteriors = [
        np.concatenate([polygon[0] for polygon in polygons]) for polygons in outlines
    ]
    owner = np.repeat(np.arange(len(exteriors)), [len(points) for points in exteriors])
    points_mm = np.concatenate(exteriors) * np.asarray(mpp) / 1000
    # the two points farthest apart are corners of the convex hull, and those are few
    hulls = shapely.convex_hull(shapely.multipoints(points_mm, indices=owner))
    corners, owner = shapely.get_coordinates(hulls, return_index=True)
    ends = np.cumsum(np.bincount(owner, minlength=len(exteriors)))
    return [_longest_axis(part, mpp) for part in np.split(corners, ends[:-1])]


def _longest_axis(corners: Floats, mpp: Pair) -> tuple[float, tuple[Pair, Pair]]:
    """Return length in mm and ends in px of the longest axis of a closed hull, (n, 2) mm."""
    others = corners[None]
    if len(corners) > _FEW_CORNERS:  # all pairs of a million would take terabytes
        corners = corners[:-1]
        others = _opposite(corners)
    squares = np.square(corners[:, None, :] - others).sum(axis=2)
    row, column = np.unravel_index(np.argmax(squares), squares.shape)
    ends = corners[row], others[row if len(others) > 1 else 0, column]
    (first_y, first_x), (last_y, last_x) = (
        (end * 1000 / np.asarray(mpp)).tolist() for end in ends
    )
    axis = (first_y, first_x), (last_y, last_x)
    return float(np.sqrt(squares[row, column])), axis


def _opposite(corners: Floats) -> Floats:
    """Return (n, 6, 2): for each corner of a convex ring, candidates for the farthest.

    Of the two corners that are farthest apart, one is also farthest from an edge that
    ends at the other; it lies where the edges turn back.
    """
    count = len(corners)
    y, x = (np.roll(corners, -1, axis=0) - corners).T
    angle = np.unwrap(np.arctan2(y, x))
    angle = np.maximum.accumulate(angle if angle[-1] > angle[0] else -angle)
    turned = np.concatenate((angle, angle + 2 * np.pi))
    across = np.searchsorted(turned, angle + np.pi)
    near = across[:, None] + (-1, 0, 1)
    both = np.hstack((near, np.roll(near, 1, axis=0)))
    found: Floats = corners[both % count]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A slide's totals; None where there is nothing to measure.

    Parameters
    ----------
    regions, itc, micro, macro : int
        Regions in all and by size class.
    area_mm2 : float
        Their area.
    tissue_mm2 : float or None
        Area of the tissue.
    tissue_fraction : float or None
        Share of the tissue that is tumor; None without tissue.
    longest_axis_mm, max_probability : float or None
        Greatest of any region.
    highest_probability : float or None
        Of any cell, in a region or not.
    candidates : int
        Candidates down to "find more", the regions included.
    top_evidence : float or None
        Evidence of the most suspicious candidate, log odds; None without one.
    cell_share : float or None
        Share of the computed cells that reach the threshold, in a region or not.
    size_classes : tuple of str
        The size classes that are counted, if not all.
    outlines : str
        File of the regions, if they were not found at the threshold.
    """

    regions: int = 0
    itc: int = 0
    micro: int = 0
    macro: int = 0
    area_mm2: float = 0.0
    tissue_mm2: float | None = None
    tissue_fraction: float | None = None
    longest_axis_mm: float | None = None
    max_probability: float | None = None
    highest_probability: float | None = None
    candidates: int = 0
    top_evidence: float | None = None
    cell_share: float | None = None
    size_classes: tuple[str, ...] = ()
    outlines: str = ""


def summarise(regions: Iterable[Region], tissue_mm2: float | None = None) -> Totals:
    """Compute the totals of a slide.

    Parameters
    ----------
    regions : iterable of Region
        May be empty.
    tissue_mm2 : float or None
        Area of the tissue in mm²; None where it is not known.

    Returns
    -------
    Totals
        Without ``highest_probability``, which is of cells.
    """
    found = list(regions)
    classes = [region.size_class for region in found]
    area_mm2 = sum((region.area_mm2 for region in found), 0.0)
    return Totals(
        regions=len(found),
        itc=classes.count("ITC"),
        micro=classes.count("micro"),
        macro=classes.count("macro"),
        area_mm2=area_mm2,
        tissue_mm2=tissue_mm2,
        tissue_fraction=area_mm2 / tissue_mm2 if tissue_mm2 else None,
        longest_axis_mm=max((r.longest_axis_mm for r in found), default=None),
        max_probability=max(
            (r.max_probability for r in found if not isnan(r.max_probability)),
            default=None,
        ),
    )


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
    return _of_parts([parts[group] for group in _touching(parts)], heatmap)


def region_of_outline(
    outline: Iterable[Polygon], heatmap: Heatmap, slide: Box
) -> Region | None:
    """Measure one outline as one region, also where its parts lie apart.

    Parameters
    ----------
    outline : iterable of Polygon
        The parts, level-0 px.
    heatmap : Heatmap
        As for `regions_of_outlines`.
    slide : Box
        Level-0 px; parts outside are cut off.

    Returns
    -------
    Region or None
        With label 1; None where nothing of it lies on the slide.
    """
    rings = tuple(joined(polygon) for polygon in outline)
    parts = _parts(Annotations(rings, ()), slide)
    return _of_parts([parts], heatmap)[0] if len(parts) else None


def _of_parts(groups: list[NDArray[np.object_]], heatmap: Heatmap) -> list[Region]:
    """Measure regions of shapely polygons; by area, largest first."""
    polygons = [tuple(polygon_of(part) for part in group) for group in groups]
    shapes = [shapely.MultiPolygon(list(group)) for group in groups]
    axes = longest_axes(polygons, heatmap.mpp)
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
                longest_axis_mm=axes[index][0],
                axis=axes[index][1],
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
    roi: Bools | None,
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
    return replace(summarise(regions, tissue_mm2), tissue_fraction=inside)


def _parts(outlines: Annotations, slide: Box) -> NDArray[np.object_]:
    """Return the area of the outlines as polygons that touch in points at most.

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


def _touching(parts: NDArray[np.object_]) -> list[Indices]:
    """Return the indices of parts that touch, group by group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = shapely.STRtree(parts).query(parts, predicate="intersects")
    links = coo_array((np.ones(len(first)), (first, second)), shape=(len(parts),) * 2)
    count, group = connected_components(links, directed=False)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=count))[:-1]
    return np.split(order, ends)


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
