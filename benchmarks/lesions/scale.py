"""Measure a model's lesion thresholds on mosaics of patches, and write them into its bundle.

Training does this on its own; this is for a model that was published before, or for other
patches: ``python benchmarks/lesions/scale.py valid.tar BUNDLE [--mosaics N]``. The patches must
have the model's size and µm/px, and the model must not have trained on them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from napari_fastnet.machine.progress import progress_bar
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.card import with_lesions
from napari_fastnet.model.writing import describe_anew
from napari_fastnet.patches.mosaics import MOSAICS, PatchPool, measure_scale
from napari_fastnet.training.data import read_part


def main() -> None:
    """Measure, and write the bundle again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patches", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--mosaics", type=int, default=MOSAICS)
    given = parser.parse_args()
    part = read_part([given.patches], None)
    pool = PatchPool(part.images, part.labels)
    bundle = load_bundle(given.bundle)
    with progress_bar("mosaics") as bar:
        scale = measure_scale(
            bundle,
            create_backend(bundle),
            pool,
            name=given.patches.name,
            mosaics=given.mosaics,
            progress=bar.update,
        )
    if scale is None:
        raise SystemExit(f"{given.patches}: too few patches, or they tell nothing")
    described = replace(bundle, lesions=scale)
    describe_anew(bundle, described, with_lesions(bundle.card(), described))
    for point in scale.curve:
        print(point)


if __name__ == "__main__":
    main()
