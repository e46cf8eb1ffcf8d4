"""Measure what the quality flags find, what they miss and what they cost.

False flags on labelled patches of other slides than the model's; hits on the same patches
in other stains (as in stain_shift.py and worse), blurred, and drawn over with ink; the AUC
of each, since only what harms needs a flag. A foreign slide is flagged as a whole.

    python benchmarks/quality_flags.py DATA [--slide SLIDE] [--timed SLIDE] [--model NAME|DIR]
        [--out benchmarks/results/quality.json] [--page docs/explain/limits.md]

DATA is a tar or folder with images in 0/ and 1/ at the model's µm/px.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_fastnet.cohort.detect import detect
from napari_fastnet.core.appearance.flags import Flag, blur_flags, colour_flags
from napari_fastnet.core.appearance.sharpness import patch_sharpness
from napari_fastnet.core.appearance.stain import STATISTICS_MPP
from napari_fastnet.core.appearance.summary import summarise_quality
from napari_fastnet.core.colour import density_to_rgb, rgb_to_density
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.grid import PatchGrid
from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.detection import blocks, run
from napari_fastnet.detection.plan import make_plan
from napari_fastnet.detection.run import find_quality
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import ModelBundle, load_bundle
from napari_fastnet.patches.reading import iterate_patches
from napari_fastnet.slide.resample import resize
from napari_fastnet.slide.slide import open_slide
from page import tell, write_between

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Images = NDArray[np.uint8]

INKS = {
    "blue": (45, 65, 165),
    "light blue": (90, 130, 200),
    "green": (35, 130, 80),
    "black": (35, 35, 40),
    "red": (205, 35, 50),
}
SIGMAS = (0.5, 0.7, 1.0, 1.4, 2.0, 4.0)
#: Width of a pen's stroke through a patch, µm.
STROKE_UM = 30


# Optical densities of haematoxylin, eosin and what is neither (Ruifrok and Johnston).
DYES = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])


def restained(
    images: Images,
    amounts: tuple[float, float],
    tint: tuple[tuple[float, float, float], ...] = ((0, 0, 0), (0, 0, 0)),
    lamp: tuple[float, float, float] = (1, 1, 1),
) -> Images:
    """Return images with other amounts and tints of the two dyes, and another lamp."""
    dyes = DYES / np.linalg.norm(DYES, axis=1, keepdims=True)
    concentrations = rgb_to_density(images) @ np.linalg.inv(dyes)
    others = dyes + np.array([*tint, (0, 0, 0)])
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    density = (concentrations * [*amounts, 1]) @ others
    return np.rint(density_to_rgb(density) * lamp).astype(np.uint8)


def with_gamma(images: Images, gamma: tuple[float, float, float]) -> Images:
    """Return images as a scanner of another response would show them."""
    return np.rint(255 * (images / 255) ** gamma).astype(np.uint8)


SHIFTS: dict[str, Callable[[Images], Images]] = {
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


def brown_for_eosin(images: Images) -> Images:
    """Return images with a brown dye (DAB) where eosin was."""
    dyes = DYES / np.linalg.norm(DYES, axis=1, keepdims=True)
    amounts = rgb_to_density(images) @ np.linalg.inv(dyes)
    return np.rint(density_to_rgb(amounts @ dyes[[0, 2, 2]])).astype(np.uint8)


def without_colour(images: Images) -> Images:
    """Return images in grey."""
    return np.repeat(images.mean(-1, keepdims=True), 3, -1).astype(np.uint8)


FOREIGN: dict[str, Callable[[Images], Images]] = SHIFTS | {
    "brown dye for eosin": brown_for_eosin,
    "no colour": without_colour,
    "red and blue exchanged": lambda images: images[..., ::-1],
}


def blurred(images: Images, sigma_px: float) -> Images:
    """Return images after a Gaussian blur."""
    return np.stack([gaussian_filter(i, (sigma_px, sigma_px, 0)) for i in images])


def with_stroke(images: Images, ink: tuple[int, int, int], mpp: float) -> Images:
    """Return images crossed by a stroke of ink that lets some light through."""
    rows = (
        np.abs(np.arange(images.shape[1]) - images.shape[1] / 2) < STROKE_UM / mpp / 2
    )
    drawn = images.copy()
    drawn[:, rows] = np.rint(images[:, rows] * (np.array(ink) / 255))
    return drawn


def judged(images: Images, bundle: ModelBundle) -> tuple[Images, float | None]:
    """Return the flags of patches that make up one slide, and its distance."""
    gamut = bundle.gamut
    assert gamut is not None
    side = images.shape[1]
    small = round(side * bundle.spacing_um_px / STATISTICS_MPP)
    column = np.concatenate([resize(image, (small, small)) for image in images])
    kept = np.ones((len(images), 1), bool)
    size = (float(small), float(small))
    grid = PatchGrid(Grid((0.0, 0.0), size, kept.shape), size, kept, kept * 1.0)
    flags, distance = colour_flags(column, grid, column.shape[:2], gamut)
    sharpness = np.concatenate(
        [patch_sharpness(i, (1, 1), patch_px=side, stride_px=side) for i in images]
    )
    return flags | blur_flags(sharpness, kept, gamut), distance


def measure(
    images: Images, labels: Any, bundle: ModelBundle, backend: Any
) -> dict[str, Any]:
    """Return shares flagged, the verdict, and the AUC of these patches."""
    flags, distance = judged(images, bundle)
    found = summarise_quality(flags, np.ones(flags.shape, bool), distance=distance)
    return {**asdict(found), "auc": roc_auc(labels, backend.predict(images))}


def costs(path: Path, bundle: ModelBundle) -> dict[str, float]:
    """Return the seconds of a whole detection, and those that the flags took of it."""
    spent: Counter[str] = Counter()

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            began = perf_counter()
            try:
                return function(*given, **named)
            finally:
                spent[name] += perf_counter() - began

        return call

    blocks.patch_sharpness = timed("blur", blocks.patch_sharpness)
    run.colour_flags = timed("colour and pen", run.colour_flags)
    with TemporaryDirectory() as folder:
        began = perf_counter()
        detect(path, folder, model=bundle)
        return {**spent, "detection": perf_counter() - began}


def foreign_slide(path: Path, bundle: ModelBundle) -> dict[str, Any]:
    """Return the quality section of a whole slide, blur included."""
    with open_slide(path) as slide:
        tissue = find_tissue(slide)
        plan = make_plan(slide, bundle, tissue.masks.roi, stride="patch")
        sharpness = np.full(plan.patches.kept.shape, np.nan, np.float32)
        for row, column in np.argwhere(plan.patches.kept):
            pixels = slide.read(
                plan.patches.patch_box(int(row), int(column)), plan.spacing
            )
            side = plan.patch_px
            sharpness[row, column] = patch_sharpness(
                pixels, (1, 1), patch_px=side, stride_px=side
            )[0, 0]
        shape = slide.shape
    _, found = find_quality(tissue, plan, shape, sharpness, bundle.gamut)
    return asdict(found)


def table(rows: dict[str, dict[str, Any]], flag: Flag, other: str) -> str:
    """Return rows as Markdown: the share with a flag, and what else is said."""
    name = str(flag.name).lower()
    lines = [
        f"| {other} | flagged | any flag | slide | AUC |",
        "|---|---:|---:|---|---:|",
    ]
    for title, row in rows.items():
        slide = (
            "out of gamut" if row["out_of_gamut"] else "warned" if row["warn"] else ""
        )
        lines.append(
            f"| {title} | {row[name]:.1%} | {row['any']:.1%} | {slide} | {row['auc']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, keep the figures, and write the page where one is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--slide", type=Path)
    parser.add_argument("--timed", type=Path, help="a slide to detect, for the cost")
    parser.add_argument("--model", default="fastnet-pcam")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    bundle = load_bundle(asked.model)
    backend = create_backend(bundle)
    patches = list(iterate_patches(asked.data))
    images = np.stack([patch.image for patch in patches])
    labels = np.array([patch.label for patch in patches])
    mpp = bundle.spacing_um_px

    def run(changed: Images) -> dict[str, Any]:
        return measure(changed, labels, bundle, backend)

    figures: dict[str, Any] = {
        "patches": len(images),
        "model": f"{bundle.name} {bundle.version}",
        "stains": {name: run(change(images)) for name, change in FOREIGN.items()},
        "blur": {f"{s:g} px": run(blurred(images, s)) for s in SIGMAS},
        "pen": {n: run(with_stroke(images, ink, mpp)) for n, ink in INKS.items()},
    }
    if asked.slide:
        figures["slides"] = {asked.slide.name: foreign_slide(asked.slide, bundle)}
    if asked.timed:
        figures["seconds"] = costs(asked.timed, bundle)
    tell(figures, asked.out)
    if asked.page:
        write_page(asked.page, figures)


def write_page(page: Path, figures: dict[str, Any]) -> None:
    """Put the tables between the marks of the page."""
    plain, cost = figures["stains"]["none"], figures.get("seconds")
    text = (
        f"On {figures['patches']:,} patches of other slides than the training data's, "
        f"{figures['model']}: {plain['colour']:.1%} are flagged by colour, "
        f"{plain['pen']:.1%} for pen, {plain['blur']:.1%} for blur, {plain['any']:.1%} for "
        "any of them, in vain."
    )
    write_between(page, "quality_false", text)
    write_between(page, "quality_stain", table(figures["stains"], Flag.COLOUR, "stain"))
    write_between(page, "quality_blur", table(figures["blur"], Flag.BLUR, "blur"))
    write_between(page, "quality_pen", table(figures["pen"], Flag.PEN, "ink"))
    lines = [f"- {n}: {s['verdict']}" for n, s in figures.get("slides", {}).items()]
    write_between(page, "quality_slides", "\n".join(lines) or "No slide was given.")
    words = "Not measured."
    if cost is not None:
        share = (cost["blur"] + cost["colour and pen"]) / cost["detection"]
        words = (
            f"Of a detection of {cost['detection']:.1f} s, {cost['blur']:.2f} s for blur, in "
            f"threads that read, and {cost['colour and pen']:.2f} s for colour and pen: "
            f"{share:.1%}."
        )
    write_between(page, "quality_cost", words)


if __name__ == "__main__":
    main()
