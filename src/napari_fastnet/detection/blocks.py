"""Work on one block of cells: read its pixels, infer its probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.appearance.never_scanned import whitened
from napari_fastnet.core.appearance.sharpness import patch_sharpness
from napari_fastnet.core.dense import cover
from napari_fastnet.errors import TileReadError
from napari_fastnet.model.backends.backend import filled
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

    Patches overlap if the stride is less than a patch. They are cut from the picture
    batch by batch, so that they are never all in memory.
    """

    slices: tuple[slice, slice]  # of the block, cells
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class BlockPixels:
    """A block that was read.

    Parameters
    ----------
    wanted, unreadable : ndarray
        bool, the block's shape: patches to compute, and patches that cannot be read.
    parts : tuple of Part
        Share no cell and hold every wanted one.
    sharpness : ndarray
        float32, the block's shape: see `core.appearance.sharpness`; NaN where nothing
        was read.
    """

    wanted: NDArray[np.bool_]
    unreadable: NDArray[np.bool_]
    parts: tuple[Part, ...]
    sharpness: NDArray[np.float32]


class BlockReader:
    """Reading of the blocks of one run, and the time that it took.

    Parameters
    ----------
    slide, plan
        As for `detection.compute.detect`.
    missing : (rows, columns) bool ndarray
        The cells of the run's grid to read.
    """

    def __init__(self, slide: Slide, plan: Plan, missing: NDArray[np.bool_]) -> None:
        self.slide, self.plan, self.missing = slide, plan, missing
        self.read_seconds = 0.0

    def read(self, block: Block) -> BlockPixels:
        """Read the pixels of a block's missing patches; runs in a thread."""
        began, plan = perf_counter(), self.plan
        wanted = self.missing[block.slices]
        unreadable = np.zeros_like(wanted)
        sharpness = np.full(wanted.shape, np.nan, np.float32)
        parts = []
        for slices in cover(wanted, plan.overhead, plan.picture_cells):
            row, column = (
                start + part.start
                for start, part in zip(block.first, slices, strict=True)
            )
            rows, columns = (part.stop - part.start for part in slices)
            box = plan.picture_box((row, column), plan.picture_shape((rows, columns)))
            pixels, damaged = self._picture(box)
            parts.append(Part(slices, pixels))
            if damaged:
                touched = self._overlapping((row, column), wanted[slices], damaged)
                unreadable[slices] = touched
            sharpness[slices] = patch_sharpness(
                pixels,
                (rows, columns),
                patch_px=plan.patch_px,
                stride_px=plan.stride_px,
                corner_px=0 if plan.dense is None else plan.dense.corner_px,
            )
        self.read_seconds += perf_counter() - began
        return BlockPixels(wanted, unreadable, tuple(parts), sharpness)

    def _picture(self, box: Box) -> tuple[NDArray[np.uint8], tuple[Box, ...]]:
        """Read a part of the slide as the model sees it, and the damaged parts of it."""
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

    def _overlapping(
        self,
        first: tuple[int, int],
        wanted: NDArray[np.bool_],
        damaged: tuple[Box, ...],
    ) -> NDArray[np.bool_]:
        """Return a mask of the wanted cells whose patch overlaps a damaged tile."""
        touched = np.zeros_like(wanted)
        for row, column in np.argwhere(wanted):
            cell = first[0] + int(row), first[1] + int(column)
            seen = self.plan.picture_box(cell, (1, 1))
            touched[row, column] = any(
                not seen.intersect(box).is_empty for box in damaged
            )
        return touched


class BlockWork(BlockReader):
    """Reading and inference of one run, and the time that each took.

    Parameters
    ----------
    slide, plan, backend, should_stop
        As for `detection.compute.detect`.
    missing : (rows, columns) bool ndarray
        The cells of the run's grid to compute.
    """

    def __init__(
        self,
        slide: Slide,
        plan: Plan,
        backend: Backend,
        missing: NDArray[np.bool_],
        should_stop: Callable[[], bool],
    ) -> None:
        super().__init__(slide, plan, missing)
        self.backend, self.should_stop = backend, should_stop
        self.infer_seconds = 0.0

    def infer(self, block: BlockPixels) -> NDArray[np.float32] | None:
        """Return the values of a block, or None if the run was stopped."""
        began, plan = perf_counter(), self.plan
        values = np.full(block.wanted.shape, np.nan, np.float32)
        for part in block.parts:
            wanted = (block.wanted & ~block.unreadable)[part.slices]
            if plan.dense is None:
                if not self._infer_patches(part.pixels, wanted, values[part.slices]):
                    return None
                continue
            if self.should_stop():
                return None
            pixels = part.pixels
            if self.backend.one_shape:  # cells beyond the wanted ones are not used
                pixels = filled(pixels, (plan.largest_picture_px,) * 2)
            found = self.backend.predict_densely(pixels, plan.dense, plan.flips)
            rows, columns = wanted.shape
            values[part.slices][wanted] = found[:rows, :columns][wanted]
        values[block.unreadable] = UNREADABLE
        self.infer_seconds += perf_counter() - began
        return values

    def _infer_patches(
        self,
        pixels: NDArray[np.uint8],
        wanted: NDArray[np.bool_],
        values: NDArray[np.float32],
    ) -> bool:
        """Put the values of a picture's patches in place; return False if stopped."""
        side = self.plan.patch_px
        # A view: (rows, columns, 3, side, side) without a copy.
        windows = np.lib.stride_tricks.sliding_window_view(
            pixels, (side, side), axis=(0, 1)
        )
        cells = np.argwhere(wanted)
        for start in range(0, len(cells), BATCH):
            if self.should_stop():
                return False
            batch = cells[start : start + BATCH]
            rows, columns = (batch * self.plan.stride_px).T
            patches = np.ascontiguousarray(windows[rows, columns].transpose(0, 2, 3, 1))
            values[tuple(batch.T)] = self.backend.predict(patches, self.plan.flips)
        return True
