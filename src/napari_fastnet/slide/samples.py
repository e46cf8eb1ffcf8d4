"""The samples of a TIFF page: their meaning, and their conversion to RGB."""

from __future__ import annotations

import struct
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from xml.etree.ElementTree import ParseError

import numpy as np

from napari_fastnet.slide.tiles import WHITE, Pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from tifffile import TiffFrame, TiffPage


#: Errors of tifffile, tiffslide and the decoders over files that contradict themselves.
TIFF_ERRORS = (
    ValueError,  # tifffile.TiffFileError among them
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    StopIteration,
    ParseError,
    OSError,
    struct.error,
    zlib.error,
)

#: Most px of one tile or strip: it is decoded as a whole, in several threads at once.
LARGEST_TILE_PX = 2**25

#: First bytes of a JPEG 2000 stream, and the marker behind them.
JPEG2000_START = b"\xff\x4f\xff\x51"

_JPEG_START = b"\xff\xd8"
_JPEG2000_BOX = b"\0\0\0\x0cjP"
_JPEG2000_STYLE = b"\xff\x52"
# A box that names a colour space by number: method, precedence, approximation, and 18.
_COLOUR_BOX, _SYCC = b"colr\x01\x00\x00", b"\0\0\0\x12"
# Markers of a JPEG frame, which states the size; C4, C8 and CC are others.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _BARE = 0xDA, frozenset((0x01, *range(0xD0, 0xDA)))


def check_claim(data: bytes) -> None:
    """Refuse a JPEG or JPEG 2000 that claims more than `LARGEST_TILE_PX`: ValueError.

    Tiles of other compressions pass.
    """
    if data.startswith(_JPEG_START):
        height, width = _jpeg_size(data)
    elif data.startswith((JPEG2000_START, _JPEG2000_BOX)):
        height, width = _jpeg2000_size(data)
    else:
        return
    if height * width > LARGEST_TILE_PX:
        raise ValueError(f"it claims to have {width} x {height} px")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Return the largest (height, width) that a JPEG states; (0, 0) if none."""
    at, found = 2, (0, 0)
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            at += 1
            continue
        marker = data[at + 1]
        if marker == _SCAN:
            break
        if marker == 0xFF:
            at += 1
        elif marker in _BARE:
            at += 2
        else:
            if marker in _FRAMES:
                found = max(found, struct.unpack_from(">HH", data, at + 5))
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return found


def _jpeg2000_size(data: bytes) -> tuple[int, int]:
    """Return the (height, width) that a JPEG 2000 codestream states; (0, 0) if none."""
    at = data.find(JPEG2000_START)
    if at < 0 or at + 24 > len(data):
        return 0, 0
    right, bottom, left, top = struct.unpack_from(">4I", data, at + 8)
    return max(0, bottom - top), max(0, right - left)


def is_decoded_to_rgb(data: bytes) -> bool:
    """Check whether decoding a JPEG 2000 tile gives RGB, regardless of the file's tags.

    The codec itself transformed it to YCbCr, or its chroma is subsampled or declared in its
    own header: OpenJPEG reverts each of these while it decodes.
    """
    at = data.find(JPEG2000_START)
    if at < 0 or at + 45 > len(data):
        return False
    declared = data.rfind(_COLOUR_BOX + _SYCC, 0, at) >= 0
    (count,) = struct.unpack_from(">H", data, at + 40)
    steps = data[at + 42 : at + 42 + 3 * count]  # depth, dx, dy of each component
    subsampled = any(step != 1 for i, step in enumerate(steps) if i % 3)
    style = data.find(_JPEG2000_STYLE, at + 42 + 3 * count)
    transformed = 0 <= style < len(data) - 8 and data[style + 8] != 0
    return declared or subsampled or transformed


# TIFF's numbers.
_JPEGS = {6, 7, 34892, 33007}  # these convert to RGB while they decode
_APERIO_YCBCR = 33003
_JPEG2000 = {_APERIO_YCBCR, 33004, 33005, 34712}
_PLAIN = {1, 5, 8, 32773, 32946, 34925, 50000}  # lossless, and no pictures of their own
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _YCBCR = 0, 1, 2, 6
_COEFFICIENTS, _REFERENCE = 529, 532

# (pages, samples a page) that are grey, RGB, and RGB with something more.
_LAYOUTS = ((1, 1), (1, 3), (1, 4), (3, 1))

# Luma of red, green and blue (ITU-R BT.601), and the range 0 to 255 of each sample.
_BT601 = (0.299, 0.587, 0.114)
_FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)

#: The fourth sample: an opacity that the colours are multiplied by, or are not, or none.
Alpha = Literal["associated", "unassociated", "none"]
_ALPHAS: dict[int, Alpha] = {1: "associated", 2: "unassociated"}


def converter_of(key: TiffPage) -> Callable[[NDArray[Any]], Pixels]:
    """Return a function of the decoded samples of a page to RGB."""
    flip = key.photometric == _MIN_IS_WHITE
    return partial(_to_rgb, flip=flip, alpha=_alpha_of(key))


def _alpha_of(key: TiffPage) -> Alpha:
    """Return the meaning of a fourth sample; an opacity is declared as one."""
    return _ALPHAS.get(int(key.extrasamples[0]) if key.extrasamples else 0, "none")


def _to_rgb(tile: NDArray[Any], *, flip: bool, alpha: Alpha) -> Pixels:
    """Return grey repeated, RGB as it is, RGB with an opacity laid over white."""
    if flip:
        tile = WHITE - tile
    if tile.shape[-1] == 1:
        return np.repeat(tile, 3, axis=-1)
    if tile.shape[-1] == 4 and alpha != "none":
        return over_white(tile, multiplied=alpha == "associated")
    rgb: Pixels = np.ascontiguousarray(tile[..., :3])
    return rgb


def over_white(rgba: NDArray[np.uint8], *, multiplied: bool = False) -> Pixels:
    """Return RGBA, uint8 ``(height, width, 4)``, laid over white; opaque px are unchanged.

    ``multiplied`` where the colours are multiplied by the opacity already.
    """
    alpha = rgba[..., 3:]
    rgb = np.ascontiguousarray(rgba[..., :3])
    if (alpha == WHITE).all():
        return rgb
    colour = rgb.astype(np.uint16)
    if not multiplied:
        colour = (colour * alpha + WHITE // 2) // WHITE
    pixels: Pixels = np.minimum(colour + (WHITE - alpha), WHITE).astype(np.uint8)
    return pixels


def decoder_of(
    page: TiffPage | TiffFrame, key: TiffPage, *, aperio: bool
) -> tuple[Callable[[bytes, int], NDArray[Any]], bool]:
    """Return the decoder of a page's tiles, which turns YCbCr to RGB.

    A function of (bytes, index) to ``(height, width, samples)``; with it True where each tile
    is a whole stream, which needs no header from the file. The page has the tables of JPEG,
    ``key`` describes it.
    """
    options: dict[str, Any] = {}
    if key.compression in _JPEGS:
        header = getattr(page, "jpegheader", key.jpegheader)
        options = {"jpegtables": page.jpegtables, "jpegheader": header}
    elif key.photometric == _YCBCR:
        # Chroma may be subsampled inside a JPEG 2000 alone, and tifffile, where no tag
        # says that it is not, refuses all of the page.
        key.subsampling = (1, 1)
    decode = key.decode
    is_ycbcr = key.photometric == _YCBCR and key.compression not in _JPEGS
    is_ycbcr |= aperio and key.compression == _APERIO_YCBCR
    is_jpeg2000 = key.compression in _JPEG2000

    def decode_tile(data: bytes, index: int) -> NDArray[Any]:
        tile: NDArray[Any] = np.asarray(decode(data, index, **options)[0])[0]
        if is_ycbcr and not (is_jpeg2000 and is_decoded_to_rgb(data)):
            return ycbcr_to_rgb(tile)
        return tile

    return decode_tile, options.get("jpegheader") is None


def reading_of(key: TiffPage) -> str:
    """Return a word where px are read differently than by version 0.1, else "".

    The word enters the slide's fingerprint, so that a run of that version is not resumed
    with px that differ.
    """
    if key.samplesperpixel == 4:
        return f"fourth sample: {_alpha_of(key)}"
    if key.compression == _APERIO_YCBCR or (
        key.photometric == _YCBCR and key.compression in _JPEG2000
    ):
        return "JPEG 2000 as its streams say"
    return ""


def ycbcr_to_rgb(tile: NDArray[Any]) -> Pixels:
    """Return full-range YCbCr (ITU-R BT.601, as in JPEG) as RGB."""
    y, blue, red = (tile[..., i].astype(np.float32) for i in range(3))
    blue, red = blue - 128, red - 128
    rgb = np.stack(
        [y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], -1
    )
    pixels: Pixels = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return pixels


def unread_kind(key: TiffPage, pages: int) -> str | None:
    """Name the kind of px of an image that is not read, as in "the pixels are ...".

    None where they are read. The key page describes the image, which has so many pages.
    """
    from tifffile import TIFF

    samples = key.samplesperpixel
    if key.compression != 1 and key.compression not in TIFF.DECOMPRESSORS:
        return f"compressed by method {int(key.compression)}"
    if key.dtype != np.uint8 or key.bitspersample != 8:
        return f"of type {key.dtype}, {key.bitspersample} bits"
    if key.photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _YCBCR):
        return f"stored in colour space {int(key.photometric)}"
    if (pages, samples) not in _LAYOUTS or key.planarconfig != 1:
        return f"of {samples} samples on {pages} pages, plane by plane"
    return _unread_ycbcr(key) if key.photometric == _YCBCR else None


def _unread_ycbcr(key: TiffPage) -> str | None:
    """Name the kind of a page in YCbCr where that kind is not read, else None."""
    if key.compression in _JPEGS:
        # tifffile turns three samples to RGB, and leaves four as they are
        return "YCbCr with a fourth sample" if key.samplesperpixel > 3 else None
    if key.compression not in _PLAIN | _JPEG2000:
        return f"called YCbCr in compression {int(key.compression)}, which has its own"
    if key.compression in _PLAIN and key.is_subsampled:
        return "YCbCr whose colours are stored at a lower resolution"
    if _differs(key, _COEFFICIENTS, _BT601):
        return "YCbCr of coefficients that are not ITU-R BT.601's"
    if _differs(key, _REFERENCE, _FULL_RANGE):
        return "YCbCr that does not use the range 0 to 255"
    return None


def _differs(key: TiffPage, tag: int, wanted: tuple[float, ...]) -> bool:
    """Check that a tag is there and its fractions are not those wanted."""
    if (values := key.tags.valueof(tag)) is None:
        return False
    found = [a / b for a, b in zip(values[::2], values[1::2], strict=True)]
    return len(found) != len(wanted) or not np.allclose(found, wanted, atol=1.01e-2)
