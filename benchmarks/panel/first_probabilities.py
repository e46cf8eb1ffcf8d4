"""Measure how soon after the click on "Detect tumors" the first probabilities show.

Each way of getting there starts as many processes as asked for, one click each. Within
a process the time from the click to the first change on the canvas is compared with the
time that reading and inferring the same block takes when all else is ready.

    xvfb-run -a -s "-screen 0 1280x1024x24 +extension GLX"
        python benchmarks/panel/first_probabilities.py [SLIDE] [--times 3] [--stride dense]
        [--json FILE] [--page docs/explain/responsiveness.md]

Without a slide one of 5 x 5 mm is drawn.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

import numpy as np

from heartbeat import block_seconds, circle, first_on_screen, measure
from napari_fastnet.plugin.detection.ready_network import NETWORK
from napari_fastnet.plugin.detection.viewport import visible_box
from napari_fastnet.synthetic.slide import write_slide
from page import write_between
from panel_window import add_panel, add_slide, live, machine, napari_window, wait_until

#: Ways to the first probabilities, and what each means.
WAYS = {
    "click": "load and compile after the click",
    "cache": "so, but OpenVINO finds what it compiled before on the disk",
    "small": "so, but blocks a third as wide",
    "masks": "load and compile as soon as there are masks",
    "slide": "load and compile as soon as a slide is open",
}
#: What the plugin does.
CHOSEN = "slide"
#: The window is left alone for so long, seconds, before the click.
LOOKING = 3.0


def set_up(way: str, folder: Path) -> None:
    """Change what one way does otherwise."""
    from napari_fastnet.detection import plan

    if way != CHOSEN:
        NETWORK.prepare = lambda _: None  # type: ignore[method-assign]
    if way == "cache":
        from napari_fastnet.machine.private_imports import openvino

        core = openvino.Core
        options = {"CACHE_DIR": str(folder / "compiled")}

        def cached() -> Any:
            made = core()
            made.set_property(options)
            return made

        openvino.Core = cached
    if way == "small":
        plan.DENSE_BLOCK_CELLS //= 3
        plan.BLOCK_CELLS //= 3


def one_click(way: str, slide: Path, folder: Path, stride: str) -> dict[str, float]:
    """Open, click, pan, and return what was measured, in seconds."""
    set_up(way, folder)
    with tempfile.TemporaryDirectory() as runs, napari_window() as viewer:
        add_slide(viewer, slide)
        panel = add_panel(viewer, None)
        panel.detect.results.value = Path(runs, "runs")
        panel.detect.stride.value = int(stride) if stride.isdigit() else stride
        ready = measure("getting ready", LOOKING)
        if way == "masks":
            del NETWORK.prepare  # type: ignore[method-assign]  # that of its class again
        work = panel.slide.work
        panel.tissue.compute.native.click()
        wait_until(lambda: work.editor is not None)
        circle(panel)
        live(LOOKING)
        first = first_on_screen(panel)
        pan = first_after_panning(panel)
        panel.detect.cancel.native.click()
        wait_until(lambda: not work.detection.job.running)
        circle(panel)  # back to where it began
        block = block_seconds(panel, Path(runs))
    return {"first": first, "block": block, "pan": pan, "gap": ready.longest / 1e3}


def first_after_panning(panel: Any) -> float:
    """Move the view and return the seconds until a block in it is computed."""
    work, viewer = panel.slide.work, panel.slide.workspace.viewer
    low, high = np.asarray(work.layer.extent.world)
    viewer.scene.camera.center = (0, *((low + high) / 2))
    began = perf_counter()

    def seen() -> bool:
        block = work.detection.progress.block
        box = work.heatmap.grid.cells_box(block.first, block.end)
        view = visible_box(viewer, work.layer)
        return not box.intersect(view).is_empty or not work.detection.job.running

    wait_until(seen)
    return perf_counter() - began


def report(found: dict[str, Any]) -> str:
    """Return what was measured as Markdown."""
    lines = [
        "| | first probabilities s | reading and inferring that block s | beyond it s |",
        "|---|---:|---:|---:|",
    ]
    for way, runs in found["ways"].items():
        first, block, beyond = (
            np.median([run_value(run) for run in runs])
            for run_value in (
                lambda run: run["first"],
                lambda run: run["block"],
                lambda run: run["first"] - run["block"],
            )
        )
        words = WAYS[way] + (" (the plugin)" if way == CHOSEN else "")
        lines.append(f"| {words} | {first:.2f} | {block:.2f} | {beyond:.2f} |")
    chosen, click = (
        {name: np.median([run[name] for run in found["ways"][way]]) for name in runs[0]}
        for way in (CHOSEN, "click")
    )
    return "\n".join(
        [
            *lines,
            "",
            f"Medians of {len(runs)} clicks, each in a process of its own. While the network gets ready the window "
            f"makes one wait for {chosen['gap'] * 1e3:.0f} ms at most, where nothing is "
            f"got ready for {click['gap'] * 1e3:.0f} ms. After a jump of the view the "
            f"first block of what is then seen is there in {chosen['pan']:.2f} s. "
            f"{found['slide']}, stride {found['stride']}; {found['machine']}.",
        ]
    )


def clicks(arguments: argparse.Namespace, slide: Path, folder: Path) -> dict[str, Any]:
    """Start the processes and return what they measured, way by way."""
    ways: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    # In turns, so that other work on the machine meets all of them alike.
    for turn in range(arguments.times + 1):
        for way, runs in ways.items():
            out = folder / "one.json"
            command = [sys.executable, __file__, str(slide), "--one", way]
            command += ["--folder", str(folder), "--stride", arguments.stride]
            subprocess.run([*command, "--json", str(out)], check=True)
            if turn:  # the first fills the caches
                runs.append(json.loads(out.read_text()))
    return ways


def main() -> None:
    """Measure, and write into a file and a page where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", nargs="?", type=Path)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--stride", default="dense", help="as the panel's")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--one", choices=WAYS, help="one click in this process")
    parser.add_argument("--folder", type=Path, help="of --one: what is compiled")
    arguments = parser.parse_args()
    if arguments.one:
        found = one_click(
            arguments.one, arguments.slide, arguments.folder, arguments.stride
        )
        arguments.json.write_text(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as place:
        folder, slide = Path(place), arguments.slide
        if slide is None:
            slide = folder / "synthetic.svs"
            write_slide(slide, shape=(20480, 20480))
        ways = clicks(arguments, slide, folder)
    found = {
        "ways": ways,
        "slide": slide.name,
        "stride": arguments.stride,
        "machine": machine(),
    }
    text = report(found)
    sys.stdout.write(text + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))
    if arguments.page:
        write_between(arguments.page, "first_probabilities", text)


if __name__ == "__main__":
    main()
