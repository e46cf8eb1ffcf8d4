"""``overview.png``: slide, heatmap and regions on one page, made for a slide deck.

matplotlib draws on its Agg canvas, never through pyplot, so this works without a
display, in threads and beside a GUI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.colour import (
    DEFAULT_COLOURS,
    OPACITY,
    ColoursName,
    blend,
    colours_of,
)
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.regions import summarise
from napari_fastnet.errors import OptionError
from napari_fastnet.io.files import atomic_path
from napari_fastnet.io.number_words import counted, number_words
from napari_fastnet.io.overview_page import Page
from napari_fastnet.io.record import CALIBRATED, RESEARCH_USE, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.regions import Region

#: Of what a probability is, and is not for.
NOTICE = f"{CALIBRATED} {RESEARCH_USE}"


@dataclass(frozen=True, slots=True, eq=False)
class Caption:
    """What the page says in words, in which colours, and what it hatches.

    Parameters
    ----------
    title : str
        Usually the slide's file name; shortened in the middle where it is too long.
    model : str
        Name and version of the model.
    threshold : float
        At which the regions were found, 0..1.
    tissue_mm2 : float or None
        Area of the tissue; None where it is not known.
    colours : {"red-green", "blue-orange"}
        Of the heatmap.
    quality : str
        What is to be known of the slide's quality, a sentence.
    flags : (rows, columns) ndarray of uint8, optional
        Of the heatmap's cells, which are hatched where it is not 0.
    outlines : str, optional
        The file that the regions came from, where they are not those at the threshold.
    """

    title: str
    model: str
    threshold: float
    tissue_mm2: float | None = None
    colours: ColoursName = DEFAULT_COLOURS
    quality: str = ""
    flags: NDArray[np.uint8] | None = None
    outlines: str = ""


def write_overview(
    path: Path,
    thumbnail: NDArray[np.uint8],
    heatmap: Heatmap,
    regions: Sequence[Region],
    *,
    slide_shape: tuple[float, float],
    caption: Caption,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write the overview picture, 1800 px wide.

    Parameters
    ----------
    path : Path
        Usually ``overview.png``.
    thumbnail : (height, width, 3) ndarray of uint8
        The whole slide; about 1000 to 2000 px on its longer side looks best.
    heatmap : Heatmap
        May have no cells, or none that was computed.
    regions : sequence of Region
        May be empty.
    slide_shape : tuple of float
        (height, width) of the slide in level-0 px: what the thumbnail shows.
    caption : Caption
        Title and facts in words.
    record : Mapping, optional
        The run record, kept as the picture's ``Comment``.

    Raises
    ------
    OptionError
        If the thumbnail is no such array or the slide has no extent.
    OutputError
        If the file cannot be written.
    """
    if thumbnail.dtype != np.uint8 or thumbnail.ndim != 3 or thumbnail.shape[2] != 3:
        raise OptionError(
            f"thumbnail is {thumbnail.dtype} of shape {thumbnail.shape}; give "
            "(height, width, 3) uint8"
        )
    if thumbnail.size == 0 or min(slide_shape) <= 0:
        raise OptionError(
            f"thumbnail of shape {thumbnail.shape} and slide of {slide_shape} px; "
            "both need an extent"
        )
    slide = Box.of_shape(slide_shape)
    values = heatmap.resampled_to(slide, thumbnail.shape[:2])
    with_heatmap = blend(thumbnail, colours_of(values, OPACITY, caption.colours))

    page = Page(slide, heatmap.mpp)
    page.header(caption.title, totals_words(heatmap, regions, caption))
    page.picture(page.layout.left, thumbnail, "Slide")
    page.picture(page.layout.right, with_heatmap, "Tumour probability")
    if caption.flags is not None and caption.flags.any():
        page.hatch(page.layout.right, caption.flags != 0, heatmap.grid.box)
    page.outlines(page.layout.right, regions)
    page.scale_bar()
    if caption.outlines:
        page.legend(None, "region: from a file", caption.colours)
        page.footer(caption.model, NOTICE)
    else:
        words = f"region: {caption.threshold:.3g} or more"
        page.legend(caption.threshold, words, caption.colours)
        page.footer(f"{caption.model} · threshold {caption.threshold:.3g}", NOTICE)
    page.note(caption.quality)
    with atomic_path(path) as aside:
        page.save(aside, comment=to_json(record or {}))


def totals_words(heatmap: Heatmap, regions: Sequence[Region], caption: Caption) -> str:
    """Return the slide's totals in a line."""
    if not heatmap.probabilities.size or caption.tissue_mm2 == 0:
        return "No tissue was found, so nothing was scanned."
    totals = summarise(regions, caption.tissue_mm2)
    tissue, share = "", ""
    if caption.tissue_mm2 is not None:
        tissue = f" of {number_words(caption.tissue_mm2)} mm² tissue"
        if not caption.outlines:  # those may lie beside the tissue
            share = f" ({number_words(100 * (totals['tissue_fraction'] or 0))} %)"
    if not heatmap.computed.any():
        return f"Nothing was scanned{tissue}."
    if not regions and caption.outlines:
        return f"No region in {caption.outlines}: 0 mm²{tissue}."
    if not regions:
        return f"No region at or above the threshold: 0 mm²{tissue}."
    counts = {"macro": totals["macro"], "micro": totals["micro"], "ITC": totals["itc"]}
    classes = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    number = counted(len(regions), "region")
    if caption.outlines:
        number += f" of {caption.outlines}"
    area_mm2 = number_words(totals["area_mm2"])
    longest_mm = number_words(max(region.longest_axis_mm for region in regions))
    return (
        f"{number} ({classes})  ·  tumour {area_mm2} mm²{tissue}{share}"
        f"  ·  longest axis {longest_mm} mm"
    )
