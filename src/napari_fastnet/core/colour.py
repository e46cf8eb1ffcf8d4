"""Colour spaces that tell tissue and stains apart, and the colours of a heatmap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.options import DEFAULT_COLOURS, ColoursName
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bytes, Floats, Singles

#: Opacity of a heatmap over tissue in a picture.
OPACITY = 0.58
SHADING = 0.4  # how far the heatmap's colours follow the tissue's light and dark
# Luminance of red, green and blue (Rec. 601).
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)

#: A probability and its red, green and blue, 0..255.
Stop = tuple[float, int, int, int]

#: Colour scales of a heatmap: normal tissue at 0, tumor at 1, and a light middle, so
#: that the ends differ from it for everybody. Red and green are the paper's; blue and
#: orange are for the one man in twelve who cannot tell red from green.
HEATMAP_COLOURS: dict[ColoursName, tuple[Stop, ...]] = {
    "red-green": (
        (0.0, 0, 128, 72),
        (0.25, 112, 184, 72),
        (0.5, 255, 226, 86),
        (0.75, 240, 124, 44),
        (1.0, 190, 10, 26),
    ),
    "blue-orange": (
        (0.0, 20, 90, 190),
        (0.25, 120, 180, 225),
        (0.5, 255, 240, 170),
        (0.75, 250, 150, 30),
        (1.0, 205, 60, 0),
    ),
}

# Linear sRGB to CIE XYZ divided by the D65 white, so that white is (1, 1, 1) and
# every grey has a = b = 0 (IEC 61966-2-1; the rows of the matrix sum to the white).
# scikit-image's conversion gives greys an a or b of up to 0.005, and warns of colours
# out of sRGB's range.
_RGB_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_RGB_TO_XYZ /= _RGB_TO_XYZ.sum(axis=1, keepdims=True)
_XYZ_TO_RGB = np.linalg.inv(_RGB_TO_XYZ)

# Below this share of the white the cube root of CIELAB is replaced by a line.
_LINEAR_END = (6 / 29) ** 3
_SLOPE = (29 / 6) ** 2 / 3


def in_planes(image: Bytes) -> Bytes:
    """Copy an image so that each channel is contiguous in memory.

    Comparing such an image channel by channel takes a third of the time.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        RGB.

    Returns
    -------
    (height, width, 3) uint8 ndarray
        The same values.
    """
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(image, -1, 0)), 0, -1)


def saturation_of(image: Bytes) -> Bytes:
    """Compute the HSV saturation of RGB.

    Parameters
    ----------
    image : (..., 3) uint8 ndarray
        RGB.

    Returns
    -------
    (...) uint8 ndarray
        Saturation scaled to 0..255; 0 for black.
    """
    darkest, brightest = extremes(image)
    share = (brightest - darkest).astype(np.float32)
    share *= 255
    share /= np.maximum(brightest, 1)
    return np.rint(share, out=share).astype(np.uint8)


def extremes(image: Bytes) -> tuple[Bytes, Bytes]:
    """Return the lowest and the highest channel of each pixel.

    Parameters
    ----------
    image : (..., 3) uint8 ndarray
        RGB.

    Returns
    -------
    lowest : (...) uint8 ndarray
        Of the three channels.
    highest : (...) uint8 ndarray
        Likewise.
    """
    # Ten times as fast as a minimum along an axis of length three.
    red, green, blue = (image[..., index] for index in range(3))
    lowest = np.minimum(np.minimum(red, green), blue)
    return lowest, np.maximum(np.maximum(red, green), blue)


def rgb_to_lab(rgb: NDArray[np.generic]) -> Floats:
    """Convert sRGB to CIELAB (D65).

    Parameters
    ----------
    rgb : (..., 3) ndarray
        0..255.

    Returns
    -------
    (..., 3) float64 ndarray
        L from 0 to 100, a from green to red, b from blue to yellow.
    """
    share = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    xyz = linear @ _RGB_TO_XYZ.T
    bent = np.where(xyz > _LINEAR_END, np.cbrt(xyz), _SLOPE * xyz + 4 / 29)
    x, y, z = np.moveaxis(bent, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_rgb(lab: NDArray[np.generic]) -> Floats:
    """Convert CIELAB (D65) to sRGB, the inverse of `rgb_to_lab`.

    Parameters
    ----------
    lab : (..., 3) ndarray
        L, a, b.

    Returns
    -------
    (..., 3) float64 ndarray
        0..255; colours that sRGB cannot show are clipped.
    """
    lightness, a, b = np.moveaxis(np.asarray(lab, dtype=np.float64), -1, 0)
    y = (lightness + 16) / 116
    bent = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = np.where(bent > 6 / 29, bent**3, (bent - 4 / 29) / _SLOPE)
    linear = np.clip(xyz @ _XYZ_TO_RGB.T, 0, 1)
    share = np.where(
        linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear
    )
    rgb: Floats = np.clip(share, 0, 1) * 255
    return rgb


def rgb_to_density(rgb: NDArray[np.generic]) -> Floats:
    """Compute optical densities, to base e.

    By the law of Beer and Lambert the density of a pixel is the sum of the densities
    of its stains.

    Parameters
    ----------
    rgb : ndarray
        0..255, any shape.

    Returns
    -------
    float64 ndarray of the same shape
        0 for white. One grey value is added first, so that black has a finite
        density (5.5).
    """
    return -np.log((np.asarray(rgb, dtype=np.float64) + 1) / 256)


def density_to_rgb(density: NDArray[np.generic]) -> Floats:
    """Convert optical densities to grey values, the inverse of `rgb_to_density`.

    Parameters
    ----------
    density : ndarray
        To base e, any shape.

    Returns
    -------
    float64 ndarray of the same shape
        Clipped to 0..255.
    """
    values = 256 * np.exp(-np.asarray(density, dtype=np.float64)) - 1
    rgb: Floats = np.clip(values, 0, 255)
    return rgb


def colours_of(
    probabilities: Singles, opacity: float, colours: ColoursName = DEFAULT_COLOURS
) -> Bytes:
    """Colour probabilities by one of `HEATMAP_COLOURS`.

    Parameters
    ----------
    probabilities : (...) float32 ndarray
        0..1, or NaN.
    opacity : float
        0..1, of every number; NaN becomes transparent.
    colours : {"red-green", "blue-orange"}
        The colour scale.

    Returns
    -------
    (..., 4) uint8 ndarray
        Red, green, blue, alpha; not premultiplied.

    Raises
    ------
    OptionError
        If ``opacity`` lies outside 0..1, or there are no such colours.
    """
    if not 0 <= opacity <= 1:
        raise OptionError(f"opacity is {opacity}; give a number in 0..1")
    if colours not in HEATMAP_COLOURS:
        raise OptionError(
            f"colours are {colours!r}; use one of {', '.join(HEATMAP_COLOURS)}"
        )
    places, *channels = np.transpose(HEATMAP_COLOURS[colours])
    table = np.zeros((257, 4), dtype=np.uint8)  # the last row is for NaN
    for index, channel in enumerate(channels):
        table[:256, index] = np.rint(np.interp(np.linspace(0, 1, 256), places, channel))
    table[:256, 3] = round(255 * opacity)
    missing = np.isnan(probabilities)
    place = np.rint(np.where(missing, np.float32(0), probabilities) * 255)
    return table.take(np.where(missing, 256, place).astype(np.intp), axis=0)


def blend(image: Bytes, overlay: Bytes) -> Bytes:
    """Lay a heatmap over an image whose light and dark stay visible.

    Under the overlay the image loses its own colours, which would muddy those of the
    heatmap, and the overlay takes over some of the image's light and dark.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        Red, green, blue.
    overlay : (height, width, 4) uint8 ndarray
        Red, green, blue, alpha; alpha 0 leaves the image as it is.

    Returns
    -------
    (height, width, 3) uint8 ndarray
        The mixture.
    """
    covered = overlay[..., 3] > 0
    over = overlay[covered].astype(np.float32)
    grey = (image[covered].astype(np.float32) @ LUMINANCE)[:, None]
    light = 1 - SHADING * (1 - grey / 255)
    alpha = over[:, 3:] / 255
    mixed = image.copy()
    mixed[covered] = np.rint(grey * (1 - alpha) + over[:, :3] * light * alpha)
    return mixed
