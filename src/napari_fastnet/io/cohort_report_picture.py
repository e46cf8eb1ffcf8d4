"""A slide's small picture in the report of a cohort."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_fastnet.core.colour import (
    DEFAULT_COLOURS,
    OPACITY,
    ColoursName,
    blend,
    colours_of,
)
from napari_fastnet.core.geometry import Box
from napari_fastnet.io.files import atomic_path

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.io.slide import Slide

SIDE_PX = 480
FINER = 4  # samples a px, along y and along x


def write_thumbnail(
    path: Path,
    slide: Slide,
    heatmap: Heatmap,
    colours: ColoursName = DEFAULT_COLOURS,
) -> None:
    """Write the slide with its heatmap as a small JPEG.

    A px shows the highest probability in it: a lesion of a few cells would else fall
    between the px.

    Parameters
    ----------
    path : Path
        The file, ``.jpg``.
    slide : Slide
        Open.
    heatmap : Heatmap
        Of the slide; may have no cells.
    colours : {"red-green", "blue-orange"}
        Of the heatmap.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    image = slide.thumbnail(SIDE_PX)
    height, width = image.shape[:2]
    finer = heatmap.resampled_to(
        Box.of_shape(slide.shape), (height * FINER, width * FINER)
    )
    parts = finer.reshape(height, FINER, width, FINER)
    highest = np.fmax.reduce(np.fmax.reduce(parts, axis=3), axis=1)
    shown = blend(image, colours_of(highest, OPACITY, colours))
    with atomic_path(path) as aside:
        # colours at full resolution: a lesion may be one px
        Image.fromarray(shown).save(aside, quality=85, subsampling=0)
