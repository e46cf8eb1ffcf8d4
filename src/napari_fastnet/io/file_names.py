"""How the files of a slide's results are called, by every part that writes or finds them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# What stands in a path for a byte that is no UTF-8.
_NO_TEXT = re.compile("[\ud800-\udfff]")
_NO_PART_OF_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

STORE = "run.zarr"
#: Inside of the store: how sharp the patches are.
SHARPNESS = "sharpness"
RECORD = "run.json"
TISSUE_RECORD = "tissue.json"
HEATMAP = "heatmap.ome.tif"
OVERVIEW = "overview.png"
QUALITY = "quality.tif"
THUMBNAIL = "thumbnail.jpg"
REGIONS = "regions.geojson"
REGIONS_CSV = "regions.csv"

#: The masks, in the order of the paper; the region of interest comes last.
MASKS = ("rgb", "hsv", "threshold", "roi")


def results_name(slide: Path) -> str:
    """Return how the folder of a slide's results is called: as the file without suffix.

    Of ``...svs`` that would be the folder above; such a name is kept whole.
    """
    return slide.name if slide.stem in (".", "..") else slide.stem


def mask_file(name: str) -> str:
    """Return how the file of a mask is called."""
    return f"tissue_{name}.tif"


def written(text: str | Path) -> str:
    """Return a name or path as it can be written into a file.

    A name of an old server or a foreign disk need be no UTF-8. Each such byte becomes
    U+FFFD, the mark of what cannot be shown.
    """
    return _NO_TEXT.sub("\ufffd", str(text))


def in_a_line(text: str | Path) -> str:
    """Return a name or path as it can be printed: as `written`, and in one line."""
    return _NO_PART_OF_A_LINE.sub("\ufffd", written(text))
