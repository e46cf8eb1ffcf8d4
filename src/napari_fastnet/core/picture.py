"""Pictures in memory for notebooks: PNG bytes, and small arrays made large enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair

#: Longer side of a picture in a notebook, px.
NOTEBOOK_PX = 512

Pixel = TypeVar("Pixel", bound=np.generic)


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Return (height, width, 3 or 4) RGB or RGBA pixels as the bytes of a PNG file."""
    from imagecodecs import png_encode

    return bytes(png_encode(np.ascontiguousarray(pixels)))


def enlarged(
    cells: NDArray[Pixel], cell: Pair = (1.0, 1.0), side_px: int = NOTEBOOK_PX
) -> NDArray[Pixel]:
    """Return cells as blocks of equal px, none of them lost.

    Parameters
    ----------
    cells : (rows, columns, ...) ndarray
        At least one cell.
    cell : tuple of float, optional
        (y, x) size of a cell in any unit, for the picture's proportions.
    side_px : int, optional
        What the picture's longer side is to reach; it is longer where there are more
        cells.

    Returns
    -------
    (height, width, ...) ndarray
        The value under the centre of each px.
    """
    rows, columns = cells.shape[:2]
    height, width = rows * cell[0], columns * cell[1]
    # so that along neither axis a px is larger than a cell
    scale = max(side_px / max(height, width), 1 / cell[0], 1 / cell[1])
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    row, column = (
        np.minimum((np.arange(px) + 0.5) * count // px, count - 1).astype(np.intp)
        for px, count in zip(shape, (rows, columns), strict=True)
    )
    return cells[np.ix_(row, column)]
