"""Measure the head step: what labels of a foreign stain gain there, and cost at home.

Labels are squares of 3 x 3 cells of one class. Teaches on one slide's tiles and judges on the
other's, both ways, and within each slide (odd tiles teach, even ones judge). Prints tables in
Markdown: the step as it is, other pulls, earlier stages as further features, labels chosen by
a person or by the order to teach in, and examples as lone patches.

    python benchmarks/teach/head.py TILES.tar VALID.tar [--seeds 3]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
import torch
from torch.nn import functional

from napari_fastnet.core.dense import CELL_PX, SPOILT_CELLS, DenseScan
from napari_fastnet.core.metrics.calibration import Calibration
from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.core.teach_order import teach_order
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.patches.reading import iterate_patches
from napari_fastnet.training.adapt import head as step
from napari_fastnet.training.adapt.features import head_of
from napari_fastnet.training.adapt.head import Head, LabelledFeatures, fit_head
from napari_fastnet.training.adapt.home import home_patches
from tiles import (
    LABEL_CELLS,
    WAYS,
    Square,
    Tile,
    draw_squares,
    picture_of,
    pixel_auc,
    read_tiles,
    squares_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.nn.fastnet import FastNet

BUNDLE = load_bundle("fastnet-pcam")
SCAN = BUNDLE.dense_scan or DenseScan(96, 3)
COUNTS = (20, 30, 100, 300)
#: Blocks that end a stage, their cells in one of the last map, and its channels.
STAGES = ((3, 4, 8), (6, 2, 16), (9, 1, 32))
LAST = slice(-STAGES[-1][2], None)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Features of tiles, (32, 32, 56), and of home, (n, 56), of all three stages."""

    tiles: dict[int, Tile]
    dense: dict[int, NDArray[np.float32]]
    alone: dict[Square, NDArray[np.float32]]
    home: LabelledFeatures
    valid: LabelledFeatures
    start: Head


Draw = Callable[[Trial, Sequence[int], int, int], list[Square]]


def main() -> None:
    """Compute features once, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    trial = measured(given.tiles, given.valid)
    print(f"home {auc(trial.start, trial.valid, LAST):.4f}")
    for way, (_, judged) in WAYS.items():
        print(f"before, {way}: {judge(trial, trial.start, judged, LAST):.4f}")
    table = tables(trial, given.seeds)
    table("as it is", random_squares)
    for pull in (1.0, 3.0, 30.0):
        with patch.object(step, "PULL", pull):
            table(f"pull {pull:g}", random_squares)
    for most in (0.001, 0.005, 1.0):
        with patch.object(step, "MOST_LOST", most):
            table(f"home may fall by {most:g}", random_squares)
    table("and the stage before", random_squares, slice(8, None))
    table("and both stages before", random_squares, slice(None))
    table("lone patches teach", random_squares, alone=True)
    table("random, as they come", unbalanced)
    table("most suspicious", most_suspicious)
    table("in teach order", in_teach_order)
    table("half of them wrong before", half_wrong)


def measured(tiles_file: Path, valid_file: Path) -> Trial:
    """Compute the features of all tiles and patches."""
    network = load_weights(BUNDLE.weights_path)
    tiles = read_tiles(tiles_file)
    dense = {
        number: stages(network, picture_of(tile.image, SCAN)[None], dense=True)[0]
        for number, tile in tiles.items()
    }
    squares = squares_of(tiles)
    cut = np.stack([patch_around(tiles[one.tile], one) for one in squares])
    mixing, valid = home_patches("mixing"), list(iterate_patches(valid_file))
    return Trial(
        tiles,
        dense,
        dict(zip(squares, stages(network, cut), strict=True)),
        LabelledFeatures(stages(network, mixing.images), mixing.tumor),
        LabelledFeatures(
            stages(network, np.stack([one.image for one in valid])),
            np.array([one.label == 1 for one in valid]),
        ),
        head_of(network, Calibration(**BUNDLE.calibration)),
    )


def stages(
    network: FastNet, images: NDArray[np.uint8], *, dense: bool = False
) -> NDArray[np.float32]:
    """Return the mean of each stage's map over the head's window."""
    mean, std = (torch.tensor(one)[:, None, None] for one in BUNDLE.normalisation)
    found = []
    with torch.inference_mode():
        for part in torch.tensor(images).split(28):
            values = (part.permute(0, 3, 1, 2).float() / 255 - mean) / std
            pooled = []
            for number, layer in enumerate(network.features):
                values = layer(values)
                for block, cells, _ in STAGES:
                    if block == number:
                        # centres of the last map's cells lie half a cell further on
                        inner = values[..., cells // 2 :, cells // 2 :]
                        pooled.append(functional.avg_pool2d(inner, cells))
            side = pooled[-1].shape[-1]
            joined = torch.cat([one[..., :side, :side] for one in pooled], dim=1)
            rim = SPOILT_CELLS if dense else (side - SCAN.window) // 2
            inner = joined[..., rim : side - rim, rim : side - rim]
            means = functional.avg_pool2d(inner, SCAN.window, stride=1)
            found.append(means.permute(0, 2, 3, 1).numpy())
    values = np.concatenate(found)
    return values if dense else values[:, 0, 0]


def patch_around(tile: Tile, square: Square) -> NDArray[np.uint8]:
    """Cut the patch around a square, mirrored at the tile's edge."""
    side = BUNDLE.patch_size_pixels
    wide = np.pad(tile.image, ((side, side), (side, side), (0, 0)), mode="reflect")
    y, x = (
        int(CELL_PX * (at + LABEL_CELLS / 2) + side / 2)
        for at in (square.row, square.column)
    )
    return wide[y : y + side, x : x + side]


def random_squares(
    trial: Trial, teaching: Sequence[int], count: int, seed: int
) -> list[Square]:
    """Draw labels, half of them tumor."""
    return draw_squares({one: trial.tiles[one] for one in teaching}, count, seed)


def pool(
    trial: Trial, teaching: Sequence[int], seed: int
) -> tuple[list[Square], NDArray[np.float32]]:
    """Return 70 % of all squares in random order, and the log odds of each."""
    squares = squares_of({one: trial.tiles[one] for one in teaching})
    order = np.random.default_rng(seed).permutation(len(squares))
    kept = [squares[at] for at in order[: int(0.7 * len(order))]]
    return kept, trial.start.log_odds(middles(trial, kept))


def middles(trial: Trial, squares: list[Square]) -> NDArray[np.float32]:
    """Return the features of the squares' middle cells."""
    return np.stack(
        [trial.dense[one.tile][one.row + 1, one.column + 1, LAST] for one in squares]
    )


def unbalanced(
    trial: Trial, teaching: Sequence[int], count: int, seed: int
) -> list[Square]:
    """Draw labels of any class."""
    return pool(trial, teaching, seed)[0][:count]


def most_suspicious(
    trial: Trial, teaching: Sequence[int], count: int, seed: int
) -> list[Square]:
    """Label what the model is surest to be tumor."""
    squares, odds = pool(trial, teaching, seed)
    return [squares[at] for at in np.argsort(-odds)[:count]]


def in_teach_order(
    trial: Trial, teaching: Sequence[int], count: int, seed: int
) -> list[Square]:
    """Label in the order to teach in; neighbourhoods are small, as the tiles are."""
    squares, odds = pool(trial, teaching, seed)
    um = CELL_PX * BUNDLE.spacing_um_px
    places = np.array(
        [(one.row * um + 1e5 * one.tile, one.column * um) for one in squares]
    )
    order = teach_order(odds, places, middles(trial, squares), apart_um=150)
    return [squares[at] for at in order[:count]]


def half_wrong(
    trial: Trial, teaching: Sequence[int], count: int, seed: int
) -> list[Square]:
    """Label as a person does who corrects: half of each class was called wrongly."""
    squares, odds = pool(trial, teaching, seed)
    drawn = []
    for tumor in (False, True):
        own = [one for one in range(len(squares)) if squares[one].tumor == tumor]
        wrong = [one for one in own if (odds[one] > 0) != tumor][: count // 4]
        right = [one for one in own if (odds[one] > 0) == tumor]
        drawn += [*wrong, *right[: count // 2 - len(wrong)]]
    return [squares[one] for one in drawn]


def taught(trial: Trial, squares: list[Square], alone: bool) -> LabelledFeatures:
    """Return the features of the labelled cells, or of a patch around each label."""
    tumor = np.array([one.tumor for one in squares])
    side = LABEL_CELLS
    if alone:  # counts as many as the cells of its square
        values = np.stack([trial.alone[one] for one in squares])
    else:
        values = np.concatenate(
            [
                trial.dense[one.tile][
                    one.row : one.row + side, one.column : one.column + side
                ].reshape(side * side, -1)
                for one in squares
            ]
        )
        return LabelledFeatures(values, tumor.repeat(side * side))
    return LabelledFeatures(values.repeat(side * side, 0), tumor.repeat(side * side))


def tables(trial: Trial, seeds: int) -> Callable[..., None]:
    """Return a function that prints the table of one variant."""
    before = {
        way: judge(trial, trial.start, judged, LAST)
        for way, (_, judged) in WAYS.items()
    }
    home = auc(trial.start, trial.valid, LAST)

    def table(
        name: str, draw: Draw, columns: slice = LAST, *, alone: bool = False
    ) -> None:
        print(
            f"\n{name}\n\n| labels | {' | '.join(before)} | home, mean and worst | s |"
        )
        print("|---:|" + "---:|" * (len(before) + 2), flush=True)
        for count in COUNTS:
            gains, losses, seconds = [], [], []
            for way, (teaching, judged) in WAYS.items():
                own = []
                for seed in range(seeds):
                    labels = taught(trial, draw(trial, teaching, count, seed), alone)
                    if labels.tumor.all() or not labels.tumor.any():
                        continue  # one class alone is refused
                    began = perf_counter()
                    found = fitted(trial, labels, columns)
                    seconds.append(perf_counter() - began)
                    own.append(judge(trial, found, judged, columns) - before[way])
                    losses.append(auc(found, trial.valid, columns) - home)
                gains.append(f"{np.mean(own):+.3f}" if own else "one class")
            print(
                f"| {count} | {' | '.join(gains)} | {np.mean(losses):+.3f}, "
                f"{min(losses):+.3f} | {np.mean(seconds):.3f} |",
                flush=True,
            )

    return table


def fitted(trial: Trial, labels: LabelledFeatures, columns: slice) -> Head:
    """Fit a head to some of the features; those of earlier stages begin at 0."""
    home = LabelledFeatures(trial.home.values[:, columns], trial.home.tumor)
    weights = np.zeros(home.values.shape[1])
    weights[LAST] = trial.start.weights
    return fit_head(
        Head(weights, trial.start.offset),
        LabelledFeatures(labels.values[:, columns], labels.tumor),
        home,
    )


def judge(trial: Trial, head: Head, tiles: Sequence[int], columns: slice) -> float:
    """Return the pixel AUC on tiles."""
    return pixel_auc(
        [head.log_odds(trial.dense[one][..., columns]) for one in tiles],
        [trial.tiles[one] for one in tiles],
    )


def auc(head: Head, labelled: LabelledFeatures, columns: slice) -> float:
    """Return the AUC on patches."""
    found = roc_auc(labelled.tumor, head.log_odds(labelled.values[:, columns]))
    assert found is not None
    return found


if __name__ == "__main__":
    main()
