"""Outlines that a person has judged, and the candidates of now that are the same lesions.

A verdict stands for what was seen. The outlines of candidates change with the threshold,
the model and the grid, so candidates are matched to judged outlines by overlap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from napari_fastnet.core.outlines import Polygon
from napari_fastnet.core.polygons import enclosed, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Floats

#: The polygons of one lesion; they do not overlap.
Outline = tuple[Polygon, ...]

#: Share of the smaller of two outlines from which they are about the same place.
SAME_PLACE = 0.5
#: Share of a candidate that must have been judged for the verdict to hold for all of it.
SEEN = 0.25


def owners(
    candidates: Sequence[Outline], judged: Sequence[Sequence[Outline]]
) -> list[tuple[int, ...]]:
    """Find the decisions that each candidate belongs to.

    Two outlines are about the same place where they share at least half of the smaller
    one. Of the decisions about its place a candidate belongs to

    - all those that lie in it by at least half, where there are several: what a person
      judged as several lesions is not judged as one;
    - else the one that shares most with it, of equal ones the last.

    It belongs to none where less than a quarter of it was judged: a verdict on a spot is
    no verdict on a large lesion around it.

    Parameters
    ----------
    candidates : sequence of Outline
        Outlines of now.
    judged : sequence of sequence of Outline
        For each decision the outlines that were seen when it was made, one or more.

    Returns
    -------
    list of tuple of int
        For each candidate the indices of decisions, increasing; none, one or several.

    Examples
    --------
    >>> def square(left, width):
    ...     right = left + width
    ...     return ((np.array([(0, left), (0, right), (9, right), (9, left)], float),),)
    >>> owners([square(0, 10), square(50, 10)], [[square(4, 10)]])
    [(0,), ()]
    """
    found: list[tuple[int, ...]] = [() for _ in candidates]
    if not (judged and candidates):
        return found
    now = np.array([shape_of(outline) for outline in candidates])
    seen = np.array(
        [
            shapely.union_all([shape_of(outline) for outline in outlines])
            for outlines in judged
        ]
    )
    which, decision = shapely.STRtree(seen).query(now, predicate="intersects")
    shared = shapely.area(shapely.intersection(now[which], seen[decision]))
    share_now = shared / shapely.area(now)[which]
    share_seen = shared / shapely.area(seen)[decision]
    same = np.maximum(share_now, share_seen) >= SAME_PLACE
    for index in np.unique(which[same]).tolist():
        here = np.flatnonzero(same & (which == index))
        chosen = here[share_seen[here] >= SAME_PLACE]
        if chosen.size < 2:
            most = here[shared[here] == shared[here].max()]
            chosen = most[[np.argmax(decision[most])]]
        if share_now[chosen].sum() >= SEEN:
            found[index] = tuple(sorted(decision[chosen].tolist()))
    return found


def shares(outline: Outline, judged: Sequence[Outline]) -> tuple[Floats, Floats]:
    """Measure how much an outline and others have in common.

    Parameters
    ----------
    outline : Outline
        An outline of now.
    judged : sequence of Outline
        Outlines judged earlier, n of them.

    Returns
    -------
    of_outline : (n,) ndarray
        The common area as a share of the outline, 0..1.
    of_judged : (n,) ndarray
        The common area as a share of each judged one, 0..1.
    """
    now, seen = (
        shape_of(outline),
        np.array([shape_of(other) for other in judged], object),
    )
    shared = shapely.area(shapely.intersection(now, seen))
    return shared / shapely.area(now), shared / shapely.area(seen)


def shape_of(outline: Outline) -> Any:
    """Return an outline as valid geometry; shapely's x is y here, and its y is x."""
    shape = shapely.MultiPolygon([(ring[0], list(ring[1:])) for ring in outline])
    return shape if shape.is_valid else shapely.make_valid(shape)


def tidy(rings: Iterable[Polygon]) -> Outline:
    """Return what drawn polygons enclose, as an outline of valid polygons.

    Parameters
    ----------
    rings : iterable of Polygon
        May overlap or cross themselves, by the even-odd rule.

    Returns
    -------
    Outline
        Exteriors and holes wound as in `core.outlines`; empty where nothing is enclosed.
    """
    kept = shapely.union_all([enclosed(joined(polygon)) for polygon in rings])
    parts: NDArray[Any] = shapely.get_parts(kept)
    return tuple(polygon_of(part) for part in parts[shapely.get_dimensions(parts) == 2])


def polygon_of(shape: shapely.Polygon) -> Polygon:
    """Return exterior and holes of geometry, wound as in `core.outlines`."""
    # anticlockwise in (y, x), and so clockwise to the eye
    upright = shapely.orient_polygons(shape)
    rings = (upright.exterior, *upright.interiors)
    return tuple(np.asarray(ring.coords, np.float64)[:-1] for ring in rings)
