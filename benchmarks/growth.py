"""Measure how the time of computations grows with what they are given.

    python benchmarks/growth.py [--json FILE]

Each computation runs on an input and on one four times as large; in proportion to the
input is x 4. Tests check the values of the same computations, not their time.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.core.grid import patch_grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions, regions_of_outlines
from napari_fastnet.core.metrics.patches import evaluate_probabilities
from napari_fastnet.core.polygons import Annotations, crossings, rasterise
from napari_fastnet.core.tissue import compute_masks
from napari_fastnet.results.regions import write_regions_geojson
from page import tell

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 3
RNG = np.random.default_rng(0)


def heatmap(probabilities: np.ndarray) -> Heatmap:
    """Return a heatmap of 100 px cells, 1 µm/px."""
    grid = Grid((0, 0), (100, 100), probabilities.shape)
    return Heatmap(probabilities.astype(np.float32), grid, (1, 1))


def one_region(size: int) -> Callable[[], object]:
    """Regions of a heatmap that is tumor everywhere; size: cells."""
    whole = heatmap(np.ones((1000, size // 1000)))
    return lambda: find_regions(whole, 0.5)


def ragged_regions(size: int) -> Callable[[], object]:
    """Regions of noise; size: cells."""
    noise = heatmap(RNG.random((300, size // 300)))
    return lambda: find_regions(noise, 0.9)


def outline(size: int) -> Callable[[], object]:
    """Regions of an ellipse; size: vertices."""
    angle = np.linspace(0, 2 * np.pi, size, endpoint=False)
    ring = np.column_stack((3000 * np.sin(angle), 1000 * np.cos(angle))) + 4000
    cells, slide = heatmap(np.full((80, 80), 0.7)), Box(0, 0, 8000, 8000)
    return lambda: regions_of_outlines(Annotations((ring,), ()), cells, slide)


def zigzag(size: int) -> Callable[[], object]:
    """Mask of a ring with long edges; size: vertices."""
    x, y = np.linspace(0, 900, size), np.where(np.arange(size) % 2, 0.0, 900)
    grid = Grid((0, 0), (1, 1), (900, 900))
    return lambda: rasterise([np.column_stack([y, x])], grid)


def scribble(size: int) -> Callable[[], object]:
    """Crossings of random edges, up to a limit; size: vertices."""
    ring = RNG.uniform(0, 1000, (size, 2))
    return lambda: crossings([ring], limit=2000)


def geojson(size: int) -> Callable[[], object]:
    """Write regions as GeoJSON; size: regions."""
    values = np.zeros((200, size // 50))
    values[::2, ::2] = 1
    regions = find_regions(heatmap(values), 0.5)

    def write() -> None:
        with TemporaryDirectory() as folder:
            write_regions_geojson(Path(folder) / "regions.geojson", regions)

    return write


def masks(size: int) -> Callable[[], object]:
    """Three tissue masks; size: px."""
    image = np.full((1024, size // 1024, 3), 244, np.uint8)
    image[100:900, 100:-100] = RNG.integers(80, 200, image[100:900, 100:-100].shape)
    return lambda: compute_masks(image, mpp=(8, 8))


def patches(size: int) -> Callable[[], object]:
    """Patches over a mask; size: px of the mask."""
    mask = RNG.random((1000, size // 1000)) < 0.9
    return lambda: patch_grid(
        mask, mask_step=(32, 32), patch=(384, 384), stride=(64, 64)
    )


def intervals(size: int) -> Callable[[], object]:
    """Metrics with a thousand resamples; size: patches."""
    labels = np.arange(size) % 2
    scores = np.clip(labels * 0.4 + RNG.random(size) * 0.6, 0, 1)
    return lambda: evaluate_probabilities(labels, scores, threshold=0.5)


SIZES: dict[Callable[[int], Callable[[], object]], int] = {
    one_region: 250_000,
    ragged_regions: 90_000,
    outline: 100_000,
    zigzag: 1_000,
    scribble: 10_000,
    geojson: 10_000,
    masks: 2**21,
    patches: 1_000_000,
    intervals: 1_000,
}


def seconds(work: Callable[[], object]) -> float:
    """Return the median processor time of a computation."""
    times = []
    for _ in range(ROUNDS):
        began = process_time()
        work()
        times.append(process_time() - began)
    return median(times)


def main() -> None:
    """Measure each computation at two sizes, and print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for make, size in SIZES.items():
        small, large = seconds(make(size)), seconds(make(4 * size))
        rows.append(
            {
                "what": (make.__doc__ or "").rstrip("."),
                "size": size,
                "seconds": round(small, 4),
                "ratio_of_four_times_as_much": round(large / small, 2),
            }
        )
    tell({"growth": rows}, arguments.json)


if __name__ == "__main__":
    main()
