"""A small slide, what a run of it has to give, and what a fault must not leave behind.

Used by `faults` and by the tests of tests/faults.
"""

from __future__ import annotations

import tempfile
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.errors import FastNetError, StoreError
from napari_fastnet.model.backends.backend import Backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.results.reading import read_heatmap_ome_tiff
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.lock import LOCK, is_held
from napari_fastnet.store.store import read_store

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_fastnet.model.backends.backend import Output

    #: Told of each step's number while a run goes on; may do harm.
    OnStep = Callable[[int], None]
    Fault = AbstractContextManager[OnStep | None]

MODEL, MPP, TILE_PX = "fastnet-pcam", 0.972, 64
SHAPE = (960, 1280)
#: 12 blocks of up to 256 patches.
STRIDE_PX = 24
#: How a run that was disturbed ends, as the page tells it.
RIGHT = "ended with the right heatmap"
ERROR = "with one line, and with the right heatmap at the next start"
BUG = "with the bug that was put in, and with the right heatmap at the next start"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a case.

    Parameters
    ----------
    outcome : str
        How the run that was disturbed ended: `RIGHT`, `ERROR`, or what fits a kind.
    problem : str
        Which promise was broken; "" where all were kept.
    """

    outcome: str
    problem: str = ""


class Dark(Backend):
    """A network to which darkness is tumor, of no weight beside what is tested."""

    def __init__(self) -> None:
        super().__init__("darkness", "darkness")

    def _infer(self, output: Output, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return 1 - mean / 255 of each patch."""
        assert output == "probability"
        mean = pixels.mean(axis=(1, 2, 3), dtype=np.float64)
        return (1 - mean / 255).astype(np.float32)


def draw_slide(path: Path, seed: int = 0, shape: tuple[int, int] = SHAPE) -> Path:
    """Write a slide of the same length and layout whatever the seed: raw tiles."""
    rng = np.random.default_rng(seed)
    image = np.full((*shape, 3), 244, np.uint8)
    height, width = (side // 8 * 6 for side in shape)
    coarse = rng.integers(60, 200, (height // 16, width // 16, 3), np.uint8)
    image[32 : 32 + height, 32 : 32 + width] = coarse.repeat(16, 0).repeat(16, 1)
    image[32 : 32 + height, 32 : 32 + width, 1] //= 2  # as stained tissue is
    text = f"Aperio Image Library\r\n{shape[1]}x{shape[0]}|AppMag = 10|MPP = {MPP}"
    options: dict[str, Any] = {"photometric": "rgb", "metadata": None}
    options |= {"description": text, "tile": (TILE_PX, TILE_PX)}
    with tifffile.TiffWriter(path) as tif:
        tif.write(image, **options)
        tif.write(image[::4, ::4].copy(), **options)
        tif.write(image[::4, ::4].copy(), **options)
    return path


class World:
    """A slide and its undisturbed run.

    Parameters
    ----------
    folder : Path
        Empty; where everything is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.bundle = folder, load_bundle(MODEL)
        self._processes = set(children_of("self"))  # somebody else's
        self.network: Backend = Dark()
        self.slide = draw_slide(folder / "slide.svs")
        self.options = RunOptions(stride=STRIDE_PX)
        self.detect(self.slide, folder / "undisturbed")
        store, _ = read_store(folder / "undisturbed" / "run.zarr")
        self.values = store.read()
        self.heatmap = self._heatmap(folder / "undisturbed")
        self.files = {path.name for path in (folder / "undisturbed").iterdir()}

    def detect(
        self,
        slide: Path,
        out: Path,
        *,
        on_step: OnStep | None = None,
        finish: bool = True,
    ) -> list[tuple[slice, slice]]:
        """Run, and return which blocks were computed."""
        computed = []
        with open_slide(slide) as opened:
            run = SlideRun(opened, self.bundle, out, self.options)
            if on_step is not None:
                on_step(0)
            for number, progress in enumerate(run.steps(self.network), start=1):
                computed.append(progress.block.slices)
                if on_step is not None:
                    on_step(number)
            if finish:
                run.finish(self.network.name)
        return computed

    def known(self, out: Path) -> NDArray[np.bool_]:
        """Return which cells a run holds."""
        try:
            store, _ = read_store(out / "run.zarr")
        except StoreError:
            return np.zeros(self.values.shape, bool)
        return ~np.isnan(store.read())

    def wrong(self, out: Path) -> str:
        """Return what a folder shows that is not so, "" where there is nothing."""
        try:
            store, _ = read_store(out / "run.zarr")
        except StoreError:  # nothing is shown of it
            pass
        else:
            values = store.read()
            known = ~np.isnan(values)
            if store.notes and "damaged" in store.notes[0]:
                return store.notes[0]
            if not np.array_equal(values[known], self.values[known]):
                return "a wrong probability is stored"
        if (out / "heatmap.ome.tif").exists():
            same = np.array_equal(self._heatmap(out), self.heatmap, equal_nan=True)
            return "" if same else "heatmap.ome.tif is wrong"
        return ""

    def incomplete(self, out: Path, *, finish: bool) -> str:
        """Return what a run that ended lacks, "" where nothing is missing."""
        if wrong := self.wrong(out):
            return wrong
        if not np.array_equal(self.known(out), ~np.isnan(self.values)):
            return "patches are missing"
        if finish and {path.name for path in out.iterdir()} != self.files:
            odd = {path.name for path in out.iterdir()} ^ self.files
            return f"too many or too few files: {sorted(odd)}"
        return ""

    def left_behind(self, out: Path, temporary: Path) -> str:
        """Return what a run that is over left: threads, processes, locks, files."""
        # Those of a pool end a moment after it.
        names = [t.name for t in threading.enumerate() if t.name.startswith("fastnet")]
        if names:
            return f"threads: {names}"
        if begun := set(children_of("self")) - self._processes:
            return f"processes: {sorted(begun)}"
        if out.exists():
            if is_held(out / "run.zarr"):
                return "a lock"
            hidden = [p.name for p in out.rglob(".*") if p.name != LOCK]
            if hidden:
                return f"files: {hidden}"
        if found := sorted(path.name for path in temporary.iterdir()):
            return f"temporary files: {found}"
        return ""

    @staticmethod
    def _heatmap(out: Path) -> NDArray[np.float32]:
        return read_heatmap_ome_tiff(out / "heatmap.ome.tif")[0].probabilities


def children_of(process: int | str) -> list[int]:
    """Return the processes that a process began and has not waited for; Linux."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for path in tasks for child in path.read_text().split()]


def clear(error: BaseException, also: tuple[type[BaseException], ...] = ()) -> str:
    """Return what is wrong with an error as a user meets it, "" where it is clear."""
    if not isinstance(error, FastNetError):
        return "" if isinstance(error, also) else f"{type(error).__name__}: {error}"
    text = str(error)
    if not text.strip() or "\n" in text or len(text) > 500:
        return f"an error of no single line: {text!r}"
    return ""


def disturbed(
    world: World,
    folder: Path,
    fault: Fault,
    *,
    slide: Path | None = None,
    mend: Callable[[], object] = lambda: None,
    finish: bool = True,
    also: tuple[type[BaseException], ...] = (),
) -> Verdict:
    """Run while something goes wrong, then without, and hold both against the promises.

    Parameters
    ----------
    world : World
        The slide and what is right.
    folder : Path
        Empty; the run's is ``out`` in it.
    fault : context manager
        Spoils what happens inside; may yield what is told of each step.
    slide : Path, optional
        A copy that may be spoilt.
    mend : callable, optional
        Puts right what the fault left wrong, before the second run.
    finish : bool
        Write results too.
    also : tuple of type
        Errors that may come besides those of the package: bugs that were put in.

    Returns
    -------
    Verdict
        How the first run ended, and the first promise that was broken.
    """
    out, temporary = folder / "out", folder / "tmp"
    temporary.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(temporary)
    slide = slide or world.slide
    try:
        outcome, problem = RIGHT, ""
        try:
            with fault as on_step:
                world.detect(slide, out, on_step=on_step, finish=finish)
        except Exception as error:  # noqa: BLE001  that is what is looked at
            outcome = ERROR if isinstance(error, FastNetError) else BUG
            problem = clear(error, also)
            del error
        if outcome == RIGHT:
            problem = world.incomplete(out, finish=finish)
        problem = problem or world.wrong(out)
        problem = problem or world.left_behind(out, temporary)
        known = world.known(out)
        mend()
        again = world.detect(slide, out, finish=finish)
        if not problem and any(known[block].any() for block in again):
            problem = "what was computed was computed again"
        problem = problem or world.incomplete(out, finish=finish)
        problem = problem or world.left_behind(out, temporary)
    finally:
        tempfile.tempdir = before
    return Verdict(outcome, problem)


def chosen(rng: random.Random, steps: int = 12) -> int:
    """Return a step of a run, 0 being the time before the first."""
    return rng.randrange(steps)


def nothing() -> Fault:
    """Return a fault that is none."""
    return nullcontext(None)
