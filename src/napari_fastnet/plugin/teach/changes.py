"""Lesions that a taught model finds anew, and those that it no longer finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from napari_fastnet.core.lesions.matching import shapes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.lesions.regions import Region


def changes(
    before: Sequence[Region], after: Sequence[Region], heatmap: Heatmap
) -> tuple[list[Region], set[int]]:
    """Compare the lesions of two models.

    Parameters
    ----------
    before, after : sequence of Region
        The lesions of both.
    heatmap : Heatmap
        Of the model after; perhaps not all of it is computed yet.

    Returns
    -------
    appeared : list of Region
        Those after that touch none before.
    gone : set of int
        Labels of those before that touch none after, where the heatmap is computed.
    """
    old = shapes_of([region.polygons for region in before])
    new = shapes_of([region.polygons for region in after])
    if len(old) and len(new):
        of_new, of_old = shapely.STRtree(old).query(new, predicate="intersects")
    else:
        of_new, of_old = np.zeros(0, np.intp), np.zeros(0, np.intp)
    appeared = [one for at, one in enumerate(after) if at not in of_new]
    lost = [at for at in range(len(before)) if at not in of_old]
    known = _computed(shapely.point_on_surface(old[lost]), heatmap)
    return appeared, {before[at].label for at in np.array(lost, np.intp)[known]}


def _computed(points: np.ndarray, heatmap: Heatmap) -> np.ndarray:
    """Return whether the cell of each point, whose x is y, is computed."""
    places = np.stack([shapely.get_x(points), shapely.get_y(points)], axis=-1)
    grid = heatmap.grid
    cells = np.floor((places - grid.origin) / grid.step).astype(np.intp)
    inside = ((cells >= 0) & (cells < grid.shape)).all(axis=-1)
    known = np.zeros(len(cells), bool)
    known[inside] = heatmap.computed[tuple(cells[inside].T)]
    return known
