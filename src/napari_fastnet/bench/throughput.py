"""Rates of a scan on one slide: reading, inferring, and both at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

from napari_fastnet.detection.blocks import BlockReader
from napari_fastnet.detection.inference import BlockWork
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.tissue import SlideTissue, find_tissue
from napari_fastnet.errors import OptionError
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.detection.options import RunOptions
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.store.store import Block

#: Blocks whose px are kept for the network: 10 MB each.
IN_MEMORY = 16
#: Turns of reading, inferring and both: a machine that slows down slows all of them.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class ScanRates:
    """Megapixels of tissue per second, px of the model: the median of the turns.

    All three went over the same blocks, and count the px of the heatmap's cells that
    were to be computed, whatever else the network had to see for them.

    Parameters
    ----------
    read, infer, end_to_end : float
        Reading and resampling alone; the network alone, on what was read before; and
        detection, which does both at once and stores the probabilities.
    tissue_mpx : float
        Tissue of each turn.
    network_mpx : float
        Pixels given to the network for it. They are more, by the glass in a picture, by
        overlap of patches, and by mirror images.
    """

    read: float
    infer: float
    end_to_end: float
    tissue_mpx: float
    network_mpx: float


class ScanBench:
    """Measurements on one slide.

    Parameters
    ----------
    path : Path
        The slide.
    bundle : ModelBundle
        The model.
    backend : Backend
        Its network.
    options : RunOptions
        Stride, flips and number of threads that read.
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
            self._cell_mpx = run.plan.stride_px**2 / 1e6
        if not self._kept.any():
            raise OptionError(
                f"{path.name} shows no tissue to measure with; give another slide"
            )

    @property
    def tissue_mpx(self) -> float:
        """All tissue of the slide, megapixels of the model."""
        return float(self._kept.sum()) * self._cell_mpx

    def measure(self, seconds: float) -> ScanRates:
        """Read, infer and do both, turn by turn.

        Parameters
        ----------
        seconds : float
            About how long the detection takes, in `ROUNDS` turns of at least a block,
            and no longer than the slide takes.
        """
        blocks, _ = self._detect(seconds / ROUNDS, [])
        turns = [
            (*self._apart(blocks), self._detect(0, blocks)[1]) for _ in range(ROUNDS)
        ]
        read, infer, network_mpx, both = map(median, zip(*turns, strict=True))
        cells = sum(int(self._kept[block.slices].sum()) for block in blocks)
        tissue = cells * self._cell_mpx
        return ScanRates(
            tissue / read, tissue / infer, tissue / both, tissue, network_mpx
        )

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

    def _detect(self, seconds: float, wanted: list[Block]) -> tuple[list[Block], float]:
        """Detect for a while, or as many blocks as wanted; return them and the time."""
        done: list[Block] = []
        elapsed = 0.0

        def enough() -> bool:
            return bool(done) and len(done) >= len(wanted) and elapsed >= seconds

        with self._run() as run:
            # compiled again, as after each detection
            self._backend.warm_up(self._bundle, dense=run.plan.dense is not None)
            began = perf_counter()
            for progress in run.steps(self._backend, should_stop=enough):
                done.append(progress.block)
                elapsed = perf_counter() - began
        return done, elapsed

    def _apart(self, blocks: list[Block]) -> tuple[float, float, float]:
        """Read all blocks, then infer them one by one.

        Returns
        -------
        tuple of float
            Seconds of reading, seconds of the network, and the megapixels it was given.
        """
        with self._run() as run:
            plan = run.plan
            reader = BlockReader(run.slide, plan, self._kept)
            work = BlockWork(run.slide, plan, self._backend, self._kept, lambda: False)
            self._backend.release()  # as at the beginning of each detection
            self._backend.warm_up(self._bundle, dense=plan.dense is not None)

            def read(block: Block) -> None:  # keeps no pixels
                reader.read(block)

            began = perf_counter()
            with ThreadPoolExecutor(self._options.readers) as pool:
                list(pool.map(read, blocks))
            read_seconds, infer_seconds = perf_counter() - began, 0.0
            with ThreadPoolExecutor(1) as pool:
                for first in range(0, len(blocks), IN_MEMORY):
                    some = blocks[first : first + IN_MEMORY]
                    pixels = [reader.read(block) for block in some]
                    began = perf_counter()
                    for block in pool.map(work.prepare, pixels):
                        work.infer(block)
                    infer_seconds += perf_counter() - began
        return read_seconds, infer_seconds, work.given_px / 1e6
