"""Where a picture shows what no scanner saw: the fill of padding and of missing tiles.

Converters fill with black, white, grey or any colour. Fill is neither tissue nor glass,
and as the largest class of a picture it moves every threshold that is found by itself.
It gives itself away: it is black, or of exactly one colour over a large area, which no
scanner's noise leaves of tissue or glass. ``docs/explain/masks.md`` has the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import (
    binary_dilation,
    binary_erosion,
    find_objects,
    label,
    maximum_filter1d,
    minimum_filter1d,
)

from napari_fastnet.core.colour import extremes, in_planes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Box

    Bools = NDArray[np.bool_]
    Bytes = NDArray[np.uint8]

#: Side of the squares that are looked at as a whole, px of the picture.
SQUARE_PX = 4
#: No channel of black fill is above this; the darkest tissue and ink are.
BLACK = 10
#: A colour looks like glass from this grey value on, its channels at most so far apart.
GLASS_FROM, GLASS_SPREAD = 180, 25

# Fewer squares of one colour than this are no fill, and of one that looks like glass;
# nor is less than that share of the picture, unless it is black.
_LEAST, _LEAST_LIKE_GLASS, _LEAST_SHARE = 4, 64, 0.002
# Black that is not all of one value counts at the picture's edge, or from this share of
# exactly black squares on: the rest is what compression made of it.
_CONSTANT_SHARE = 0.25
# Of the picture must have structure, or it was drawn; of that must be glass. Outlines,
# so many squares to either side, are no structure, and nor is the picture's own edge.
_TEXTURE, _GLASS, _OUTLINE = 0.01, 0.1, 2
# Compression makes glass of one colour, its own: so many grey values away is another.
_UNLIKE_GLASS = 6
# Straight: so many squares in a row, one to and fro, for so much of the outline.
_STRAIGHT_SQUARES, _STRAIGHT_SHARE = 8, 0.7
# How far compression blurs the outline of fill, px: a JPEG block, and what of a square.
_SEAM_PX = 8 + SQUARE_PX
# How far the px of a seam are from fill: of black, of what looks like glass, of others.
_NEAR_BLACK, _NEAR_GLASS, _NEAR_COLOUR = 40, 3, 10
_ALL_AROUND = np.ones((3, 3), bool)


@dataclass(frozen=True, slots=True)
class _Squares:
    """A picture in squares: darkest and brightest px of each, a channel at a time."""

    lowest: Bytes  # (rows, columns, 3)
    highest: Bytes

    @classmethod
    def of(cls, image: Bytes) -> _Squares:
        """Return the whole squares; what is left at the far sides belongs to none."""
        height, width = (side // SQUARE_PX * SQUARE_PX for side in image.shape[:2])
        planes = in_planes(image[:height, :width])
        return cls(_over(np.minimum, planes), _over(np.maximum, planes))

    @property
    def constant(self) -> Bools:
        """Whether a square is of one colour."""
        found: Bools = np.all(self.lowest == self.highest, axis=-1)
        return found

    @property
    def black(self) -> Bools:
        """Whether a square is black all over."""
        found: Bools = np.all(self.highest <= BLACK, axis=-1)
        return found


def _over(best: np.ufunc, planes: Bytes) -> Bytes:
    """Return the least or greatest value of each square, channel by channel."""
    rows, columns = (side // SQUARE_PX for side in planes.shape[:2])
    found = np.empty((rows, columns, 3), np.uint8)
    for channel in range(3):
        plane = planes[..., channel]
        lines = best.reduce([plane[at::SQUARE_PX] for at in range(SQUARE_PX)])
        found[..., channel] = best.reduce(
            [lines[:, at::SQUARE_PX] for at in range(SQUARE_PX)]
        )
    return found


def never_scanned(image: Bytes) -> Bools | None:
    """Return where a picture of a slide shows fill.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        RGB of a whole slide at low resolution.

    Returns
    -------
    (height, width) bool ndarray or None
        True is fill, with the px of its outline; None where there is none.
    """
    if min(image.shape[:2]) < SQUARE_PX or not _may_have_fill(image):
        return None
    squares = _Squares.of(image)
    found: Bools | None = None
    for fill, colour in (*_black_fill(squares), *_coloured_fill(squares)):
        grown = _with_seam(image, fill, colour)
        found = grown if found is None else found | grown
    return found


def whitened(
    pixels: Bytes, box: Box, fill: Bools, slide_shape: tuple[int, int]
) -> Bytes:
    """Return a part of a slide with white where nothing was scanned.

    White is what lies outside a slide, so that a network sees the edge of what was
    scanned as it sees a slide's own edge.

    Parameters
    ----------
    pixels : (height, width, 3) uint8 ndarray
        What ``box`` shows.
    box : Box
        Level-0 px; may leave the slide.
    fill : (rows, columns) bool ndarray
        Of the whole slide, from `never_scanned`.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.

    Returns
    -------
    (height, width, 3) uint8 ndarray
        ``pixels`` themselves where nothing is to be done.
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

    It takes a quarter of the time, and there is none on most slides.
    """
    width = image.shape[1] // SQUARE_PX * SQUARE_PX
    line = image[::SQUARE_PX, :width]
    parts = [line[:, at::SQUARE_PX] for at in range(SQUARE_PX)]
    same = np.ones(parts[0].shape[:2], bool)
    black = same.copy()
    for part in parts:
        same &= (part == parts[0]).all(axis=-1)
        black &= (part <= BLACK).all(axis=-1)
    return bool(same.any() or black.any())


def _black_fill(squares: _Squares) -> Iterator[tuple[Bools, Bytes]]:
    """Yield black fill, of any shape and not quite of one value."""
    black = squares.black
    if not black.any():
        return
    constant = squares.constant
    names, count = label(black, _ALL_AROUND)
    sizes = np.bincount(names.ravel(), minlength=count + 1)
    exact = np.bincount(names[constant], minlength=count + 1)
    edge = np.zeros(count + 1, bool)
    for side in (names[0], names[-1], names[:, 0], names[:, -1]):
        edge[side] = True
    is_fill = (exact >= _CONSTANT_SHARE * sizes) | (edge & (sizes >= _LEAST))
    is_fill[0] = False
    if is_fill.any():
        yield is_fill[names], np.zeros(3, np.uint8)


def _coloured_fill(squares: _Squares) -> Iterator[tuple[Bools, Bytes]]:
    """Yield large areas of exactly one colour in a picture that has structure."""
    constant = squares.constant & ~squares.black
    least = max(_LEAST, _LEAST_SHARE * constant.size)
    if np.count_nonzero(constant) < least:
        return
    structured = binary_erosion(~squares.constant, _ALL_AROUND, iterations=_OUTLINE)
    if structured.mean() < _TEXTURE:
        return  # drawn: glass and tissue are of one colour each
    looks_like_glass = _looks_like_glass(squares.lowest, squares.highest)
    # the brightest px of each: tissue beside it is darker
    glass = squares.highest[structured & looks_like_glass].astype(np.intp)
    has_glass = len(glass) >= _GLASS * np.count_nonzero(structured)
    usual = np.median(glass, axis=0) if has_glass else np.zeros(3)
    colours, counts = np.unique(squares.lowest[constant], axis=0, return_counts=True)
    for colour in colours[counts >= least]:
        same = constant & (squares.lowest == colour).all(axis=-1)
        if not _looks_like_glass(colour, colour):
            yield same, colour
        elif not has_glass or np.abs(colour - usual).max() <= _UNLIKE_GLASS:
            continue
        elif (fill := _straight_parts(same)) is not None:
            yield fill, colour


def _looks_like_glass(lowest: Bytes, highest: Bytes) -> Bools:
    """Return what is bright and of no colour."""
    darkest, _ = extremes(lowest)
    _, brightest = extremes(highest)
    return (darkest >= GLASS_FROM) & (brightest - darkest <= GLASS_SPREAD)


def _straight_parts(same: Bools) -> Bools | None:
    """Return the large connected parts whose outline is made of straight lines.

    Glass too may be of one colour, where it is brighter than the scanner's scale; its
    outline is that of the tissue.
    """
    names, _ = label(same, _ALL_AROUND)
    sizes = np.bincount(names.ravel())
    found = np.zeros_like(same)
    for name, place in enumerate(find_objects(names), start=1):
        if sizes[name] >= _LEAST_LIKE_GLASS:
            wide = tuple(slice(max(0, at.start - 1), at.stop + 1) for at in place)
            part = names[wide] == name
            if _is_straight(part):
                found[wide] |= part
    return found if found.any() else None


def _is_straight(part: Bools) -> bool:
    """Return whether most of an outline runs along rows and columns."""
    straight = total = 0
    for axis in (0, 1):
        steps = np.diff(part, axis=axis).astype(np.uint8)
        near = maximum_filter1d(steps, 3, axis=axis)
        runs = minimum_filter1d(near, _STRAIGHT_SQUARES, axis=1 - axis)
        runs = maximum_filter1d(runs, _STRAIGHT_SQUARES, axis=1 - axis, origin=-1)
        straight += int((steps & runs).sum())
        total += int(steps.sum())
    return total > 0 and straight >= _STRAIGHT_SHARE * total


def _with_seam(image: Bytes, fill: Bools, colour: Bytes) -> Bools:
    """Return fill px by px, with what compression and resampling made of its outline."""
    core = np.zeros(image.shape[:2], bool)
    wide = fill.repeat(SQUARE_PX, axis=0).repeat(SQUARE_PX, axis=1)
    core[: wide.shape[0], : wide.shape[1]] = wide
    if not colour.any():
        tolerance = _NEAR_BLACK
    else:
        like_glass = bool(_looks_like_glass(colour, colour))
        tolerance = _NEAR_GLASS if like_glass else _NEAR_COLOUR
    near = np.ones_like(core)
    for channel in range(3):
        low = max(0, int(colour[channel]) - tolerance)
        high = min(255, int(colour[channel]) + tolerance)
        plane = image[..., channel]
        near &= (plane >= low) & (plane <= high)
    near |= core
    grown = binary_dilation(core, _ALL_AROUND, iterations=_SEAM_PX, mask=near)
    # The last px is of both: it is no fair sample of either.
    found: Bools = binary_dilation(grown, _ALL_AROUND)
    return found
