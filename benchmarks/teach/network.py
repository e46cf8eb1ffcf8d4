"""Teach the network on tiles of a foreign stain, and judge it on others: AUC and seconds.

    python benchmarks/teach/network.py TILES.tar --home VALID.tar
        [--out benchmarks/results/teach.json] [--page docs/explain/teaching.md]

Labels are squares of 3 x 3 cells, half of them tumor; an example is the patch around each
cell. Each teaching is that of `adapt`, with its gate. Rows that are in the output already
are not computed again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))

from napari_fastnet.core.dense import CELL_PX
from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.model.bundle import ModelBundle, load_bundle
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.patches.reading import iterate_patches
from napari_fastnet.training.adapt.adapt import Adapted, adapt
from napari_fastnet.training.adapt.examples import MOST_OF_CLASS, Examples
from napari_fastnet.training.adapt.options import AdaptOptions
from napari_fastnet.training.publish import predicted
from page import write_between
from tiles import (
    LABEL_CELLS,
    WAYS,
    Square,
    Tile,
    draw_squares,
    read_tiles,
    tile_auc,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_fastnet.nn.fastnet import FastNet

# Places are quarters of a tile: a person paints here and there.
_PLACES_A_SIDE = 2


def examples_of(tiles: dict[int, Tile], squares: Sequence[Square]) -> Examples:
    """Return the patches around the cells of labels."""
    images, tumor, places = [], [], []
    for square in squares:
        tile = tiles[square.tile]
        side = len(tile.image)
        rim = 96 // 2
        padded = np.pad(tile.image, ((rim, rim), (rim, rim), (0, 0)), mode="reflect")
        for row in range(square.row, square.row + LABEL_CELLS):
            for column in range(square.column, square.column + LABEL_CELLS):
                y, x = (CELL_PX * cell + CELL_PX // 2 for cell in (row, column))
                images.append(padded[y : y + 96, x : x + 96])
                tumor.append(square.tumor)
                part = (_PLACES_A_SIDE * np.array([y, x])) // side
                places.append(
                    (square.tile * _PLACES_A_SIDE + part[0]) * _PLACES_A_SIDE + part[1]
                )
    known, where = np.array(tumor), np.array(places)
    # as many as `gather` takes, spread over all
    rng = np.random.default_rng(0)
    chosen = np.concatenate(
        [
            rng.permutation(np.flatnonzero(known == c))[:MOST_OF_CLASS]
            for c in (False, True)
        ]
    )
    return Examples(
        images=np.stack(images)[chosen],
        tumor=known[chosen],
        places=where[chosen],
        labels_tumor=int(known.sum()),
        labels_normal=int((~known).sum()),
        slides=len({square.tile for square in squares}),
        digest="",
    )


def home_auc(
    network: FastNet, base: ModelBundle, home: tuple[NDArray[Any], NDArray[Any]]
) -> float:
    """Compute the AUC on patches of home."""
    images, tumor = home
    raw = predicted(network, images, normalisation=base.normalisation, flips=False)
    return float(roc_auc(tumor, raw) or 0)


def taught(base: ModelBundle, examples: Examples, options: AdaptOptions) -> Adapted:
    """Adapt to the end."""
    return next(
        step for step in adapt(base, examples, options) if isinstance(step, Adapted)
    )


def main() -> None:
    """Run the trials that are missing in the output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", type=int, nargs="+", default=[20, 300, 100, 30])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", default="network")
    parser.add_argument("--page", type=Path, help="page to write the table into")
    asked = parser.parse_args()
    base = load_bundle("fastnet-pcam")
    start = load_weights(base.weights_path)
    tiles = read_tiles(asked.tiles)
    patches = list(iterate_patches(asked.home))
    home = (
        np.stack([one.image for one in patches]),
        np.array([one.label == 1 for one in patches]),
    )
    rows = json.loads(asked.out.read_text()) if asked.out.exists() else []
    before = {
        way: tile_auc(start, base, [tiles[i] for i in judge])
        for way, (_, judge) in WAYS.items()
    }
    at_home = home_auc(start, base, home)
    for seed in range(asked.seeds):
        for count in asked.labels:
            for way, (teach, judge) in WAYS.items():
                key = {"part": asked.part, "way": way, "labels": count, "seed": seed}
                if any(key.items() <= row.items() for row in rows):
                    continue
                squares = draw_squares({i: tiles[i] for i in teach}, count, seed)
                examples = examples_of(tiles, squares)
                began, cpu = time.perf_counter(), time.process_time()
                adapted = taught(
                    base, examples, AdaptOptions(seed=seed, part=asked.part)
                )
                row = key | {
                    "seconds": time.perf_counter() - began,
                    "processor_seconds": time.process_time() - cpu,
                    "before": before[way],
                    "after": tile_auc(adapted.network, base, [tiles[i] for i in judge]),
                    "home_before": at_home,
                    "home_after": home_auc(adapted.network, base, home),
                    "words": adapted.words,
                }
                rows.append(row)
                asked.out.write_text(json.dumps(rows, indent=1))
                print(
                    {
                        k: round(v, 3) if isinstance(v, float) else v
                        for k, v in row.items()
                    },
                    flush=True,
                )
    if asked.page:
        write_between(asked.page, "teaching", table(rows))
        draw_curve(asked.page.with_name("teaching.png"), rows)


def means(rows: list[dict[str, Any]], way: str, labels: int) -> dict[str, float]:
    """Return the means over the seeds, and the smallest gain and the most lost at home."""
    own = [row for row in rows if (row["way"], row["labels"]) == (way, labels)]
    gains = [row["after"] - row["before"] for row in own]
    home = [row["home_after"] - row["home_before"] for row in own]
    return {
        "before": own[0]["before"],
        "after": float(np.mean([row["after"] for row in own])),
        "gain": float(np.mean(gains)),
        "least": min(gains),
        "home": float(np.mean(home)),
        "home_least": min(home),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Write a Markdown table of the network's rows."""
    lines = [
        "| labels | way | AUC before | after | gain, least of the seeds | home, least |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    for labels in sorted({row["labels"] for row in rows}):
        for way in WAYS:
            of = means(rows, way, labels)
            lines.append(
                f"| {labels} | {way} | {of['before']:.3f} | {of['after']:.3f} | "
                f"{of['gain']:+.3f}, {of['least']:+.3f} | "
                f"{of['home']:+.3f}, {of['home_least']:+.3f} |"
            )
    return "\n".join(lines)


def draw_curve(path: Path, rows: list[dict[str, Any]]) -> None:
    """Draw the AUC against the number of labels; 0 labels is the model before."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    counts = sorted({row["labels"] for row in rows})
    for way, style in zip(WAYS, ("-o", "-s", "--o", "--s"), strict=True):
        found = [means(rows, way, count) for count in counts]
        values = [found[0]["before"], *(one["after"] for one in found)]
        axes.plot(range(len(values)), values, style, label=way)
    axes.set_xticks(range(len(counts) + 1), ["none", *map(str, counts)])
    axes.set(xlabel="labels (squares of 48 px)", ylabel="pixel AUC")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
