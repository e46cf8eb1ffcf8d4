"""Outlines that a person has judged, and the candidates of now that are the same lesions.

A verdict stands for what was seen. The outlines of candidates change with the threshold,
the model and the grid, so candidates are matched to judged outlines by overlap. The rules and
their reasons are in ``docs/explain/decisions.md``.
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

    from napari_fastnet.core.arrays import Floats, Indices

#: The polygons of one lesion; they do not overlap.
Outline = tuple[Polygon, ...]

#: Share of the smaller of two outlines from which they are about the same place.
SAME_PLACE = 0.5
#: Share of a candidate that must have been judged for the verdict to hold for all of it.
SEEN = 0.25
#: Points of equal outlines differ by less; files are rounded, level-0 px.
NEAR_PX = 0.001


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
    now, seen = shapes_of(candidates), _unions(judged)
    which, decision = shapely.STRtree(seen).query(now, predicate="intersects")
    shared = shapely.area(now)[which]
    # most outlines are as they were, and large ones take long to intersect
    changed = ~shapely.equals_exact(now[which], seen[decision], NEAR_PX)
    shared[changed] = shapely.area(
        shapely.intersection(now[which[changed]], seen[decision[changed]])
    )
    share_now = shared / shapely.area(now)[which]
    share_seen = shared / shapely.area(seen)[decision]
    same = np.maximum(share_now, share_seen) >= SAME_PLACE
    for index in np.unique(which[same]).tolist():
        here = np.flatnonzero(same & (which == index))
        chosen = here[share_seen[here] >= SAME_PLACE]
        if chosen.size < 2:
            most = here[shared[here] == shared[here].max()]
            chosen = most[[np.argmax(decision[most])]]
        covered = share_now[chosen[0]]
        if chosen.size > 1:  # they may overlap
            part = shapely.intersection(
                now[index], shapely.union_all(seen[decision[chosen]])
            )
            covered = part.area / now[index].area
        if covered >= SEEN:
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
    (now,), seen = shapes_of([outline]), shapes_of(judged)
    shared = shapely.area(shapely.intersection(now, seen))
    return shared / shapely.area(now), shared / shapely.area(seen)


def shapes_of(outlines: Sequence[Outline]) -> NDArray[np.object_]:
    """Return outlines as valid geometries.

    Parameters
    ----------
    outlines : sequence of Outline
        None of them empty.

    Returns
    -------
    ndarray of shapely geometry
        shapely's x is y here, and its y is x.
    """
    if not outlines:
        return np.array([], object)
    polygons = [polygon for outline in outlines for polygon in outline]
    rings = [ring for polygon in polygons for ring in polygon]
    # all at once: one by one they take ten times as long
    closed = shapely.linearrings(
        np.concatenate(rings), indices=_numbers(len(ring) for ring in rings)
    )
    parts = shapely.polygons(closed, indices=_numbers(map(len, polygons)))
    shapes = shapely.multipolygons(parts, indices=_numbers(map(len, outlines)))
    valid = shapely.is_valid(shapes)
    shapes[~valid] = shapely.make_valid(shapes[~valid])
    found: NDArray[np.object_] = shapes
    return found


def _unions(judged: Sequence[Sequence[Outline]]) -> NDArray[np.object_]:
    """Return all that was seen for each decision as one geometry."""
    shapes = shapes_of([outline for outlines in judged for outline in outlines])
    ends = np.cumsum([len(outlines) for outlines in judged])
    parts = np.split(shapes, ends[:-1])
    return np.array(
        [part[0] if len(part) == 1 else shapely.union_all(part) for part in parts]
    )


def _numbers(counts: Iterable[int]) -> Indices:
    """Return 0 as often as the first count says, 1 as the second, and so on."""
    times = np.fromiter(counts, np.intp)
    numbers: Indices = np.repeat(np.arange(len(times)), times)
    return numbers


def tidy(rings: Iterable[Polygon]) -> Outline:
    """Return the area inside drawn polygons as an outline of valid polygons.

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
