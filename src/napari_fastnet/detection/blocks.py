"""Reading of the pixels of blocks of cells."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.appearance.never_scanned import whitened
from napari_fastnet.core.appearance.sharpness import patch_sharpness
from napari_fastnet.core.dense import CELL_PX, STEM_CELLS, STEM_RIM_PX, cover
from napari_fastnet.errors import TileReadError
from napari_fastnet.slide.tiles import TileCache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_fastnet.core.dense import DenseScan
    from napari_fastnet.core.geometry import Box
    from napari_fastnet.detection.plan import Plan
    from napari_fastnet.slide.slide import Slide
    from napari_fastnet.store.store import Block

#: (row, column) of a tile of the stem; (0, 0) begins with the picture of cell (0, 0).
Tile = tuple[int, int]

#: Side, in cells, of the squares of which a dense scan's pictures are put together. A px
#: that is resampled for several pictures is so the same in all of them.
SQUARE_CELLS = 16
#: Memory for squares that neighbouring blocks may want.
SQUARES_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a block's cells and the picture that shows their patches.

    Patches overlap if the stride is less than a patch. They are cut from the picture
    batch by batch, so that they are never all in memory.
    """

    slices: tuple[slice, slice]  # of the block, cells
    pixels: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        rows, columns = self.slices
        return rows.stop - rows.start, columns.stop - columns.start


@dataclass(frozen=True, slots=True)
class StemTiles:
    """Pixels of the tiles of FastNet's stem that the values of a block depend on.

    Parameters
    ----------
    first : tuple of int
        The cell of the run's grid with whose picture ``pixels`` begin.
    pixels : (height, width, 3) uint8 ndarray
        Show all of the tiles; beside them they are black.
    tiles : tuple of tuple of int
        (row, column) of each, see `Tile`.
    damaged : tuple of Box
        Parts of the slide that could not be read, level-0 px; some of them may be white
        in ``pixels``.
    """

    first: tuple[int, int]
    pixels: NDArray[np.uint8]
    tiles: tuple[Tile, ...]
    damaged: tuple[Box, ...]

    def of(self, tile: Tile) -> NDArray[np.uint8]:
        """Return the pixels of a tile and its rim, see `core.dense.STEM_CELLS`."""
        cells = np.multiply(tile, STEM_CELLS)
        return self.picture(cells, np.multiply(STEM_CELLS, CELL_PX) + STEM_RIM_PX)

    def picture(
        self, cell: NDArray[np.intp], shape: NDArray[np.intp]
    ) -> NDArray[np.uint8]:
        """Return so many px, (height, width), from the picture of a cell on.

        A view, unless it leaves what was read: there it is black, and nothing wanted
        depends on it.
        """
        top, left = CELL_PX * (cell - self.first)
        height, width = shape
        shown = self.pixels[top : top + height, left : left + width]
        below, beside = height - shown.shape[0], width - shown.shape[1]
        if not below and not beside:
            return shown
        return np.pad(shown, [(0, below), (0, beside), (0, 0)])


@dataclass(frozen=True, slots=True)
class BlockPixels:
    """A block that was read.

    Parameters
    ----------
    block : Block
        The block.
    wanted, unreadable : ndarray
        bool, the block's shape: patches to compute, and patches that cannot be read.
    parts : tuple of Part
        Share no cell and hold every wanted one.
    sharpness : ndarray
        float32, the block's shape: see `core.appearance.sharpness`; NaN where a patch is
        not wanted.
    stem : StemTiles or None
        The pixels of all parts of a dense scan; None for patches.
    maps : mapping or None
        The maps behind the stem, (channels, height, width) of each of its tiles, where
        they were computed; the pixels are then dropped.
    """

    block: Block
    wanted: NDArray[np.bool_]
    unreadable: NDArray[np.bool_]
    parts: tuple[Part, ...]
    sharpness: NDArray[np.float32]
    stem: StemTiles | None
    maps: Mapping[Tile, NDArray[np.float32]] | None = None


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
        self._squares = TileCache(SQUARES_BYTES)

    def read(self, block: Block) -> BlockPixels:
        """Read the pixels of a block's missing patches; runs in a thread."""
        began, plan = perf_counter(), self.plan
        wanted = self.missing[block.slices]
        unreadable = np.zeros_like(wanted)
        sharpness = np.full(wanted.shape, np.nan, np.float32)
        stem: StemTiles | None = None
        damaged: tuple[Box, ...] = ()
        if plan.dense is not None and wanted.any():
            stem = self._stem_tiles(plan.dense, block, wanted)
            damaged = stem.damaged
        parts = []
        for slices in cover(wanted, plan.overhead, plan.picture_cells):
            here = wanted[slices]
            first = (
                block.first[0] + slices[0].start,
                block.first[1] + slices[1].start,
            )
            if plan.dense is None or stem is None:
                pixels, damaged = self._pixels(plan.picture_box(first, here.shape))
            else:
                shape = [plan.dense.picture_px(side) for side in here.shape]
                pixels = stem.picture(np.array(first), np.array(shape))
            parts.append(Part(slices, pixels))
            if damaged:
                unreadable[slices] = self._overlapping(first, here, damaged)
            measured = patch_sharpness(
                pixels,
                here.shape,
                patch_px=plan.patch_px,
                stride_px=plan.stride_px,
                corner_px=0 if plan.dense is None else plan.dense.corner_px,
            )
            sharpness[slices][here] = measured[here]
        self.read_seconds += perf_counter() - began
        return self.prepare(
            BlockPixels(block, wanted, unreadable, tuple(parts), sharpness, stem)
        )

    def prepare(self, block: BlockPixels) -> BlockPixels:
        """Return a block that was read, ready for what is done with it."""
        return block

    def _stem_tiles(
        self, dense: DenseScan, block: Block, wanted: NDArray[np.bool_]
    ) -> StemTiles:
        """Read what the wanted cells of a block depend on."""
        sides = np.array(STEM_CELLS)
        reach = dense.reach(wanted)
        begin = np.array(block.first) // sides
        end = -(-np.add(block.first, reach.shape) // sides)
        held = np.zeros((end - begin) * sides, bool)
        top, left = block.first - begin * sides
        held[top : top + reach.shape[0], left : left + reach.shape[1]] = reach
        tiles = begin + np.argwhere(_any(held, STEM_CELLS))
        first, end = tiles.min(axis=0) * sides, (tiles.max(axis=0) + 1) * sides
        shape = CELL_PX * (end - first) + STEM_RIM_PX
        pixels = np.zeros((*shape, 3), np.uint8)
        # the four corners of each: the rim of a tile may lie in another square
        corners = [(tiles + corner) * sides for corner in product((0, 1), repeat=2)]
        squares = np.unique(np.concatenate(corners) // SQUARE_CELLS, axis=0)
        grid, side = self.plan.patches.grid, SQUARE_CELLS
        last = dense.box(grid, tuple(side * squares[-1]), (side, side))
        breaks = np.ones(len(squares) - 1, bool)
        if unfiltered := self.slide.is_unfiltered(last, self.plan.spacing):
            # px of the file, the same in every picture: a run of them is read at once
            breaks = np.any(np.diff(squares, axis=0) != (0, 1), axis=1)
        damaged: tuple[Box, ...] = ()
        runs = np.split(squares, 1 + np.flatnonzero(breaks))
        self.slide.fetch(
            (dense.box(grid, tuple(side * r[0]), (side, side * len(r))) for r in runs),
            self.plan.spacing,
        )
        for run in runs:
            key = (0, int(run[0][0]), int(run[0][1]))
            found = None if unfiltered else self._squares.get(key)
            if found is None:
                box = dense.box(grid, tuple(side * run[0]), (side, side * len(run)))
                found, holes = self._pixels(box)
                damaged = holes or damaged
                if not unfiltered and not holes:  # or the next would not know of them
                    self._squares.put(key, found)
            paste(found, pixels, (CELL_PX * (side * run[0] - first)).tolist())
        found_tiles = tuple((int(row), int(column)) for row, column in tiles)
        corner = int(first[0]), int(first[1])
        return StemTiles(corner, pixels, found_tiles, damaged)

    def _pixels(self, box: Box) -> tuple[NDArray[np.uint8], tuple[Box, ...]]:
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


def _any(cells: NDArray[np.bool_], sides: tuple[int, int]) -> NDArray[np.bool_]:
    """Return whether any cell of each rectangle is true; (rows, columns) of rectangles."""
    rows, columns = np.array(cells.shape) // sides
    split = cells.reshape(rows, sides[0], columns, sides[1])
    return np.asarray(split.any(axis=(1, 3)))


def paste(part: NDArray[Any], whole: NDArray[Any], at: Sequence[int]) -> None:
    """Put a part in its place along the first two axes, cut off where the whole ends."""
    places, inner = [], []
    for begin, width, size in zip(at, part.shape, whole.shape, strict=False):
        low = min(max(0, begin), size)
        high = max(low, min(size, begin + width))
        places.append(slice(low, high))
        inner.append(slice(low - begin, high - begin))
    whole[tuple(places)] = part[tuple(inner)]
