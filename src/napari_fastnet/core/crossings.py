"""How often outlines cross themselves: what repairing them costs grows with that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from napari_fastnet.core.polygons import loops

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

# Edges that are looked at first, each further lot being twice as large, and at most; and
# the crossings among them from which on the others are taken to be alike.
_FIRST_EDGES = 16
_MOST_EDGES = 10_000
_ENOUGH = 50


def crossings(rings: Iterable[NDArray[np.float64]], *, limit: int) -> float:
    """Estimate how often rings cross themselves.

    It takes seconds, whatever there is: a scribble of 20,000 points crosses itself 50
    million times. Of up to ``_MOST_EDGES`` edges all crossings are counted.

    Parameters
    ----------
    rings : iterable of (n, 2) ndarray
        (y, x), level-0 px; where one comes back to a point, as on a detour to a hole,
        it does not cross itself.
    limit : int
        Of rings beyond it no more is asked.

    Returns
    -------
    float
        Some number above ``limit`` where there are clearly more.
    """
    found = 0.0
    for ring in rings:
        if shapely.Polygon(ring).is_valid:
            continue
        for loop in loops(ring):
            found += _crossings_of(np.asarray(loop), limit)
            if found > limit:
                return found
    return found


def _crossings_of(loop: NDArray[np.float64], limit: int) -> float:
    """Estimate how often a loop crosses itself; beyond twice a limit, roughly."""
    edges = shapely.linestrings(np.stack((loop, np.roll(loop, -1, axis=0)), axis=1))
    tree = shapely.STRtree(edges)
    # a sample at any point, or a scribble's end could stand for all of it
    chosen = np.random.default_rng(0).permutation(edges)[:_MOST_EDGES]
    seen, first, size, estimate = 0, 0, _FIRST_EDGES, 0.0
    while first < len(chosen):
        part = chosen[first : first + size]
        seen += tree.query(part, predicate="crosses").shape[1]
        first, size = first + len(part), 2 * size
        estimate = seen / 2 * len(edges) / first  # each is seen from both edges
        if seen >= _ENOUGH and estimate > 2 * limit:
            break
    return estimate
