"""Measure how well a stain match brings shifted colours back.

Real patches are shifted as another laboratory or scanner would shift them: paler or
stronger dyes, dyes of another tint, another gamma, a tinted lamp. Each shifted set is
matched to the target patches, as a slide is to a model's training data, and compared
with the patches it was made of: mean distance in CIELAB (ΔE), less is better. "none" is
the price of matching what needs no match.

    python benchmarks/stain_shift.py FOLDER --target FOLDER [--count 300]
        [--mpp 0.972] [--page docs/explain/stain.md]

A folder holds patches of one size as JPEG or PNG, at any depth.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, get_args

import numpy as np
from PIL import Image

from napari_fastnet.core.appearance.stain import STATISTICS_MPP, StainMatch, estimate
from napari_fastnet.core.colour import density_to_rgb, rgb_to_density, rgb_to_lab
from napari_fastnet.core.options import StainMethod
from page import write_between

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

# Optical densities of haematoxylin, eosin and what is neither (Ruifrok and Johnston).
DYES = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])


def restained(
    images: Pixels,
    amounts: tuple[float, float],
    tint: tuple[tuple[float, float, float], ...] = ((0, 0, 0), (0, 0, 0)),
    lamp: tuple[float, float, float] = (1, 1, 1),
) -> Pixels:
    """Return images with other amounts and tints of the two dyes, and another lamp."""
    dyes = DYES / np.linalg.norm(DYES, axis=1, keepdims=True)
    concentrations = rgb_to_density(images) @ np.linalg.inv(dyes)
    others = dyes + np.array([*tint, (0, 0, 0)])
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    density = (concentrations * [*amounts, 1]) @ others
    return np.rint(density_to_rgb(density) * lamp).astype(np.uint8)


def with_gamma(images: Pixels, gamma: tuple[float, float, float]) -> Pixels:
    """Return images as a scanner of another response would show them."""
    return np.rint(255 * (images / 255) ** gamma).astype(np.uint8)


SHIFTS: dict[str, Callable[[Pixels], Pixels]] = {
    "none": lambda images: images,
    "paler": lambda images: restained(images, (0.6, 0.6)),
    "stronger": lambda images: restained(images, (1.5, 1.3)),
    "bluer, less eosin": lambda images: restained(
        images, (1.1, 0.7), ((0.1, -0.1, -0.15), (0, 0, 0))
    ),
    "redder, more eosin": lambda images: restained(
        images, (0.8, 1.3), ((-0.1, 0.1, 0.1), (0, -0.05, 0.25)), (1, 0.97, 0.93)
    ),
    "another gamma": lambda images: with_gamma(images, (1.3, 1.2, 1.1)),
    "tinted lamp": lambda images: restained(images, (1, 1), lamp=(0.93, 0.95, 0.9)),
}


def load(folder: Path, count: int) -> Pixels:
    """Return ``count`` patches drawn from a folder, (n, side, side, 3)."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png"))
    drawn = np.random.default_rng(0).choice(len(paths), min(count, len(paths)), False)
    return np.stack(
        [np.asarray(Image.open(paths[index]).convert("RGB")) for index in drawn]
    )


def low_resolution(images: Pixels, mpp: float) -> Pixels:
    """Return the pixels of patches at ``STATISTICS_MPP``, (n, 3)."""
    side = max(1, round(images.shape[1] * mpp / STATISTICS_MPP))
    small = [
        np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BOX))
        for image in images
    ]
    return np.stack(small).reshape(-1, 3)


def distance(one: Pixels, other: Pixels) -> float:
    """Return the mean ΔE of two sets of images."""
    apart = np.linalg.norm(rgb_to_lab(one) - rgb_to_lab(other), axis=-1)
    return float(apart.mean())


def table(images: Pixels, target: Pixels, mpp: float) -> str:
    """Return the table as Markdown."""
    methods = [method for method in get_args(StainMethod) if method != "none"]
    goals = {name: estimate(low_resolution(target, mpp), name) for name in methods}
    lines = [
        f"| shift | unmatched | {' | '.join(methods)} |",
        f"|---|---:|{'---:|' * len(methods)}",
    ]
    for name, shift in SHIFTS.items():
        shifted = shift(images)
        pixels = low_resolution(shifted, mpp)
        row = [f"{distance(shifted, images):.1f}"]
        for method in methods:
            match = StainMatch(method, estimate(pixels, method), goals[method])
            row.append(f"{distance(match.apply(shifted), images):.1f}")
        lines.append(f"| {name} | {' | '.join(row)} |")
    return "\n".join(lines)


def timing(images: Pixels, target: Pixels, mpp: float) -> str:
    """Return a sentence on speed and on how exact the table of colours is."""
    shifted = SHIFTS["paler"](images)
    source, goal = low_resolution(shifted, mpp), low_resolution(target, mpp)
    match = StainMatch(
        "reinhard", estimate(source, "reinhard"), estimate(goal, "reinhard")
    )
    flat = shifted.reshape(-1, 3)
    block = np.resize(flat, (1536, 1536, 3))
    match.apply(block)  # builds the table
    seconds = []
    for _ in range(5):
        start = perf_counter()
        match.apply(block)
        seconds.append(perf_counter() - start)
    error = np.abs(match.apply(flat) - match.apply_exactly(flat))
    return (
        f"A block of 1536 x 1536 px takes {min(seconds) * 1e3:.0f} ms on one core. The "
        f"table of 64³ colours is {error.mean():.1f} grey values from the exact map on "
        f"average, {np.percentile(error, 99):.1f} at the 99th percentile (reinhard, "
        "paler)."
    )


def main() -> int:
    """Measure, print, and write into the page where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--mpp", type=float, default=0.972)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    images = load(arguments.folder, arguments.count)
    target = load(arguments.target, 2 * arguments.count)
    text = (
        f"{table(images, target, arguments.mpp)}\n\n"
        f"{len(images)} patches matched to {len(target)}. "
        f"{timing(images, target, arguments.mpp)}"
    )
    sys.stdout.write(text + "\n")
    if arguments.page:
        write_between(arguments.page, "stain_shift", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
