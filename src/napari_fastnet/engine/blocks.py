"""One block of work: its pixels read, its patches cut out and judged."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Box
from napari_fastnet.engine.flips import predict_with_flips
from napari_fastnet.errors import TileReadError
from napari_fastnet.io.store import UNREADABLE, Block

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_fastnet.engine.backends import Backend
    from napari_fastnet.engine.plan import Plan
    from napari_fastnet.io.slide import Slide

#: Patches between two looks at the stop signal: two of the back ends' parts.
BATCH = 56


@dataclass(frozen=True, slots=True)
class BlockPixels:
    """A block that was read: one picture, and the patches in it.

    Patches overlap when the stride is less than a patch, so they are cut from the
    picture batch by batch and never lie in memory all at once.
    """

    shape: tuple[int, int]  # of the block, cells
    cells: NDArray[np.intp]  # (n, 2) row and column in the block
    corners: NDArray[np.intp]  # (n, 2) top and left in the picture, model px
    pixels: NDArray[np.uint8]
    unreadable: NDArray[np.bool_]  # (n,)


class BlockWork:
    """Reading and inferring of one run, with the time that each took."""

    def __init__(
        self,
        slide: Slide,
        plan: Plan,
        backend: Backend,
        should_stop: Callable[[], bool],
    ) -> None:
        self.slide, self.plan, self.backend = slide, plan, backend
        self.should_stop = should_stop
        self.read_seconds = 0.0
        self.infer_seconds = 0.0

    def read(self, block: Block, wanted: NDArray[np.bool_]) -> BlockPixels:
        """Read what the wanted patches of a block cover; runs in a thread."""
        began = perf_counter()
        plan = self.plan
        cells = np.argwhere(wanted)
        first, last = cells.min(axis=0), cells.max(axis=0)
        box = self._patches_box(block, first, last)
        try:
            pixels = self.slide.read(box, plan.spacing)
            damaged: tuple[Box, ...] = ()
        except TileReadError:
            pixels = self.slide.read(box, plan.spacing, damaged="white")
            damaged = self.slide.damaged
        if plan.stain is not None:
            pixels = plan.stain.apply(pixels)
        unreadable = np.array(
            [self._touches(block, cell, damaged) for cell in cells], dtype=bool
        )
        corners = (cells - first) * plan.stride_px
        self.read_seconds += perf_counter() - began
        return BlockPixels(wanted.shape, cells, corners, pixels, unreadable)

    def _patches_box(
        self, block: Block, first: NDArray[np.intp], last: NDArray[np.intp]
    ) -> Box:
        """Return the box from the first to the last patch of a part of a block."""
        top, left = (int(b + f) for b, f in zip(block.first, first, strict=True))
        bottom, right = (int(b + n) for b, n in zip(block.first, last, strict=True))
        begin = self.plan.patches.patch_box(top, left)
        end = self.plan.patches.patch_box(bottom, right)
        return Box(begin.top, begin.left, end.bottom, end.right)

    def _touches(
        self, block: Block, cell: NDArray[np.intp], damaged: tuple[Box, ...]
    ) -> bool:
        """Return whether a damaged tile reaches into the patch of a cell."""
        if not damaged:
            return False
        row, column = (int(b + c) for b, c in zip(block.first, cell, strict=True))
        patch = self.plan.patches.patch_box(row, column)
        return any(not patch.intersect(box).is_empty for box in damaged)

    def infer(self, block: BlockPixels) -> NDArray[np.float32] | None:
        """Return the values of a block, or None if it was stopped on the way."""
        began = perf_counter()
        values = np.full(block.shape, np.nan, np.float32)
        values[tuple(block.cells[block.unreadable].T)] = UNREADABLE
        side = self.plan.patch_px
        # A view: (rows, columns, 3, side, side) without a copy.
        windows = np.lib.stride_tricks.sliding_window_view(
            block.pixels, (side, side), axis=(0, 1)
        )
        cells = block.cells[~block.unreadable]
        corners = block.corners[~block.unreadable]
        for start in range(0, len(cells), BATCH):
            if self.should_stop():
                return None
            batch = slice(start, start + BATCH)
            rows, columns = corners[batch].T
            patches = np.ascontiguousarray(windows[rows, columns].transpose(0, 2, 3, 1))
            values[tuple(cells[batch].T)] = predict_with_flips(
                self.backend.predict, patches, self.plan.flips
            )
        self.infer_seconds += perf_counter() - began
        return values
