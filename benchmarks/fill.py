"""Tissue and tumor area of a slide with fill added beside it, against the slide alone.

Padding of converters is black, white, grey or of any colour, at any side, in all levels
of the pyramid or in level 0 alone. What was found is not to depend on it.

    python benchmarks/fill.py --page docs/explain/masks.md
"""

# ruff: noqa: T201  scripts on their own, no package

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_fastnet.cohort.detect import detect
from napari_fastnet.core.dense import CELL_PX
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.slide.resample import resize
from napari_fastnet.synthetic.slide import write_slide
from page import write_between

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

#: µm/px of the picture that is padded: the model's own.
MPP = 0.972
SHAPE = (1536, 2048)
SIDES = ("left", "right", "above", "below")
#: Of the padded picture.
SHARES = (0.05, 0.2, 0.4, 0.6)
COLOURS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey 205": (205, 205, 205),
    "pink 236, 190, 214": (236, 190, 214),
    "rose 205, 150, 185": (205, 150, 185),
}
LEVELS = ("all", "level 0 alone")


def picture(seed: int) -> Image:
    """Return a drawn slide at ``MPP``."""
    with TemporaryDirectory() as place:
        path = Path(place) / "a.svs"
        write_slide(path, seed=seed)
        with tifffile.TiffFile(path) as tif:
            whole: Image = tif.pages[2].asarray()
    return whole[: SHAPE[0], : SHAPE[1]]


def padded(image: Image, side: str, share: float, colour: tuple[int, ...]) -> Image:
    """Return an image with fill at a side, about that share of the whole.

    Cells that lie elsewhere on the slide see other lesions by themselves, so fill is a
    whole number of cells.
    """
    height, width = image.shape[:2]
    length = width if side in ("left", "right") else height
    px = round(length * share / (1 - share) / CELL_PX) * CELL_PX
    margins = {
        "left": ((0, 0), (px, 0)),
        "right": ((0, 0), (0, px)),
        "above": ((px, 0), (0, 0)),
        "below": ((0, px), (0, 0)),
    }
    (top, bottom), (left, right) = margins[side]
    whole = np.full((height + top + bottom, width + left + right, 3), colour, np.uint8)
    whole[top : top + height, left : left + width] = image
    return whole


def write(path: Path, image: Image, coarser_of: Image) -> None:
    """Write a pyramid of three levels, JPEG, the coarser two of another picture."""
    common = {
        "photometric": "rgb",
        "compression": "jpeg",
        "tile": (256, 256),
        "metadata": None,
        "resolution": (1e4 / MPP, 1e4 / MPP),
        "resolutionunit": "centimeter",
    }
    height, width = coarser_of.shape[:2]
    with tifffile.TiffWriter(path) as tif:
        tif.write(image, **common)
        for factor in (2, 4):
            level = resize(coarser_of, (height // factor, width // factor))
            tif.write(level, subfiletype=1, **common)


def measured(seed: int) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Return the shares of tissue and tumor that are found, by colour and levels."""
    bundle = load_bundle("fastnet-pcam")
    network = create_backend(bundle)
    image = picture(seed)
    found = defaultdict(list)
    with TemporaryDirectory() as place:

        def areas(write_it: Callable[[Path], None]) -> tuple[float, float]:
            write_it(path := Path(place) / "slide.tif")
            run = detect(path, Path(place) / "out", model=bundle, backend=network)
            totals = run.record.regions
            return totals["tissue_mm2"], totals["area_mm2"]

        tissue, tumor = areas(lambda path: write(path, image, image))
        for (name, colour), levels, side, share in product(
            COLOURS.items(), LEVELS, SIDES, SHARES
        ):
            whole = padded(image, side, share, colour)
            coarser = whole if levels == "all" else image
            one, other = areas(lambda path, of=(whole, coarser): write(path, *of))
            found[name, levels].append((one / tissue, other / tumor))
            print(name, levels, side, share, *found[name, levels][-1], flush=True)
    return found


def main() -> int:
    """Measure, print the table, and write it into the page where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    lines = ["| fill | in levels | tissue found | tumor found |", "|---|---|---:|---:|"]
    for (name, levels), shares in measured(arguments.seed).items():
        low, high = np.min(shares, axis=0), np.max(shares, axis=0)
        spans = [f"{a:.1%} to {b:.1%}" for a, b in zip(low, high, strict=True)]
        lines.append(f"| {name} | {levels} | {' | '.join(spans)} |")
    text = "\n".join(lines).replace("%", " %")
    print(text)
    if arguments.page:
        write_between(arguments.page, "fill", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
