"""Measure how long the package and its command line take to start.

Every way of starting is a fresh process, in turn with the others, and its fastest run
counts: what else the machine does makes runs slower, never faster.

    python benchmarks/import_time.py [--times 15] [--json FILE]
        [--page docs/howto/install.md]
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from math import inf
from pathlib import Path
from time import perf_counter

from page import write_between

#: Ways to start, by name.
STARTS = {
    "`python -c pass`": "pass",
    "`import numpy`": "import numpy",
    "`import napari_fastnet`": "import napari_fastnet",
    "`napari-fastnet --help`": "from napari_fastnet.cli.app import main; main(['--help'])",
    "`from napari_fastnet import detect`": "from napari_fastnet import detect",
    "`import torch`": "import torch",
    "`import napari`": "import napari",
}


def measure(times: int) -> dict[str, float]:
    """Return the fastest of so many starts each, s."""
    seconds = dict.fromkeys(STARTS, inf)
    for _ in range(times + 1):  # the first one reads files from the disk
        for name, code in STARTS.items():
            begin = perf_counter()
            subprocess.run(
                [sys.executable, "-c", code], check=True, capture_output=True
            )
            seconds[name] = min(seconds[name], perf_counter() - begin)
    return seconds


def table(seconds: dict[str, float]) -> str:
    """Return the measurements as Markdown."""
    plain, numpy = (seconds[name] for name in list(STARTS)[:2])
    rows = [
        f"| {name} | {value:.2f} | {value / plain:.1f} | {value / numpy:.1f} |"
        for name, value in seconds.items()
    ]
    head = [
        "| what starts | s | times `pass` | times numpy |",
        "|---|---:|---:|---:|",
    ]
    said = f"Python {platform.python_version()}, {platform.machine()}, the fastest of many."
    return "\n".join([*head, *rows, "", said])


def main() -> None:
    """Measure, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    seconds = measure(arguments.times)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(seconds, indent=2))
    if arguments.page is not None:
        write_between(arguments.page, "import_time", table(seconds))
    sys.stdout.write(table(seconds) + "\n")


if __name__ == "__main__":
    main()
