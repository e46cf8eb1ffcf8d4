"""Let things go wrong while slides are scanned, and count what came of it.

    python benchmarks/faults/faults.py [--kinds killed,full,...] [--share 1] [--seed 0]
        [--more] [--seconds S] [--json benchmarks/results/faults.json]

Each case must end with the right heatmap, or with an error of one line after which the
next start gives the right heatmap and computes nothing twice; no thread, process, lock
or temporary file stays. Each kind can be run alone: its row in the file is replaced and
the others stay. With --more a kind goes on with the case after the last one in the file,
until all of its cases were tried; no case counts twice. No new case begins after so many
seconds. The exit code is 1 where a promise was broken.
"""

# ruff: noqa: T201  a script on its own, no package

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fault_disk
import fault_process
import fault_slide
import fault_work
from fault_world import Verdict, World

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND = "python benchmarks/faults/faults.py --json benchmarks/results/faults.json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of faults.

    Parameters
    ----------
    about : str
        What goes wrong, in words.
    case : callable
        Lets it go wrong once.
    long, short : int
        Cases of the long form, and of the tests.
    possible : callable
        Whether it can be done on this machine.
    after : callable
        Looks at what the last case left to do; returns which promise was broken.
    """

    about: str
    case: Callable[[World, random.Random, Path], Verdict]
    long: int
    short: int
    possible: Callable[[], bool] = lambda: True
    after: Callable[[World], str] = lambda _: ""


def _on_linux() -> bool:
    return sys.platform == "linux"


KINDS: dict[str, Kind] = {
    "killed": Kind(
        "kill -9 at random moments, from the start to the writing of results",
        fault_process.killed,
        200,
        2,
        after=fault_process.killed_to_the_end,
    ),
    "full": Kind(
        "disk full (or failing) at a write: opening, renaming, making a folder",
        fault_disk.full_at_a_write,
        200,
        3,
    ),
    "cut": Kind("no file may grow beyond some length", fault_disk.cut_in_a_file, 60, 2),
    "small": Kind(
        "a mounted disk that is too small",
        fault_disk.small,
        60,
        1,
        fault_disk.may_mount,
    ),
    "read-only": Kind(
        "output or cache folder read-only, empty or with half a run",
        fault_disk.read_only,
        30,
        2,
    ),
    **{
        name.replace(" ", "-"): Kind(
            f"slide {name} during a run", fault_slide.harmed(name), 40, 1
        )
        for name in fault_slide.HARMS
    },
    "read-errors": Kind(
        "read errors of the drive, passing or lasting", fault_slide.read_errors, 100, 2
    ),
    "short-reads": Kind("reads that give too little", fault_slide.short_reads, 40, 1),
    "slow-reads": Kind("slow reads", fault_slide.slow_reads, 20, 1),
    "threads": Kind(
        "exceptions in threads that read, and in the one that computes; memory too short",
        fault_work.thread_fails,
        100,
        2,
    ),
    "no-number": Kind("NaN or infinity from the model", fault_work.no_number, 60, 2),
    "device-full": Kind(
        "GPU out of memory (simulated): halved until it fits",
        fault_work.device_full,
        60,
        2,
    ),
    "clock": Kind(
        "the clock jumps by up to 30 years during a run", fault_work.clock_jumps, 40, 1
    ),
    "clock-cache": Kind(
        "files of any age in the cache while a run is computed",
        fault_work.clock_and_cache,
        40,
        1,
    ),
    "two-threads": Kind(
        "two threads of one program on one run", fault_work.two_threads, 40, 1
    ),
    "two-processes": Kind(
        "two or three processes on one run", fault_process.two_processes, 15, 0
    ),
    "cohort-killed": Kind(
        "kill -9 of a cohort's parent or worker",
        fault_process.cohort_killed,
        15,
        0,
        _on_linux,
    ),
    "cluster": Kind(
        "a worker of a dask cluster killed", fault_process.cluster_worker_lost, 8, 0
    ),
}


@dataclass(slots=True)
class Tally:
    """What came of a kind's cases so far, which are those of numbers 0 to ``tried``."""

    tried: int
    outcomes: Counter[str]
    problems: Counter[str]
    seconds: float

    @classmethod
    def of(cls, row: dict[str, Any]) -> Tally:
        """Return what a row of the file tells, nothing where it is empty."""
        found = (Counter(row.get(name, {})) for name in ("outcomes", "problems"))
        return cls(row.get("tried", 0), *found, row.get("seconds", 0.0))

    def row(self, name: str) -> dict[str, Any]:
        """Return what the file keeps, and the page shows."""
        problems = [f"{times} x {what}" for what, times in self.problems.items()]
        outcomes = [f"{times} {what}" for what, times in self.outcomes.most_common()]
        return {
            "kind": name,
            "fault": KINDS[name].about,
            "tried": self.tried,
            "held": self.tried - self.problems.total(),
            "outcome": "; ".join(problems or outcomes),
            "outcomes": dict(self.outcomes),
            "problems": dict(self.problems),
            "seconds": round(self.seconds, 1),
        }


def run(name: str, world: World, tally: Tally, count: int, given: Given) -> None:
    """Try a kind's cases up to a number, each drawn from its number alone."""
    kind, before, began = KINDS[name], tally.seconds, time.monotonic()
    first = tally.tried
    while tally.tried < count and time.monotonic() < given.until:
        folder = world.folder / "cases" / f"{name}-{tally.tried}"
        folder.mkdir(parents=True)
        rng = random.Random(f"{name} {given.seed} {tally.tried}")
        verdict = kind.case(world, rng, folder)
        tally.outcomes[verdict.outcome] += 1
        if verdict.problem:
            tally.problems[verdict.problem] += 1
            print(f"{name} {tally.tried}: {verdict}")
        tally.tried += 1
        tally.seconds = before + time.monotonic() - began
        shutil.rmtree(folder, ignore_errors=True)
    if tally.tried > first and (problem := kind.after(world)):
        tally.problems[problem] += 1
        print(f"{name}, in the end: {problem}")
    row = tally.row(name)
    print(
        f"{name:14} {row['held']:4} of {row['tried']:4} {tally.seconds:6.1f} s", end=""
    )
    print(f"  {row['outcome']}", flush=True)


@dataclass(frozen=True, slots=True)
class Given:
    """What the user gave, as far as each case needs it.

    Parameters
    ----------
    seed : int
        Of all cases.
    until : float
        No case begins after that, s of the monotonic clock.
    """

    seed: int
    until: float


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--share", type=float, default=1, help="of the cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--more", action="store_true", help="add to what the file has")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    each = Given(given.seed, time.monotonic() + given.seconds)
    warnings.simplefilter("ignore")
    rows: dict[str, dict[str, Any]] = {}
    if given.json and given.json.exists():
        found = json.loads(given.json.read_text("utf-8"))
        rows = {row["kind"]: row for row in found["rows"]}
    broken = False
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place))
        for name in given.kinds.split(","):
            if not KINDS[name].possible():
                print(f"{name:14} cannot be done on this machine")
                continue
            count = max(1, round(KINDS[name].long * given.share))
            tally = Tally.of(rows.get(name, {}) if given.more else {})
            run(name, world, tally, count, each)
            if tally.tried:
                rows[name] = tally.row(name)
            broken |= tally.problems.total() > 0
            if given.json:
                _keep(given.json, [rows[kind] for kind in KINDS if kind in rows])
    return int(broken)


def _keep(file: Path, rows: list[dict[str, Any]]) -> None:
    facts = {
        "command": COMMAND,
        "short": "make test ARGS=tests/faults",
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
        "rows": rows,
    }
    file.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
