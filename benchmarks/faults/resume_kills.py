"""Kill a detection again and again: it must end as if nobody had touched it.

    python benchmarks/faults/resume_kills.py [--kills 50] [--slide SLIDE] [--model NAME|DIR]
        [--stride patch|dense|N] [--seed 0] [--json]

One process detects without a disturbance. Then one after the other works on a second
run of the same, each killed (SIGKILL) at a random moment: while it starts, reads,
computes or writes. The last one may end. Shown are how much was computed twice, and
whether both runs are equal, bit for bit; if not, the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.errors import StoreError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.results.reading import read_heatmap_ome_tiff
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.store import Block, read_store
from napari_fastnet.synthetic.slide import write_slide

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A fifth of the kills comes before the first block, the others find work going on.
AT_START = 0.2
#: The kills together leave so much of the run to the process that may end.
LEFT_OVER = 0.5
SLIDE_SHAPE = (16384, 20480)


@dataclass(frozen=True, slots=True)
class Life:
    """What a process did before it ended or was killed.

    Parameters
    ----------
    began, ended : float or None
        Seconds from its start to its first batch, and to its last block; None if it
        never came to that.
    batches : int
        Batches that it began to compute.
    blocks : list of tuple
        (row, column, batches) of each block that it stored.
    killed : bool
        Whether the kill came before its own end.
    """

    began: float | None
    ended: float | None
    batches: int
    blocks: list[tuple[int, int, int]]
    killed: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the benchmark prints."""

    kills: int
    kills_before_the_first_batch: int
    kills_after_the_last_block: int
    blocks: int
    batches: int
    batches_repeated: int
    most_blocks_repeated_after_a_kill: int
    blocks_half_written: int
    damage_reported: int
    equal: bool
    seconds_undisturbed: float
    seconds_with_kills: float

    def table(self) -> str:
        """Return the figures as Markdown."""
        names = [name.replace("_", " ") for name in asdict(self)]
        values = [
            f"{value:.1f}" if isinstance(value, float) else str(value)
            for value in asdict(self).values()
        ]
        rows = [f"| {n} | {v} |" for n, v in zip(names, values, strict=True)]
        return "\n".join(["| | |", "|---|---:|", *rows])


def child(arguments: Sequence[str]) -> None:
    """Detect, and log every batch and block at once, so that a kill hides none."""
    slide, model, folder, stride, log = arguments
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(*words: object) -> None:
        os.write(file, (" ".join(map(str, words)) + "\n").encode())

    def batch_begins() -> bool:
        say("batch", time.time())
        return False

    with open_slide(slide) as opened:
        bundle = load_bundle(model)
        asked = int(stride) if stride.isdecimal() else stride
        run = SlideRun(opened, bundle, Path(folder), RunOptions(stride=asked))
        backend = create_backend(bundle)
        for progress in run.steps(backend, batch_begins):
            say("block", time.time(), *progress.block.first)
        run.finish(backend.name)


def read_life(log: Path, started: float) -> Life:
    """Return what a process logged."""
    began, ended, batches, blocks, before = None, None, 0, [], 0
    for line in log.read_text().splitlines() if log.exists() else ():
        word, clock, *cell = line.split()
        seconds = float(clock) - started
        if word == "batch":
            batches += 1
            began = seconds if began is None else began
        else:
            blocks.append((int(cell[0]), int(cell[1]), batches - before))
            before, ended = batches, seconds
    return Life(began, ended, batches, blocks)


class Runs:
    """Starts processes that work on runs of one slide."""

    def __init__(self, slide: Path, model: str, stride: str, folder: Path) -> None:
        self.slide, self.model, self.stride, self.folder = slide, model, stride, folder
        self._number = 0

    def live(self, name: str, kill_after: float | None, *, working: bool) -> Life:
        """Let a process work; kill it after so many seconds, of work or since start."""
        self._number += 1
        log = self.folder / f"log-{self._number}"
        words = (self.slide, self.model, self.folder / name, self.stride, log)
        started = time.time()
        process = subprocess.Popen(
            [sys.executable, __file__, "--child", *map(str, words)]
        )
        if kill_after is None:
            if process.wait() != 0:
                raise SystemExit("a process failed; see above")
            return read_life(log, started)
        while working and not _said_something(log) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(kill_after)
        process.kill()
        killed = process.wait() == -signal.SIGKILL
        return replace(read_life(log, started), killed=killed)

    def stored(self, name: str) -> tuple[set[tuple[int, int]], int]:
        """Return the first cells of the blocks that a run holds, and its notes."""
        try:
            store, _ = read_store(self.folder / name / "run.zarr")
        except StoreError:  # killed before it began
            return set(), 0
        values = store.read()

        def known(block: Block) -> bool:
            return not np.isnan(values[block.slices]).all()

        return {block.first for block in store.blocks() if known(block)}, len(
            store.notes
        )

    def result(self, name: str) -> bytes:
        """Return all probabilities of a finished run, of the store and of the file."""
        store, _ = read_store(self.folder / name / "run.zarr")
        heatmap, _ = read_heatmap_ome_tiff(self.folder / name / "heatmap.ome.tif")
        return store.read().tobytes() + heatmap.probabilities.tobytes()


def _said_something(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


def measure(runs: Runs, kills: int, seed: int) -> Outcome:
    """Run undisturbed and run with kills, and compare."""
    rng = np.random.default_rng(seed)
    clock = time.perf_counter()
    whole = runs.live("whole", None, working=False)
    undisturbed = time.perf_counter() - clock
    assert whole.began is not None
    assert whole.ended is not None
    batches_of = {(row, column): n for row, column, n in whole.blocks}
    # Twice the mean of what each process may do, for delays drawn evenly from 0 on.
    span = 2 * (1 - LEFT_OVER) * (whole.ended - whole.began) / kills
    clock = time.perf_counter()
    at_start = at_end = repeated = damage = worst = 0
    half_written: set[str] = set()
    held: set[tuple[int, int]] = set()
    for _ in range(kills):
        working = bool(rng.random() >= AT_START)
        delay = float(rng.uniform(0, span if working else whole.began))
        life = runs.live("killed", delay, working=working)
        at_end += len(held) == len(batches_of)
        at_start += life.began is None and len(held) < len(batches_of)
        half_written |= {p.name for p in runs.folder.glob("killed/run.zarr/c/*/.*")}
        now, notes = runs.stored("killed")
        damage += notes
        lost = life.batches - sum(batches_of[first] for first in now - held)
        repeated += lost
        # A process begins a block when it has stored the one before.
        most = max(batches_of.values())
        worst = max(worst, -(-lost // most))
        if not held <= now:
            raise SystemExit("a stored block is gone")
        held = now
    runs.live("killed", None, working=False)
    return Outcome(
        kills=kills,
        kills_before_the_first_batch=at_start,
        kills_after_the_last_block=at_end,
        blocks=len(whole.blocks),
        batches=whole.batches,
        batches_repeated=repeated,
        most_blocks_repeated_after_a_kill=worst,
        blocks_half_written=len(half_written),
        damage_reported=damage,
        equal=runs.result("whole") == runs.result("killed"),
        seconds_undisturbed=undisturbed,
        seconds_with_kills=time.perf_counter() - clock,
    )


def main() -> int:
    """Measure and print."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--slide", type=Path)
    parser.add_argument("--model", default="fastnet-pcam")
    parser.add_argument("--stride", default="16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        slide = given.slide
        if slide is None:
            slide = Path(folder) / "synthetic.svs"
            write_slide(slide, shape=SLIDE_SHAPE)
        runs = Runs(slide, given.model, given.stride, Path(folder))
        outcome = measure(runs, given.kills, given.seed)
    text = json.dumps(asdict(outcome)) if given.json else outcome.table()
    sys.stdout.write(text + "\n")
    sound = outcome.equal and outcome.damage_reported == 0
    return 0 if sound and outcome.most_blocks_repeated_after_a_kill <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
