"""Teach in the panel and on the command line by the same labels, and compare the models.

The slide is detected in a window, the labels of a GeoJSON file are painted there, Teach and
Keep are clicked; then ``napari-fastnet adapt`` runs in a process of its own on the folder that
the window left. Every file of the two bundles must be the same, byte by byte; 1 if one is not.

    xvfb-run -a -s "-screen 0 1366x768x24 +extension GLX"
        python benchmarks/teach/panel_and_command.py SLIDE LABELS.geojson [--steps 150]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

sys.path.append(str(Path(__file__).parents[1] / "panel"))

from napari_fastnet.core.labelled_cells import NORMAL, TUMOR, label_grid
from napari_fastnet.model.bundle import load_bundle, models_folder
from napari_fastnet.results.labels import labelled_cells, read_label_file
from napari_fastnet.training.adapt.options import AdaptOptions
from panel_window import add_panel, add_slide, live, napari_window, wait_until

NAME = "lab"


def main() -> None:
    """Teach twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slide", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--steps", type=int, default=AdaptOptions().steps)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["NAPARI_FASTNET_MODELS"] = str(Path(place) / "models")
        found = by_the_panel(given.slide, given.labels, given.steps, Path(place))
        written = Path(place) / "bundle"
        (run,) = (Path(place) / "runs").iterdir()
        argv = ["adapt", run, "-o", written, "--name", NAME, "--base", "fastnet-pcam"]
        argv += ["--steps", given.steps, "--anyway"]
        began = perf_counter()
        command = [sys.executable, "-m", "napari_fastnet", *map(str, argv)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        kept = load_bundle(f"fastnet-pcam@{NAME}")
        same = {
            path.name: path.read_bytes() == (written / path.name).read_bytes()
            for path in models_folder().joinpath(kept.name).iterdir()
        }
    seconds = round(perf_counter() - began, 1)
    print(json.dumps({**found, "command_s": seconds, "same": same}, indent=2))
    sys.exit(not all(same.values()))


def by_the_panel(
    path: Path, labels: Path, steps: int, place: Path
) -> dict[str, float | str]:
    """Teach and keep in a window; return its words and seconds."""
    with napari_window() as viewer:
        add_slide(viewer, path)
        panel = add_panel(viewer, "fastnet-pcam")
        panel.detect.results.value = place / "runs"
        panel.detect.start.native.click()
        work = panel.slide.work
        wait_until(lambda: not work.detection.job.running)
        panel.teach.paint_tumor.native.click()
        layer = viewer.layers["corrections"]
        grid = label_grid(work.slide.shape, work.slide.require_mpp())
        cells = labelled_cells(
            read_label_file(labels, work.slide.shape), work.slide.shape, work.slide.mpp
        )
        index = (cells.centres / grid.step).astype(int)
        for kind, chosen in ((TUMOR, cells.tumor), (NORMAL, ~cells.tumor)):
            layer.data_setitem(tuple(index[chosen].T), kind)
            live(0.5)
        teach = panel.teach
        teach.name.value, teach.adapt_options = NAME, AdaptOptions(steps=steps)
        began = perf_counter()
        teach.start.native.click()
        teaching = teach.teaching
        wait_until(lambda: teaching.adapted is not None or not teaching.running)
        taught_s = perf_counter() - began
        wait_until(lambda: not teaching.running)
        found: dict[str, float | str] = {
            "labels": teach.painted.value,
            "words": teach.words.value,
            "taught_s": round(taught_s, 1),
            "shown_s": round(perf_counter() - began, 1),
        }
        teach.keep.native.click()
        if teaching.adapted.gate.refusal is not None:
            teach._question.anyway.click()  # noqa: SLF001
        wait_until(lambda: teach.teaching is None)
        return found


if __name__ == "__main__":
    main()
