"""Measure what a second dask worker gives to a cohort.

Draws synthetic slides, does them on one and on two worker processes of one thread each
(a dask cluster on this machine), in turn, and prints slides a minute and the ratio.
Workers are warm: each has done a slide before. The machine should be quiet and have two
cores; the time that a worker's processors were busy says whether it kept to one.

    python benchmarks/cohort.py [--slides 20] [--side 6144] [--repeats 3] [--json]
"""

# ruff: noqa: T201  a script on its own, no package

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from distributed import Client, LocalCluster

from napari_fastnet.cohort.cluster import Cluster
from napari_fastnet.cohort.cohort import run_cohort
from napari_fastnet.synthetic.slide import write_slide

WORKERS = (1, 2)
WANTED = 1.8


@dataclass(frozen=True)
class Timing:
    """One cohort: seconds on the clock, and of processor time in the workers."""

    seconds: float
    busy_seconds: float


def busy_seconds() -> float:
    """Return the processor time of this process so far; runs in a worker."""
    times = os.times()
    return times.user + times.system


def measure(slides: list[Path], folder: Path, workers: int) -> Timing:
    """Do all slides on a fresh cluster that has done each worker's first one."""
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            memory_limit=0,
        ) as local,
        Client(local, set_as_default=False) as client,
        closing(Cluster(local.scheduler_address)) as cluster,
    ):
        do(slides[: 2 * workers], folder / "warm", cluster)
        before = sum(client.run(busy_seconds).values())
        began = time.perf_counter()
        do(slides, folder / "cohort", cluster)
        seconds = time.perf_counter() - began
        return Timing(seconds, sum(client.run(busy_seconds).values()) - before)


def do(slides: list[Path], folder: Path, cluster: Cluster) -> None:
    """Do slides and see that all are done."""
    for progress in run_cohort(slides, folder, cluster=cluster):
        if progress.row is not None and progress.row.status != "done":
            raise SystemExit(progress.row.error)


def main() -> None:
    """Draw, measure in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=20)
    parser.add_argument("--side", type=int, default=6144, help="level-0 px")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()

    timings: dict[int, list[Timing]] = {workers: [] for workers in WORKERS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        slides = [folder / f"slide_{number:02}.svs" for number in range(asked.slides)]
        for seed, path in enumerate(slides):
            write_slide(path, shape=(asked.side, asked.side), seed=seed)
        for repeat in range(asked.repeats):
            for workers in WORKERS:
                out = folder / f"{workers}-{repeat}"
                timings[workers].append(measure(slides, out, workers))

    # The fastest of each: what else the machine does only ever adds.
    best = {w: min(timings[w], key=lambda timing: timing.seconds) for w in WORKERS}
    seconds = {w: best[w].seconds for w in WORKERS}
    busy = {w: best[w].busy_seconds / best[w].seconds for w in WORKERS}
    ratio = seconds[1] / seconds[2]
    if asked.json:
        print(json.dumps({"seconds": seconds, "processors": busy, "ratio": ratio}))
        return
    for workers in WORKERS:
        rate = 60 * asked.slides / seconds[workers]
        print(
            f"{workers} worker(s): {seconds[workers]:.1f} s, {rate:.1f} slides/min, "
            f"{busy[workers]:.2f} processors busy"
        )
    print(f"ratio {ratio:.2f}, at least {WANTED} asked")


if __name__ == "__main__":
    main()
