"""The first page of a TIFF file of whoever's, read as a whole."""

from __future__ import annotations

import struct
import zlib
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.io.tile_claims import check_claim

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tifffile import TiffFile

#: What tifffile and imagecodecs raise over files that contradict themselves.
DAMAGED = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)

#: Bytes of px that any file may claim, and how often the file's own size: what is
#: compressed as far as it goes has up to some 2000 times.
ANY_FILE_BYTES, LARGEST_RATIO = 2**28, 4096


def first_page(tif: TiffFile) -> NDArray[Any]:
    """Return the px of the first page.

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
        It claims more px than a file of its size can hold; also what else `DAMAGED`
        names.
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
