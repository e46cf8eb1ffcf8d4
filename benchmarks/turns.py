"""Compare two versions of the package in turns: time and memory of the same commands.

    python benchmarks/turns.py OLD/src NEW/src [--slide SLIDE] [--rounds 7] [--json FILE]

Each command runs in a process of its own, old and new alternating, so that both meet the
same machine. Shown are the medians of both and the ratio new to old.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from napari_fastnet.synthetic.slide import write_slide
from page import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Prints the peak memory of the process as well, in kB (Linux); that of `getrusage` begins
#: with the parent's.
CHILD = """
import re, runpy, sys
sys.argv = ["napari-fastnet", *sys.argv[1:]]
try:
    runpy.run_module("napari_fastnet", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
finally:
    peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
    print(peak, file=sys.stderr)
"""


def once(src: Path, words: Sequence[str]) -> tuple[float, float, float]:
    """Return wall-clock and processor seconds and peak MB of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *words],
        env={**os.environ, "PYTHONPATH": str(src)},
        capture_output=True,
        text=True,
        check=True,
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, int(done.stderr.split()[-1]) / 1000


def compare(
    old: Path, new: Path, words: Sequence[str], rounds: int
) -> dict[str, object]:
    """Return the medians of a command's figures and their ratios."""
    found: dict[Path, list[tuple[float, float, float]]] = {old: [], new: []}
    for number in range(rounds):
        for src in (old, new) if number % 2 else (new, old):
            with tempfile.TemporaryDirectory() as folder:
                found[src].append(once(src, [w.format(folder=folder) for w in words]))
    figures: dict[str, object] = {
        "command": " ".join(Path(word).name for word in words)
    }
    for index, name in enumerate(("wall_s", "cpu_s", "peak_mb")):
        was, now = (median(row[index] for row in found[src]) for src in (old, new))
        figures[name] = {
            "old": round(was, 3),
            "new": round(now, 3),
            "ratio": round(now / was, 3),
        }
    return figures


def main() -> None:
    """Compare a detection, `--help` and `detect --help`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--slide", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        slide = arguments.slide
        if slide is None:
            slide = Path(folder) / "slide.svs"
            write_slide(slide, shape=(8192, 12288), seed=0)
        commands = (
            ["detect", str(slide), "-o", "{folder}"],
            ["--help"],
            ["detect", "--help"],
        )
        rows = [
            compare(arguments.old, arguments.new, words, arguments.rounds)
            for words in commands
        ]
    tell({"rounds": arguments.rounds, "commands": rows}, arguments.json)


if __name__ == "__main__":
    main()
