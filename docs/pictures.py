"""Make the pictures of the files that runs leave: an overview, a folder's report, a case's.

    pip install PyQt6-WebEngine
    xvfb-run -a python docs/pictures.py [--folder docs/images]

Slides are drawn, and every number in the pictures was found on them. `docs/screenshots.py`
makes the pictures of the window. Look at the pictures before they are committed.
"""

# ruff: noqa: INP001  a script on its own, no package

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from PyQt6.QtCore import QEventLoop, QTimer, QUrl
from PyQt6.QtWebEngineCore import QWebEngineSettings
from PyQt6.QtWebEngineWidgets import QWebEngineView
from PyQt6.QtWidgets import QApplication

import napari_fastnet as nf
from napari_fastnet.cli.app import main as run
from napari_fastnet.results.decisions import decisions_of
from napari_fastnet.synthetic.slide import write_slide

if TYPE_CHECKING:
    from napari_fastnet.results.result import Result

#: Of a laptop's browser, px.
PAGE = (1366, 768)
#: Of a printed page's upper part, px.
SHEET = (1100, 1400)
#: Slides that are drawn: name, height and width in px.
DRAWN = [
    ("patient_001_node_1", (6144, 8192)),
    ("patient_001_node_2", (4096, 8192)),
    ("patient_002_node_1", (8192, 6144)),
    ("patient_003_node_1", (5120, 8192)),
    ("patient_004_node_1", (6144, 6144)),
]
CASES = """\
case,slide,node
patient 1,patient_001_node_1.svs,sentinel
patient 1,patient_001_node_2.svs,axilla
"""
#: Overviews are this wide on the page, px.
OVERVIEW_PX = 1200


def main(folder: Path) -> None:
    """Detect on drawn slides, decide on some lesions, and take the pictures."""
    slides = Path("slides")
    for seed, (name, shape) in enumerate(DRAWN, 1):
        write_slide(slides / f"{name}.svs", shape=shape, seed=seed)
    broken_off = slides / "patient_005_node_1.svs"
    shutil.copy(slides / "patient_001_node_1.svs", broken_off)
    os.truncate(broken_off, 20_000)
    run(["detect", "slides", "-o", "results"])
    first = Path("results", DRAWN[0][0])
    decide(nf.load(first), first)
    run(["detect", "slides", "-o", "results"])  # brings the decisions into the tables
    Path("cases.csv").write_text(CASES, "utf-8")
    run(["report", "cases.csv", "results", "-o", "report.html"])
    overview(first / "overview.png", folder / "overview.jpg")
    application = QApplication(["pictures"])
    photograph(Path("results/report.html"), PAGE, folder / "cohort.png")
    photograph(Path("report.html"), SHEET, folder / "report.png")
    del application


def decide(result: Result, run_folder: Path) -> None:
    """Accept the two most suspicious lesions, and reject the third."""
    decisions = decisions_of(run_folder, result.record.slide, change=True)
    first, second, third, *_ = result.candidates
    decisions.decide([first, second], "tumor")
    decisions.decide([third], "not tumor")


def overview(source: Path, target: Path) -> None:
    """Write an overview as small as the page shows it."""
    with Image.open(source) as picture:
        height = round(picture.height * OVERVIEW_PX / picture.width)
        small = picture.convert("RGB").resize(
            (OVERVIEW_PX, height), Image.Resampling.LANCZOS
        )
    small.save(target, quality=88)


def photograph(page: Path, size: tuple[int, int], target: Path) -> None:
    """Write a picture of the upper part of a page in a browser."""
    view = QWebEngineView()
    shown = QWebEngineSettings.WebAttribute.ShowScrollBars
    view.settings().setAttribute(shown, False)
    view.resize(*size)
    view.show()
    loop = QEventLoop()
    view.loadFinished.connect(lambda: QTimer.singleShot(1000, loop.quit))
    view.load(QUrl.fromLocalFile(str(page.absolute())))
    loop.exec()
    view.grab().save(str(target))
    view.close()
    with Image.open(target) as picture:
        few = picture.convert("RGB").quantize(192, dither=Image.Dither.NONE)
    few.save(target, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    pictures = parser.parse_args().folder.absolute()
    pictures.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_DATA_HOME"] = place  # decisions of nobody else's slides
        os.chdir(place)
        Path("slides").mkdir()
        main(pictures)
        os.chdir(pictures)
