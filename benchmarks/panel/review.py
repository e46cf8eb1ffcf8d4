"""Measure the sliders, the gallery and the verdicts on a slide of two gigapixels.

A heatmap of as many cells as a dense detection gives, with 300 candidates. For each
slider: how long the window stands still at a step, and when list and outlines are those
of the new value. For the gallery: the longest time from beat to beat of a timer of 10 ms
while the pictures of all candidates are read, and without that. For a verdict: from the
key until the next candidate is shown, the decision on the disk by then.

    xvfb-run -a -s "-screen 0 1366x768x24 +extension GLX"
        python benchmarks/panel/review.py [--gigapixels 2] [--candidates 300] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).parents[1]))

import numpy as np

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.detection.tissue import slide_facts
from napari_fastnet.results.record import RunRecord
from napari_fastnet.synthetic.giga import giga_shape, write_giga_slide
from panel_window import add_panel, add_slide, live, machine, napari_window, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fastnet.plugin.panel.panel import FastNetPanel

#: Side of a cell, level-0 px: 16 px at 0.972 µm on a slide of 0.243 µm.
CELL_PX = 64
BEAT_MS = 10
STEPS = 12


def heatmap_of(shape: tuple[int, int], candidates: int) -> Heatmap:
    """Return noise with candidates of 0.1 to 1 mm, ever weaker."""
    rng = np.random.default_rng(0)
    cells = (shape[0] // CELL_PX, shape[1] // CELL_PX)
    values = rng.beta(1, 12, cells).astype(np.float32)
    side = int(np.ceil(np.sqrt(candidates)))
    pitch = min(cells) // side
    for index in range(candidates):
        row, column = divmod(index, side)
        size = int(rng.integers(6, min(60, pitch - 4)))
        spot = rng.beta(9, 2 + 4 * index / candidates, (size, size))
        top, left = row * pitch, column * pitch
        values[top : top + size, left : left + size] = spot
    return Heatmap(values, Grid((0.0, 0.0), (CELL_PX, CELL_PX), cells), (0.243, 0.243))


class Beats:
    """Beats of a timer in Qt's event loop."""

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self.at: list[float] = []
        self._timer = QTimer()
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(lambda: self.at.append(perf_counter()))
        self._timer.start()

    def longest_ms(self, since: float) -> float:
        """Return the longest time from beat to beat since a time."""
        times = [since, *(at for at in self.at if at >= since)]
        return 1e3 * float(np.diff(times).max(initial=0.0))


def steps(
    panel: FastNetPanel, beats: Beats, move: Callable[[float], None], values: Any
) -> dict[str, float]:
    """Move a slider step by step; return medians and the worst, ms."""
    work = panel.slide.work
    assert work is not None
    still, until_shown, gaps = [], [], []
    found: list[float] = []
    work.events.regions.connect(lambda _: found.append(perf_counter()))
    for value in values:
        live(0.5)
        found.clear()
        began = perf_counter()
        move(value)
        still.append(perf_counter() - began)
        wait_until(lambda: bool(found), 20)
        until_shown.append(found[-1] - began)
        live(0.6)
        gaps.append(beats.longest_ms(began))
    return {
        "handler_ms_median": 1e3 * float(np.median(still)),
        "handler_ms_worst": 1e3 * max(still),
        "list_ms_median": 1e3 * float(np.median(until_shown)),
        "list_ms_worst": 1e3 * max(until_shown),
        "gap_ms_median": float(np.median(gaps)),
        "gap_ms_worst": max(gaps),
    }


def gallery(panel: FastNetPanel, beats: Beats) -> dict[str, float]:
    """Read all pictures anew, scrolling through; return the longest gaps, ms."""
    review, work = panel.review, panel.slide.work
    assert work is not None
    live(1.0)
    began = perf_counter()
    live(3.0)
    at_rest = beats.longest_ms(began)
    regions = [candidate.region for candidate in review.gallery.model().shown()]
    review.gallery.thumbnails.show(None)
    review.gallery.thumbnails.show(work.slide)
    began = perf_counter()
    review.gallery.thumbnails.want(regions)
    wait_until(lambda: review.gallery.thumbnails.pictures(regions[-1]) is not None, 120)
    seconds = perf_counter() - began
    return {
        "pictures": float(2 * len(regions)),
        "seconds": seconds,
        "longest_gap_ms": beats.longest_ms(began),
        "longest_gap_at_rest_ms": at_rest,
    }


def verdicts(panel: FastNetPanel) -> dict[str, float]:
    """Decide by key; return how long it takes to the next candidate, ms."""
    review = panel.review
    review.go_on()
    live(0.3)
    took = []
    for index in range(30):
        began = perf_counter()
        (review.say_tumor, review.say_not_tumor)[index % 2]()
        took.append(perf_counter() - began)
        live(0.05)
    return {
        "key_ms_median": 1e3 * float(np.median(took)),
        "key_ms_worst": 1e3 * max(took),
    }


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gigapixels", type=float, default=2.0)
    parser.add_argument("--candidates", type=int, default=300)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    slide = folder / "giga.svs"
    shape = giga_shape(options.gigapixels)
    write_giga_slide(slide, shape=shape)
    with napari_window() as viewer:
        add_slide(viewer, slide)
        panel = add_panel(viewer, None)
        work = panel.slide.work
        assert work is not None
        heatmap = heatmap_of(shape, options.candidates)
        work.set_heatmap(heatmap, RunRecord(slide=slide_facts(work.slide)))
        wait_until(lambda: bool(work.review.reviewed), 60)
        live(2.0)
        beats = Beats()
        threshold = panel.detect.threshold

        def move_evidence(value: float) -> None:
            panel.detect.evidence.value = value

        found: dict[str, Any] = {
            "machine": machine(),
            "slide_px": shape,
            "candidates": len(work.review.reviewed),
            "gallery": gallery(panel, beats),
            "threshold": steps(
                panel,
                beats,
                lambda value: setattr(threshold, "value", value),
                np.linspace(0.4, 0.6, STEPS),
            ),
            "verdicts": verdicts(panel),
        }
        if hasattr(panel.detect, "evidence"):
            found["evidence"] = steps(
                panel, beats, move_evidence, np.linspace(-1.0, 4.0, STEPS)
            )
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
