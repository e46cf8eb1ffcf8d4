"""Patches of glass and of drawn tissue, on which a model is tried before it is added.

No real tissue is shipped, so they come from the drawn slide. A network that was trained
on lymph nodes tells normal from tumor on them; any other shows at least that it responds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_fastnet.synthetic import texture
from napari_fastnet.synthetic.texture import TEXTURE_MPP, TEXTURE_PX

if TYPE_CHECKING:
    from napari_fastnet.slide.tiles import Pixels

#: Most patches of either tissue, and their px together; at least one is drawn.
EACH = 6
_MOST_PX = 2**21


@dataclass(frozen=True, slots=True, eq=False)
class SamplePatches:
    """Glass, normal lymphoid tissue and metastases, each uint8 (n, side, side, 3)."""

    white: Pixels
    normal: Pixels
    tumor: Pixels


def sample_patches(side_px: int, mpp: float, *, seed: int = 0) -> SamplePatches:
    """Draw one patch of glass and up to `EACH` of either tissue; a seed gives the same.

    At a coarse µm/px they show the drawn tissue repeated.
    """
    rng = np.random.default_rng(seed)
    white = np.full((1, side_px, side_px, 3), 255, np.uint8)
    normal, tumor = (
        _cut(_at(drawn, mpp), side_px, rng)
        for drawn in (texture.lymphoid(rng), texture.tumor(rng))
    )
    return SamplePatches(white, normal, tumor)


def _at(drawn: Pixels, mpp: float) -> Pixels:
    """Return a texture at another µm/px; it still joins itself on all sides."""
    side = max(1, round(TEXTURE_PX * TEXTURE_MPP / mpp))
    image = Image.fromarray(drawn).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _cut(drawn: Pixels, side_px: int, rng: np.random.Generator) -> Pixels:
    """Return patches from anywhere in a texture."""
    count = max(1, min(EACH, _MOST_PX // side_px**2))
    corners = rng.integers(len(drawn), size=(count, 2))[..., np.newaxis]
    return np.stack(
        [
            drawn.take(rows, axis=0, mode="wrap").take(columns, axis=1, mode="wrap")
            for rows, columns in corners + np.arange(side_px)
        ]
    )
