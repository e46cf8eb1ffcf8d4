"""The quality flags as a layer: which patches are foreign in colour, inked or blurred."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_fastnet.core.geometry import Grid, Pair
from napari_fastnet.core.quality import Flag
from napari_fastnet.plugin.layer_info import SLIDE_KEY, ResultInfo
from napari_fastnet.plugin.layers import UM, LayerData, placement, to_um

QUALITY_NAME = "quality flags"
#: None of them a colour of stain, heatmap or masks; several flags at once are white.
FLAG_COLOURS = {Flag.COLOUR: "#ff00ff", Flag.PEN: "#00ffd0", Flag.BLUR: "#ffb000"}
SEVERAL = "#ffffff"


def quality_layer_data(
    flags: NDArray[np.uint8],
    grid: Grid,
    mpp: Pair,
    slide_name: str,
    *,
    fingerprint: str = "",
    record: dict[str, Any] | None = None,
) -> LayerData:
    """Return flags as a single-scale Labels layer, hidden where nothing is flagged.

    Parameters
    ----------
    flags : (rows, columns) uint8 ndarray
        Bits of `core.quality.Flag`, which are the labels. Without cells, a single 0 is
        shown.
    grid : Grid
        Of the heatmap.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    slide_name, fingerprint : str
        As in `ResultInfo`.
    record : dict, optional
        The run record.

    Returns
    -------
    tuple
        Labels (uint8), keywords, "labels".
    """
    from napari.utils.colormaps import DirectLabelColormap

    colours = {None: "transparent", 0: "transparent"}
    colours |= {value: FLAG_COLOURS.get(Flag(value), SEVERAL) for value in range(1, 8)}
    info = ResultInfo("quality", slide_name, fingerprint, mpp, grid, record)
    size = (grid.step[0] * mpp[0], grid.step[1] * mpp[1])
    keywords = {
        "name": QUALITY_NAME,
        "colormap": DirectLabelColormap(color_dict=colours),
        "opacity": 0.5,
        "visible": bool(flags.any()),
        **placement(to_um(grid.origin, mpp), size, UM),
        "metadata": {SLIDE_KEY: info},
    }
    shown = flags.copy() if flags.size else np.zeros((1, 1), np.uint8)
    return shown, keywords, "labels"
