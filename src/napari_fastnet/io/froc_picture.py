"""The free-response curve as a picture.

matplotlib draws on its Agg canvas, never through pyplot, so this works without a
display, in threads and beside a GUI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from napari_fastnet.core.froc import RATES
from napari_fastnet.io.files import atomic_path
from napari_fastnet.io.number_words import counted
from napari_fastnet.io.record import RESEARCH_USE

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from napari_fastnet.core.bootstrap import Interval
    from napari_fastnet.core.froc import FrocCurve

INK, GREY, LINE, CURVE = "#1b1b1f", "#5c5c66", "#c4c4cc", "#be0a1a"
#: False positives a slide at the picture's two edges; the axis is logarithmic.
LEFT, RIGHT = 1 / 8, 16.0
_LARGE, _SMALL = 12, 9


def write_froc_picture(
    path: Path, curve: FrocCurve, ci95: Interval | None = None
) -> None:
    """Write the curve, with the sensitivities that make up its score.

    Parameters
    ----------
    path : Path
        Usually ``froc.png``.
    curve : FrocCurve
        Without lesions, the axes alone.
    ci95 : tuple of float, optional
        95 % interval of the score.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    figure = Figure(figsize=(7, 5), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
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
    axes.set_xlim(LEFT, RIGHT)
    axes.set_ylim(0, 1.03)
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
