"""One block of work: its pixels read, its patches judged."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.appearance.never_scanned import whitened
from napari_fastnet.core.appearance.sharpness import patch_sharpness
from napari_fastnet.core.dense import cover
from napari_fastnet.errors import TileReadError
from napari_fastnet.model.backends.flips import map_with_flips, predict_with_flips
from napari_fastnet.model.backends.parts import filled
from napari_fastnet.store.store import UNREADABLE, Block

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Box
    from napari_fastnet.detection.plan import Plan
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.slide.slide import Slide

#: Patches between two looks at the stop signal: two of the back ends' parts.
BATCH = 56


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a block's cells and the picture that shows their patches.

    Patches overlap when the stride is less than a patch, so they are cut from the
    picture batch by batch and never lie in memory all at once.
    """

    slices: tuple[slice, slice]  # of the block, cells
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class BlockPixels:
    """A block that was read.

    Parameters
    ----------
    wanted, unreadable : ndarray
        bool, the block's shape: which patches to judge, and which cannot be read.
    parts : tuple of Part
        Share no cell and hold every wanted one.
    sharpness : ndarray
        float32, the block's shape: see `core.appearance.sharpness`; NaN where nothing was read.
    """

    wanted: NDArray[np.bool_]
    unreadable: NDArray[np.bool_]
    parts: tuple[Part, ...]
    sharpness: NDArray[np.float32]


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
        unreadable = np.zeros_like(wanted)
        sharpness = np.full(wanted.shape, np.nan, np.float32)
        parts = []
        for slices in cover(wanted, self.plan.overhead, self.plan.picture_cells):
            first = tuple(
                start + part.start
                for start, part in zip(block.first, slices, strict=True)
            )
            rows, columns = (part.stop - part.start for part in slices)
            shape = self.plan.picture_shape((rows, columns))
            box = self.plan.picture_box(first, shape)
            pixels, damaged = self._picture(box)
            parts.append(Part(slices, pixels))
            unreadable[slices] = self._touched(first, wanted[slices], damaged)
            sharpness[slices] = self._sharpness(pixels, (rows, columns))
        self.read_seconds += perf_counter() - began
        return BlockPixels(wanted, unreadable, tuple(parts), sharpness)

    def _sharpness(
        self, pixels: NDArray[np.uint8], shape: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return how sharp the patches of a picture's first cells are."""
        plan = self.plan
        return patch_sharpness(
            pixels,
            shape,
            patch_px=plan.patch_px,
            stride_px=plan.stride_px,
            corner_px=0 if plan.dense is None else plan.dense.corner_px,
        )

    def _picture(self, box: Box) -> tuple[NDArray[np.uint8], tuple[Box, ...]]:
        """Return a part of the slide as the model sees it, and where it is damaged."""
        plan = self.plan
        damaged: tuple[Box, ...] = ()
        try:
            pixels = self.slide.read(box, plan.spacing)
        except TileReadError:
            pixels = self.slide.read(box, plan.spacing, damaged="white")
            damaged = self.slide.damaged
        if plan.fill is not None:
            pixels = whitened(pixels, box, plan.fill, self.slide.shape)
        if plan.stain is not None:
            pixels = plan.stain.apply(pixels)
        return pixels, damaged

    def _touched(
        self,
        first: tuple[int, int],
        wanted: NDArray[np.bool_],
        damaged: tuple[Box, ...],
    ) -> NDArray[np.bool_]:
        """Return into the patches of which wanted cells a damaged tile reaches."""
        touched = np.zeros_like(wanted)
        if not damaged:
            return touched
        for row, column in np.argwhere(wanted):
            seen = self.plan.seen_box(first[0] + int(row), first[1] + int(column))
            touched[row, column] = any(
                not seen.intersect(box).is_empty for box in damaged
            )
        return touched

    def infer(self, block: BlockPixels) -> NDArray[np.float32] | None:
        """Return the values of a block, or None if it was stopped on the way."""
        began = perf_counter()
        values = np.full(block.wanted.shape, np.nan, np.float32)
        judge = self._judge_patches if self.plan.dense is None else self._judge_densely
        wanted = block.wanted & ~block.unreadable
        for part in block.parts:
            found = judge(part.pixels, wanted[part.slices])
            if found is None:
                return None
            values[part.slices] = found
        values[block.unreadable] = UNREADABLE
        self.infer_seconds += perf_counter() - began
        return values

    def _judge_patches(
        self, pixels: NDArray[np.uint8], wanted: NDArray[np.bool_]
    ) -> NDArray[np.float32] | None:
        """Cut the wanted patches out of a picture and judge each."""
        values = np.full(wanted.shape, np.nan, np.float32)
        side = self.plan.patch_px
        # A view: (rows, columns, 3, side, side) without a copy.
        windows = np.lib.stride_tricks.sliding_window_view(
            pixels, (side, side), axis=(0, 1)
        )
        cells = np.argwhere(wanted)
        for start in range(0, len(cells), BATCH):
            if self.should_stop():
                return None
            batch = cells[start : start + BATCH]
            rows, columns = (batch * self.plan.stride_px).T
            patches = np.ascontiguousarray(windows[rows, columns].transpose(0, 2, 3, 1))
            values[tuple(batch.T)] = predict_with_flips(
                self.backend.predict, patches, self.plan.flips
            )
        return values

    def _judge_densely(
        self, pixels: NDArray[np.uint8], wanted: NDArray[np.bool_]
    ) -> NDArray[np.float32] | None:
        """Look at a picture as a whole and read the wanted patches' values off it."""
        if self.should_stop():
            return None
        scan = self.plan.dense
        assert scan is not None
        if self.backend.one_shape:  # what is beyond the last wanted cells is not used
            side = self.plan.largest_picture_px
            pixels = filled(pixels, (side, side))
        found = map_with_flips(
            self.backend.cell_margins, scan.pool, pixels, self.plan.flips
        )
        rows, columns = wanted.shape
        return np.where(wanted, found[:rows, :columns], np.float32(np.nan))
