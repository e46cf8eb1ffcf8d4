"""How objects look in a notebook: a picture beside a table, as one piece of HTML."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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
