"""The truth of a slide as an image over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.plugin.layers import UM, LayerData

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.truth import TruthMask

#: Told from the heatmap's colours and from stains, by readers of every colour sense.
COLOUR = (0.0, 0.35, 1.0)
OPACITY = 0.4


def truth_layer_data(truth: TruthMask, mpp: Pair) -> LayerData:
    """Return a truth as an image layer, clear where nothing is tumour.

    Parameters
    ----------
    truth : TruthMask
        A window into the slide.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    tuple
        uint8 of 0 and 1, keywords, "image".
    """
    from napari.utils.colormaps import Colormap

    values = truth.inside.astype(np.uint8)
    if not values.size:
        values = np.zeros((1, 1), np.uint8)
    size = [step * um for step, um in zip(truth.step, mpp, strict=True)]
    keywords: dict[str, Any] = {
        "name": "truth",
        "colormap": Colormap([(*COLOUR, 0.0), (*COLOUR, 1.0)], name="truth"),
        "contrast_limits": (0, 1),
        "opacity": OPACITY,
        "blending": "translucent",
        "interpolation2d": "nearest",
        "scale": size,
        # napari puts the centre of the first px there
        "translate": [
            (at + 0.5) * um for at, um in zip(truth.first, size, strict=True)
        ],
        "units": UM,
        "metadata": {},
    }
    return values, keywords, "image"
