"""Detection: tissue, patches, probabilities; one generator for every front end."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Box, Pair
from napari_fastnet.core.grid import PatchGrid, patch_grid
from napari_fastnet.errors import OptionError, TileReadError
from napari_fastnet.io.store import UNREADABLE, Block, RunStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_fastnet.core.stain import StainMatch
    from napari_fastnet.engine.backends import Backend
    from napari_fastnet.io.bundle import ModelBundle
    from napari_fastnet.io.slide import Slide

#: A block is about so wide, in px of the model: big enough to decode most file tiles
#: once, small enough that a few of them in memory do not matter.
BLOCK_PX = 1024
#: and no more cells than this a side, so that a block stays a second's work.
BLOCK_CELLS = 32
#: Patches between two looks at the stop signal: two of the back ends' parts.
BATCH = 56
#: A patch is looked at when at least this share of it is tissue (Eq. 4).
KEEP = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a detection stands after a block; frozen, so any thread may keep it.

    Parameters
    ----------
    done, total : int
        Patches computed or given up, and all of the run; includes those of an
        earlier, interrupted run.
    failed : int
        Patches that could not be read.
    block : Block
        The cells that this step computed.
    values : ndarray
        float32, the block's shape: probabilities, NaN elsewhere.
    read_seconds, infer_seconds : float
        Time spent so far reading (all threads together) and inferring.
    """

    done: int
    total: int
    failed: int
    block: Block
    values: NDArray[np.float32]
    read_seconds: float
    infer_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Which patches of a slide a model is to see.

    Parameters
    ----------
    patches : PatchGrid
        Cells, patch size and which are kept, level-0 px.
    stride_px : int
        Step between patches in px of the model.
    patch_px : int
        Side of a patch in px of the model.
    spacing : float
        µm/px of the model.
    keep : float
        Share of a patch that must be tissue.
    stain : StainMatch or None
        Match to the model's stain, applied to each block; None leaves colours alone.
    """

    patches: PatchGrid
    stride_px: int
    patch_px: int
    spacing: float
    keep: float
    stain: StainMatch | None = None

    @property
    def block_cells(self) -> int:
        """Side of a block in cells."""
        return max(1, min(BLOCK_CELLS, BLOCK_PX // self.stride_px))


def make_plan(
    slide: Slide,
    bundle: ModelBundle,
    roi: NDArray[np.bool_],
    *,
    stride: int | None = None,
    stain: StainMatch | None = None,
) -> Plan:
    """Lay the patch grid of Eqs. 1-4 over the tissue of a slide.

    Parameters
    ----------
    slide : Slide
        Its µm/px must be known.
    bundle : ModelBundle
        Gives the patch size and the µm/px.
    roi : ndarray
        bool (h, w): tissue, a mask of the whole slide at any scale.
    stride : int, optional
        px of the model between patches; a patch by default.
    stain : StainMatch, optional
        Match to the model's stain.

    Returns
    -------
    Plan
        With an empty grid where there is no tissue.

    Raises
    ------
    SpacingError
        The slide's µm/px is unknown or absurd.
    OptionError
        The stride lies outside 1..patch.
    """
    patch_px = bundle.patch_size_pixels
    stride_px = patch_px if stride is None else stride
    if not 1 <= stride_px <= patch_px:
        raise OptionError(
            f"stride is {stride_px} px; use 1 to {patch_px}, the model's patch"
        )
    # Level-0 px a model px, never rounded.
    scale = tuple(bundle.spacing_um_px / own for own in slide.require_mpp())
    mask_step = tuple(
        whole / part for whole, part in zip(slide.shape, roi.shape, strict=True)
    )
    patches = patch_grid(
        roi,
        mask_step=_pair(mask_step),
        patch=_pair(tuple(patch_px * s for s in scale)),
        stride=_pair(tuple(stride_px * s for s in scale)),
        keep=KEEP,
    )
    return Plan(patches, stride_px, patch_px, bundle.spacing_um_px, KEEP, stain)


def _pair(values: tuple[float, ...]) -> Pair:
    y, x = values
    return y, x


def detect(
    slide: Slide,
    plan: Plan,
    backend: Backend,
    store: RunStore,
    *,
    readers: int = 2,
    should_stop: Callable[[], bool] = lambda: False,
    priority: Callable[[Block], float] | None = None,
) -> Iterator[Progress]:
    """Compute what a run still lacks, block by block.

    Blocks are read ahead in threads while the network works; at most ``readers + 1``
    are in memory, whatever the slide's size. A patch whose pixels cannot be decoded
    stays NaN and is counted; the run goes on.

    Parameters
    ----------
    slide : Slide
        Open; stays open.
    plan : Plan
        From `make_plan`.
    backend : Backend
        The network.
    store : RunStore
        Opened with the plan's grid. Each block is in it before it is yielded.
    readers : int, optional
        Threads that read.
    should_stop : callable, optional
        Asked after every batch; true ends the generator, and the block at hand is
        left for the next run.
    priority : callable, optional
        Asked anew whenever a block is chosen: the lowest comes next. Row by row by
        default.

    Yields
    ------
    Progress
        After each block.

    Raises
    ------
    DetectionError
        The network failed.
    OutputError
        The store cannot be written.
    """
    job = _Job(slide, plan, backend, should_stop)
    values = store.read()
    wanted = plan.patches.kept
    known = wanted & ~np.isnan(values)
    done, failed = int(known.sum()), int((known & (values == UNREADABLE)).sum())
    total = int(wanted.sum())
    pending = [b for b in store.blocks() if (wanted & ~known)[b.slices].any()]
    with ThreadPoolExecutor(readers, thread_name_prefix="fastnet-read") as pool:
        ahead: deque[tuple[Block, Future[_BlockPixels]]] = deque()
        try:
            while True:
                while pending and len(ahead) <= readers:
                    block = _take(pending, priority)
                    missing = (wanted & ~known)[block.slices]
                    ahead.append((block, pool.submit(job.read, block, missing)))
                if not ahead:
                    return
                block, future = ahead.popleft()
                found = job.infer(future.result())
                if found is None:
                    return
                before = values[block.slices]
                merged = np.where(np.isnan(found), before, found)
                store.write(block, merged)
                done += int((~np.isnan(found)).sum())
                failed += int((found == UNREADABLE).sum())
                shown = np.where(merged == UNREADABLE, np.float32(np.nan), merged)
                yield Progress(
                    done,
                    total,
                    failed,
                    block,
                    shown,
                    job.read_seconds,
                    job.infer_seconds,
                )
        finally:
            for _, future in ahead:
                future.cancel()


def _take(pending: list[Block], priority: Callable[[Block], float] | None) -> Block:
    """Take the next block out of those that are left."""
    if priority is None:
        return pending.pop(0)
    ranks = [priority(block) for block in pending]
    return pending.pop(ranks.index(min(ranks)))


@dataclass(frozen=True, slots=True)
class _BlockPixels:
    """A block that was read: one picture, and the patches in it.

    Patches overlap when the stride is less than a patch, so they are cut from the
    picture batch by batch and never lie in memory all at once.
    """

    shape: tuple[int, int]  # of the block, cells
    cells: NDArray[np.intp]  # (n, 2) row and column in the block
    corners: NDArray[np.intp]  # (n, 2) top and left in the picture, model px
    pixels: NDArray[np.uint8]
    unreadable: NDArray[np.bool_]  # (n,)


class _Job:
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

    def read(self, block: Block, wanted: NDArray[np.bool_]) -> _BlockPixels:
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
        return _BlockPixels(wanted.shape, cells, corners, pixels, unreadable)

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

    def infer(self, block: _BlockPixels) -> NDArray[np.float32] | None:
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
            values[tuple(cells[batch].T)] = self.backend.predict(patches)
        self.infer_seconds += perf_counter() - began
        return values
