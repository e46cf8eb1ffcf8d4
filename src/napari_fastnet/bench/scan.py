"""A slide read, judged, and both at once: how many px of tissue a second."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Box
from napari_fastnet.detection.blocks import BlockWork
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.tissue import SlideTissue, find_tissue
from napari_fastnet.errors import OptionError
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.detection.blocks import BlockPixels
    from napari_fastnet.detection.options import RunOptions
    from napari_fastnet.detection.plan import Plan
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.store.store import Block

#: Turns of reading, inferring and both: a machine that slows down slows all of them.
ROUNDS = 3

# A patch is looked at from so many sides where the model asks for mirror images.
_VIEWS = 4


@dataclass(frozen=True, slots=True)
class ScanRates:
    """Megapixels of tissue a second, px of the model: the median of the turns.

    All three went over the same blocks, and count the px of the heatmap's cells that
    were to be computed, whatever else had to be looked at for them.

    Parameters
    ----------
    read, infer, end_to_end : float
        Reading and resampling alone; the network alone, on what was read before; and
        the detection, which does both at once and stores what it finds.
    tissue_mpx : float
        What each turn went over.
    network_mpx : float
        What the network was given for it: more, by what lies beside the tissue in a
        picture, by patches that overlap, and by mirror images.
    """

    read: float
    infer: float
    end_to_end: float
    tissue_mpx: float
    network_mpx: float

    @property
    def slower(self) -> float:
        """The slower of reading and inferring, which no detection can outrun."""
        return min(self.read, self.infer)

    @property
    def shared(self) -> float:
        """What the two come to when they share processors that each kept busy alone."""
        return 1 / (1 / self.read + 1 / self.infer)


class ScanBench:
    """Measures on one slide.

    Parameters
    ----------
    path : Path
        The slide.
    bundle : ModelBundle
        The model.
    backend : Backend
        Its network.
    options : RunOptions
        Stride, flips and how many threads read.
    mpp : float or tuple of float, optional
        µm/px where the slide does not say.

    Raises
    ------
    OptionError
        The slide shows no tissue.
    FastNetError
        The slide is at fault.
    """

    def __init__(
        self,
        path: Path,
        bundle: ModelBundle,
        backend: Backend,
        options: RunOptions,
        *,
        mpp: float | Pair | None = None,
    ) -> None:
        self._path, self._mpp = path, mpp
        self._bundle, self._backend, self._options = bundle, backend, options
        with open_slide(path, mpp=mpp) as slide:
            self._tissue: SlideTissue = find_tissue(slide, options.tissue)
        with self._run() as run:
            self._kept = run.plan.patches.kept
            self._cell_px = run.plan.stride_px**2
        if not self._kept.any():
            raise OptionError(
                f"{path.name} shows no tissue to measure with; give another slide"
            )

    @property
    def tissue_mpx(self) -> float:
        """All tissue of the slide, megapixels of the model."""
        return float(self._kept.sum()) * self._cell_px / 1e6

    def patches(self, count: int, side_px: int) -> NDArray[np.uint8]:
        """Return patches of the slide's tissue.

        Parameters
        ----------
        count, side_px : int
            How many, and their side in px of the model.

        Returns
        -------
        ndarray
            uint8 (count, side_px, side_px, 3), from all over the slide.
        """
        cells = np.argwhere(self._kept)
        # The middle ones of as many equal runs: the first and the last lie at edges.
        chosen = cells[(2 * np.arange(count) + 1) * len(cells) // (2 * count)]
        with self._run() as run:
            slide, spacing = run.slide, run.plan.spacing
            height, width = (side_px * spacing / own for own in slide.require_mpp())
            corners = [
                (y - height / 2, x - width / 2)
                for y, x in (
                    run.plan.patches.grid.cell_centre(*cell) for cell in chosen
                )
            ]
            boxes = [Box.of_shape((height, width), corner) for corner in corners]
            return np.stack([slide.read(box, spacing) for box in boxes])

    def measure(self, seconds: float) -> ScanRates:
        """Read, infer and do both, turn by turn.

        Parameters
        ----------
        seconds : float
            About how long the detection takes, in `ROUNDS` turns of at least a block,
            and no longer than the slide takes.

        Returns
        -------
        ScanRates
            The median of the turns.
        """
        blocks, _ = self._detect(seconds / ROUNDS, [])
        times = [
            (self._read(blocks), self._infer(blocks), self._detect(0, blocks)[1])
            for _ in range(ROUNDS)
        ]
        cells = sum(int(self._kept[block.slices].sum()) for block in blocks)
        tissue_mpx = cells * self._cell_px / 1e6
        read, infer, both = (
            tissue_mpx / median(turns) for turns in zip(*times, strict=True)
        )
        return ScanRates(read, infer, both, tissue_mpx, self._network_mpx(blocks))

    def whole_seconds(self) -> float:
        """Detect on the whole slide, and return how long it took."""
        with self._run() as run:
            blocks = [b for b in run.store.blocks() if self._kept[b.slices].any()]
        return self._detect(0, blocks)[1]

    @contextmanager
    def _run(self) -> Iterator[SlideRun]:
        """Begin a run with nothing cached: another open file, another store."""
        with (
            TemporaryDirectory() as folder,
            open_slide(self._path, mpp=self._mpp) as slide,
        ):
            yield SlideRun(
                slide, self._bundle, Path(folder), self._options, tissue=self._tissue
            )

    @contextmanager
    def _work(self) -> Iterator[BlockWork]:
        """Begin a run of which the parts are done one by one."""
        with self._run() as run:
            yield BlockWork(
                run.slide, run.plan, self._backend, self._kept, lambda: False
            )

    def _warm_up(self, plan: Plan) -> None:
        """Let the network be compiled, which it has to be again after each detection."""
        self._backend.warm_up(self._bundle, dense=plan.dense is not None)

    def _detect(self, seconds: float, wanted: list[Block]) -> tuple[list[Block], float]:
        """Detect for a while, or as many blocks as wanted; return them and the time."""
        done: list[Block] = []
        elapsed = 0.0

        def enough() -> bool:
            return bool(done) and len(done) >= len(wanted) and elapsed >= seconds

        with self._run() as run:
            self._warm_up(run.plan)
            began = perf_counter()
            for progress in run.steps(self._backend, should_stop=enough):
                done.append(progress.block)
                elapsed = perf_counter() - began
        return done, elapsed

    def _read(self, blocks: list[Block]) -> float:
        """Return how long it takes to read the blocks."""
        with self._work() as work:
            began = perf_counter()
            with ThreadPoolExecutor(self._options.readers) as pool:
                reads = [pool.submit(self._read_block, work, b) for b in blocks]
                for read in reads:
                    read.result()
            return perf_counter() - began

    def _read_block(self, work: BlockWork, block: Block) -> None:
        """Read a block and forget it."""
        work.read(block)

    def _infer(self, blocks: list[Block]) -> float:
        """Return how long the network takes for blocks that were read."""
        with self._work() as work:
            self._warm_up(work.plan)
            for block in blocks:
                work.infer(work.read(block))
            return work.infer_seconds

    def _network_mpx(self, blocks: list[Block]) -> float:
        """Return how many megapixels the network is given for the blocks."""
        with self._work() as work:
            plan = work.plan

            def judged_px(pixels: BlockPixels) -> int:
                if plan.dense is None:
                    return int(pixels.wanted.sum()) * plan.patch_px**2
                return sum(part.pixels[..., 0].size for part in pixels.parts)

            read = (work.read(block) for block in blocks)
            return sum(map(judged_px, read)) * (_VIEWS if plan.flips else 1) / 1e6
