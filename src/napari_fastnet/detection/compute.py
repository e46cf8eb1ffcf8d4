"""Detection block by block: one generator for every front end."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from napari_fastnet.detection.inference import BlockWork
from napari_fastnet.detection.schedule import coarse_to_fine, read_ahead
from napari_fastnet.detection.slide_checks import require_present, require_unchanged
from napari_fastnet.errors import DetectionError
from napari_fastnet.machine.memory import give_back
from napari_fastnet.results.record import SHARPNESS
from napari_fastnet.store.store import UNREADABLE, Block, RunStore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from napari_fastnet.detection.blocks import BlockPixels
    from napari_fastnet.detection.plan import Plan
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.slide.slide import Slide

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a detection after a block; frozen, so any thread may keep it.

    Parameters
    ----------
    done, total : int
        Patches computed, those of an earlier, interrupted run included, and all of the
        run.
    failed : int
        Patches that could not be read.
    block : Block
        The cells that this step computed.
    values : ndarray
        float32, the block's shape: probabilities, NaN elsewhere.
    read_seconds, infer_seconds : float
        Time spent so far on reading (all threads together) and on inference.
    """

    done: int
    total: int
    failed: int
    block: Block
    values: NDArray[np.float32]
    read_seconds: float
    infer_seconds: float


def detect(  # noqa: PLR0913  # each has its reason, all but four their default
    slide: Slide,
    plan: Plan,
    backend: Backend,
    store: RunStore,
    *,
    readers: int = 2,
    should_stop: Callable[[], bool] = lambda: False,
    priority: Callable[[Block], float] | None = None,
    keep_memory: bool = False,
) -> Generator[Progress]:
    """Compute the missing probabilities of a run, block by block.

    Blocks are read ahead in threads while the network works; at most ``readers + 1``
    are in memory, whatever the slide's size. A patch whose pixels cannot be decoded
    stays NaN and is counted; the next run tries it again.

    Parameters
    ----------
    slide : Slide
        Open; stays open.
    plan : Plan
        From `make_plan`.
    backend : Backend
        The network.
    store : RunStore
        Opened with the plan's grid. Each block is stored before it is yielded.
    readers : int, optional
        Threads that read; 0 reads in the caller's own, when a block's turn comes.
    should_stop : callable, optional
        Asked after every batch; once true the generator ends, and the next run computes
        the block at hand.
    priority : callable, optional
        Asked again whenever a block is chosen: the lowest comes next, whatever was read
        ahead. From coarse to fine by default, see `coarse_to_fine`.
    keep_memory : bool, optional
        Leave the back end the memory of its maps for the next run, which then need not
        fetch it again: a tenth of a second.

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
    sharpness = store.companion(SHARPNESS)
    give_back()  # the memory that the masks of a large slide took
    try:
        with store.writing(), sharpness.writing(), _pool(readers) as pool:
            left = _Remaining(plan.patches.kept, store, sharpness)
            work = BlockWork(slide, plan, backend, left.cells, should_stop)
            submit = cast("Callable[..., Future[BlockPixels]]", pool.submit)
            begin = partial(submit, work.read)
            ahead = read_ahead(begin, left.blocks, readers + 1, priority)
            with closing(ahead):
                for block, pixels in ahead:
                    found = work.infer(pixels)
                    if found is None:
                        return
                    require_unchanged(slide)
                    if (found == UNREADABLE).any():
                        require_present(slide)
                    merged, measured = left.merge(block, found, pixels.sharpness)
                    # Sharpness first: every cell with a probability must have it.
                    sharpness.write(block, measured)
                    store.write(block, merged)
                    yield Progress(
                        left.done,
                        left.total,
                        left.failed,
                        block,
                        np.where(merged == UNREADABLE, np.float32(np.nan), merged),
                        work.read_seconds,
                        work.infer_seconds,
                    )
    except MemoryError as error:
        raise DetectionError(
            f"memory is too short to scan {slide.path}; close other programs or give "
            "--memory, what was computed is kept"
        ) from error
    finally:
        if not keep_memory:
            backend.release()
        give_back()


class _Remaining:
    """The cells that a run still lacks, and counts of the others."""

    def __init__(
        self, wanted: NDArray[np.bool_], store: RunStore, sharpness: RunStore
    ) -> None:
        values, sharp = store.read(), sharpness.read()
        # Try unreadable cells again: the file may have been repaired since.
        known = wanted & ~np.isnan(values) & (values != UNREADABLE)
        self.cells: NDArray[np.bool_] = wanted & ~known
        self.done, self.total, self.failed = int(known.sum()), int(wanted.sum()), 0
        blocks = [b for b in store.blocks() if self.cells[b.slices].any()]
        self.blocks = coarse_to_fine(blocks, store.block_cells)
        # Keep copies of the few blocks that were begun instead of the whole arrays,
        # which take megabytes on large slides.
        self._begun = {
            block: (values[block.slices].copy(), sharp[block.slices].copy())
            for block in blocks
            if not np.isnan([values[block.slices], sharp[block.slices]]).all()
        }

    def merge(
        self, block: Block, found: NDArray[np.float32], sharp: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Count the new values of a block, and add those that it had before."""
        self.done += int((~np.isnan(found)).sum())
        self.failed += int((found == UNREADABLE).sum())
        if block not in self._begun:
            return found, sharp
        old, old_sharp = self._begun.pop(block)
        return (
            np.where(np.isnan(found), old, found),
            np.where(np.isnan(sharp), old_sharp, sharp),
        )


class _SameThread(Executor):
    """An executor without threads: `submit` does the work."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call the function; its exception is raised here."""
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def _pool(readers: int) -> Executor:
    if readers == 0:
        return _SameThread()
    return ThreadPoolExecutor(readers, thread_name_prefix="fastnet-read")
