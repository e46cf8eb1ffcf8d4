"""In which order blocks are computed when nobody is looking."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_fastnet.io.store import Block


def coarse_to_fine(blocks: Iterable[Block], side: int) -> list[Block]:
    """Return blocks so that the first few are spread over the whole slide.

    First every 2^n-th block of every 2^n-th row, then those half as far apart, down
    to neighbours; each round row by row.

    Parameters
    ----------
    blocks : iterable of Block
        Of one grid.
    side : int
        Cells along a block's side.

    Returns
    -------
    list of Block
        The same blocks.
    """

    def rank(block: Block) -> tuple[int, int, int]:
        row, column = (first // side for first in block.first)
        together = row | column
        # The lowest bit that is set: how far apart the blocks of its round lie.
        apart = together & -together or 1 << 62
        return -apart, row, column

    return sorted(blocks, key=rank)
