"""Make the pictures of the docs from the plugin itself.

    xvfb-run -a -s "-screen 0 1600x1200x24 +extension GLX"
        python docs/screenshots.py [SLIDE] [--model NAME|DIR] [--folder docs/images]

Without a slide one of 3 x 4 mm is drawn. Look at the pictures before they are committed.
"""

# ruff: noqa: INP001  a script on its own, no package

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from napari_fastnet.synthetic.slide import write_slide

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = (1480, 1040)
#: The review is looked at on a small screen, too.
LAPTOP = (1366, 768)
#: Width of the animated picture, px, and how long it shows a frame and the last, ms.
ANIMATED_PX, FRAME_MS, LAST_MS = 960, 250, 2500
#: Of the run, from frame to frame.
STEP_PER_CENT = 4
#: Of the animated picture's 256 colours, those kept as they are.
PLAIN_COLOURS = 32


def main(slide: Path, model: str | None, folder: Path) -> None:
    """Go through the work once, taking pictures on the way."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW)
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
    save(section(panel.tissue), folder / "tissue.png")
    for name in ("tissue: RGB", "tissue: HSV", "tissue: threshold"):
        viewer.layers[name].visible = False
    live(1)
    save(window(viewer), folder / "masks.png")

    fill_in(viewer, panel, folder)
    fly(viewer, panel)
    save(section(panel.regions), folder / "regions.png")
    save(window(viewer), folder / "lesion.png")
    viewer.window.resize(*LAPTOP)
    live(2)
    save(window(viewer), folder / "review.png")
    viewer.window.resize(*WINDOW)
    panel.export.folder.value = Path("/slides/results")
    save(section(panel.export), folder / "export.png")
    viewer.close()


def fill_in(viewer: Any, panel: Any, folder: Path) -> None:
    """Detect, and take pictures of the heatmap while it fills in."""
    panel.detect.stride.value = 4
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
            save(section(panel.detect), folder / "detect.png")
    live(1)
    frames.append(window(viewer))
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


def animate(frames: list[Image.Image], path: Path) -> None:
    """Write frames as one GIF; they share their colours, so what stays costs nothing."""
    width, height = frames[0].size
    size = (ANIMATED_PX, round(height * ANIMATED_PX / width))
    small = [frame.resize(size, Image.Resampling.LANCZOS) for frame in frames]
    colours = palette(small[len(small) // 2])
    first, *others = (
        f.quantize(palette=colours, dither=Image.Dither.NONE) for f in small
    )
    times = [FRAME_MS] * len(others) + [LAST_MS]
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
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        # neither the user's settings nor an earlier run of theirs
        os.environ["NAPARI_CONFIG"] = str(Path(place, "settings.yaml"))
        os.environ["XDG_CACHE_HOME"] = place
        path = arguments.slide
        if path is None:
            path = Path(place, "synthetic.svs")
            write_slide(path, shape=(12288, 16384), seed=3)
        main(path, arguments.model, arguments.folder)
