"""Slides detected on, each in a process of its own: time, first result, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.errors import DetectionError
from napari_fastnet.results.record import STORE, read_record
from napari_fastnet.store.format import CHUNKS, decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Detections of each slide, one after the other of all slides.
ROUNDS = 3

# A new process inherits the peak of the one that starts it, so a small one starts it.
# Windows does not tell the peak.
_STARTER = """
import json, subprocess, sys, time
clock, began = time.time(), time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
seconds, peak = time.perf_counter() - began, None
if sys.platform != "win32":
    import resource
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
errors = done.stderr.decode(errors="replace")
print(json.dumps([done.returncode, clock, seconds, peak, errors]))
"""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process took.

    Parameters
    ----------
    began : float
        When, seconds since 1970.
    seconds : float
        From its start to its end.
    peak_rss_mb : float or None
        Most memory that it held at once, millions of bytes; None where the system does
        not tell.
    """

    began: float
    seconds: float
    peak_rss_mb: float | None


@dataclass(frozen=True, slots=True)
class Detection:
    """``napari-fastnet detect`` on a slide.

    Parameters
    ----------
    gigapixels, tissue_mpx : float
        The slide, level-0 px, and its tissue, px of the model.
    seconds : float
        From the start of the process to its end.
    first_result_s : float or None
        From the start of the process until a block of probabilities is in the store;
        None where there is no tissue.
    seconds_per_mpx : float or None
        From the first block to the last, a megapixel of the tissue that lies behind the
        first; None where there are no two.
    peak_rss_mb : float or None
        As for `Footprint`.
    """

    gigapixels: float
    tissue_mpx: float
    seconds: float
    first_result_s: float | None
    seconds_per_mpx: float | None
    peak_rss_mb: float | None


def detect_apart(slides: Mapping[Path, Sequence[str]]) -> list[Detection]:
    """Detect on slides in processes of their own, in turns.

    Parameters
    ----------
    slides : Mapping
        Path to further options of ``napari-fastnet detect``.

    Returns
    -------
    list of Detection
        One a slide, the median of each figure.

    Raises
    ------
    DetectionError
        One did not end well.
    """
    turns = [
        [_detect(slide, options) for slide, options in slides.items()]
        for _ in range(ROUNDS)
    ]
    return [_middle(of_slide) for of_slide in zip(*turns, strict=True)]


def _detect(slide: Path, options: Sequence[str]) -> Detection:
    """Detect once, and look at what the process left."""
    with TemporaryDirectory() as place:
        words = ["detect", str(slide), "--output", place, *options]
        footprint = run_apart(words)
        folder = Path(place) / slide.stem
        record = read_record(folder / "run.json")
        blocks = sorted(
            (path.stat().st_mtime, path)
            for path in (folder / STORE / CHUNKS).glob("*/*")
        )
        cells = [_computed(path) for _, path in blocks]
    cell_mpx = record["options"]["stride_px"] ** 2 / 1e6
    behind_mpx = sum(cells[1:]) * cell_mpx
    pixels = record["slide"]["height"] * record["slide"]["width"]
    return Detection(
        gigapixels=pixels / 1e9,
        tissue_mpx=sum(cells) * cell_mpx,
        seconds=footprint.seconds,
        first_result_s=blocks[0][0] - footprint.began if blocks else None,
        seconds_per_mpx=(blocks[-1][0] - blocks[0][0]) / behind_mpx
        if behind_mpx
        else None,
        peak_rss_mb=footprint.peak_rss_mb,
    )


def _computed(chunk: Path) -> int:
    """Return how many cells of a block hold a value."""
    content = chunk.read_bytes()
    side = isqrt(len(content) // 4)  # float32, and four bytes of checksum
    return int(np.count_nonzero(~np.isnan(decode(content, side))))


def _middle(detections: Sequence[Detection]) -> Detection:
    """Return the median of each figure."""
    one = detections[0]

    def middle(name: str) -> float:
        return float(median(getattr(detection, name) for detection in detections))

    return Detection(
        one.gigapixels,
        one.tissue_mpx,
        middle("seconds"),
        None if one.first_result_s is None else middle("first_result_s"),
        None if one.seconds_per_mpx is None else middle("seconds_per_mpx"),
        None if one.peak_rss_mb is None else middle("peak_rss_mb"),
    )


def run_apart(arguments: Sequence[str]) -> Footprint:
    """Run ``napari-fastnet`` in a process of its own.

    Parameters
    ----------
    arguments : sequence of str
        The command and its options.

    Returns
    -------
    Footprint
        What it took.

    Raises
    ------
    DetectionError
        It did not end well.
    """
    return run_command([sys.executable, "-m", "napari_fastnet", *arguments])


def run_command(command: Sequence[str]) -> Footprint:
    """Run a program, and see what it took; the rest as for `run_apart`.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    """
    told = subprocess.run(
        [sys.executable, "-c", _STARTER, *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    code, began, seconds, peak, errors = json.loads(told)
    if code != 0:
        last = (errors.strip().splitlines() or [f"code {code}"])[-1]
        raise DetectionError(
            f"{' '.join(command)} failed in a process of its own ({last}); run it by "
            "itself to see why"
        )
    return Footprint(began, seconds, None if peak is None else peak / 1e6)
