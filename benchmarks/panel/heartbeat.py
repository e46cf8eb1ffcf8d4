"""Measure how responsive the window stays while tumors are detected.

A timer of 10 ms beats in Qt's event loop; the time from beat to beat is how long a user
waits for the window. Measured at rest, while the view moves over the slide along a
circle, and while a mouse wheel zooms in and out, each without and with a detection going
on, over the same place and with the same layers. The time from the click on "Detect tumors" to the first change on the canvas
is measured too, and so is that of reading and inferring one block without a window.

    xvfb-run -a -s "-screen 0 1280x1024x24 +extension GLX"
        python benchmarks/panel/heartbeat.py [SLIDE] [--model NAME|DIR] [--stride 4]
        [--seconds 5] [--json FILE] [--page docs/explain/responsiveness.md]

Without a slide one of 5 x 5 mm is drawn.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from math import cos, sin
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).parents[1]))

import numpy as np

from napari_fastnet.detection.run import SlideRun
from napari_fastnet.plugin.detection.ready_network import NETWORK
from napari_fastnet.plugin.detection.viewport import nearest_to_view, visible_box
from napari_fastnet.synthetic.slide import write_slide
from page import write_between
from panel_window import add_panel, add_slide, live, machine, napari_window, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


BEAT_MS = 10
#: A screen's 60 pictures a second.
FRAME_MS = 16
#: Canvas px a µm: the slide at 10x.
ZOOM = 1.0
#: How fast the view moves, canvas px a second.
SPEED = 400
#: Notches of the wheel a second, and in one direction before it turns.
NOTCHES, TURN = 8, 12
#: A user feels gaps of this length.
FELT_MS = 100


@dataclass(frozen=True, slots=True)
class Gaps:
    """Gaps between beats, ms; ``felt`` is the share of the time that lay in long ones."""

    phase: str
    median: float
    percentile_95: float
    longest: float
    felt: float

    @classmethod
    def of(cls, phase: str, beats: list[float]) -> Gaps:
        """Return what the times of beats, seconds, amount to."""
        gaps = np.diff(beats) * 1e3
        median, high = np.percentile(gaps, (50, 95))
        felt = gaps[gaps > FELT_MS].sum() / gaps.sum()
        return cls(phase, *map(float, (median, high, gaps.max(), felt)))


def measure(
    phase: str, seconds: float, move: Callable[[float], None] | None = None
) -> Gaps:
    """Let the window live, moving the view or not, and count."""
    from qtpy.QtCore import Qt, QTimer

    beats: list[float] = []
    heart, motion = QTimer(), QTimer()
    heart.setTimerType(Qt.TimerType.PreciseTimer)
    heart.timeout.connect(lambda: beats.append(perf_counter()))
    began = perf_counter()
    if move is not None:
        motion.timeout.connect(lambda: move(perf_counter() - began))
        motion.start(FRAME_MS)
    heart.start(BEAT_MS)
    live(seconds)
    heart.stop()
    motion.stop()
    return Gaps.of(phase, beats)


def circle(panel: Any) -> Callable[[float], None]:
    """Return what moves the view along a circle over the slide, by the clock."""
    low, high = np.asarray(panel.slide.work.layer.extent.world)
    middle, radius = (low + high) / 2, float((high - low).min()) / 4
    camera = panel.slide.workspace.viewer.scene.camera

    def move(seconds: float) -> None:
        camera.zoom = ZOOM  # a wheel turned before leaves another
        angle = seconds * SPEED / ZOOM / radius
        offset = radius * np.array([sin(angle), cos(angle)])
        camera.center = (0, *(middle + offset))

    move(0)
    return move


def wheel(panel: Any) -> Callable[[float], None]:
    """Return what turns a mouse wheel over the middle of the canvas, by the clock."""
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    # napari has no public way to its canvas
    canvas = panel.slide.workspace.viewer.window._qt_viewer.canvas.native  # noqa: SLF001
    middle = canvas.rect().center()
    on_screen = QPointF(canvas.mapToGlobal(middle))
    turned = 0

    def turn(seconds: float) -> None:
        nonlocal turned
        while turned < int(seconds * NOTCHES):
            degrees = 15 if turned // TURN % 2 == 0 else -15
            event = QWheelEvent(
                QPointF(middle),
                on_screen,
                QPoint(),
                QPoint(0, degrees * 8),
                Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            QApplication.sendEvent(canvas, event)
            turned += 1

    return turn


def first_on_screen(panel: Any) -> float:
    """Click on "Detect tumors" and return the seconds until the canvas shows a value."""
    before, seen = picture(panel), list[float]()
    began = perf_counter()

    def look(_: object = None) -> None:
        if not seen and (picture(panel) != before).any():
            seen.append(perf_counter() - began)

    events = panel.slide.workspace.events
    events.filled.connect(look)
    panel.detect.start.native.click()
    wait_until(lambda: bool(seen))
    events.filled.disconnect(look)
    return seen[0]


def picture(panel: Any) -> NDArray[np.uint8]:
    """Return what the canvas shows."""
    viewer: Any = panel.slide.workspace.viewer
    return np.asarray(viewer.screenshot(canvas_only=True, flash=False))


def block_seconds(panel: Any, folder: Path) -> float:
    """Return the seconds of reading and inferring the first block, all else ready."""
    request, run = panel.detect.request(), panel.slide.work.detection.run
    rank = nearest_to_view(
        run.plan.patches.grid,
        lambda: visible_box(panel.slide.workspace.viewer, panel.slide.work.layer),
    )
    with NETWORK.used(request) as (_, backend):
        for name in ("once", "again"):  # the first brings back the network's memory
            fresh = SlideRun(
                run.slide, run.bundle, folder / name, run.options, tissue=run.tissue
            )
            began = perf_counter()
            with closing(fresh.steps(backend, priority=rank)) as steps:
                next(steps)
                seconds = perf_counter() - began
    return seconds


def benchmark(panel: Any, stride: str, seconds: float, folder: Path) -> dict[str, Any]:
    """Go through all phases and return what was measured, as JSON takes it."""
    work, detect = panel.slide.work, panel.detect
    panel.tissue.compute.native.click()
    wait_until(lambda: work.editor is not None)
    detect.stride.value = int(stride) if stride.isdigit() else stride
    move = circle(panel)
    measure("once around", seconds, move)  # what is read now is in the cache
    measure("zooming for the first time", seconds, wheel(panel))
    move(0)
    phases = [measure("at rest", seconds), measure("panning", seconds, move)]
    move(0)
    phases.append(measure("zooming", seconds, wheel(panel)))
    move(0)
    first = first_on_screen(panel)
    phases.append(measure("at rest, detecting", seconds))
    phases.append(measure("panning, detecting", seconds, move))
    move(0)
    phases.append(measure("zooming, detecting", seconds, wheel(panel)))
    if not work.detection.job.running:
        raise RuntimeError("the detection ended before it was measured; finer --stride")
    speed = work.detection.patches_per_second
    detect.start.native.click()  # pauses
    live(1)
    phases.append(measure("panning, paused", seconds, move))
    move(0)
    phases.append(measure("zooming, paused", seconds, wheel(panel)))
    detect.cancel.native.click()
    wait_until(lambda: not work.detection.job.running)
    return {
        "machine": machine(),
        "slide": work.slide.path.name,
        "heatmap": work.heatmap.grid.shape,
        "stride": stride,
        "patches_per_second": speed,
        "first_seconds": first,
        "block_seconds": block_seconds(panel, folder),
        "phases": [asdict(phase) for phase in phases],
    }


def report(found: dict[str, Any]) -> str:
    """Return what was measured as Markdown."""
    lines = [
        "| | median ms | 95 % ms | longest ms | felt |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {p['phase']} | {p['median']:.0f} | {p['percentile_95']:.0f} | "
        f"{p['longest']:.0f} | {p['felt']:.1%} |"
        for p in found["phases"]
    ]
    rows, columns = found["heatmap"]
    return "\n".join(
        [
            *lines,
            "",
            f'"Felt" is the share of the time in gaps of over {FELT_MS} ms. First '
            f"probabilities on the canvas {found['first_seconds']:.2f} s after the click; "
            f"reading and inferring one block takes {found['block_seconds']:.2f} s of "
            f"that. {found['slide']}, {rows} x {columns} cells, "
            f"{found['patches_per_second']:.0f} patches/s meanwhile; "
            f"{found['machine']}.",
        ]
    )


def main() -> None:
    """Measure, and write into a file and a page where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", nargs="?", type=Path)
    parser.add_argument("--model")
    parser.add_argument(
        "--stride", default="4", help="as the panel's, default %(default)s"
    )
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, slide = Path(place), arguments.slide
        if slide is None:
            slide = folder / "synthetic.svs"
            write_slide(slide, shape=(20480, 20480))
        with napari_window() as viewer:
            add_slide(viewer, slide)
            panel = add_panel(viewer, arguments.model)
            panel.detect.results.value = folder / "runs"
            found = benchmark(panel, arguments.stride, arguments.seconds, folder)
    text = report(found)
    sys.stdout.write(text + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))
    if arguments.page:
        write_between(arguments.page, "heartbeat", text)


if __name__ == "__main__":
    main()
