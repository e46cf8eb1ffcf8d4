"""Judge models by all that counts, in one table: patches, hard normals, foreign tiles, lesions.

    python benchmarks/model/candidates.py valid.tar hard_normals.tar tiles.tar BUNDLE...

Every second hard normal is judged, those that `halves.py` leaves out of training. Foreign tiles
are scanned densely, without a stain match; the AUC is over all pixels of the tiles of a slide, and
of both. Lesions are those of mosaics of the second half of the validation patches, eight lesions
or none; the scale of evidence is fitted on mosaics of the first half. The figures of each model are
added to ``benchmarks/results/candidates.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_fastnet.core.metrics import patches
from napari_fastnet.core.metrics.lesion_scale import alarm_curve, fit_scale
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.patches import mosaics
from napari_fastnet.patches.reading import iterate_patches
from napari_fastnet.training.data import read_part

sys.path.append(str(Path(__file__).parents[1] / "teach"))
from tiles import FIRST, SECOND, read_tiles, tile_auc

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bytes
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle
    from tiles import Tile

RESULTS = Path(__file__).parents[1] / "results" / "candidates.json"
#: Mosaics to judge by, with eight lesions or none in turn.
JUDGES = 16
#: False lesions per 10 mm² of normal tissue that are allowed.
ALLOWED = 2.0


def on_patches(
    backend: Backend, valid: mosaics.PatchPool, hard: Bytes
) -> dict[str, float]:
    """Judge patches that are seen alone, by calibrated probabilities."""
    values = backend.predict(valid.images)
    found = patches.evaluate_probabilities(valid.tumor, values, threshold=0.5)
    return {
        "auc": float(found.auc or 0),
        "accuracy": float(found.accuracy or 0),
        "calibration_error": patches.expected_calibration_error(valid.tumor, values),
        "hard_normals_right": float((backend.predict(hard) < 0.5).mean()),
    }


def on_tiles(bundle: ModelBundle, tiles: dict[int, Tile]) -> dict[str, float]:
    """Return the AUC over the pixels of each slide's tiles, and of all."""
    network = load_weights(bundle.weights_path)
    groups = {"first": FIRST, "second": SECOND, "both": (*FIRST, *SECOND)}
    return {
        f"tiles_{name}": tile_auc(network, bundle, [tiles[number] for number in group])
        for name, group in groups.items()
    }


def on_mosaics(
    bundle: ModelBundle, backend: Backend, pool: mosaics.PatchPool
) -> dict[str, float]:
    """Return the share of lesions that are found with at most `ALLOWED` false ones."""
    halves = pool.half(second=False), pool.half(second=True)
    fitted = list(mosaics.scan_mosaics(bundle, backend, halves[0], mosaics.MOSAICS))
    scale = fit_scale(fitted)
    assert scale is not None
    judged = list(
        mosaics.scan_mosaics(bundle, backend, halves[1], JUDGES, lesions=(8, 0))
    )
    allowed = [
        point
        for point in alarm_curve(judged, scale)
        if point.false_per_10_mm2 <= ALLOWED
    ]
    return {"lesions_found": max(point.sensitivity for point in allowed)}


def main() -> None:
    """Judge, print, and add to the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("valid", type=Path)
    parser.add_argument("hard", type=Path)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    part, tiles = read_part([given.valid], None), read_tiles(given.tiles)
    valid = mosaics.PatchPool(part.images, part.labels)
    hard = np.stack([patch.image for patch in iterate_patches(given.hard)])[1::2]
    for name in given.bundles:
        bundle = load_bundle(name)
        backend = create_backend(bundle, NetworkChoice(threads=given.threads))
        figures = {
            **on_patches(backend, valid, hard),
            **on_tiles(bundle, tiles),
            **on_mosaics(bundle, backend, valid),
        }
        print(
            Path(name).name, *(f"{k} {v:.4f}" for k, v in figures.items()), flush=True
        )
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        known[Path(name).name] = {k: round(v, 4) for k, v in figures.items()}
        RESULTS.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
