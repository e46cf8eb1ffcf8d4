"""Measure what the layers over a slide cost a view that moves.

The view pans along a circle and zooms in and out, over the same place with more and more
layers, in turns. Given is the processor time for a picture of the canvas, which other
programs disturb little: medians of the turns, and their ratio to the slide alone.

    xvfb-run -a -s "-screen 0 1280x1024x24 +extension GLX"
        python benchmarks/panel/overlays.py [SLIDE] [--turns 5] [--pictures 15]
        [--page docs/explain/responsiveness.md]

Without a slide one of 5 x 5 mm is drawn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from math import sin
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).parents[1]))

import numpy as np

from heartbeat import circle
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.plugin.layers import screen_width
from napari_fastnet.plugin.layers.data import regions_layer_data
from napari_fastnet.results.reviewed import Reviewed
from napari_fastnet.synthetic.slide import write_slide
from page import write_between
from panel_window import add_panel, add_slide, live, machine, napari_window, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

#: Between two pictures of a zoom, s: time for what follows it.
PAUSE_S = 0.04
#: Layers that are added from line to line; "follow" has outlines follow the zoom.
STEPS: dict[str, tuple[str, ...]] = {
    "the slide alone": (),
    "and the heatmap": ("heatmap",),
    "and outlines, as wide at every zoom": ("heatmap", "regions", "follow"),
    "and markers, frame and lines": (
        *("heatmap", "regions", "follow"),
        *("markers", "current", "measures"),
    ),
    "these, but outlines of a fixed width": (
        *("heatmap", "regions"),
        *("markers", "current", "measures"),
    ),
    "all, and the three masks": (
        *("heatmap", "regions", "follow"),
        *("markers", "current", "measures"),
        *("rgb", "hsv", "threshold"),
    ),
}
ALL = ("heatmap", "regions", "markers", "current", "measures", "rgb", "hsv")
VISIBLE_CHANGE = screen_width.VISIBLE_CHANGE


def draw_much(work: Any) -> int:
    """Show every region above the threshold as a lesion; return how many there are."""
    regions = find_regions(work.heatmap, 0.5)
    data = regions_layer_data(regions, work.heatmap.mpp, work.slide.path.stem)
    work.region_outlines.show(data)
    work.marks.show([Reviewed(region) for region in regions], -np.inf)
    work.marks.show_current(regions[0], f"1 of {len(regions)}")
    return len(regions)


def show(work: Any, kinds: tuple[str, ...]) -> None:
    """Show the layers of some kinds alone."""
    for kind in (*ALL, "threshold", "roi", "quality"):
        if (layer := work.layers.get(kind)) is not None:
            layer.visible = kind in kinds
    screen_width.VISIBLE_CHANGE = VISIBLE_CHANGE if "follow" in kinds else np.inf


def benchmark(panel: Any, turns: int, pictures: int) -> dict[str, np.ndarray]:
    """Return processor times of pictures, panning and zooming, ms, by layers."""
    work, move = panel.slide.work, circle(panel)
    viewer = panel.slide.workspace.viewer

    def pan(index: int) -> None:
        move(index * PAUSE_S)

    def zoom(index: int) -> None:
        viewer.scene.camera.zoom = 2 ** sin(index / 4)

    def per_picture(act: Callable[[int], None], pause: float) -> float:
        act(0)
        live(0.4)
        began = process_time()
        for index in range(pictures):
            act(index)
            viewer.screenshot(flash=False)
            if pause:
                live(pause)
        return (process_time() - began) * 1e3 / pictures

    found: dict[str, list[tuple[float, float]]] = {name: [] for name in STEPS}
    show(work, ())
    for act in (pan, zoom):  # what is read now is in the cache
        per_picture(act, PAUSE_S)
    for _ in range(turns):
        for name, kinds in STEPS.items():
            show(work, kinds)
            found[name].append((per_picture(pan, 0), per_picture(zoom, PAUSE_S)))
    return {name: np.median(times, axis=0) for name, times in found.items()}


def report(found: dict[str, np.ndarray], regions: int, slide: str) -> str:
    """Return what was measured as Markdown."""
    base = found["the slide alone"]
    lines = [
        "| | panning, ms a picture | to the slide alone | zooming, ms a picture | |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {pan:.0f} | x {pan / base[0]:.2f} | {zoom:.0f} | "
        f"x {zoom / base[1]:.2f} |"
        for name, (pan, zoom) in found.items()
    ]
    told = (
        f"{regions} regions, each with an outline and a marker. {slide}, {machine()}."
    )
    return "\n".join([*lines, "", told])


def main() -> None:
    """Measure, and write into a page where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", nargs="?", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=15)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, slide = Path(place), arguments.slide
        if slide is None:
            slide = folder / "synthetic.svs"
            write_slide(slide, shape=(20480, 20480))
        with napari_window() as viewer:
            add_slide(viewer, slide)
            panel = add_panel(viewer, None)
            panel.detect.results.value = folder / "runs"
            panel.detect.start.native.click()
            work = panel.slide.work
            wait_until(lambda: not work.detection.job.running)
            live(3)  # regions are found
            regions = draw_much(work)
            found = benchmark(panel, arguments.turns, arguments.pictures)
    text = report(found, regions, slide.name)
    sys.stdout.write(text + "\n")
    if arguments.page:
        write_between(arguments.page, "overlays", text)


if __name__ == "__main__":
    main()
