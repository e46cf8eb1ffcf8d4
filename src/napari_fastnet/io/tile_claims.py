"""How many px a compressed tile claims in its own header, before anything is decoded.

A decoder makes room for what the tile says, not for what the file's tags say of it: a
JPEG of 700 bytes that claims 65,500 px a side took 12 GB and 33 s.
"""

from __future__ import annotations

import struct

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
    """Refuse a JPEG or JPEG 2000 that claims more than `LARGEST_TILE_PX`.

    Parameters
    ----------
    data : bytes
        Of one tile; of other compressions, nothing is told.

    Raises
    ------
    ValueError
        It claims too much.
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
    """Return whether decoding a JPEG 2000 gives RGB, whatever the file says of it.

    Parameters
    ----------
    data : bytes
        Of one tile.

    Returns
    -------
    bool
        It was transformed to YCbCr by the codec itself, or its chroma is subsampled or
        declared in its own header, which OpenJPEG turns back while it decodes.
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
