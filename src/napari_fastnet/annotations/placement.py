"""Detection of outlines that were exported turned, mirrored or in another unit.

Viewers turn and mirror slides, and programs count from other corners and in other
units. Such outlines enclose glass instead of tissue.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_fastnet.core.arrays import Bools, Floats
    from napari_fastnet.core.geometry import Pair

#: Smallest plausible share of outlined tumor that lies on tissue; a region of interest
#: may be drawn around much glass.
LEAST_TUMOR = 0.5
LEAST_INTEREST = 0.2
#: Another placement is suggested where it raises that share by as much.
BETTER = 0.3

_MOST_POINTS = 20_000


def mask_points(mask: Bools, step: Pair, first: tuple[int, int] = (0, 0)) -> Floats:
    """Sample centres of px of a mask.

    Parameters
    ----------
    mask : (rows, columns) bool ndarray
        May be empty.
    step : tuple of float
        (y, x) level-0 px of a px.
    first : tuple of int
        (row, column) on the slide of the mask's first px.

    Returns
    -------
    (n, 2) float64 ndarray
        (y, x), level-0 px; a seeded random sample where there are many.
    """
    inside = np.flatnonzero(mask)
    if len(inside) > _MOST_POINTS:  # at random: an even step may fall into columns
        inside = np.random.default_rng(0).choice(inside, _MOST_POINTS)
    index = np.column_stack(np.unravel_index(inside, mask.shape))
    points: Floats = (index + first + 0.5) * np.asarray(step)
    return points


def placement_note(
    points: Floats,
    tissue: Bools,
    slide_shape: Pair,
    *,
    mpp: Pair | None = None,
    least: float = LEAST_TUMOR,
) -> str:
    """Return a note where outlines lie mostly on glass.

    Parameters
    ----------
    points : (n, 2) float64 ndarray
        Points inside the outlines, (y, x), level-0 px, such as from `mask_points`.
    tissue : (height, width) bool ndarray
        Of the whole slide.
    slide_shape : tuple of float
        (height, width), level-0 px.
    mpp : tuple of float, optional
        (y, x) µm per level-0 px: with it, points given in µm are recognised.
    least : float, optional
        Smallest plausible share of points on tissue.

    Returns
    -------
    str
        Empty where the placement is plausible, and without tissue or points.
    """
    if not len(points) or not tissue.any():
        return ""
    share = _share(points, tissue, slide_shape)
    if share >= LEAST_TUMOR:
        return ""
    best, how = max(
        (
            (_share(there, tissue, slide_shape), how)
            for how, there in _others(points, slide_shape, mpp)
        ),
        key=itemgetter(0),
    )
    what = f"only {share:.0%} of what is outlined lies on tissue"
    if best >= max(share + BETTER, LEAST_TUMOR):
        return f"{what}; {how}, it would be {best:.0%}: check how it was exported"
    if share < least:
        return (
            f"{what}; check that it is of this slide, not turned or mirrored, and in "
            "level-0 px from the slide's corner"
        )
    return ""


def _others(
    points: Floats, shape: Pair, mpp: Pair | None
) -> Iterator[tuple[str, Floats]]:
    """Yield the points under each mistake of an export, with its name."""
    height, width = shape
    y, x = points.T
    for how, other_y, other_x in (
        ("mirrored left to right", y, width - x),
        ("mirrored top to bottom", height - y, x),
        ("turned upside down", height - y, width - x),
        ("turned by 90° to the right", height - x, y),
        ("turned by 90° to the left", x, width - y),
        ("with x and y exchanged", x, y),
        ("with x and y exchanged and upside down", height - x, width - y),
    ):
        yield how, np.column_stack((other_y, other_x))
    if mpp is not None:
        yield "taken for µm", points / mpp


def _share(points: Floats, tissue: Bools, shape: Pair) -> float:
    """Return the share of points on tissue; beside the slide there is none."""
    index = np.floor(points * np.divide(tissue.shape, shape)).astype(np.intp)
    on = np.all((index >= 0) & (index < tissue.shape), axis=1)
    return float(tissue[tuple(index[on].T)].sum()) / len(points)
