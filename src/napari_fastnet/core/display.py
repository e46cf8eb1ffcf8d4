"""Words for numbers, and pictures in memory for notebooks."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


def notebook_card(
    rows: Iterable[Sequence[str]], *, png: bytes | None = None, width_px: int = 512
) -> str:
    """Return a table and the picture above it as HTML that needs no other file.

    Parameters
    ----------
    rows : iterable of sequence of str
        Cells as text, not HTML.
    png : bytes, optional
        The picture, a PNG file's content.
    width_px : int, optional
        The most that the picture may be wide, in the notebook's px.

    Returns
    -------
    str
        HTML, in the notebook's own colours.
    """
    picture = ""
    if png is not None:
        data = b64encode(png).decode()
        picture = (
            f'<img src="data:image/png;base64,{data}" '
            f'style="max-width: {width_px}px; width: 100%">'
        )
    lines = "".join(
        "<tr>"
        + "".join(f'<td style="text-align: left">{escape(cell)}</td>' for cell in row)
        + "</tr>"
        for row in rows
    )
    return f"<div>{picture}<table>{lines}</table></div>"


def number_words(value: float) -> str:
    """Return a number of at least 0 with three digits and without an exponent."""
    if 0 < value < 0.001:
        return "under 0.001"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number of things, as in ``1 slide`` and ``2,000 slides``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def never_scanned_words(share: float) -> str:
    """Return what is said of fill; nothing where less than a thousandth is fill."""
    if share < 0.001:
        return ""
    return f"{share:.1%} of the picture was never scanned and is left out"


def unreadable_words(failed: int, wanted: int) -> str:
    """Return how many of the patches that were wanted could not be read."""
    share = failed / max(wanted, 1)
    return f"{failed:,} of {counted(wanted, 'patch', 'patches')} ({share:.0%}) could not be read"
