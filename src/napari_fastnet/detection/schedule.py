"""Reading blocks while others are computed, in an order that may change meanwhile."""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from concurrent.futures import Future

    from napari_fastnet.detection.blocks import BlockPixels
    from napari_fastnet.store.store import Block


def read_ahead(
    read: Callable[[Block], Future[BlockPixels]],
    blocks: Sequence[Block],
    most: int,
    priority: Callable[[Block], float] | None = None,
) -> Generator[tuple[Block, BlockPixels]]:
    """Yield blocks that were read, while others are being read.

    What is read ahead binds nobody: when the order changes, blocks that wait to be
    read are called off, and those that lie ready are dropped and read again when their
    turn comes. Only a reading that has begun comes to its end.

    Parameters
    ----------
    read : callable
        Begins to read a block; fewer than ``most`` at the same time.
    blocks : sequence of Block
        Each comes once, in this order unless there is a priority.
    most : int
        Blocks that are waited for, being read or lie ready at most; at least 1.
    priority : callable, optional
        Asked anew for all that are left before each is yielded: the lowest comes next.

    Yields
    ------
    Block and BlockPixels
        As long as there are any; whatever reading raised is raised here.
    """
    left = list(blocks)
    ahead: dict[Block, Future[BlockPixels]] = {}
    try:
        while left:
            coming = _next(left, most, priority)
            _call_off(ahead, coming)
            for block in coming:
                if block not in ahead and len(ahead) < most:
                    ahead[block] = read(block)
            left.remove(coming[0])
            yield coming[0], ahead.pop(coming[0]).result()
    finally:
        for future in ahead.values():
            future.cancel()


def _next(
    left: Sequence[Block], count: int, priority: Callable[[Block], float] | None
) -> Sequence[Block]:
    """Return so many of the blocks that are left, those to come first."""
    return left[:count] if priority is None else nsmallest(count, left, key=priority)


def _call_off(ahead: dict[Block, Future[BlockPixels]], coming: Sequence[Block]) -> None:
    """Make room for what comes next; readings that have begun keep theirs.

    They are fewer than there is room for, so that the next block always has some.
    """
    moved = coming[0] not in ahead
    for block, future in list(ahead.items()):
        if (moved or block not in coming) and (future.cancel() or future.done()):
            del ahead[block]


#: How many blocks those that come first lie apart at least.
APART = 4


def coarse_to_fine(blocks: Iterable[Block], side: int) -> list[Block]:
    """Return blocks so that the first few are spread over the whole slide.

    First every 2^n-th block of every 2^n-th row, then those half as far apart, each
    round row by row, down to every fourth. The rest follows along Morton's curve,
    neighbours soon after each other: what a file's tile shows of both is then decoded
    once (at 8 gigapixels 14 % of the tiles were decoded again, with rounds down to
    neighbours 43 %).

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
        if apart < APART:
            return 0, _along_curve(row, column), 0
        return -apart, row, column

    return sorted(blocks, key=rank)


def _along_curve(row: int, column: int) -> int:
    """Return the place on Morton's curve: the bits of row and column in turns."""
    place = 0
    for bit in range(max(row, column).bit_length()):
        place |= (row >> bit & 1) << 2 * bit + 1 | (column >> bit & 1) << 2 * bit
    return place
