"""Measure how much tumour the tissue mask keeps, for several closing radii.

A mask that drops tumour cannot be mended later. The slides are mosaics of labelled
PatchCamelyon patches, so the truth is known cell by cell: next to ``NAME.svs`` lies
``NAME.json`` with ``{"cell_px": 384, "labels": [[...]]}``; a label is -1 glass,
0 normal, 1 tumour, for cells of ``cell_px`` level-0 px. A cell is scanned where its
centre lies in a patch that the grid keeps (Eq. 4), patch = stride = one cell.

    python benchmarks/tissue_closing.py SLIDE.svs ... [--mpp 7 8 9]
        [--radii 0 8 16 24 32 40 48 64] [--page docs/explain/masks.md]

With ``--page`` the table replaces what stands between the page's two marks.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Box
from napari_fastnet.core.grid import PatchGrid, patch_grid
from napari_fastnet.core.options import TissueParameters
from napari_fastnet.core.tissue import combine, compute_masks
from napari_fastnet.slide.slide import open_slide
from page import write_between

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.tissue import TissueMasks

GLASS, NORMAL, TUMOUR = -1, 0, 1
WANTED = 0.995


@dataclass(frozen=True)
class Reading:
    """One slide read at one µm/px: its masks before closing, and the truth."""

    name: str
    masks: TissueMasks
    mpp: tuple[float, float]
    step: tuple[float, float]
    labels: NDArray[np.int64]
    cell_px: float


def read(path: Path, mpp: float, parameters: TissueParameters) -> Reading:
    """Return a slide's masks at about ``mpp`` µm/px and its truth."""
    truth = json.loads(path.with_suffix(".json").read_text())
    with open_slide(path) as slide:
        image = slide.read(Box.of_shape(slide.shape), mpp)
        height, width = slide.shape
        own_y, own_x = slide.require_mpp()
    step = (height / image.shape[0], width / image.shape[1])
    spacing = (step[0] * own_y, step[1] * own_x)
    masks = compute_masks(image, mpp=spacing, parameters=parameters)
    labels = np.array(truth["labels"])
    return Reading(path.stem, masks, spacing, step, labels, truth["cell_px"])


def scanned(reading: Reading, parameters: TissueParameters) -> NDArray[np.bool_]:
    """Return which cells of the truth a grid over the closed mask scans."""
    masks = reading.masks
    roi = combine(
        masks.rgb,
        masks.hsv,
        masks.threshold,
        mpp=reading.mpp,
        parameters=parameters,
    )
    side = (reading.cell_px, reading.cell_px)
    grid = patch_grid(roi, mask_step=reading.step, patch=side, stride=side)
    cells = np.zeros(reading.labels.shape, bool)
    for row, column in np.ndindex(*cells.shape):
        cells[row, column] = in_kept_patch(grid, row, column, reading.cell_px)
    return cells


def in_kept_patch(grid: PatchGrid, row: int, column: int, cell_px: float) -> bool:
    """Return whether the centre of a cell of the truth lies in a kept patch."""
    index = grid.grid.index_of(((row + 0.5) * cell_px, (column + 0.5) * cell_px))
    return index is not None and bool(grid.kept[index])


def shares(
    readings: list[Reading], parameters: TissueParameters
) -> NDArray[np.float64]:
    """Return per reading the shares of tumour, normal and glass cells scanned."""
    rows = []
    for reading in readings:
        cells = scanned(reading, parameters)
        rows.append(
            [cells[reading.labels == label].mean() for label in (TUMOUR, NORMAL, GLASS)]
        )
    return np.array(rows)


def table(readings: list[Reading], radii: list[float]) -> tuple[str, float | None]:
    """Return the table as Markdown, and the smallest radius that keeps the tumour."""
    defaults = TissueParameters()
    holes = {
        "no": 0.0,
        f"below {defaults.minimum_hole_um2 / 1e6:g} mm²": defaults.minimum_hole_um2,
        "all": 1e12,
    }
    lines = [
        "| closing radius, µm | holes filled | tumour kept: worst, mean | "
        "normal kept | glass scanned |",
        "|---:|---|---|---:|---:|",
    ]
    enough = []
    for radius, (words, hole) in product(radii, holes.items()):
        parameters = replace(defaults, closing_um=radius, minimum_hole_um2=hole)
        result = shares(readings, parameters)
        tumour, normal, glass = result.T
        lines.append(
            f"| {radius:g} | {words} | {tumour.min():.1%}, {tumour.mean():.1%} | "
            f"{normal.mean():.1%} | {glass.mean():.1%} |"
        )
        if hole == defaults.minimum_hole_um2 and tumour.min() >= WANTED:
            enough.append(radius)
    paper = shares(readings, TissueParameters.paper())
    lines.append(
        f"| preset paper | no | {paper[:, 0].min():.1%}, {paper[:, 0].mean():.1%} | "
        f"{paper[:, 1].mean():.1%} | {paper[:, 2].mean():.1%} |"
    )
    return "\n".join(lines), min(enough, default=None)


def main() -> int:
    """Measure, print the table, and write it into the page where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slides", nargs="+", type=Path)
    parser.add_argument("--mpp", nargs="+", type=float, default=[7, 8, 9])
    parser.add_argument(
        "--radii", nargs="+", type=float, default=[0, 8, 16, 24, 32, 40, 48, 64]
    )
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    parameters = TissueParameters()
    readings = [
        read(slide, mpp, parameters)
        for slide, mpp in product(arguments.slides, arguments.mpp)
    ]
    text, smallest = table(readings, arguments.radii)
    tumour = sum((reading.labels == TUMOUR).sum() for reading in readings)
    normal = sum((reading.labels == NORMAL).sum() for reading in readings)
    spacings = ", ".join(f"{mpp:g}" for mpp in arguments.mpp)
    answer = "none" if smallest is None else f"{smallest:g} µm"
    text += (
        f"\n\n{len(arguments.slides)} slides ({', '.join(s.stem for s in arguments.slides)}), "
        f"each read at {spacings} µm/px: {tumour // len(arguments.mpp):,} tumour and "
        f"{normal // len(arguments.mpp):,} normal cells. Smallest radius that keeps at "
        f"least {WANTED:.1%} of the tumour cells in every reading, with the default "
        f"filling of holes: **{answer}**."
    )
    sys.stdout.write(text + "\n")
    if arguments.page:
        write_between(arguments.page, "tissue_closing", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
