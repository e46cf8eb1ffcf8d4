"""Synthetic slides of any size that take megabytes: one square of tissue, repeated.

The square's tiles are stored once, and the tables of tiles point at them wherever there
is tissue; elsewhere they point at a tile of glass. A reader decodes it tile by tile like
every other slide.
"""

from __future__ import annotations

from itertools import chain, repeat
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

from napari_fastnet.errors import OptionError
from napari_fastnet.machine.files import atomic_path
from napari_fastnet.synthetic.layout import Layout
from napari_fastnet.synthetic.picture import Picture
from napari_fastnet.synthetic.slide import TILE_PX, fine_tiles, page_options
from napari_fastnet.synthetic.texture import GLASS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.slide.tiles import Pixels

#: Side of the square of tissue that is repeated, level-0 px (2.0 mm).
SQUARE_PX = 8192

#: Side of a unit, all of which is tissue or glass, level-0 px (0.25 mm): whole tiles of
#: both levels that share them.
UNIT_PX = 1024

#: Level-0 px per px of the levels that share tiles, and of those drawn in full.
SHARED_STEPS, DRAWN_STEPS = (1, 4), (16, 64)

_NODE_UNITS = 6  # about a quarter of a lymph node's width
_THUMBNAIL_PX = 1024
_MOST_SIDE_PX = 2**20  # offsets in a TIFF have 32 bits


def giga_shape(gigapixels: float) -> tuple[int, int]:
    """Return the nearest (height, width) of whole units, 4 to 5, for `write_giga_slide`.

    OptionError where the billions of px are not from 0.1 to 800.
    """
    if not 0.1 <= gigapixels <= 800:
        raise OptionError(f"gigapixels is {gigapixels}; use 0.1 to 800")
    rows = round(sqrt(gigapixels * 1e9 * 0.8) / UNIT_PX)
    columns = round(gigapixels * 1e9 / UNIT_PX**2 / rows)
    return rows * UNIT_PX, columns * UNIT_PX


def write_giga_slide(
    path: Path, *, shape: tuple[int, int], tissue: float = 0.3, seed: int = 0
) -> NDArray[np.bool_]:
    """Write a synthetic slide of any size: Aperio's layout, levels 1, 4, 16 and 64.

    The tissue, lymph node with metastases as `write_slide` draws it, lies in islands
    some millimetres wide. Equal seeds give equal slides.

    Parameters
    ----------
    path : Path
        The file to write or replace, ``.svs``; some 20 MB and 13 bytes a tile.
    shape : tuple of int
        (height, width) of level 0, px at 0.243 µm: 8192 to 1,048,576.
    tissue : float
        Share of the slide that is tissue, to the nearest unit; OptionError where so much
        does not fit.

    Returns
    -------
    ndarray
        bool (rows, columns): the units of tissue.
    """
    if any(not SQUARE_PX <= side <= _MOST_SIDE_PX for side in shape):
        raise OptionError(
            f"shape is {shape}; both sides are {SQUARE_PX} to {_MOST_SIDE_PX} px"
        )
    rng = np.random.default_rng(seed)
    units = _islands(shape, tissue, rng)
    drawn = Layout.drawn((SQUARE_PX, SQUARE_PX), rng)
    corners = np.array([(-1, -1), (-1, 2), (2, 2), (2, -1)], float) * SQUARE_PX
    square = Layout(drawn.shape, nodes=(corners,), lesions=drawn.lesions)
    options = page_options(shape, seed)
    with atomic_path(path) as aside:
        _write(aside, Picture(square, rng), shape, units, options)
    return units


def _islands(
    shape: tuple[int, int], tissue: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return a mask of the units of tissue: the hills of a landscape with low shores."""
    sides = [ceil(side / UNIT_PX) for side in shape]
    hills = gaussian_filter(rng.standard_normal(sides), _NODE_UNITS)
    rows, columns = (np.minimum(at := np.arange(n), at[::-1]) for n in sides)
    inland = np.minimum(rows[:, np.newaxis], columns).clip(max=_NODE_UNITS)
    heights = hills / hills.std() + inland / 2
    inner = heights[1:-1, 1:-1]
    wanted = tissue * shape[0] * shape[1] / UNIT_PX**2
    if not 0 <= wanted <= inner.size:
        most = inner.size * UNIT_PX**2 / (shape[0] * shape[1])
        raise OptionError(
            f"tissue is {tissue:g}; a slide of {shape[1]} x {shape[0]} px takes 0 to "
            f"{most:.2g}"
        )
    chosen = np.zeros(inner.size, bool)
    chosen[np.argsort(inner.ravel())[inner.size - round(wanted) :]] = True
    return np.pad(chosen.reshape(inner.shape), 1)


def _write(
    path: Path,
    picture: Picture,
    shape: tuple[int, int],
    units: NDArray[np.bool_],
    options: dict[str, Any],
) -> None:
    """Write the square as if it were the slide, then repeat it in the tables of tiles."""
    level1 = np.empty((SQUARE_PX // 4, SQUARE_PX // 4, 3), np.uint8)
    glass = np.full((TILE_PX, TILE_PX, 3), GLASS, np.uint8)
    # Below the square a row of glass, from which the empty places are taken.
    tiles = chain(fine_tiles(picture, level1), repeat(glass, SQUARE_PX // TILE_PX))
    tiled = {**options, "tile": (TILE_PX, TILE_PX)}
    with tifffile.TiffWriter(path) as tif:
        rows = SQUARE_PX + TILE_PX
        tif.write(tiles, shape=(rows, SQUARE_PX, 3), dtype=np.uint8, **tiled)
        level2 = np.asarray(Image.fromarray(level1).reduce(4))
        level3 = np.asarray(Image.fromarray(level2).reduce(4))
        coarse = (shape[0] // DRAWN_STEPS[-1], shape[1] // DRAWN_STEPS[-1])
        small = _drawn(level3, units, DRAWN_STEPS[-1], (0, 0), coarse)
        thumbnail = Image.fromarray(small)
        thumbnail.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
        # Aperio's second page is always the thumbnail; readers count on it.
        tif.write(np.asarray(thumbnail), rowsperstrip=16, **options)
        below = np.tile(glass, (1, level1.shape[1] // TILE_PX, 1))
        tif.write(np.concatenate([level1, below]), **tiled)
        for square, step in zip((level2, level3), DRAWN_STEPS, strict=True):
            size = (shape[0] // step, shape[1] // step)
            drawn = (
                _drawn(square, units, step, (top, left), (TILE_PX, TILE_PX))
                for top in range(0, size[0], TILE_PX)
                for left in range(0, size[1], TILE_PX)
            )
            tif.write(drawn, shape=(*size, 3), dtype=np.uint8, **tiled)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for page, step in zip((0, 2), SHARED_STEPS, strict=True):
            _repeat(tif.pages[page].aspage(), step, shape, units)


def _drawn(
    square: Pixels,
    units: NDArray[np.bool_],
    step: int,
    corner: tuple[int, int],
    size: tuple[int, int],
) -> Pixels:
    """Return a part of a level whose px are ``step`` level-0 px wide."""
    y, x = (first + np.arange(side) for first, side in zip(corner, size, strict=True))
    pixels = square[np.ix_(y % len(square), x % len(square))]
    pixels[~_is_tissue(units, step, y, x)] = GLASS
    return pixels


def _is_tissue(
    units: NDArray[np.bool_], step: int, y: NDArray[np.int64], x: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return a mask of a level's px that are tissue; the last unit goes on at the edge."""
    rows = np.minimum(y * step // UNIT_PX, units.shape[0] - 1)
    columns = np.minimum(x * step // UNIT_PX, units.shape[1] - 1)
    return units[np.ix_(rows, columns)]


def _repeat(
    page: tifffile.TiffPage,
    step: int,
    shape: tuple[int, int],
    units: NDArray[np.bool_],
) -> None:
    """Turn a page with the square and a row of glass into a level of the slide."""
    side = SQUARE_PX // step // TILE_PX
    height, width = (length // step for length in shape)
    rows, columns = (np.arange(ceil(length / TILE_PX)) for length in (height, width))
    index = (rows % side)[:, np.newaxis] * side + columns % side
    index[~_is_tissue(units, step * TILE_PX, rows, columns)] = side**2
    changes = {
        "ImageLength": height,
        "ImageWidth": width,
        "TileOffsets": np.array(page.dataoffsets)[index].ravel().tolist(),
        "TileByteCounts": np.array(page.databytecounts)[index].ravel().tolist(),
    }
    for name, value in changes.items():
        page.tags[name].overwrite(value)
