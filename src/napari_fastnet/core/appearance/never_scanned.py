"""Detection of fill: padding and missing tiles that no scanner saw.

Converters fill with black, white, grey or any colour. Fill is neither tissue nor glass,
and as the largest class of a picture it moves every automatic threshold. It is black,
or of exactly one colour over a large area, which a scanner's noise never leaves of
tissue or glass. ``docs/explain/masks.md`` has the rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_fastnet.core.colour import extremes, in_planes
from napari_fastnet.core.morphology import EIGHT_NEIGHBOURS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_fastnet.core.arrays import Bools, Bytes
    from napari_fastnet.core.geometry import Box


#: Side of the squares that are classified as a whole, px of the picture.
SQUARE_PX = 4
#: Highest value of any channel of black fill; the darkest tissue and ink are above.
BLACK = 10
#: Lowest grey value of a colour like glass, and largest difference of its channels.
GLASS_FROM, GLASS_SPREAD = 180, 25

# Fewest squares of fill, fewest of fill that looks like glass, and smallest share of the
# picture unless the fill is black.
_LEAST, _LEAST_LIKE_GLASS, _LEAST_SHARE = 4, 64, 0.002
# Black of several values is fill at the picture's edge, or from this share of exactly
# black squares on: compression changes the rest.
_CONSTANT_SHARE = 0.25
# Share of the picture with structure (less has a drawing), share of glass in that, and
# squares to either side of outlines and of the picture's edge that are no structure.
_TEXTURE, _GLASS, _OUTLINE = 0.01, 0.1, 2
# Compression makes glass constant, in its own colour: so many grey values away is fill.
_UNLIKE_GLASS = 6
# A straight outline: squares in a row, give or take one, and their share of the outline.
_STRAIGHT_SQUARES, _STRAIGHT_SHARE = 8, 0.7
# Reach of compression across the outline of fill, px: a JPEG block and part of a square.
_SEAM_PX = 8 + SQUARE_PX
# Largest difference of seam px from fill that is black, looks like glass, or neither.
_NEAR_BLACK, _NEAR_GLASS, _NEAR_COLOUR = 40, 3, 10


def never_scanned(image: Bytes) -> Bools | None:
    """Find fill in a picture of a slide.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        RGB of a whole slide at low resolution.

    Returns
    -------
    (height, width) bool ndarray or None
        True is fill, including the px of its outline; None where there is none.
    """
    if min(image.shape[:2]) < SQUARE_PX or not _may_have_fill(image):
        return None
    # incomplete squares at the far sides are left out
    height, width = (side // SQUARE_PX * SQUARE_PX for side in image.shape[:2])
    planes = in_planes(image[:height, :width])
    lowest, highest = (_of_squares(best, planes) for best in (np.minimum, np.maximum))
    constant = np.all(lowest == highest, axis=-1)
    black = np.all(highest <= BLACK, axis=-1)
    found: Bools | None = None
    for fill, colour in (
        *_black_fill(black, constant),
        *_coloured_fill(lowest, highest, constant, black),
    ):
        grown = _with_seam(image, fill, colour)
        found = grown if found is None else found | grown
    return found


def _of_squares(best: np.ufunc, planes: Bytes) -> Bytes:
    """Reduce each square to its least or greatest value, (rows, columns, 3)."""
    rows, columns = (side // SQUARE_PX for side in planes.shape[:2])
    found = np.empty((rows, columns, 3), np.uint8)
    for channel in range(3):
        plane = planes[..., channel]
        lines = best.reduce([plane[at::SQUARE_PX] for at in range(SQUARE_PX)])
        found[..., channel] = best.reduce(
            [lines[:, at::SQUARE_PX] for at in range(SQUARE_PX)]
        )
    return found


def whitened(
    pixels: Bytes, box: Box, fill: Bools, slide_shape: tuple[int, int]
) -> Bytes:
    """Make fill white in a part of a slide.

    Outside a slide everything is white, so a network sees the edge of the scanned area
    as it sees a slide's own edge.

    Parameters
    ----------
    pixels : (height, width, 3) uint8 ndarray
        The px of ``box``.
    box : Box
        Level-0 px; may leave the slide.
    fill : (rows, columns) bool ndarray
        Of the whole slide, from `never_scanned`.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.

    Returns
    -------
    (height, width, 3) uint8 ndarray
        ``pixels`` themselves where there is no fill.
    """
    corner, sides = (box.top, box.left), (box.height, box.width)
    places = []
    for axis, count in enumerate(pixels.shape[:2]):
        middles = corner[axis] + (np.arange(count) + 0.5) * sides[axis] / count
        at = np.floor(middles * fill.shape[axis] / slide_shape[axis])
        places.append(np.clip(at, 0, fill.shape[axis] - 1).astype(np.intp))
    rows, columns = places
    if not fill[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].any():
        return pixels
    return np.where(fill[np.ix_(rows, columns)][..., None], np.uint8(255), pixels)


def _may_have_fill(image: Bytes) -> bool:
    """Return whether a row has a square's width of one colour, or of black.

    Most slides have none; this check takes a quarter of the time.
    """
    width = image.shape[1] // SQUARE_PX * SQUARE_PX
    line = image[::SQUARE_PX, :width]
    first = line[:, ::SQUARE_PX]
    same = np.ones(first.shape[:2], bool)
    black = same.copy()
    for at in range(SQUARE_PX):
        part = line[:, at::SQUARE_PX]
        same &= (part == first).all(axis=-1)
        black &= (part <= BLACK).all(axis=-1)
    return bool(same.any() or black.any())


def _black_fill(black: Bools, constant: Bools) -> Iterator[tuple[Bools, Bytes]]:
    """Yield black fill, of any shape and nearly of one value."""
    if not black.any():
        return
    names, count = ndimage.label(black, EIGHT_NEIGHBOURS)
    sizes = np.bincount(names.ravel(), minlength=count + 1)
    exact = np.bincount(names[constant], minlength=count + 1)
    edge = np.zeros(count + 1, bool)
    for side in (names[0], names[-1], names[:, 0], names[:, -1]):
        edge[side] = True
    is_fill = (exact >= _CONSTANT_SHARE * sizes) | (edge & (sizes >= _LEAST))
    is_fill[0] = False
    if is_fill.any():
        yield is_fill[names], np.zeros(3, np.uint8)


def _coloured_fill(
    lowest: Bytes, highest: Bytes, constant: Bools, black: Bools
) -> Iterator[tuple[Bools, Bytes]]:
    """Yield large areas of exactly one colour in a picture that has structure."""
    plain = constant & ~black
    least = max(_LEAST, _LEAST_SHARE * plain.size)
    if np.count_nonzero(plain) < least:
        return
    structured = ndimage.binary_erosion(
        ~constant, EIGHT_NEIGHBOURS, iterations=_OUTLINE
    )
    if structured.mean() < _TEXTURE:
        return  # a drawing: glass and tissue have one colour each
    looks_like_glass = _looks_like_glass(lowest, highest)
    # the brightest px of each: tissue beside it is darker
    glass = highest[structured & looks_like_glass].astype(np.intp)
    has_glass = len(glass) >= _GLASS * np.count_nonzero(structured)
    usual = np.median(glass, axis=0) if has_glass else np.zeros(3)
    colours, counts = np.unique(lowest[plain], axis=0, return_counts=True)
    for colour in colours[counts >= least]:
        same = plain & (lowest == colour).all(axis=-1)
        if not _looks_like_glass(colour, colour):
            yield same, colour
        elif not has_glass or np.abs(colour - usual).max() <= _UNLIKE_GLASS:
            continue
        elif (fill := _straight_parts(same)) is not None:
            yield fill, colour


def _looks_like_glass(lowest: Bytes, highest: Bytes) -> Bools:
    """Return True where all px are bright and nearly grey."""
    darkest, _ = extremes(lowest)
    _, brightest = extremes(highest)
    return (darkest >= GLASS_FROM) & (brightest - darkest <= GLASS_SPREAD)


def _straight_parts(same: Bools) -> Bools | None:
    """Return the large connected parts with a straight outline.

    Glass may be constant as well, where it is brighter than the scanner's scale; its
    outline follows the tissue.
    """
    names, _ = ndimage.label(same, EIGHT_NEIGHBOURS)
    sizes = np.bincount(names.ravel())
    found = np.zeros_like(same)
    for name, place in enumerate(ndimage.find_objects(names), start=1):
        if sizes[name] >= _LEAST_LIKE_GLASS:
            wide = tuple(slice(max(0, at.start - 1), at.stop + 1) for at in place)
            part = names[wide] == name
            if _is_straight(part):
                found[wide] |= part
    return found if found.any() else None


def _is_straight(part: Bools) -> bool:
    """Return True if most of an outline runs along rows and columns."""
    straight = total = 0
    for axis in (0, 1):
        steps = np.diff(part, axis=axis).astype(np.uint8)
        near = ndimage.maximum_filter1d(steps, 3, axis=axis)
        runs = ndimage.minimum_filter1d(near, _STRAIGHT_SQUARES, axis=1 - axis)
        runs = ndimage.maximum_filter1d(
            runs, _STRAIGHT_SQUARES, axis=1 - axis, origin=-1
        )
        straight += int((steps & runs).sum())
        total += int(steps.sum())
    return total > 0 and straight >= _STRAIGHT_SHARE * total


def _with_seam(image: Bytes, fill: Bools, colour: Bytes) -> Bools:
    """Return fill px by px, grown by its outline that compression has blurred."""
    core = np.zeros(image.shape[:2], bool)
    wide = fill.repeat(SQUARE_PX, axis=0).repeat(SQUARE_PX, axis=1)
    core[: wide.shape[0], : wide.shape[1]] = wide
    if not colour.any():
        tolerance = _NEAR_BLACK
    else:
        like_glass = bool(_looks_like_glass(colour, colour))
        tolerance = _NEAR_GLASS if like_glass else _NEAR_COLOUR
    near = np.ones_like(core)
    for channel, value in enumerate(colour.tolist()):
        plane = image[..., channel]
        near &= (plane >= value - tolerance) & (plane <= value + tolerance)
    near |= core
    grown = ndimage.binary_dilation(
        core, EIGHT_NEIGHBOURS, iterations=_SEAM_PX, mask=near
    )
    # The last px mixes both: it is no fair sample of either.
    found: Bools = ndimage.binary_dilation(grown, EIGHT_NEIGHBOURS)
    return found
