"""One patch out of the bytes of its file: 8-bit RGB, what is transparent is white."""

from __future__ import annotations

import re
import warnings
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from napari_fastnet.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Larger images are slides, not patches.
MAXIMUM_SIDE_PX = 4096

# Modes of 8 bits a channel that have colour, grey or a palette.
_MODES = ("RGB", "RGBA", "RGBX", "P", "PA", "L", "LA")

# How Pillow calls the layout of 16 bits a channel, by their order.
_SIXTEEN = re.compile(";16[BLN]")


def decode_patch(where: str, content: bytes) -> NDArray[np.uint8]:
    """Return an image as uint8 (height, width, 3) RGB.

    Parameters
    ----------
    where : str
        File and name, for messages.
    content : bytes
        Of the file.

    Returns
    -------
    ndarray
        What is transparent in part is mixed with white, as of slides: glass is white.

    Raises
    ------
    DataError
        It is no image, is damaged, has more than 8 bits a channel, other colours than
        RGB or grey, several pictures, or more than ``MAXIMUM_SIDE_PX`` a side.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, which the pixels do not depend on.
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(content)) as image:
                _check(where, image)
                return np.asarray(_on_white(image).convert("RGB"))
    except UnidentifiedImageError as error:
        raise DataError(f"{where} is no image Pillow knows; remove it") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{where} cannot be read ({error}); remove it or copy it again"
        ) from error


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layer)


def _check(where: str, image: Image.Image) -> None:
    """Refuse what is no patch, before its pixels are decoded."""
    if max(image.size) > MAXIMUM_SIDE_PX:
        raise DataError(
            f"{where} is {image.width} x {image.height} px; a patch has at most "
            f"{MAXIMUM_SIDE_PX} px a side"
        )
    if image.mode not in _MODES:
        raise DataError(
            f"{where} has pixels of kind {image.mode}; save it as 8-bit RGB"
        )
    # Pillow keeps the upper 8 of 16 bits, which is black where 12 bits were used.
    if any(_SIXTEEN.search(str(tile[3])) for tile in getattr(image, "tile", ())):
        raise DataError(f"{where} has 16 bits a channel; save it as 8-bit RGB")
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise DataError(f"{where} holds several pictures; a patch is one")
