"""Regions of a heatmap at or above a threshold, measured and outlined.

Size classes are those of the lymph node classification (AJCC/UICC): isolated tumor
cells up to 0.2 mm, micrometastasis up to 2 mm, macrometastasis beyond. Here they name
the size of a region of a heatmap; they are not a diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np
import shapely
from scipy import ndimage

from napari_fastnet.core.morphology import EIGHT_NEIGHBOURS
from napari_fastnet.core.outlines import Polygon, trace_parts
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
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
        1 for the largest region, 2 for the next, and so on.
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
    """

    label: int
    area_mm2: float
    longest_axis_mm: float
    max_probability: float
    mean_probability: float
    centroid: Pair
    polygons: tuple[Polygon, ...]

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

    parts, part_count = ndimage.label(above)  # along edges only, as outlines need it
    region_of_part = np.zeros(part_count + 1, dtype=np.intp)
    region_of_part[parts] = labels
    found: list[list[Polygon]] = [[] for _ in range(count)]
    for part, polygon in trace_parts(parts, heatmap.grid).items():
        found[region_of_part[part] - 1].append(polygon)
    outlines = [tuple(polygons) for polygons in found]
    longest_mm = longest_axes_mm(outlines, heatmap.mpp)
    return [
        Region(
            label=label,
            area_mm2=float(sizes[index] * heatmap.cell_area_mm2),
            longest_axis_mm=longest_mm[index],
            max_probability=float(highest[index]),
            # the sum may leave a mean of equal values one rounding step too high
            mean_probability=float(min(mean[index], highest[index])),
            centroid=(float(centroid[0][index]), float(centroid[1][index])),
            polygons=outlines[index],
        )
        for label, index in enumerate(np.argsort(-sizes, kind="stable").tolist(), 1)
    ]


def longest_axes_mm(outlines: list[tuple[Polygon, ...]], mpp: Pair) -> list[float]:
    """Measure the greatest distance between two outline points of each region.

    Parameters
    ----------
    outlines : list of tuple of Polygon
        The polygons of each region, (y, x) in level-0 px; at least one region.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    list of float
        mm, one a region.
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
    return [_greatest_distance(part) for part in np.split(corners, ends[:-1])]


def _greatest_distance(corners: NDArray[np.float64]) -> float:
    """Return the greatest distance between two corners of a closed hull, (n, 2)."""
    others = corners[None]
    if len(corners) > _FEW_CORNERS:  # all pairs of a million would take terabytes
        corners = corners[:-1]
        others = _opposite(corners)
    difference = corners[:, None, :] - others
    return float(np.sqrt(np.square(difference).sum(axis=2).max()))


def _opposite(corners: NDArray[np.float64]) -> NDArray[np.float64]:
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
    found: NDArray[np.float64] = corners[both % count]
    return found


class Totals(TypedDict):
    """A slide's totals; None where there is nothing to measure."""

    regions: int
    itc: int
    micro: int
    macro: int
    area_mm2: float
    tissue_mm2: float | None
    tissue_fraction: float | None
    longest_axis_mm: float | None
    max_probability: float | None


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
        A dictionary of counts (``regions``, ``itc``, ``micro``, ``macro``), areas
        (``area_mm2``, ``tissue_mm2``), ``tissue_fraction`` (area over tissue; None
        without tissue), and ``longest_axis_mm`` and ``max_probability`` of any region
        (None without one).
    """
    found = list(regions)
    classes = [region.size_class for region in found]
    area_mm2 = sum((region.area_mm2 for region in found), 0.0)
    return {
        "regions": len(found),
        "itc": classes.count("ITC"),
        "micro": classes.count("micro"),
        "macro": classes.count("macro"),
        "area_mm2": area_mm2,
        "tissue_mm2": tissue_mm2,
        "tissue_fraction": area_mm2 / tissue_mm2 if tissue_mm2 else None,
        "longest_axis_mm": max((r.longest_axis_mm for r in found), default=None),
        "max_probability": max(
            (r.max_probability for r in found if not isnan(r.max_probability)),
            default=None,
        ),
    }
