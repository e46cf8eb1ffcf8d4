"""Files of an evaluation of slides: tables, JSON, and the free-response curve.

matplotlib draws without pyplot, so this works without a display, in threads and beside
a GUI.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from napari_fastnet.core.display import counted
from napari_fastnet.core.metrics.froc import RATES
from napari_fastnet.evaluation.sources import write_candidates
from napari_fastnet.machine.files import atomic_path, write_bytes, write_csv
from napari_fastnet.machine.json_text import to_json
from napari_fastnet.results.record import RESEARCH_USE

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from napari_fastnet.core.metrics.froc import Found, FrocCurve
    from napari_fastnet.core.metrics.intervals import Interval
    from napari_fastnet.core.metrics.pixels import PixelCounts
    from napari_fastnet.evaluation.summary import SlideEvaluation

LESION_COLUMNS = (
    *("slide", "lesion", "isolated", "x_px", "y_px", "area_mm2", "major_axis_um"),
    *("hits", "score", "hit_x_px", "hit_y_px"),
)
#: Points of a ROC curve that are written; it has one a bin.
ROC_POINTS = 512

INK, GREY, LINE, CURVE = "#1b1b1f", "#5c5c66", "#c4c4cc", "#be0a1a"
#: False positives a slide at the picture's two edges; the axis is logarithmic.
LEFT, RIGHT = 1 / 8, 16.0
_LARGE, _SMALL = 12, 9


def write_evaluation(folder: Path, evaluation: SlideEvaluation) -> list[Path]:
    """Write an evaluation into a folder.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    evaluation : SlideEvaluation
        Gives ``slides.csv``, each slide's ``candidates/<slide>.csv`` and
        ``evaluation.json``; of slides with outlines ``froc.csv``, ``froc.png`` and
        ``lesions.csv``; of heatmaps ``pixel_roc.csv``.

    Returns
    -------
    list of Path
        The files, without those of the candidates.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    names = ["slides.csv"]
    write_csv(folder / names[0], evaluation.rows)
    for slide in evaluation.slides:
        write_candidates(folder / "candidates" / f"{slide.name}.csv", slide.candidates)
    if evaluation.curve is not None:
        names += ["froc.csv", "froc.png", "lesions.csv"]
        write_csv(folder / "froc.csv", froc_rows(evaluation.curve))
        write_froc_picture(folder / "froc.png", evaluation.curve, evaluation.froc_ci95)
        lesions = [
            lesion_row(slide.name, found)
            for slide in evaluation.slides
            if slide.hits
            for found in slide.hits.found
        ]
        write_csv(folder / "lesions.csv", lesions, LESION_COLUMNS)
    if evaluation.pixels is not None and evaluation.pixels.auc is not None:
        names.append("pixel_roc.csv")
        write_csv(folder / "pixel_roc.csv", roc_rows(evaluation.pixels))
    # Last: where it is, everything else is.
    names.append("evaluation.json")
    text = to_json(evaluation.to_dict(), indent=2) + "\n"
    write_bytes(folder / "evaluation.json", text.encode())
    return [folder / name for name in names]


def lesion_row(slide: str, found: Found) -> dict[str, Any]:
    """Return the row of a lesion in ``lesions.csv``."""
    lesion = found.lesion
    (y, x), (hit_y, hit_x) = lesion.centre, found.point or (None, None)
    cells = (
        *(slide, lesion.label, int(lesion.is_itc), f"{x:.1f}", f"{y:.1f}"),
        *(f"{lesion.area_mm2:.6f}", f"{lesion.major_axis_um:.1f}"),
        *(found.hits, found.score if found.hits else None, hit_x, hit_y),
    )
    return dict(zip(LESION_COLUMNS, cells, strict=True))


def froc_rows(curve: FrocCurve) -> list[dict[str, Any]]:
    """Return the points of a free-response curve, from the highest threshold."""
    names = ("threshold", "false_positives_per_slide", "sensitivity")
    points = np.column_stack(
        [curve.thresholds, curve.false_positives, curve.sensitivity]
    )
    return [
        dict(
            zip(
                names, [None if isnan(value) else value for value in point], strict=True
            )
        )
        for point in points.tolist()
    ]


def roc_rows(pixels: PixelCounts) -> list[dict[str, Any]]:
    """Return the ROC curve of px, thinned to `ROC_POINTS` points at most."""
    wrong, right = pixels.roc()
    index = np.linspace(0, len(wrong) - 1, min(ROC_POINTS, len(wrong)))
    return [
        {"false_positive_rate": wrong[i], "true_positive_rate": right[i]}
        for i in np.rint(index).astype(int).tolist()
    ]


def write_froc_picture(
    path: Path, curve: FrocCurve, ci95: Interval | None = None
) -> None:
    """Draw the curve, with the sensitivities that make up its score.

    Without lesions, the axes alone; ``ci95`` is the 95 % interval of the score.
    """
    figure = Figure(figsize=(7, 5), dpi=150, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    _style(axes)
    if curve.lesions:
        _draw(axes, curve)
    score = "no lesions" if curve.score is None else f"FROC {curve.score:.4f}"
    if ci95 is not None:
        score += f"  (95 % {ci95[0]:.4f} to {ci95[1]:.4f})"
    axes.set_title(score, loc="left", color=INK, fontsize=_LARGE, weight="bold", pad=12)
    axes.set_title(
        f"{counted(curve.slides, 'slide')}, {counted(curve.lesions, 'lesion')}",
        loc="right",
        color=GREY,
        fontsize=_SMALL,
    )
    axes.annotate(
        RESEARCH_USE,
        (1, 0),
        (0, -42),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        color=GREY,
        fontsize=7,
    )
    with atomic_path(path) as aside:
        figure.savefig(aside, format="png")


def _style(axes: Axes) -> None:
    """Lay out empty axes."""
    axes.set_xscale("log", base=2)
    axes.set(xlim=(LEFT, RIGHT), ylim=(0, 1.03))
    axes.set_xticks(RATES, ["1/4", "1/2", "1", "2", "4", "8"])
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.minorticks_off()
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=_SMALL, length=0)
    axes.set_xlabel("false positives a slide", color=INK)
    axes.set_ylabel("sensitivity: share of lesions found", color=INK)
    for spine in axes.spines.values():
        spine.set_color(LINE)


def _draw(axes: Axes, curve: FrocCurve) -> None:
    """Draw the curve as it is read off: straight lines between its points."""
    x = np.union1d(np.geomspace(LEFT, RIGHT, 1025), curve.false_positives)
    x = x[(x >= LEFT) & (x <= RIGHT)]
    axes.plot(
        x, np.array(curve.sensitivity_at(x.tolist()), float), color=CURVE, linewidth=2
    )
    values = np.array(curve.sensitivity_at(), float).tolist()
    axes.plot(RATES, values, "o", color=CURVE, markersize=6, clip_on=False)
    for rate, value in zip(RATES, values, strict=True):
        axes.annotate(
            f"{value:.3f}",
            (rate, value),
            (0, -15 if value > 0.1 else 8),
            textcoords="offset points",
            ha="center",
            color=INK,
            fontsize=_SMALL,
        )
