"""Use the panel at random by real events; then a detection must be as in a new window.

    python benchmarks/panel/monkey.py [--seeds 6] [--minutes 10] [--first 1] [--work FOLDER]
        [--json benchmarks/results/monkey.json]

For each seed a process of its own opens napari with a drawn slide, the shipped model and
the panel, and presses, drags, scrolls, types, opens, paints, hides, renames and removes
at random for so many minutes; dialogs are answered. Then it opens the slide anew and
detects in the window that was used so. A fault is a crash, a process that hangs, a
traceback of whatever kind, a fatal message of Qt, a control that changed by itself, a
number shown that is not the one used, or a heatmap, a mask or a region that differs by a
single bit from that of a new window. With faults the exit code is 1; the known ones of
napari alone (`OF_NAPARI` in monkey_watch.py) are counted and no faults. Without a display
it brings its own (xvfb-run).
"""

# ruff: noqa: T201  a script on its own, no package

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
XVFB = ("xvfb-run", "-a", "-s", "-screen 0 1280x1024x24 +extension GLX")
#: For start, the last detection and the end of a seed, seconds.
BESIDE_S = 420
#: Last lines of a log that tell of a crash.
TAIL = 60


def main() -> int:
    """Go through the seeds; return 1 where one brought a fault to light."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--work", type=Path, help="where logs are kept")
    parser.add_argument(
        "--json", type=Path, default=HERE.parent / "results" / "monkey.json"
    )
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="monkey-"))
    work.mkdir(parents=True, exist_ok=True)
    print(f"logs in {work}")
    lives: list[dict[str, Any]] = [live_of(work, 0, 0.0)]  # the new window
    if lives[0]["faults"]:
        return told(lives, given.json, given)
    for seed in range(given.first, given.first + given.seeds):
        lives.append(live_of(work, seed, given.minutes))
        told(lives, given.json, given)
    return told(lives, given.json, given)


def live_of(work: Path, seed: int, minutes: float) -> dict[str, Any]:
    """Let a process use the panel, and return what it reports, or how it ended."""
    place = work / f"seed-{seed}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    command = [sys.executable, str(HERE / "monkey_life.py"), str(work), str(seed)]
    command.append(str(minutes))
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        command[:0] = XVFB
    began = time.monotonic()
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "XDG_CACHE_HOME": str(place / "cache")},
        )
        try:
            code: int | None = process.wait(minutes * 60 + BESIDE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait() and None
    report = place / "report.json"
    life: dict[str, Any] = {"seed": seed, "acts": {}, "faults": [], "told": {}}
    if report.is_file():
        life |= json.loads(report.read_text("utf-8").replace(str(work), "WORK"))
    if code is None or code != 0 or not life.get("ended"):
        lines = (place / "log").read_text("utf-8", errors="replace").splitlines()
        how = "hung" if code is None else f"ended with {code}"
        life["faults"].append({"kind": how, "text": "\n".join(lines[-TAIL:])})
    life.pop("found", None)  # digests, which stay in the report
    life["seconds"] = round(time.monotonic() - began, 1)
    print(
        f"seed {seed}: {sum(life['acts'].values())} acts, {len(life['faults'])} faults"
    )
    for known, times in life.get("of_napari", {}).items():
        print(f"  napari's own, {times} times: {known}")
    for fault in life["faults"]:
        print(
            f"  {fault['kind']}: {fault['text'].strip().splitlines()[-1]}", flush=True
        )
    return life


def told(lives: list[dict[str, Any]], file: Path, given: argparse.Namespace) -> int:
    """Write what is known so far; return the exit code."""
    faults = sum(len(life["faults"]) for life in lives)
    facts = {
        "command": f"python benchmarks/panel/monkey.py --seeds {given.seeds} "
        f"--minutes {given.minutes:g}",
        "machine": lives[0].get("machine"),
        "minutes": given.minutes,
        "seeds": len(lives) - 1,
        "acts": sum(sum(life["acts"].values()) for life in lives),
        "faults": faults,
        "equal": [bool(life.get("equal")) for life in lives[1:]],
        "lives": lives[1:],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
