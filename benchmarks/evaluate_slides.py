"""Time the evaluation of a CAMELYON16 test set's worth of slides.

Writes runs and outlines of slides of CAMELYON16's sizes into a temporary folder (dense
heatmaps, one value every 64 level-0 px; a third of each slide is tissue), and evaluates
them from the command line, once from the heatmaps and once from the candidates that
this leaves. Only the evaluation is timed.

    python benchmarks/evaluate_slides.py [--slides 129] [--scale 1] [--page FILE]

``--scale 0.1`` makes slides of a tenth of the height and width, to try it out. With
``--page`` the figures replace what stands between the page's two marks.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.results.formats.ome_tiff import write_heatmap_ome_tiff
from napari_fastnet.results.record import (
    Counts,
    ModelFacts,
    RunRecord,
    SlideFacts,
    TissueFacts,
    write_record,
)
from page import write_between

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELL_PX = 64
MPP = (0.243, 0.243)
TUMOR_SHARE = 49 / 129  # of CAMELYON16's test slides
TISSUE = 0.3


def random_heatmap(
    generator: np.random.Generator, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return a landscape of probabilities in an ellipse of tissue, and its centre."""
    coarse = generator.random((shape[0] // 12 + 2, shape[1] // 12 + 2), np.float32)
    values = ndimage.zoom(coarse, 12, order=1)[: shape[0], : shape[1]] ** 3
    centre = np.array(shape) * generator.uniform(0.4, 0.6, 2)
    y, x = np.ogrid[: shape[0], : shape[1]]
    radius = np.array(shape) * np.sqrt(TISSUE / np.pi)
    inside = ((y - centre[0]) / radius[0]) ** 2 + ((x - centre[1]) / radius[1]) ** 2 < 1
    values[~inside] = np.nan
    return values, centre


def random_outline(
    generator: np.random.Generator, centre: NDArray[np.float64], size_px: float
) -> NDArray[np.float64]:
    """Return a ragged outline of 800 points around a place."""
    angle = np.linspace(0, 2 * np.pi, 800, endpoint=False)
    radius = size_px * (1 + 0.3 * np.sin(5 * angle) + generator.uniform(0, 0.1, 800))
    return centre + radius[:, None] * np.column_stack((np.sin(angle), np.cos(angle)))


def write_slide(
    folder: Path, truth: Path, generator: np.random.Generator, *, scale: float
) -> None:
    """Write the run of a slide, and its outlines where it has tumor."""
    height, width = (
        int(generator.uniform(60_000, 220_000) * scale),
        int(generator.uniform(60_000, 100_000) * scale),
    )
    shape = (-(-height // CELL_PX), -(-width // CELL_PX))
    values, centre = random_heatmap(generator, shape)
    if truth.name.startswith("tumor"):
        rings = []
        for size_px in generator.lognormal(6.5, 1.2, generator.integers(1, 30)) * scale:
            place = (centre + generator.normal(0, 0.12, 2) * shape) * CELL_PX
            rings.append(random_outline(generator, place, min(size_px, height / 8)))
            row, column = place / CELL_PX
            y, x = np.ogrid[: shape[0], : shape[1]]
            inside = (y - row) ** 2 + (x - column) ** 2 < (size_px / CELL_PX) ** 2
            values[inside & ~np.isnan(values)] = generator.beta(4, 1)
        write_asap_xml(truth, Annotations(tuple(rings), ()))
    record = RunRecord(
        slide=SlideFacts(
            f"{folder.name}.tif", folder.name, width, height, MPP, "user", "none"
        ),
        tissue=TissueFacts(fraction=TISSUE),
        model=ModelFacts("made up", "1", "", 0.972, 96),
        grid=(grid := Grid((0.0, 0.0), (CELL_PX, CELL_PX), shape)),
        threshold=0.5,
        counts=Counts(count := int((~np.isnan(values)).sum()), count, 0),
    )
    heatmap = Heatmap(values, grid, MPP)
    write_heatmap_ome_tiff(folder / "heatmap.ome.tif", heatmap, record=record)
    write_record(folder / "run.json", record)


def evaluate(*words: str | Path) -> tuple[dict[str, Any], float]:
    """Return what the command says and its processor time, start included."""
    command = [sys.executable, "-m", "napari_fastnet", "evaluate", "slides", *words]
    before = processor_seconds()
    done = subprocess.run([*map(str, command), "--json"], stdout=-1, check=True)
    return json.loads(done.stdout), processor_seconds() - before


def processor_seconds() -> float:
    """Return the processor time of all commands so far, whatever else the machine does."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Make the slides, evaluate them, and say how long it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slides", type=int, default=129)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    with TemporaryDirectory() as place:
        runs, truth, out = (Path(place, name) for name in ("runs", "truth", "out"))
        cells = 0
        for index in range(arguments.slides):
            kind = "tumor" if index < TUMOR_SHARE * arguments.slides else "normal"
            name = f"{kind}_{index:03}"
            write_slide(
                runs / name, truth / f"{name}.xml", generator, scale=arguments.scale
            )
            record = json.loads((runs / name / "run.json").read_text())
            cells += record["counts"]["computed"]
        found, seconds = evaluate(runs, "--truth", truth, "-o", out)
        _, by_candidates = evaluate(out / "candidates", "--truth", truth)
    candidates = sum(row["candidates"] for row in found["per_slide"])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    text = (
        f"{found['slides']} slides ({found['tumour']} with tumor, "
        f"{found['lesions']['counted'] + found['lesions']['isolated']:,} lesions), "
        f"{cells / 1e6:.1f} million cells of heatmap, {candidates:,} candidates: "
        f"**{seconds:.0f} s** of processor time from the runs, {by_candidates:.0f} s from "
        f"the candidates, both with 1,000 resamples; at most {peak:.1f} GiB of memory."
    )
    sys.stdout.write(text + "\n")
    if arguments.page:
        write_between(arguments.page, "evaluate_slides", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
