"""Make the pictures of the docs from the plugin itself.

    xvfb-run -a -s "-screen 0 1600x1200x24 +extension GLX"
        python docs/screenshots.py [SLIDE] [--model NAME|DIR] [--folder docs/images]
            [--only teach]

Without a slide one of 3 x 4 mm is drawn. Teaching is shown on a small one in a pale stain.
Look at the pictures before they are committed.
"""

# ruff: noqa: INP001  a script on its own, no package

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

from napari_fastnet.core.geometry import Box
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.synthetic.slide import write_slide

if TYPE_CHECKING:
    from collections.abc import Callable

#: A laptop's screen.
LAPTOP = (1366, 768)
#: Width of the animated picture, px, and how long it shows a frame and the last, ms.
ANIMATED_PX, FRAME_MS, LAST_MS = 960, 250, 2500
#: Density of the pale stain, times that of the drawn slide; and its µm/px.
PALE, PALE_MPP = 0.35, 0.972
#: Brush that paints on it, µm.
BRUSH_UM = 60
#: Of the run, from frame to frame.
STEP_PER_CENT = 4
#: Of the animated picture's 256 colours, those kept as they are.
PLAIN_COLOURS = 32


def main(slide: Path, model: str | None, folder: Path) -> None:
    """Go through the work once, taking pictures on the way."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(*LAPTOP)
    viewer.open(slide, plugin="napari-fastnet")
    _, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
    if model is not None:
        panel.detect.model_folder.value = Path(model)
    live(2)
    viewer.reset_view()
    save(section(panel.slide), folder / "slide.png")

    panel.tissue.compute.native.click()
    wait_until(lambda: panel.slide.work.editor is not None)
    live(1)
    panel.tissue.fold.heading.click()
    live(1)
    save(section(panel.tissue), folder / "tissue.png")
    for name in ("tissue: RGB", "tissue: HSV", "tissue: threshold"):
        viewer.layers[name].visible = False
    live(1)
    save(window(viewer), folder / "masks.png")
    panel.tissue.fold.heading.click()

    fill_in(viewer, panel, folder)
    save(window(viewer), folder / "review.png")
    fly(viewer, panel)
    save(window(viewer), folder / "lesion.png")
    for fold in (panel.export.files, panel.advanced.fold):
        fold.heading.click()
    live(0.5)
    save(section(panel.export), folder / "export.png")
    save(section(panel.advanced), folder / "advanced.png")
    viewer.close()


#: Places on the pale slide, (y, x) in µm, that are painted; a lesion and tissue beside it.
PAINTED = {
    "tumor": [(373, 311), (700, 498), (435, 964)],
    "normal": [(233, 560), (575, 233), (249, 964), (855, 964)],
}


def teach(slide: Path, folder: Path) -> None:
    """Paint on a slide of another stain, teach, and take pictures of old and new."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(*LAPTOP)
    viewer.open(slide, plugin="napari-fastnet")
    _, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
    live(2)
    panel.detect.start.native.click()
    wait_until(lambda: not panel.slide.work.detection.job.running)
    for fold in (panel.detect.fold, panel.teach.fold):
        fold.heading.click()
    viewer.reset_view()
    panel.teach.brush.value = BRUSH_UM
    for kind, button in panel.teach.brushes.items():
        if kind in PAINTED:
            button.native.click()
            layer = viewer.layers["corrections"]
            for y, x in PAINTED[kind]:
                for step in (-30, -15, 0, 15, 30):
                    cell = layer.world_to_data((y, x + step))
                    layer.paint(cell, layer.selected_label)
    live(1)
    panel.native.ensureWidgetVisible(panel.teach.native, 0, 0)
    live(1)
    save(window(viewer), folder / "strokes.png")
    panel.teach.start.native.click()
    wait_until(lambda: not panel.teach.teaching.running)
    layer.visible = False
    live(2)
    panel.native.ensureWidgetVisible(panel.teach.native, 0, 0)
    live(1)
    save(section(panel.teach), folder / "teach.png")
    new = window(viewer)
    panel.teach.blink.native.click()
    live(1)
    animate([window(viewer), new], folder / "old-new.gif", 1500)
    viewer.close()


def write_pale_slide(path: Path) -> None:
    """Draw a slide of 1.0 x 1.2 mm in a stain too pale for the shipped model."""
    drawn = path.with_name("drawn.svs")
    write_slide(drawn, shape=(4096, 5120), seed=1)
    with open_slide(drawn) as slide:
        image = slide.read(Box.of_shape(slide.shape), PALE_MPP)
    density = -np.log(np.maximum(image, 1) / 255)
    pale = (255 * np.exp(-PALE * density)).astype(np.uint8)
    per_cm = (1e4 / PALE_MPP, 1e4 / PALE_MPP)
    tifffile.imwrite(
        path,
        pale,
        photometric="rgb",
        tile=(256, 256),
        compression="deflate",
        resolution=per_cm,
        resolutionunit="centimeter",
    )


def fill_in(viewer: Any, panel: Any, folder: Path) -> None:
    """Detect, and take pictures of the heatmap while it fills in."""
    legend = panel.detect.legend
    panel.detect.start.native.click()
    bar, job = panel.detect.progress, panel.slide.work.detection.job
    frames: list[Image.Image] = []
    half = False
    while job.running:
        live(0.05)
        if bar.value >= STEP_PER_CENT * (len(frames) + 1):
            frames.append(window(viewer))
        if bar.value >= 50 and not half:
            half = True
            save(window(viewer), folder / "half.png")
    live(3)
    frames.append(window(viewer))
    legend.heading.click()
    live(0.5)
    save(section(panel.detect), folder / "detect.png")
    legend.heading.click()
    live(0.5)
    animate(frames, folder / "filling.gif")


def fly(viewer: Any, panel: Any) -> None:
    """Show the most suspicious candidate, and accept it."""
    panel.review.go_to(1)
    live(2)
    panel.review.say_tumor()
    panel.review.go_to(1)
    live(2)


def section(part: Any) -> Image.Image:
    """Return a picture of a section of the panel."""
    return image_of(part.native.grab())


def window(viewer: Any) -> Image.Image:
    """Return a picture of the whole window."""
    return Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3])


def image_of(pixmap: Any) -> Image.Image:
    """Return a picture that Qt holds."""
    from PIL.ImageQt import fromqpixmap

    return fromqpixmap(pixmap).convert("RGB")


def save(image: Image.Image, path: Path) -> None:
    """Write a picture, px for px."""
    image.save(path, optimize=True)


def animate(frames: list[Image.Image], path: Path, last_ms: int = LAST_MS) -> None:
    """Write frames as one GIF; they share their colours, so what stays costs nothing."""
    width, height = frames[0].size
    size = (ANIMATED_PX, round(height * ANIMATED_PX / width))
    small = [frame.resize(size, Image.Resampling.LANCZOS) for frame in frames]
    colours = palette(small[len(small) // 2])
    first, *others = (
        f.quantize(palette=colours, dither=Image.Dither.NONE) for f in small
    )
    each_ms = FRAME_MS if len(others) > 1 else last_ms
    times = [each_ms] * len(others) + [last_ms]
    first.save(
        path, save_all=True, append_images=others, duration=times, loop=0, optimize=True
    )


def palette(frame: Image.Image) -> Image.Image:
    """Return the colours of a frame; those of large plain areas exactly."""
    counted: Any = frame.getcolors(frame.width * frame.height)
    plain = [colour for _, colour in sorted(counted, reverse=True)[:PLAIN_COLOURS]]
    # this method leaves rare colours alone, those of a legend
    method = Image.Quantize.MAXCOVERAGE
    mixed: Any = frame.quantize(256 - PLAIN_COLOURS, method).getpalette()
    image = Image.new("P", (1, 1))
    image.putpalette([channel for colour in plain for channel in colour] + mixed)
    return image


def live(seconds: float) -> None:
    """Let the window live."""
    from qtpy.QtTest import QTest

    QTest.qWait(round(seconds * 1000))


def wait_until(condition: Callable[[], bool]) -> None:
    """Let the window live until something has happened."""
    while not condition():
        live(0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", nargs="?", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--only", choices=["teach"])
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        # neither the user's settings nor an earlier run of theirs
        os.environ["NAPARI_CONFIG"] = str(Path(place, "settings.yaml"))
        os.environ["XDG_CACHE_HOME"] = place
        os.environ["XDG_DATA_HOME"] = place  # of what is painted
        if arguments.only is None:
            path = arguments.slide
            if path is None:
                path = Path(place, "synthetic.svs")
                write_slide(path, shape=(12288, 16384), seed=3)
            main(path, arguments.model, arguments.folder)
        pale = Path(place, "pale.tif")
        write_pale_slide(pale)
        teach(pale, arguments.folder)
