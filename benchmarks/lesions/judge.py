"""Count right and false lesions on slides whose truth is known patch by patch.

``python benchmarks/lesions/judge.py FOLDER --picture curve.png``: the folder has slides
(SVS or TIFF) and beside each a JSON of the same name, ``{"cell_px": side of a patch in
level-0 px, "labels": [[-1 glass, 0 normal, 1 tumor, ...], ...]}``.

Prints the figures at the model's named thresholds and the curve, and writes them to
``benchmarks/results/lesions.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import napari_fastnet as nf
from napari_fastnet.core.lesions.evidence import find_candidates
from napari_fastnet.core.metrics.lesion_scale import STRENGTH, KnownSlide, point_at
from napari_fastnet.core.options import CurvePoint, EvidenceScale, LesionRule
from napari_fastnet.patches.mosaics import NORMAL, true_lesions

RESULTS = Path(__file__).parents[1] / "results" / "lesions.json"
NAMES = {"fewer": "fewer alarms", "balanced": "balanced", "more": "find more"}
COLOURS = {
    "sensitivity": ("all lesions", "#1b1b1f"),
    "from_03_mm": ("from 0.3 mm", "#be0a1a"),
    "from_02_mm": ("0.2 to 0.3 mm", "#d98a00"),
    "below_02_mm": ("under 0.2 mm", "#5c5c66"),
}


def known(path: Path) -> tuple[KnownSlide, LesionRule]:
    """Scan a slide, and compare its candidates with the truth."""
    truth = json.loads(path.with_suffix(".json").read_text())
    labels, side = np.array(truth["labels"], np.int8), float(truth["cell_px"])
    result = nf.detect(path)
    assert result.heatmap is not None
    rule = LesionRule(result.record.rule.threshold, STRENGTH.balanced, STRENGTH)
    mpp = result.mpp
    area = float((labels == NORMAL).sum() * side**2 * mpp[0] * mpp[1] / 1e6)
    found = find_candidates(result.heatmap, rule)
    slide = KnownSlide.of(found, true_lesions(labels, side), area, mpp)
    return slide, result.record.rule


def curve_of(slides: list[KnownSlide], scale: EvidenceScale) -> list[CurvePoint]:
    """Return the curve in steps of a tenth."""
    steps = np.arange(scale.more, scale.fewer + 4, 0.1)[::-1]
    return [point_at(slides, scale, float(step)) for step in steps]


def draw(curve: list[CurvePoint], scale: EvidenceScale, path: Path) -> None:
    """Draw found lesions against false ones, with the named thresholds."""
    figure = Figure(figsize=(7, 4.5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    rates = [point.false_per_10_mm2 for point in curve]
    for field, (words, colour) in COLOURS.items():
        values = [getattr(point, field) for point in curve]
        axes.plot(rates, values, color=colour, label=words, drawstyle="steps-post")
    for name, words in NAMES.items():
        at = min(curve, key=lambda p, n=name: abs(p.lesion_threshold - scale.of(n)))
        axes.axvline(at.false_per_10_mm2, color="#c4c4cc", zorder=0)
        axes.annotate(
            words,
            (at.false_per_10_mm2, 0.02),
            rotation=90,
            ha="right",
            fontsize=8,
            color="#5c5c66",
        )
    axes.set(
        xlabel="false lesions per 10 mm² of normal tissue",
        ylabel="share of lesions found",
        ylim=(0, 1.02),
        xlim=(0, 20),
    )
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks([0, 0.5, 1, 2, 5, 10], ["0", "0.5", "1", "2", "5", "10"])
    axes.minorticks_off()
    axes.legend(loc="lower center", bbox_to_anchor=(0.7, 0.02), title="longest axis")
    axes.grid(color="#e8e8ec")
    figure.savefig(path)


def main() -> None:
    """Scan, count, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    slides, rule = [], LesionRule()
    for path in sorted(given.folder.glob("*.json")):
        file = next(f for f in path.parent.glob(f"{path.stem}.*") if f != path)
        slide, rule = known(file)
        slides.append(slide)
        print(path.stem, point_at([slide], rule.evidence, rule.lesion_threshold))
    scale = rule.evidence
    groups = {
        "all": slides,
        "with lesions": [s for s in slides if len(s.lesions_mm)],
        "without": [s for s in slides if not len(s.lesions_mm)],
    }
    figures = {
        f"{words}, {group}": point_at(chosen, scale, scale.of(name))
        for name, words in NAMES.items()
        for group, chosen in groups.items()
        if chosen
    }
    for words, point in figures.items():
        print(words, point)
    curve = curve_of(slides, scale)
    allowed = [point for point in curve if point.false_per_10_mm2 <= 2]
    print("at most 2 false per 10 mm²:", allowed[-1] if allowed else "none")
    if given.picture is not None:
        draw(curve, scale, given.picture)
    counts = {"slides": len(slides), "lesions": sum(len(s.lesions_mm) for s in slides)}
    found = {words: vars_of(point) for words, point in figures.items()}
    RESULTS.write_text(json.dumps(counts | found, indent=2) + "\n")


def vars_of(point: CurvePoint) -> dict[str, float | None]:
    """Return a point as JSON has it."""
    return {name: getattr(point, name) for name in CurvePoint.__slots__}


if __name__ == "__main__":
    main()
