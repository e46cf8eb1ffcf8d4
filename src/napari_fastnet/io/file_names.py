"""How the files of a slide's results are called, by every part that writes or finds them."""

from __future__ import annotations

STORE = "run.zarr"
RECORD = "run.json"
HEATMAP = "heatmap.ome.tif"
OVERVIEW = "overview.png"
REGIONS = "regions.geojson"
REGIONS_CSV = "regions.csv"

#: The masks, in the order of the paper; the region of interest comes last.
MASKS = ("rgb", "hsv", "threshold", "roi")


def mask_file(name: str) -> str:
    """Return how the file of a mask is called."""
    return f"tissue_{name}.tif"
