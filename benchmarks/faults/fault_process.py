"""Processes that are killed, or that get in each other's way, for `faults`."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fault_world import (
    ERROR,
    MODEL,
    RIGHT,
    STRIDE_PX,
    Verdict,
    World,
    children_of,
    draw_slide,
)
from napari_fastnet.errors import StoreError
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.results.reading import read_heatmap_ome_tiff
from napari_fastnet.store.store import read_store
from resume_kills import Runs

if TYPE_CHECKING:
    import random

WORDS = [sys.executable, "-m", "napari_fastnet", "detect"]
KILLED = "killed, and the next one lost nothing of what was stored"
GONE = "with a process gone, and with the right heatmap at the next start"
SECOND = "ended once with the right heatmap, and for the others with one line"
#: Every how many px the processes look: enough blocks to be killed in.
FINE_PX = 12


def _detect(slides: list[Path], out: Path, *words: str) -> subprocess.Popen[str]:
    command = [*WORDS, *map(str, slides), "-o", str(out), "--model", MODEL]
    command += ["--stride", str(STRIDE_PX), *words]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _shown(folder: Path) -> bytes:
    store, _ = read_store(folder / "run.zarr")
    heatmap, _ = read_heatmap_ome_tiff(folder / "heatmap.ome.tif")
    return store.read().tobytes() + heatmap.probabilities.tobytes()


def _straight(world: World) -> bytes:
    """Return what the network gives for the slide, computed once by a process."""
    folder = world.folder / "straight"
    if not (folder / "slide" / "run.json").exists():
        _detect([world.slide], folder).communicate()
    return _shown(folder / "slide")


def _hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*") if path.name != ".lock"]


class Killed:
    """A run that one process after the other is killed over, and its twin."""

    def __init__(self, world: World) -> None:
        self.runs = Runs(world.slide, MODEL, str(FINE_PX), world.folder)
        self.whole, self.ended = self.runs.live("whole", None, working=False), 0
        self.begin()

    def begin(self) -> None:
        """Begin another run."""
        self.name = f"killed-{time.time_ns()}"
        self.held: set[tuple[int, int]] = set()

    def kill(self, rng: random.Random) -> str:
        """Start a process, kill it, and return which promise it broke."""
        while not self._killed(rng):  # it was there first: a run has ended
            if problem := self.end():
                return problem
        held, notes = self.runs.stored(self.name)
        if notes or not self.held <= held:
            return "a stored block is gone or damaged"
        self.held = held
        if len(held) < len(self.whole.blocks) and rng.random() > 0.1:
            return ""
        return self.end()

    def _killed(self, rng: random.Random) -> bool:
        assert self.whole.began is not None
        assert self.whole.ended is not None
        working = rng.random() > 0.2
        # some live on into the writing of results
        span = 0.4 * (self.whole.ended - self.whole.began) if working else 0.0
        delay = rng.uniform(0, span or self.whole.began)
        return self.runs.live(self.name, delay, working=working).killed

    def end(self) -> str:
        """Let the last process come to its end, and compare."""
        self.runs.live(self.name, None, working=False)
        self.ended += 1
        same = self.runs.result(self.name) == self.runs.result("whole")
        hidden = _hidden(self.runs.folder / self.name)
        self.begin()
        if not same:
            return "the heatmap is not that of an undisturbed run"
        return f"files: {hidden}" if hidden else ""


_KILLED: dict[Path, Killed] = {}


def killed(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Kill a process that computes a run, at any moment from its start on."""
    del folder
    if world.folder not in _KILLED:
        _KILLED[world.folder] = Killed(world)
    return Verdict(KILLED, _KILLED[world.folder].kill(rng))


def killed_to_the_end(world: World) -> str:
    """Let the run that was killed last come to its end; return what is wrong with it."""
    return _KILLED[world.folder].end()


def two_processes(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Start two or three processes on one run at about the same time."""
    expected = _straight(world)
    processes = []
    for _ in range(rng.choice((2, 2, 3))):
        processes.append(_detect([world.slide], folder))
        time.sleep(rng.uniform(0, 0.5))
    said = [(p.communicate(timeout=120)[1], p.returncode) for p in processes]
    outcome = RIGHT if all(code == 0 for _, code in said) else SECOND
    for text, code in said:
        if code == 1 and re.fullmatch(r".*is computing this run.*\n", text):
            continue
        if code != 0:
            return Verdict(outcome, f"exit code {code}: {text[-200:]}")
    if all(code for _, code in said):
        return Verdict(outcome, "nobody came to an end")
    if _shown(folder / "slide") != expected:
        return Verdict(outcome, "the heatmap is not that of an undisturbed run")
    hidden = _hidden(folder)
    return Verdict(outcome, f"files: {hidden}" if hidden else "")


def _alive(processes: list[int]) -> list[int]:
    def state(process: int) -> str:
        try:
            return (
                Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            )
        except OSError:
            return "Z"

    return [process for process in processes if state(process) not in "ZX"]


def cohort_killed(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Kill a cohort's parent or one of its workers; nobody stays, nothing is lost."""
    slides = [world.slide, draw_slide(folder / "second.svs", seed=1)]
    process = _detect(slides, folder / "out", "--workers", "2")
    while not (children := children_of(process.pid)) and process.poll() is None:
        time.sleep(0.02)
    time.sleep(rng.uniform(0, 3))
    children = children_of(process.pid) or children
    parent = rng.random() < 0.5
    # none are left where it came to its end before
    victim = process.pid if parent or not children else rng.choice(children)
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    process.communicate(timeout=120)
    end = time.monotonic() + 30
    while (left := _alive(children)) and time.monotonic() < end:
        time.sleep(0.1)
    if left:
        return Verdict(GONE, f"processes: {left}")
    outcome = RIGHT if process.returncode == 0 else GONE
    again = _detect(slides, folder / "out", "--workers", "2")
    if again.wait(timeout=120):
        return Verdict(outcome, f"the next start ended with {again.returncode}")
    if _shown(folder / "out" / "slide") != _straight(world):
        return Verdict(outcome, "the heatmap is not that of an undisturbed run")
    hidden = _hidden(folder / "out")
    return Verdict(outcome, f"files: {hidden}" if hidden else "")


def cluster_worker_lost(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Kill one of two workers of a dask cluster while it has a slide."""
    import distributed
    from napari_fastnet.cohort.options import CohortOptions

    from napari_fastnet.cohort.cluster import Cluster
    from napari_fastnet.cohort.cohort import run_cohort

    slides = [world.slide, draw_slide(folder / "second.svs", seed=1)]
    options = CohortOptions(replace(world.options, network=NetworkChoice(MODEL)))
    delay = rng.uniform(0, 2)
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        memory_limit=0,
    ) as local:
        cluster = Cluster(local.scheduler_address)
        with distributed.Client(
            local.scheduler_address, set_as_default=False
        ) as client:
            victim = rng.choice(sorted(client.run(os.getpid).values()))
        killer = threading.Timer(delay, os.kill, (victim, signal.SIGKILL))
        killer.start()
        steps = list(run_cohort(slides, folder / "out", options, cluster=cluster))
        killer.join()
        cluster.close()
    last = steps[-1]
    if (last.done, last.failed) != (2, 0):
        return Verdict(ERROR, f"{last.done} done, {last.failed} failed")
    try:
        same = _shown(folder / "out" / "slide") == _straight(world)
    except StoreError as error:
        return Verdict(ERROR, str(error))
    return Verdict(RIGHT, "" if same else "another heatmap than undisturbed")
