"""Truth as a picture of the whole slide: a TIFF or PNG, above 0 for tumor.

Such a TIFF may have 20 thousand million px. For each px of the truth, the one under its
centre is read from the coarsest level that is fine enough, tile by tile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.annotations import masks
from napari_fastnet.core.geometry import Level
from napari_fastnet.core.metrics.truth import TruthMask, truth_extent
from napari_fastnet.errors import MaskError
from napari_fastnet.slide.pyramid import coarsest_within
from napari_fastnet.slide.samples import TIFF_ERRORS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from tifffile import TiffFile, TiffPage

    from napari_fastnet.core.arrays import Bools, Indices
    from napari_fastnet.core.geometry import Pair

#: Most px of one tile or strip, since it is decoded as a whole.
LARGEST_PIECE_PX = 2**28


def read_truth_mask(
    path: Path,
    *,
    step: Pair,
    shape: tuple[int, int] | None = None,
    value: int | None = None,
) -> TruthMask:
    """Read the tumor of a slide from a mask of the whole slide.

    Parameters
    ----------
    path : Path
        TIFF or PNG of one channel, or of several, of which the first counts; a TIFF
        with levels or without, tiled or in strips.
    step : tuple of float
        (y, x) level-0 px of a px of the truth.
    shape : tuple of int, optional
        (height, width) of the slide, level-0 px; by default the mask's own.
    value : int, optional
        Number of tumor; by default everything above 0, if that is one number.

    Returns
    -------
    TruthMask
        The whole slide.

    Raises
    ------
    MaskError
        The file is missing or damaged, its shape is not the slide's, it is stored in
        pieces too large to decode, or holds several numbers and none was chosen.
    """
    import tifffile

    if path.suffix.lower() not in masks.TIFF_SUFFIXES:
        values = _picture(path, step, shape)
        return TruthMask(_tumor(path, values, value), step, values.shape)
    if not path.is_file():
        raise MaskError(f"{path}: no such mask file; check the path")
    try:
        with tifffile.TiffFile(path) as tif:
            values = _values(path, _levels(tif), step, shape)
    except MaskError:
        raise
    except TIFF_ERRORS as error:
        raise MaskError(
            f"{path}: not a mask that can be read ({error}); give a TIFF, tiled where "
            "it is large"
        ) from error
    return TruthMask(_tumor(path, values, value), step, values.shape)


def _levels(tif: TiffFile) -> list[TiffPage]:
    """Return the page of each level, finest first.

    Levels may be pages or subpages, and any number of times smaller; tifffile's own
    series take steps of 2, 3 and 4 only.
    """
    first = tif.pages.first
    if not all(_shape(first)):
        raise ValueError("it holds no picture")
    levels = [first]
    for page in tif.pages:
        for level in (page, *(page.pages or ())):
            shape, last = _shape(level), _shape(levels[-1])
            shrinks = 0 < shape[0] < last[0] and 0 < shape[1] < last[1]
            if (
                shrinks
                and level.dtype == first.dtype
                and masks.fits(shape, _shape(first))
            ):
                levels.append(level)
    return levels


def _shape(page: TiffPage) -> tuple[int, int]:
    return page.imagelength, page.imagewidth


def _values(
    path: Path,
    pages: list[TiffPage],
    step: Pair,
    shape: tuple[int, int] | None,
) -> NDArray[Any]:
    """Return the number under the centre of each px of the truth, 0 outside."""
    slide = shape or _shape(pages[0])
    _require_fit(path, _shape(pages[0]), slide)
    levels = [
        Level(index, own, (slide[0] / own[0], slide[1] / own[1]))
        for index, own in enumerate(map(_shape, pages))
    ]
    level = coarsest_within(levels, step)
    page = pages[level.index]
    height, width = page.rowsperstrip, page.imagewidth
    if page.is_tiled:
        height, width = page.tilelength, page.tilewidth
    piece = min(height, page.imagelength) * width
    if piece > LARGEST_PIECE_PX:
        raise MaskError(
            f"{path}: stored in pieces of {piece:,} px, too large to decode one by one; "
            "convert it, e.g. vips tiffsave IN OUT.tif --tile --pyramid"
        )
    values, coloured = _sampled(page, _places(slide, step, level.downsample))
    _require_first_channel(path, values, coloured)
    return values


def _picture(path: Path, step: Pair, shape: tuple[int, int] | None) -> NDArray[Any]:
    """Return the same as `_values` from a picture that is read as a whole."""
    values = masks.read_picture(path)
    if values.ndim not in (2, 3) or not values.size:
        raise MaskError(f"{path}: a picture of shape {values.shape}; give one of px")
    own = (values.shape[0], values.shape[1])
    slide = shape or own
    _require_fit(path, own, slide)
    rows, columns = _places(slide, step, (slide[0] / own[0], slide[1] / own[1]))
    rows, columns = rows.clip(max=own[0] - 1), columns.clip(max=own[1] - 1)
    plane = values if values.ndim == 2 else values[..., 0]
    coloured = values.ndim == 3 and bool(values[..., 1:3].any())
    _require_first_channel(path, plane, coloured and values.shape[2] > 2)
    return plane[np.ix_(rows, columns)]


def _require_first_channel(path: Path, first: NDArray[Any], coloured: bool) -> None:
    """Refuse a picture that is empty in its first channel only."""
    if coloured and not first.any():
        raise MaskError(
            f"{path}: a picture in colours whose first channel, red, is empty; give one "
            "channel, above 0 where tumor is"
        )


def _require_fit(path: Path, own: tuple[int, int], slide: tuple[int, int]) -> None:
    if not masks.fits(own, slide):
        raise MaskError(
            f"{path}: the mask is {own[1]} x {own[0]} px and the slide "
            f"{slide[1]} x {slide[0]}; give a mask of the whole slide"
        )


def _places(slide: tuple[int, int], step: Pair, down: Pair) -> list[Indices]:
    """Return the rows and columns of a mask under the centres of the truth's px."""
    return [
        np.floor((np.arange(count) + 0.5) * size / factor).astype(np.intp)
        for count, size, factor in zip(
            truth_extent(slide, step), step, down, strict=True
        )
    ]


def _sampled(page: TiffPage, places: list[Indices]) -> tuple[NDArray[Any], bool]:
    """Return the px of a page in some rows and columns, 0 where there is none.

    The second value is True if green or blue has any.
    """
    rows, columns = places
    coloured = False
    values = np.zeros((len(rows), len(columns)), page.dtype)
    for tile, index, shape in page.segments():
        if tile is None:  # was never written
            continue
        top, left = index[-3], index[-2]
        here = slice(*np.searchsorted(rows, (top, top + shape[-3])))
        there = slice(*np.searchsorted(columns, (left, left + shape[-2])))
        picked = np.ix_(rows[here] - top, columns[there] - left)
        if index[0] == 0:  # of several channels the first
            values[here, there] = tile[0, ..., 0][picked]
        if page.samplesperpixel > 2:  # of fewer the second is alpha
            others = tile[..., 1:3] if index[0] == 0 else tile
            coloured |= index[0] < 3 and bool(others.any())
    return values, coloured


def _tumor(path: Path, values: NDArray[Any], value: int | None) -> Bools:
    """Return True for the numbers of a mask that are tumor."""
    if value is not None:
        chosen: Bools = values == value
        return chosen
    inside: Bools = values > 0
    kinds = np.unique(values[inside])
    if len(kinds) > 1:
        raise MaskError(
            f"{path}: holds {', '.join(f'{kind:g}' for kind in kinds[:5])}"
            f"{' and others' if len(kinds) > 5 else ''}, and only one number can be "
            "tumor; say which with --mask-value"
        )
    return inside
