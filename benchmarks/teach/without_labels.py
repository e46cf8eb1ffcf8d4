"""Measure what a model gains without labels, from unlabelled patches of a laboratory.

Two ways: the statistics of early BatchNorms mixed with the old ones, and the density match
of ``core.appearance.stain``. On foreign tiles, with 25, 50 and 75 % tumor among the patches
that the statistics come from, and with 1 %, as slides have; on mosaics of patches of home in
other stains, with 1 %.

    python benchmarks/teach/without_labels.py TILES.tar VALID.tar
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from napari_fastnet.core.appearance.stain import StainMatch, estimate
from napari_fastnet.core.dense import CELL_PX, DenseScan
from napari_fastnet.core.metrics.calibration import Calibration
from napari_fastnet.core.metrics.patches import roc_auc
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
)
from napari_fastnet.patches.reading import iterate_patches
from napari_fastnet.training.adapt.features import head_of, home_features, with_head
from napari_fastnet.training.adapt.head import Head
from tiles import SHIFTS, Tile, picture_of, read_tiles, restained, tile_auc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_fastnet.nn.fastnet import FastNet

    Pixels = NDArray[np.uint8]

BUNDLE = load_bundle("fastnet-pcam")
SCAN = BUNDLE.dense_scan or DenseScan(96, 3)
SHARES = (0.01, 0.25, 0.5, 0.75)
#: Patches that statistics come from.
PATCHES = 400
#: BatchNorms whose statistics change, and the share of the new ones.
LAYERS = {
    "stem": slice(1),
    "first six": slice(6),
    "stage 2": slice(12, 25),
    "to stage 2": slice(25),
    "all": slice(42),
}
MIXED = (0.25, 0.5)
#: Side of a mosaic in patches.
SIDE = 24


def main() -> None:
    """Print a table of both trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    network = load_weights(BUNDLE.weights_path)
    home(network, given.valid)
    foreign(network, read_tiles(given.tiles))


def foreign(network: FastNet, tiles: dict[int, Tile]) -> None:
    """Judge on two slides; the patches come from the same, the other, or both."""
    slides = {
        "first": [tile for number, tile in tiles.items() if number < 32],
        "second": [tile for number, tile in tiles.items() if number >= 32],
    }
    before = {name: tile_auc(network, BUNDLE, slide) for name, slide in slides.items()}
    print("foreign, before", {name: round(auc, 4) for name, auc in before.items()})
    both = [*slides["first"], *slides["second"]]
    for source, given in (*slides.items(), ("both", both)):
        for share in SHARES:
            patches = mixture(given, share, np.random.default_rng(0))
            for name, changed, match in ways(network, patches):
                after = {
                    judged: tile_auc(changed, BUNDLE, matched(slide, match))
                    for judged, slide in slides.items()
                }
                gains = "  ".join(
                    f"{judged} {auc - before[judged]:+.3f}"
                    for judged, auc in after.items()
                )
                print(
                    f"foreign  {source:7s} {share:.0%}  {name:16s} {gains}", flush=True
                )


def home(network: FastNet, valid: Path) -> None:
    """Judge on a mosaic in other stains; the statistics come from another, nearly normal."""
    patches = list(iterate_patches(valid))
    pool = PatchPool(
        np.stack([patch.image for patch in patches]),
        np.array([patch.label == 1 for patch in patches]),
    )
    pictures, laid = [], []
    for seed, lesions in enumerate((2, 8)):  # the two smallest are 1 % of the tissue
        half, generator = pool.half(second=seed == 1), np.random.default_rng(seed)
        laid.append(lay_out(SIDE, lesions, generator))
        pictures.append(compose(laid[-1], half.images, half.tumor, generator))
    tissue = laid[0] != GLASS
    share = (laid[0] == TUMOR).sum() / tissue.sum()
    truth = laid[1].repeat(96 // CELL_PX, axis=0).repeat(96 // CELL_PX, axis=1)
    for shift, (gains, added) in SHIFTS.items():
        source, shown = (restained(picture, gains, added) for picture in pictures)
        cut = source.reshape(SIDE, 96, SIDE, 96, 3).swapaxes(1, 2)[tissue]
        auc, alarms = mosaic_figures(network, shown, truth)
        print(f"home  {shift:9s} before: AUC {auc:.4f}, false {alarms:.1%}")
        for name, changed, match in ways(network, cut):
            found = mosaic_figures(changed, match.apply(shown), truth)
            print(
                f"home  {shift:9s} {share:.0%}  {name:16s} {found[0] - auc:+.3f}  "
                f"false {found[1]:.1%}",
                flush=True,
            )


def ways(
    network: FastNet, patches: Pixels
) -> Iterator[tuple[str, FastNet, StainMatch]]:
    """Yield each way: its name, a network, and a match of its input."""
    none = StainMatch("none")
    for layers, which in LAYERS.items():
        fresh = refreshed(network, patches, which)
        for share in MIXED:
            changed = mixed(network, fresh, share)
            yield f"{layers}, {share:.0%} new", changed, none
            if layers == "to stage 2":
                yield (
                    f"{layers}, {share:.0%} new, as sure",
                    as_sure(network, changed),
                    none,
                )
    # at about the µm/px at which a slide's statistics are taken
    small = patches.reshape(len(patches), 12, 8, 12, 8, 3).mean(axis=(2, 4))
    source = estimate(np.rint(small).astype(np.uint8).reshape(-1, 3), "density")
    target = BUNDLE.stain_target("density")
    yield "density match", network, StainMatch("density", source, target)


def mixture(tiles: list[Tile], share: float, generator: np.random.Generator) -> Pixels:
    """Draw patches of 96 px of which a share is tumor in the middle."""
    drawn: dict[bool, list[Pixels]] = {False: [], True: []}
    wanted = {True: round(PATCHES * share), False: PATCHES - round(PATCHES * share)}
    while any(len(drawn[kind]) < count for kind, count in wanted.items()):
        tile = tiles[generator.integers(len(tiles))]
        y, x = generator.integers(0, 512 - 96 + 1, 2)
        kind = bool(tile.tumor[y + 48, x + 48])
        if len(drawn[kind]) < wanted[kind]:
            drawn[kind].append(tile.image[y : y + 96, x : x + 96])
    return np.stack([*drawn[False], *drawn[True]])[generator.permutation(PATCHES)]


def refreshed(network: FastNet, patches: Pixels, which: slice) -> FastNet:
    """Return a copy of which some BatchNorms have the statistics of patches."""
    changed = copy.deepcopy(network).eval()
    norms = [m for m in changed.modules() if isinstance(m, nn.BatchNorm2d)][which]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    classifier = PatchClassifier(changed, normalisation=BUNDLE.normalisation)
    for norm in norms:  # the classifier turned them off
        norm.train()
    with torch.inference_mode():
        for part in torch.tensor(patches).split(50):
            classifier.feature_map(part)
    return changed.eval()


def mixed(network: FastNet, fresh: FastNet, share: float) -> FastNet:
    """Return a copy with statistics between a network's and fresh ones."""
    changed, new = copy.deepcopy(network), fresh.state_dict()
    state = changed.state_dict()
    for name, value in state.items():
        if name.endswith(("running_mean", "running_var")):
            value.lerp_(new[name], share)
    return changed.eval()


def as_sure(network: FastNet, changed: FastNet) -> FastNet:
    """Return a copy of the changed network with the log odds at home that it had before."""
    calibration, normalisation = Calibration(**BUNDLE.calibration), BUNDLE.normalisation
    start = head_of(network, calibration)
    means = []
    for one in (network, changed):
        home = home_features(one, normalisation)
        odds = start.log_odds(home.values)
        means.append([float(odds[home.tumor == kind].mean()) for kind in (False, True)])
    (old_normal, old_tumor), (normal, tumor) = means
    scale = (old_tumor - old_normal) / (tumor - normal)
    offset = scale * (start.offset - tumor) + old_tumor
    return with_head(changed, Head(scale * start.weights, offset), calibration)


def matched(tiles: list[Tile], match: StainMatch | None) -> list[Tile]:
    """Return tiles in matched colours; as they are without a match."""
    if match is None:
        return tiles
    return [replace(tile, image=match.apply(tile.image)) for tile in tiles]


def mosaic_figures(
    network: FastNet, picture: Pixels, truth: NDArray[np.int8]
) -> tuple[float, float]:
    """Return the AUC of tissue cells, and the share of normal ones that are called tumor."""
    odds = cell_odds(network, picture)
    auc = roc_auc(truth[truth != GLASS] == TUMOR, odds[truth != GLASS])
    assert auc is not None
    return auc, float((odds[truth == NORMAL] >= 0).mean())


def cell_odds(network: FastNet, image: Pixels) -> NDArray[np.float32]:
    """Return the calibrated log odds of each cell of a picture."""
    classifier = PatchClassifier(
        network, calibration=BUNDLE.calibration, normalisation=BUNDLE.normalisation
    )
    with torch.inference_mode():
        picture = torch.tensor(picture_of(image, SCAN))
        return SCAN.pool(classifier.cell_margins(picture[None])[0].numpy())


if __name__ == "__main__":
    main()
