"""Pictures of the experiments: the networks side by side, and the search's surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments import (
    EXPERIMENTS,
    SEARCHED_FOCUSINGS,
    SEARCHED_WEIGHTS,
    Run,
)
from results_stats import Log, estimate

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

COLOURS = {"cross-entropy": "#5c5c66", "focal": "#2a6fb0", "attention": "#be0a1a"}
TITLES = {"auc": "ROC AUC", "f1": "F1 at a probability of one half"}


def draw_networks(log: Log, path: Path) -> None:
    """Draw AUC and F1 of Table IX, a line for each network and loss."""
    runs = EXPERIMENTS["losses"]
    figure = Figure(figsize=(8, 4.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    networks = list(dict.fromkeys(run.network for run in runs))
    for axes, (measure, title) in zip(panels, TITLES.items(), strict=True):
        for row, run in enumerate(runs):
            place = row + networks.index(run.network)  # a gap between networks
            found = estimate(*log.common(run), measure)
            if found is None:
                continue
            colour = COLOURS[run.loss]
            axes.plot([found.low, found.high], [place, place], color=colour, lw=2)
            axes.plot(found.mean, place, "o", color=colour)
        axes.set_xlabel(title)
        axes.grid(axis="x", color="#e4e4ea")
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.08)
        axes.spines[["top", "right", "left"]].set_visible(False)
    panels[0].set_yticks([4 * n + 1 for n in range(len(networks))], networks)
    panels[0].set_ylim(4 * len(networks) - 1, -1)
    figure.legend(
        [Line2D([], [], color=colour, marker="o", lw=2) for colour in COLOURS.values()],
        list(COLOURS),
        loc="outside upper center",
        ncols=len(COLOURS),
        frameon=False,
    )
    figure.savefig(path)


def draw_search(log: Log, path: Path) -> None:
    """Draw AUC and F1 over the attention loss's a and g, once all are in."""
    if not all(map(log.lines, EXPERIMENTS["search"])):
        return
    figure = Figure(figsize=(8, 3.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (measure, title) in zip(
        figure.subplots(1, 2), TITLES.items(), strict=True
    ):
        _surface(axes, _searched(log, measure))
        axes.set_title(title, fontsize=10)
    figure.savefig(path)


def _searched(log: Log, measure: str) -> np.ndarray:
    """Return the means of a measure, a row for each a and a column for each g.

    Over those seeds that all have.
    """
    runs = EXPERIMENTS["search"]
    lines = dict(zip(runs, log.common(*runs), strict=True))
    values = np.full((len(SEARCHED_WEIGHTS), len(SEARCHED_FOCUSINGS)), np.nan)
    for row, weight in enumerate(SEARCHED_WEIGHTS):
        for column, focusing in enumerate(SEARCHED_FOCUSINGS):
            run = Run("fastnet", "attention", weight, focusing)
            found = estimate(lines[run], measure)
            values[row, column] = np.nan if found is None else found.mean
    return values


def _surface(axes: Axes, values: np.ndarray) -> None:
    axes.imshow(values, cmap="viridis", origin="lower", aspect="auto")
    middle = np.nanmean([np.nanmin(values), np.nanmax(values)])
    best = np.unravel_index(np.nanargmax(values), values.shape)
    for (row, column), value in np.ndenumerate(values):
        axes.text(
            column,
            row,
            f"{value:.3f}",
            ha="center",
            va="center",
            color="black" if value > middle else "white",
            weight="bold" if (row, column) == best else "normal",
        )
    axes.set_xticks(range(len(SEARCHED_FOCUSINGS)), SEARCHED_FOCUSINGS)
    axes.set_yticks(range(len(SEARCHED_WEIGHTS)), SEARCHED_WEIGHTS)
    axes.set(xlabel="g", ylabel="a")
    axes.tick_params(length=0)
