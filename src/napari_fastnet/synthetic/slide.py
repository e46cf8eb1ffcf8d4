"""A drawn slide that looks like H&E-stained lymph nodes with metastases.

It serves the demonstration, the sample data and tests: no real tissue, written in
seconds, with lesions whose outlines are known. The picture resembles real patches at
10x closely enough for the shipped network to work on it; the results there say
nothing about how well the network does on tissue.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

from napari_fastnet.errors import OptionError
from napari_fastnet.machine.files import atomic_path
from napari_fastnet.synthetic.layout import Layout
from napari_fastnet.synthetic.picture import PICTURE_STEP, Picture, Sections
from napari_fastnet.synthetic.texture import TEXTURE_MPP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_fastnet.slide.tiles import Pixels

#: µm/px of level 0, CAMELYON16's; level 1 has the 0.972 µm/px of its 10x patches.
MPP = TEXTURE_MPP / PICTURE_STEP

#: (height, width) of level 0, px: 2.0 x 2.5 mm.
SHAPE = (8192, 10240)

#: Side of a tile, px.
TILE_PX = 256

_QUALITY = 80
_STRIP = 2 * TILE_PX // PICTURE_STEP  # rows of the picture drawn at once
_MARGIN = 4  # rows beside them that enlarging looks at


def write_slide(
    path: Path,
    *,
    shape: tuple[int, int] = SHAPE,
    seed: int = 0,
    lesions: bool = True,
    sections: int = 1,
    density: float = 1.0,
) -> Layout:
    """Write a synthetic slide: Aperio's layout, JPEG tiles, levels 1, 4 and 16.

    Parameters
    ----------
    path : Path
        The file to write or replace, ``.svs``.
    shape : tuple of int
        (height, width) of level 0, px at 0.243 µm: multiples of 256, at least 1024.
    seed : int
        Equal seeds give equal slides.
    lesions : bool
        Draw lesions; without, all of the nodes is normal.
    sections : int
        Serial sections side by side, each of this shape.
    density : float
        Optical density of the stain, times the usual one.

    Returns
    -------
    Layout
        The outlines of its nodes and lesions: the truth about it, of the first section.
    """
    if any(side < 1024 or side % 256 for side in shape):
        raise OptionError(
            f"shape is {shape}; both sides are multiples of 256 px and at least 1024"
        )
    rng = np.random.default_rng(seed)
    layout = Layout.drawn(shape, rng)
    if not lesions:
        layout = replace(layout, lesions=())
    with atomic_path(path) as aside:
        picture = Sections(Picture(layout, rng), sections, density)
        _write(aside, picture, page_options((shape[0], shape[1] * sections), seed))
    return layout


def _write(path: Path, picture: Sections, options: dict[str, Any]) -> None:
    """Write a picture and the levels made from it."""
    height, width = (side * PICTURE_STEP for side in picture.shape)
    level1 = np.empty((height // 4, width // 4, 3), np.uint8)
    tiled = {**options, "tile": (TILE_PX, TILE_PX)}
    with tifffile.TiffWriter(path) as tif:
        tiles = fine_tiles(picture, level1)
        tif.write(tiles, shape=(height, width, 3), dtype=np.uint8, **tiled)
        small = np.asarray(Image.fromarray(level1).reduce(4))
        # Aperio's second page is always the thumbnail; readers count on it.
        tif.write(small, rowsperstrip=16, **options)
        for level in (level1, small):
            tif.write(level, **tiled)


def fine_tiles(picture: Picture | Sections, level1: Pixels) -> Iterator[Pixels]:
    """Yield level 0's tiles row by row, and fill in level 1 on the way."""
    height, width = picture.shape
    for top in range(0, height, _STRIP):
        rows = min(_STRIP, height - top)
        strip = picture.strip(top - _MARGIN, top + rows + _MARGIN)
        inner = (0, _MARGIN, width, _MARGIN + rows)
        halved = strip.crop(inner).reduce(4 // PICTURE_STEP)
        level1[top // 2 : (top + rows) // 2] = np.asarray(halved)
        size = (width * PICTURE_STEP, rows * PICTURE_STEP)
        fine = np.asarray(strip.resize(size, Image.Resampling.BICUBIC, box=inner))
        for y in range(0, size[1], TILE_PX):
            for x in range(0, size[0], TILE_PX):
                yield fine[y : y + TILE_PX, x : x + TILE_PX]


def page_options(shape: tuple[int, int], seed: int) -> dict[str, Any]:
    """Return options of every page; its description says that the slide is drawn."""
    height, width = shape
    description = (
        "Aperio Image Library imitated by napari-fastnet\r\n"
        f"{width}x{height} [0,0 {width}x{height}] ({TILE_PX}x{TILE_PX}) JPEG/RGB "
        f"Q={_QUALITY}|AppMag = 40|MPP = {MPP:g}|Title = Synthetic slide, drawn, no "
        f"tissue|Seed = {seed}"
    )
    return {
        "photometric": "rgb",
        "compression": "jpeg",
        "compressionargs": {"level": _QUALITY},
        "description": description,
        "metadata": None,
    }
