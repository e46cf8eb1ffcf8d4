"""Detection: patches in, probabilities out; one generator for every front end."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_fastnet.detection.blocks import BlockPixels, BlockWork
from napari_fastnet.detection.presence import require_present, require_unchanged
from napari_fastnet.detection.schedule import coarse_to_fine, read_ahead
from napari_fastnet.errors import DetectionError
from napari_fastnet.machine.memory import give_back
from napari_fastnet.results.record import SHARPNESS
from napari_fastnet.store.store import UNREADABLE, Block, RunStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_fastnet.detection.plan import Plan
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.slide.slide import Slide

T = TypeVar("T")


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
    stays NaN and is counted; the run goes on, and the next one tries it again.

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
        Threads that read; 0 reads in the caller's own, when a block's turn comes.
    should_stop : callable, optional
        Asked after every batch; true ends the generator, and the block at hand is
        left for the next run.
    priority : callable, optional
        Asked anew whenever a block is chosen: the lowest comes next, whatever was read
        ahead. From coarse to fine by default, see `coarse_to_fine`.

    Yields
    ------
    Progress
        After each block.

    Raises
    ------
    DetectionError
        The network failed, or memory is too short.
    SlideNotFoundError
        The slide's file vanished or changed.
    DriveError
        The slide's drive fails; what was computed is kept.
    BusyError
        Another process is computing this run.
    OutputError
        The store cannot be written.
    """
    work = BlockWork(slide, plan, backend, should_stop)
    sharpness = store.companion(SHARPNESS)
    give_back()  # what the masks of a large slide took
    try:
        with (
            store.writing(),
            sharpness.writing(),
            _pool(readers) as pool,
        ):
            yield from _scan(work, (store, sharpness), pool, readers + 1, priority)
    except MemoryError as error:
        raise DetectionError(
            f"memory is too short to scan {slide.path}; close other programs or give "
            "--memory, what was computed is kept"
        ) from error
    finally:
        backend.release()
        give_back()


class _SameThread(Executor):
    """Does at once what is asked, in the thread that asks."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Return what the function gave; what it raises is raised here."""
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def _pool(readers: int) -> Executor:
    if readers == 0:
        return _SameThread()
    return ThreadPoolExecutor(readers, thread_name_prefix="fastnet-read")


def _scan(
    work: BlockWork,
    stores: tuple[RunStore, RunStore],
    pool: Executor,
    most: int,
    priority: Callable[[Block], float] | None,
) -> Iterator[Progress]:
    """Compute and store what is lacking; at most so many blocks are in memory."""
    store, sharpness = stores
    wanted, values, sharp = work.plan.patches.kept, store.read(), sharpness.read()
    # What could not be read is tried again: the file may have been mended since.
    known = wanted & ~np.isnan(values) & (values != UNREADABLE)
    done, failed = int(known.sum()), 0
    missing = wanted & ~known
    lacking = [block for block in store.blocks() if missing[block.slices].any()]
    # Of large slides all values take megabytes, and few blocks have some already.
    begun = {
        block: (values[block.slices].copy(), sharp[block.slices].copy())
        for block in lacking
        if not np.isnan([values[block.slices], sharp[block.slices]]).all()
    }
    del values, sharp
    pending = coarse_to_fine(lacking, store.block_cells)

    def read(block: Block) -> Future[BlockPixels]:
        return pool.submit(work.read, block, missing[block.slices])

    blocks = read_ahead(read, pending, most, priority)
    with closing(blocks):
        for block, pixels in blocks:
            found = work.infer(pixels)
            if found is None:
                return
            require_unchanged(work.slide)
            if (found == UNREADABLE).any():
                require_present(work.slide)
            merged, measured = found, pixels.sharpness
            if block in begun:
                values, sharp = begun.pop(block)
                merged = np.where(np.isnan(merged), values, merged)
                measured = np.where(np.isnan(measured), sharp, measured)
            # first, so that of every cell with a probability it is known
            sharpness.write(block, measured)
            store.write(block, merged)
            done += int((~np.isnan(found)).sum())
            failed += int((found == UNREADABLE).sum())
            yield Progress(
                done,
                int(wanted.sum()),
                failed,
                block,
                np.where(merged == UNREADABLE, np.float32(np.nan), merged),
                work.read_seconds,
                work.infer_seconds,
            )
