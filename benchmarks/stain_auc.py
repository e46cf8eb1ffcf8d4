"""Measure what a stain match is worth: AUC on patches whose colours were shifted.

Labelled patches are shifted as in stain_shift.py, matched to the model as a slide is, and
judged. A match is worth having where it lifts the shifted rows and costs nothing in the
row "none".

    python benchmarks/stain_auc.py DATA --model NAME|DIR [--page docs/explain/stain.md]

DATA is a tar or folder with images in 0/ and 1/ at the model's µm/px.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from napari_fastnet.core.appearance.stain import StainMatch, StainStatistics, estimate
from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.core.options import StainMethod
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import ModelBundle, load_bundle
from napari_fastnet.patches.reading import iterate_patches
from page import write_between
from stain_shift import SHIFTS, low_resolution

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.model.backends.backend import Backend


def table(data: Path, bundle: ModelBundle, backend: Backend) -> str:
    """Return the table as Markdown."""
    patches = list(iterate_patches(data))
    images = np.stack([patch.image for patch in patches])
    labels = np.array([patch.label for patch in patches])
    methods = get_args(StainMethod)
    everything = np.ones(len(images), bool)
    lines = [f"| shift | {' | '.join(methods)} |", f"|---|{'---:|' * len(methods)}"]
    for name, shift in SHIFTS.items():
        shifted = np.concatenate([shift(part) for part in np.array_split(images, 12)])
        row = [
            roc_auc(
                labels,
                backend.predict(matched(shifted, [everything], method, bundle)),
            )
            for method in methods
        ]
        lines.append(line(name, row))
    # A slide need not have the training data's share of tumour.
    tumour = labels == 1
    row = [
        roc_auc(
            labels,
            backend.predict(matched(images, [tumour, ~tumour], method, bundle)),
        )
        for method in methods
    ]
    lines.append(line("none, but a slide all tumour and one all normal", row))
    lines += ["", f"AUC on {len(images):,} patches, {bundle.name} {bundle.version}."]
    return "\n".join(lines)


def matched(
    images: NDArray[np.uint8],
    slides: list[NDArray[np.bool_]],
    method: StainMethod,
    bundle: ModelBundle,
) -> NDArray[np.uint8]:
    """Return images matched to the model, each slide of them by itself."""
    if method == "none":
        return images
    target = StainStatistics.from_dict(bundle.stain[method])
    result = np.empty_like(images)
    for slide in slides:
        pixels = low_resolution(images[slide], bundle.spacing_um_px)
        match = StainMatch(method, estimate(pixels, method), target)
        result[slide] = np.stack([match.apply(image) for image in images[slide]])
    return result


def line(name: str, row: list[float | None]) -> str:
    """Return a line of the table, printed as soon as it is known."""
    return f"| {name} | {' | '.join(f'{value:.4f}' for value in row)} |"


def main() -> None:
    """Measure, and write the table into a page where one is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="fastnet-pcam")
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.model)
    text = table(arguments.data, bundle, create_backend(bundle))
    if arguments.page:
        write_between(arguments.page, "stain_auc", text)


if __name__ == "__main__":
    main()
