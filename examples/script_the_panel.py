"""Drive the FastNet panel from a script, as a user would with the mouse.

Draws a slide, finds its tissue, moves a threshold, paints, detects tumors while
panning, moves the tumor threshold, exports, opens the export again, and checks on the
way that everything followed. Run it with

    python examples/script_the_panel.py [FOLDER] [--model NAME|FOLDER]
"""

# ruff: noqa: INP001, T201  a script on its own that tells what it does

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtTest import QTest

from napari_fastnet.plugin.detection.viewport import nearest_to_view, visible_box
from napari_fastnet.plugin.viewer_parts import camera_of
from napari_fastnet.synthetic.slide import write_slide

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fastnet.plugin.panel.panel import FastNetPanel

#: Blocks that were computed before the view stood still and the window had told so:
#: they come in the order of before.
BEFORE = 32


def wait_until(condition: Callable[[], bool], seconds: float = 600) -> None:
    """Let the window live until something has happened."""
    for _ in range(int(seconds * 50)):
        if condition():
            return
        QTest.qWait(20)
    raise TimeoutError(f"waited {seconds:g} s in vain")


def main(folder: Path, model: str | None) -> None:
    """Go through the whole work on one slide.

    Parameters
    ----------
    folder : Path
        Slide, run and export go there.
    model : str or None
        A shipped model or a bundle's folder; None is the panel's choice.
    """
    write_slide(folder / "synthetic.svs", seed=1)
    viewer = napari.Viewer()
    viewer.open(folder / "synthetic.svs", plugin="napari-fastnet")
    _, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
    if model is not None:
        panel.detect.model_folder.value = Path(model)
    panel.detect.results.value = folder / "runs"

    find_tissue(viewer, panel)
    detect_while_panning(viewer, panel)
    move_the_threshold(viewer, panel)
    export_and_open_again(viewer, panel, folder / "export")
    viewer.close()


def find_tissue(viewer: napari.Viewer, panel: FastNetPanel) -> None:
    """Compute the masks; the region of interest follows sliders and brushes."""
    panel.tissue.compute.native.click()
    wait_until(lambda: "tissue ROI" in viewer.layers)
    roi, rgb = viewer.layers["tissue ROI"], viewer.layers["tissue: RGB"]
    before = roi.data.copy()
    panel.tissue.low.value = 90
    assert (roi.data != before).any(), "the region of interest follows a threshold"

    y, x = np.argwhere(rgb.data & roi.data)[1000]
    rgb.paint((y, x), 0)
    wait_until(lambda: roi.data[y, x] == 0, seconds=10)
    panel.tissue.low.value = 50
    assert roi.data[y, x] == 0, "what was painted survives a threshold"
    print(panel.tissue.percent.value)


def detect_while_panning(viewer: napari.Viewer, panel: FastNetPanel) -> None:
    """Detect; what is on screen comes first, also after panning."""
    slide = viewer.layers["synthetic"]
    camera = camera_of(viewer)
    (top, left), (bottom, right) = np.asarray(slide.extent.world)
    camera.zoom = 4 * camera.zoom
    camera.center = (0, top + 0.7 * (bottom - top), left + 0.7 * (right - left))
    first_view = visible_box(viewer, slide)

    work, blocks = panel.slide.work, []

    def note(_: object) -> None:
        progress = work.detection.progress
        if progress is not None and (not blocks or blocks[-1] != progress.block):
            blocks.append(progress.block)

    work.events.run.connect(note)
    panel.detect.stride.value = 4  # four values along the side of a patch
    panel.detect.start.native.click()
    wait_until(lambda: len(blocks) >= 1)
    camera.center = (0, top + 0.2 * (bottom - top), left + 0.2 * (right - left))
    second_view = visible_box(viewer, slide)
    panned_at = len(blocks)
    wait_until(lambda: not work.detection.job.running)
    print(panel.detect.status.value)

    rank = nearest_to_view(work.heatmap.grid, lambda: first_view)
    assert rank(blocks[0]) == min(map(rank, blocks)), "what is seen comes first"
    rank = nearest_to_view(work.heatmap.grid, lambda: second_view)
    late = blocks[panned_at + BEFORE :]
    assert late == sorted(late, key=rank), "the rest follows the view"


def move_the_threshold(viewer: napari.Viewer, panel: FastNetPanel) -> None:
    """Move the tumor threshold: regions follow, probabilities stay."""
    heatmap = viewer.layers["tumor probability"]
    probabilities = heatmap.data.copy()
    work = panel.slide.work
    before = work.regions
    panel.detect.threshold.value = float(np.nanpercentile(probabilities, 90))
    wait_until(lambda: work.regions is not before and bool(work.regions), seconds=10)
    found = None
    while found is not work.regions:  # those of the run's end may have come just before
        found = work.regions
        QTest.qWait(1000)
    np.testing.assert_array_equal(heatmap.data, probabilities)
    print(panel.regions.totals.value)


def export_and_open_again(
    viewer: napari.Viewer, panel: FastNetPanel, folder: Path
) -> None:
    """Export everything; what is opened again are the same layers."""
    panel.export.folder.value = folder
    panel.export.save.native.click()
    wait_until(lambda: (folder / "run.json").exists() and panel.export.save.enabled)
    marks = ("lesion markers", "current lesion", "measures", "tissue pieces")
    shown = [
        layer for layer in viewer.layers if layer.name not in ("synthetic", *marks)
    ]
    opened = viewer.open(folder, plugin="napari-fastnet")
    by_name = (sorted(each, key=lambda layer: layer.name) for each in (shown, opened))
    for layer, again in zip(*by_name, strict=True):
        assert again.name.startswith(layer.name), "napari numbers a second of a name"
        np.testing.assert_allclose(again.extent.world, layer.extent.world, atol=1e-3)
        if layer.name == "tumor regions":
            for ring, ring_again in zip(layer.data, again.data, strict=True):
                np.testing.assert_allclose(ring_again, ring, atol=1e-3)
            classes = [list(each.features["class"]) for each in (layer, again)]
            assert classes[0] == classes[1]
        else:
            np.testing.assert_array_equal(again.data, layer.data)
    print(f"exported to {folder} and opened again: {len(opened)} layers, equal")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--model")
    arguments = parser.parse_args()
    place = arguments.folder or Path(tempfile.mkdtemp(prefix="napari-fastnet-"))
    place.mkdir(parents=True, exist_ok=True)
    main(place, arguments.model)
