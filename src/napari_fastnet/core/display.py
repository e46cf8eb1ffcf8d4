"""Text and pictures for people: numbers in words, HTML and PNG for notebooks."""

from __future__ import annotations

import re
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bytes
    from napari_fastnet.core.geometry import Pair


# Python's stand-in for a byte of a path that is no UTF-8.
_NO_TEXT = re.compile("[\ud800-\udfff]")
_NO_PART_OF_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

#: Longer side of a picture in a notebook, px.
NOTEBOOK_PX = 512

Pixel = TypeVar("Pixel", bound=np.generic)


def png_bytes(pixels: Bytes) -> bytes:
    """Encode pixels as a PNG file.

    Parameters
    ----------
    pixels : (height, width, 3 or 4) uint8 ndarray
        RGB or RGBA.

    Returns
    -------
    bytes
        The file's content.
    """
    from imagecodecs import png_encode

    return bytes(png_encode(np.ascontiguousarray(pixels)))


def enlarged(
    cells: NDArray[Pixel], cell: Pair = (1.0, 1.0), side_px: int = NOTEBOOK_PX
) -> NDArray[Pixel]:
    """Enlarge cells to blocks of equal px; no cell is lost.

    Parameters
    ----------
    cells : (rows, columns, ...) ndarray
        At least one cell.
    cell : tuple of float, optional
        (y, x) size of a cell in any unit, for the picture's proportions.
    side_px : int, optional
        Longer side of the picture; exceeded where there are more cells than px.

    Returns
    -------
    (height, width, ...) ndarray
        The value under the centre of each px.
    """
    rows, columns = cells.shape[:2]
    height, width = rows * cell[0], columns * cell[1]
    # along neither axis may a px be larger than a cell
    scale = max(side_px / max(height, width), 1 / cell[0], 1 / cell[1])
    row, column = (
        np.minimum((np.arange(px) + 0.5) * count // px, count - 1).astype(np.intp)
        for px, count in (
            (max(1, round(height * scale)), rows),
            (max(1, round(width * scale)), columns),
        )
    )
    return cells[np.ix_(row, column)]


def notebook_card(
    rows: Iterable[Sequence[str]], *, png: bytes | None = None, width_px: int = 512
) -> str:
    """Return a table below a picture as HTML that needs no other file.

    Parameters
    ----------
    rows : iterable of sequence of str
        Cells as text, not HTML.
    png : bytes, optional
        The picture, a PNG file's content.
    width_px : int, optional
        Largest width of the picture, in the notebook's px.

    Returns
    -------
    str
        HTML, in the notebook's own colours.
    """
    picture = ""
    if png is not None:
        picture = (
            f'<img src="data:image/png;base64,{b64encode(png).decode()}" '
            f'style="max-width: {width_px}px; width: 100%">'
        )
    cell = '<td style="text-align: left">{}</td>'
    lines = "".join(
        f"<tr>{''.join(cell.format(escape(text)) for text in row)}</tr>" for row in rows
    )
    return f"<div>{picture}<table>{lines}</table></div>"


def number_words(value: float) -> str:
    """Format a number of at least 0 with three digits and without an exponent.

    Parameters
    ----------
    value : float
        At least 0.

    Returns
    -------
    str
        ``under 0.001`` for smaller numbers above 0.

    Examples
    --------
    >>> number_words(1234.5), number_words(0.04567)
    ('1234', '0.0457')
    """
    if 0 < value < 0.001:
        return "under 0.001"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Format a number of things, as in ``1 slide`` and ``2,000 slides``.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        One of the things.
    plural : str, optional
        Several of them; by default the noun with an s.

    Returns
    -------
    str
        Number and noun.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def never_scanned_words(share: float) -> str:
    """Return a note about fill.

    Parameters
    ----------
    share : float
        Share of the picture that is fill, 0..1.

    Returns
    -------
    str
        Empty where less than a thousandth is fill.
    """
    if share < 0.001:
        return ""
    return f"{share:.1%} of the picture was never scanned and is left out"


def unreadable_words(failed: int, wanted: int) -> str:
    """Return a note about unreadable patches.

    Parameters
    ----------
    failed, wanted : int
        Patches that could not be read, and all that were asked for.

    Returns
    -------
    str
        Their number and share.
    """
    share = failed / max(wanted, 1)
    return f"{failed:,} of {counted(wanted, 'patch', 'patches')} ({share:.0%}) could not be read"


def written(text: object) -> str:
    """Return a name or path without the bytes that no file can hold.

    Names on old servers or foreign disks may not be UTF-8. Each such byte becomes U+FFFD,
    the replacement character.
    """
    return _NO_TEXT.sub("\ufffd", str(text))


def in_a_line(text: object) -> str:
    """Return a name or path as `written`, in one line, for printing."""
    return _NO_PART_OF_A_LINE.sub("\ufffd", written(text))
