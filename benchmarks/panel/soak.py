"""A long day at the panel: open, pan, detect, edit, export, close, again and again.

    xvfb-run -a -s "-screen 0 1280x1024x24 +extension GLX"
        python benchmarks/panel/soak.py [500] [--seconds 14400] [--slide SLIDE]
        [--model NAME|DIR] [--json benchmarks/results/soak.json]

Each cycle opens a slide, pans and zooms over it, detects to the end, takes a part out
of the region of interest and puts another in, lets the heatmap follow, moves the
threshold, exports everything and closes the slide. Then memory, threads and open files
of the process are noted (as `plugin_cycles` does), and how long its log has grown. It
ends after so many cycles, or the first one after so many seconds. The file is written
anew after every cycle.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.synthetic.slide import write_slide
from panel_window import add_panel, add_slide, live, machine, napari_window, wait_until
from plugin_cycles import WARM_UP, State

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = (
    'xvfb-run -a -s "-screen 0 1280x1024x24 +extension GLX" python benchmarks/panel/soak.py '
    "500 --json benchmarks/results/soak.json"
)
#: Of the screen's middle that a brush takes out of the region of interest, mask px.
BRUSH_PX = 9


@dataclass(frozen=True, slots=True)
class Hour:
    """What the process holds after a cycle.

    Parameters
    ----------
    state : State
        Memory, threads, open files.
    log_bytes : int
        Written to stderr since the start.
    seconds : float
        That the cycle took.
    """

    state: State
    log_bytes: int
    seconds: float


@contextmanager
def log_in(file: Path) -> Iterator[None]:
    """Let all that goes to stderr, of whatever library, go to a file."""
    before = os.dup(2)
    with file.open("ab") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def pan(viewer: Any, rng: np.random.Generator) -> None:
    """Look at some places of the slide, from near and far."""
    camera, middle = viewer.scene.camera, viewer.scene.camera.center
    zoom = camera.zoom
    for _ in range(4):
        camera.zoom = zoom * float(rng.uniform(1, 8))
        shift = rng.uniform(-300, 300, 2)
        camera.center = (0, middle[-2] + shift[0], middle[-1] + shift[1])
        live(0.1)
    camera.zoom, camera.center = zoom, middle


def edit(viewer: Any, panel: Any, rng: np.random.Generator) -> None:
    """Erase and paint on the region of interest, and wait for the heatmap to follow."""
    work = panel.slide.work
    (layer,) = (each for each in viewer.layers if each.name.endswith("ROI"))
    layer.brush_size = BRUSH_PX
    shape = np.array(layer.data.shape)
    for label in (0, 1):
        layer.paint(tuple(int(i) for i in rng.integers(0, shape)), label)
        live(0.4)
    roi = work.masks.tissue().masks.roi
    wait_until(lambda: np.array_equal(work.detection._roi, roi))  # noqa: SLF001
    wait_until(lambda: not work.detection.job.running)
    layer.undo()
    live(0.4)
    wait_until(lambda: not work.detection.job.running)


def use(viewer: Any, panel: Any, slide: Path, folder: Path, seed: int) -> None:
    """Do with a slide what is done in a day's work, and close it."""
    rng = np.random.default_rng(seed)
    layer = add_slide(viewer, slide)
    pan(viewer, rng)
    panel.detect.results.value = folder / "runs"
    panel.detect.start.native.click()
    detection = panel.slide.work.detection
    wait_until(lambda: not detection.job.running)
    if detection.result is None:
        raise RuntimeError(f"{layer.name}: the detection did not end by itself")
    edit(viewer, panel, rng)
    panel.detect.threshold.value = float(rng.uniform(0.2, 0.8))
    live(0.3)
    panel.export.folder.value = folder / "files"
    panel.export.save.native.click()
    wait_until(lambda: panel.export.save.enabled)
    if not (folder / "files" / "run.json").is_file():
        raise RuntimeError(f"{layer.name}: nothing was exported")
    dismiss_messages()
    viewer.layers.clear()
    live(0.2)


def dismiss_messages() -> None:
    """Close what napari told, as a user does.

    In a window that is not in front of all others it stays until somebody does.
    """
    from napari._qt.dialogs.qt_notification import NapariQtNotification

    for message in list(NapariQtNotification._instances):  # noqa: SLF001
        message.close()


def soak(given: argparse.Namespace, slide: Path, folder: Path) -> list[Hour]:
    """Go through the cycles and return what was noted after each."""
    hours: list[Hour] = []
    log = folder / "log"
    with log_in(log), napari_window() as viewer:
        panel, began = add_panel(viewer, given.model), time.monotonic()
        for number in range(1, given.cycles + 1):
            clock = time.monotonic()
            use(viewer, panel, slide, folder / str(number), number)
            shutil.rmtree(folder / str(number))
            seconds = time.monotonic() - clock
            hours.append(Hour(State.now(number), log.stat().st_size, seconds))
            said = {**asdict(hours[-1].state), "log": hours[-1].log_bytes, "s": seconds}
            words = " ".join(f"{name} {value:,.0f}" for name, value in said.items())
            sys.stdout.write(words + "\n")
            sys.stdout.flush()
            keep(given, hours)
            if time.monotonic() - began > given.seconds:
                break
    return hours


def keep(given: argparse.Namespace, hours: list[Hour]) -> None:
    """Write what is known so far."""
    if given.json is None:
        return
    states = [hour.state for hour in hours]
    warm, last = states[min(WARM_UP, len(states)) - 1], states[-1]
    facts = {
        "command": COMMAND,
        "short": "make test ARGS=tests/plugin/test_cycles.py",
        "machine": machine(),
        "cycles_asked": given.cycles,
        "cycles": len(hours),
        "hours": sum(hour.seconds for hour in hours) / 3600,
        "warm_up": warm.cycle,
        "memory_growth": last.memory_mb / warm.memory_mb - 1,
        "threads_growth": last.threads - warm.threads,
        "files_growth": last.files - warm.files,
        "log_bytes": hours[-1].log_bytes,
        "states": [
            {
                **asdict(hour.state),
                "memory_mb": round(hour.state.memory_mb, 1),
                "log_bytes": hour.log_bytes,
                "seconds": round(hour.seconds, 1),
            }
            for hour in hours
        ],
    }
    given.json.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("cycles", nargs="?", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--slide", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, slide = Path(place), given.slide
        if slide is None:
            slide = folder / "synthetic.svs"
            write_slide(slide, shape=(2048, 3072))
        soak(given, slide, folder)


if __name__ == "__main__":
    main()
