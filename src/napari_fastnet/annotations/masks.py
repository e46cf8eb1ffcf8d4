"""Masks as picture files: pictures of the whole slide, above 0 inside."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.errors import MaskError
from napari_fastnet.slide.samples import TIFF_ERRORS, check_claim

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from tifffile import TiffFile

    from napari_fastnet.core.arrays import Bools


#: Limits against decompression bombs: decoded bytes allowed for any file, and as a
#: multiple of its size (best real ratio: about 2000).
ANY_FILE_BYTES, LARGEST_RATIO = 2**28, 4096


def first_page(tif: TiffFile) -> NDArray[Any]:
    """Decode the first page.

    Parameters
    ----------
    tif : tifffile.TiffFile
        Open.

    Returns
    -------
    ndarray
        As stored.

    Raises
    ------
    ValueError
        It claims more px than a file of its size can hold; also any other of `TIFF_ERRORS`.
    """
    page = tif.pages.first
    tile = prod(page.chunks) * page.nbytes // max(1, page.size) if page.is_tiled else 0
    claimed = max(page.nbytes, tile)
    if claimed > max(ANY_FILE_BYTES, LARGEST_RATIO * tif.filehandle.size):
        raise ValueError(
            f"its first page claims {claimed:,} bytes of px, and the file has "
            f"{tif.filehandle.size:,}"
        )
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if offset + count > tif.filehandle.size:
            raise ValueError("its px go on behind the end of the file")
        if page.compression != 1:
            tif.filehandle.seek(offset)
            check_claim(tif.filehandle.read(count))
    return np.asarray(page.asarray())


TIFF_SUFFIXES = (".tif", ".tiff")


def read_mask(path: Path, slide_shape: tuple[int, int]) -> Bools:
    """Read a mask of a whole slide, at whatever scale it was drawn.

    Parameters
    ----------
    path : Path
        TIFF (its first page), PNG or any other format of Pillow; one channel, above 0
        inside.
    slide_shape : tuple of int
        (height, width) of the slide in level-0 px.

    Returns
    -------
    ndarray
        bool (height, width) in the mask's own px.

    Raises
    ------
    MaskError
        The file is missing, no picture of one channel, or its shape is not the
        slide's: at the mask's height its width is more than a px off.
    """
    values = read_picture(path)
    if values.ndim != 2 or not values.size:
        raise MaskError(
            f"{path}: a mask of shape {values.shape}; give a picture of one channel, "
            "above 0 where to look"
        )
    if not fits(values.shape, slide_shape):
        height, width = values.shape
        expected = round(height * slide_shape[1] / slide_shape[0])
        raise MaskError(
            f"{path}: the mask is {width} x {height} px and the slide {slide_shape[1]} "
            f"x {slide_shape[0]}; give a mask of the whole slide, at this height "
            f"{expected} px wide"
        )
    return values > 0


def fits(shape: tuple[int, ...], slide_shape: tuple[int, int]) -> bool:
    """Return whether a mask can be one of the whole slide.

    Its sides may have been rounded or cut to a whole px, so each is up to one px off.

    Parameters
    ----------
    shape, slide_shape : tuple of int
        (height, width) of mask and slide in their own px.

    Returns
    -------
    bool
        False where the ratio of its sides is not that of the slide.
    """
    (height, width), (slide_height, slide_width) = shape, slide_shape
    narrowest = (height - 1) * slide_width / slide_height - 1
    widest = (height + 1) * slide_width / slide_height + 1
    return narrowest <= width <= widest


def fit_mask(mask: Bools, shape: tuple[int, int]) -> Bools:
    """Resize a mask; a px is True where at least half of it was.

    Parameters
    ----------
    mask : (height, width) bool ndarray
        The mask.
    shape : tuple of int
        (height, width) of the result.

    Returns
    -------
    bool ndarray of that shape
        The mask itself where it has that shape already.
    """
    from PIL import Image

    if mask.shape == shape:
        return mask
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    fitted = picture.resize((shape[1], shape[0]), Image.Resampling.BOX)
    return np.asarray(fitted) >= 128


def read_picture(path: Path) -> NDArray[Any]:
    """Read the pixels of a picture file.

    Parameters
    ----------
    path : Path
        TIFF (its first page), PNG or any other format of Pillow.

    Returns
    -------
    ndarray
        As stored; perhaps with channels.

    Raises
    ------
    MaskError
        It is missing, no picture, or too large to be read as a whole.
    """
    from PIL import Image

    if not path.is_file():
        raise MaskError(f"{path}: no such mask file; check the path")
    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            import tifffile

            with tifffile.TiffFile(path) as tif:
                values = first_page(tif)
        else:
            with Image.open(path) as picture:
                values = np.asarray(picture)
    except Image.DecompressionBombError as error:
        raise MaskError(
            f"{path}: too large a picture to be read as a whole; give a smaller one of the "
            "whole slide, or a tiled TIFF"
        ) from error
    except (*TIFF_ERRORS, SyntaxError) as error:
        raise MaskError(
            f"{path}: not a picture that can be read ({error}); give a TIFF or PNG"
        ) from error
    return np.asarray(values)
