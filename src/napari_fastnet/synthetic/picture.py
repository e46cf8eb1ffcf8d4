"""The picture of a synthetic slide, drawn strip by strip from textures and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter

from napari_fastnet.core.geometry import Grid
from napari_fastnet.synthetic import texture
from napari_fastnet.synthetic.layout import TUMOR, covered
from napari_fastnet.synthetic.texture import TEXTURE_MPP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.slide.tiles import Pixels
    from napari_fastnet.synthetic.layout import Layout

#: Level-0 px per px of the picture, which is drawn at half their number.
PICTURE_STEP = 2

# The masks are made at an eighth of the picture's px (3.9 µm) and enlarged.
_MASK_STEP = 8
_MASK_UM = _MASK_STEP * TEXTURE_MPP

# Grey values of an enlarged mask to a step of a few px.
_HARD_EDGE = [max(0, min(255, (value - 128) * 8 + 128)) for value in range(256)]

_CAPSULE_UM = 28
_FAT_UM = 260


class Picture:
    """A picture at 0.486 µm/px that is drawn strip by strip.

    The layout's shape is a multiple of 16 px; the generator decides everything else.
    """

    def __init__(self, layout: Layout, rng: np.random.Generator) -> None:
        height, width = layout.shape
        self.shape = (height // PICTURE_STEP, width // PICTURE_STEP)
        masks = _masks(layout, rng)
        # Later ones cover earlier ones.
        textures = {
            "fat": texture.fat(rng),
            "cortex": texture.lymphoid(rng),
            "pulp": texture.lymphoid(rng, sparse=True),
            "stroma": texture.stroma(rng),
            "tumor": texture.tumor(rng),
        }
        self._layers = [
            # the texture, and itself turned and shifted
            (Image.fromarray(masks[k]), v, np.roll(np.rot90(v), (211, 97), axis=(0, 1)))
            for k, v in textures.items()
        ]
        # Where a texture is replaced by itself turned, so that it does not repeat.
        turned = _smooth_noise(masks["fat"].shape, 130 / _MASK_UM, rng) > 0
        self._turned = Image.fromarray(turned.astype(np.uint8) * 255)

    def strip(self, top: int, bottom: int) -> Image.Image:
        """Return rows of the picture; there is only glass outside it."""
        size = (self.shape[1], bottom - top)
        strip = Image.new("RGB", size, texture.GLASS)
        turned = _rows(self._turned, top, bottom, size)
        for mask, plain, rotated in self._layers:
            cover = _rows(mask, top, bottom, size)
            if cover is not None:
                drawn = _tiled(plain, top, size)
                if turned is not None:
                    drawn.paste(_tiled(rotated, top, size), mask=turned)
                strip.paste(drawn, mask=cover)
        return strip


class Sections:
    """A picture several times side by side, as serial sections of one block.

    Parameters
    ----------
    picture : Picture
        One section.
    count : int
        Number of sections.
    density : float
        Optical density of the stain, times that of the picture: 1 leaves it as it is.
    """

    def __init__(self, picture: Picture, count: int, density: float) -> None:
        height, width = picture.shape
        self.shape = (height, width * count)
        self._picture, self._count = picture, count
        # 255 is no dye at all
        shades = 255 * (np.arange(256) / 255) ** density
        self._shades = np.tile(shades.round().astype(np.uint8), 3).tolist()

    def strip(self, top: int, bottom: int) -> Image.Image:
        """Return rows of the picture; there is only glass outside it."""
        one = self._picture.strip(top, bottom).point(self._shades)
        strip = Image.new("RGB", (self.shape[1], bottom - top))
        for number in range(self._count):
            strip.paste(one, (number * one.width, 0))
        return strip


def _rows(
    mask: Image.Image, top: int, bottom: int, size: tuple[int, int]
) -> Image.Image | None:
    """Return a mask's rows at the picture's size, hard-edged; None if all are 0."""
    first, end = max(0, top), min(mask.height * _MASK_STEP, bottom)
    rows = (0, first / _MASK_STEP, mask.width, end / _MASK_STEP)
    around = mask.crop((0, int(rows[1]) - 1, mask.width, int(rows[3]) + 2))
    if around.getextrema() == (0, 0):
        return None
    smooth = mask.resize((size[0], end - first), Image.Resampling.BILINEAR, box=rows)
    framed = Image.new("L", size)
    framed.paste(smooth.point(_HARD_EDGE), (0, first - top))
    return framed


def _masks(layout: Layout, rng: np.random.Generator) -> dict[str, Pixels]:
    """Return 0..255 masks of each texture's place, at ``_MASK_STEP``."""
    step = PICTURE_STEP * _MASK_STEP
    shape = (layout.shape[0] // step, layout.shape[1] // step)
    grid = Grid((0, 0), (step, step), shape)
    node = np.any([covered(outline, grid) for outline in layout.nodes], axis=0)
    tumor = layout.labels(grid) == TUMOR
    depth = distance_transform_edt(node) * _MASK_UM
    away = distance_transform_edt(~node) * _MASK_UM
    uneven = _smooth_noise(shape, 150 / _MASK_UM, rng)
    trabecula = np.abs(_smooth_noise(shape, 90 / _MASK_UM, rng)) < 0.05
    capsule = depth < _CAPSULE_UM * (1 + 0.3 * uneven)
    places = {
        "fat": (away < _FAT_UM * (0.35 + 0.5 * uneven)) & ~node,
        "cortex": node,
        "pulp": node & (_smooth_noise(shape, 70 / _MASK_UM, rng) + depth / 400 > 1.4),
        "stroma": node & (capsule | trabecula),
        "tumor": tumor,
    }
    return {
        name: (gaussian_filter(place.astype(np.float32), 0.7) * 255).astype(np.uint8)
        for name, place in places.items()
    }


def _smooth_noise(
    shape: tuple[int, int], sigma: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return smooth noise of mean 0 and deviation 1."""
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma)
    centred: NDArray[np.float32] = (noise - noise.mean()) / noise.std()
    return centred


def _tiled(pixels: Pixels, top: int, size: tuple[int, int]) -> Image.Image:
    """Return a texture repeated over a strip that begins at a row of the picture."""
    rows = pixels.take(range(top, top + size[1]), axis=0, mode="wrap")
    return Image.fromarray(rows.take(range(size[0]), axis=1, mode="wrap"))
