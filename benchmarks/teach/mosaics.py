"""Count the false lesions of mosaics in other stains, before and after 30 corrections.

A person goes through one mosaic, rejects the 15 strongest false places and marks 15 of tumor;
another mosaic of other patches is judged at the model's balanced threshold.

    python benchmarks/teach/mosaics.py VALID.tar [--seeds 3] [--head]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from napari_fastnet.core.dense import CELL_PX, SPOILT_CELLS, DenseScan
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.evidence import find_candidates
from napari_fastnet.core.metrics.calibration import Calibration
from napari_fastnet.core.metrics.lesion_scale import STRENGTH, KnownSlide, point_at
from napari_fastnet.core.options import EvidenceScale, LesionRule
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.nn.classifier import PatchClassifier
from napari_fastnet.patches.mosaics import (
    GLASS,
    NORMAL,
    TUMOR,
    PatchPool,
    compose,
    lay_out,
    true_lesions,
)
from napari_fastnet.patches.reading import iterate_patches
from napari_fastnet.training.adapt.adapt import Adapted, adapt
from napari_fastnet.training.adapt.examples import Examples
from napari_fastnet.training.adapt.features import head_of, home_features
from napari_fastnet.training.adapt.head import Head, LabelledFeatures, fit_head
from napari_fastnet.training.adapt.options import AdaptOptions
from tiles import LABEL_CELLS, SHIFTS, picture_of, restained

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.nn.fastnet import FastNet

BUNDLE = load_bundle("fastnet-pcam")
SCALE = BUNDLE.lesions or EvidenceScale()
SCAN = BUNDLE.dense_scan or DenseScan(96, 3)
#: Side of a mosaic in patches, and of a patch in cells and px.
SIDE, CELLS, PATCH = 24, 6, 96
#: Corrections of each class.
CORRECTIONS = 15


def main() -> None:
    """Print a row for each stain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("valid", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--head", action="store_true", help="the head step alone")
    given = parser.parse_args()
    patches = list(iterate_patches(given.valid))
    pool = PatchPool(
        np.stack([patch.image for patch in patches]),
        np.array([patch.label == 1 for patch in patches]),
    )
    network = load_weights(BUNDLE.weights_path)
    start = head_of(network, Calibration(**BUNDLE.calibration))
    home = home_features(network, BUNDLE.normalisation)
    print("stain: false per 10 mm² and share of lesions found; before, head, network")
    for shift, (gains, added) in SHIFTS.items():
        judged: list[list[KnownSlide]] = [[], [], []]
        for seed in range(given.seeds):
            (taught, labels), (shown, truth) = (
                mosaic(pool.half(second=second), 2 * seed + second)
                for second in (False, True)
            )
            taught, shown = (
                restained(picture, gains, added) for picture in (taught, shown)
            )
            features, seen = (cell_features(network, one) for one in (taught, shown))
            places = corrections(start.log_odds(features), labels)
            head = fit_head(start, labelled(features, places), home)
            judged[0].append(known(start.log_odds(seen), truth))
            judged[1].append(known(head.log_odds(seen), truth))
            if not given.head:
                odds = network_odds(taught, places, shown, seed)
                judged[2].append(known(odds, truth))
        points = [point_at(one, SCALE, SCALE.balanced) for one in judged if one]
        print(
            f"{shift:9s}",
            "  ".join(f"{p.false_per_10_mm2:.2f} {p.sensitivity:.2f}" for p in points),
            flush=True,
        )


def mosaic(pool: PatchPool, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Return a mosaic with eight lesions, and its labels patch by patch."""
    generator = np.random.default_rng(seed)
    labels = lay_out(SIDE, 8, generator)
    return compose(labels, pool.images, pool.tumor, generator), labels


def corrections(
    odds: NDArray[np.float32], labels: NDArray[np.int8]
) -> list[tuple[int, int, bool]]:
    """Return row and column of patches to correct, and whether each is tumor."""
    highest = odds.reshape(SIDE, CELLS, SIDE, CELLS)[:, 1:5, :, 1:5].max(axis=(1, 3))
    false = np.argsort(np.where(labels == NORMAL, -highest, np.inf), axis=None)
    tumor = np.flatnonzero(labels == TUMOR)
    chosen = np.random.default_rng(0).permutation(tumor)[:CORRECTIONS]
    return [
        (*divmod(int(at), SIDE), kind)
        for places, kind in ((false[:CORRECTIONS], False), (chosen, True))
        for at in places
    ]


def cell_features(network: FastNet, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the features of each cell of a picture."""
    classifier = PatchClassifier(network, normalisation=BUNDLE.normalisation)
    rim = slice(SPOILT_CELLS, -SPOILT_CELLS)
    with torch.inference_mode():
        cells = classifier.feature_map(torch.tensor(picture_of(picture, SCAN))[None])
        means = functional.avg_pool2d(cells[..., rim, rim], SCAN.window, stride=1)
    return means[0].permute(1, 2, 0).numpy()


def middle(row: int, column: int) -> tuple[slice, slice]:
    """Return the cells in the middle of a patch, a label's width."""
    first = (CELLS - LABEL_CELLS) // 2
    rows, columns = (
        slice(CELLS * at + first, CELLS * at + first + LABEL_CELLS)
        for at in (row, column)
    )
    return rows, columns


def labelled(
    features: NDArray[np.float32], places: list[tuple[int, int, bool]]
) -> LabelledFeatures:
    """Return the features of the corrected cells."""
    size = features.shape[-1]
    values = [
        features[middle(row, column)].reshape(-1, size) for row, column, _ in places
    ]
    tumor = np.array([kind for *_, kind in places]).repeat(LABEL_CELLS**2)
    return LabelledFeatures(np.concatenate(values), tumor)


def network_odds(
    taught: NDArray[np.uint8],
    places: list[tuple[int, int, bool]],
    shown: NDArray[np.uint8],
    seed: int,
) -> NDArray[np.float32]:
    """Teach the network, and return what it makes of a picture."""
    images, tumor, numbers = [], [], []
    wide = np.pad(taught, ((PATCH, PATCH), (PATCH, PATCH), (0, 0)), mode="reflect")
    for number, (row, column, kind) in enumerate(places):
        rows, columns = middle(row, column)
        for y in range(rows.start, rows.stop):
            for x in range(columns.start, columns.stop):
                top, left = (
                    CELL_PX * at + CELL_PX // 2 - PATCH // 2 + PATCH for at in (y, x)
                )
                images.append(wide[top : top + PATCH, left : left + PATCH])
                tumor.append(kind)
                numbers.append(number)
    examples = Examples(
        images=np.stack(images),
        tumor=np.array(tumor),
        places=np.array(numbers),
        labels_tumor=sum(tumor),
        labels_normal=len(tumor) - sum(tumor),
        slides=1,
        digest="",
    )
    *_, last = adapt(BUNDLE, examples, AdaptOptions(seed=seed))
    assert isinstance(last, Adapted)
    after: Head = head_of(last.network, Calibration(**BUNDLE.calibration))
    return after.log_odds(cell_features(last.network, shown))


def known(odds: NDArray[np.float32], labels: NDArray[np.int8]) -> KnownSlide:
    """Find candidates, and compare them with the truth."""
    um = BUNDLE.spacing_um_px
    tissue = (labels != GLASS).repeat(CELLS, axis=0).repeat(CELLS, axis=1)
    probabilities = np.where(tissue, 1 / (1 + np.exp(-odds)), np.nan)
    grid = Grid((0, 0), (CELL_PX, CELL_PX), odds.shape)
    heatmap = Heatmap(probabilities.astype(np.float32), grid, (um, um))
    rule = LesionRule(BUNDLE.threshold, STRENGTH.balanced, STRENGTH)
    area = float((labels == NORMAL).sum() * (PATCH * um / 1000) ** 2)
    lesions = true_lesions(labels, PATCH)
    return KnownSlide.of(find_candidates(heatmap, rule), lesions, area, (um, um))


if __name__ == "__main__":
    main()
