"""How the files of a slide's results are called, by every part that writes or finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

STORE = "run.zarr"
#: Inside of the store: how sharp the patches are.
SHARPNESS = "sharpness"
RECORD = "run.json"
HEATMAP = "heatmap.ome.tif"
OVERVIEW = "overview.png"
QUALITY = "quality.tif"
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
