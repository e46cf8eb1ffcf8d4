"""Heatmap and masks as TIFF files that QuPath, ASAP, Fiji and tifffile read.

What each file's numbers mean is in ``docs/explain/coordinates.md``. Every file is
written aside and renamed; an OutputError says what to do when it cannot be written.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import numpy as np
import tifffile

from napari_fastnet.errors import MaskError
from napari_fastnet.io.files import atomic_path
from napari_fastnet.io.record import RESEARCH_USE, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap

TILE_PX = 256
UM_PER_CM = 10_000
#: First line of a mask's description. Without it a record, which has a grid's shape,
#: would pass for the JSON that tifffile writes for itself, and not open there.
MASK_TITLE = "napari-fastnet mask"
#: Under which namespace the run record stands among an OME-TIFF's annotations.
RECORD_NAMESPACE = "napari-fastnet/run-record"
#: Under this, identifiers are made from what they identify: the same again next time.
ID_NAMESPACE = UUID("2f1f3a3e-6f0e-5a55-9f6c-0d5f6c1f7a10")


def write_heatmap_ome_tiff(
    path: Path, heatmap: Heatmap, *, record: Mapping[str, Any] | None = None
) -> None:
    """Write the probabilities as OME-TIFF: float32, one value a grid cell.

    NaN stays NaN (not computed). The physical size is that of a cell; the plane's
    position is the top left corner of the first cell, both in µm from the top left
    corner of the slide. A heatmap without cells becomes a single NaN.

    Parameters
    ----------
    path : Path
        Usually ``heatmap.ome.tif``.
    heatmap : Heatmap
        What to write.
    record : Mapping, optional
        The run record, kept as an annotation of the image.
    """
    values = heatmap.probabilities
    if values.size == 0:
        values = np.full((1, 1), np.nan, dtype=np.float32)
    text = to_json(record or {})
    height_um, width_um = heatmap.cell_um
    top_um, left_um = (
        float(o * m) for o, m in zip(heatmap.grid.origin, heatmap.mpp, strict=True)
    )
    metadata = {
        "axes": "YX",
        # by default tifffile makes one of the time and this computer's network address
        "UUID": str(uuid5(ID_NAMESPACE, sha256(values.tobytes()).hexdigest() + text)),
        "Name": "tumour probability",
        "Description": f"Tumour probability, 0..1; NaN: not computed. {RESEARCH_USE}",
        "PhysicalSizeX": width_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": height_um,
        "PhysicalSizeYUnit": "µm",
        "Channel": {"Name": ["tumour probability"]},
        "Plane": {
            "PositionX": [left_um],
            "PositionXUnit": ["µm"],
            "PositionY": [top_um],
            "PositionYUnit": ["µm"],
        },
        "CommentAnnotation": {"Namespace": RECORD_NAMESPACE, "Value": text},
    }
    with atomic_path(path) as aside:
        tifffile.imwrite(
            aside,
            values,
            ome=True,
            metadata=metadata,
            **_tiff_options((height_um, width_um)),
        )


def write_mask_tiff(
    path: Path,
    mask: NDArray[np.bool_],
    mpp: Pair,
    *,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write a mask as TIFF: uint8, 0 outside and 255 inside, with its µm/px.

    Parameters
    ----------
    path : Path
        For example ``tissue_roi.tif``.
    mask : (height, width) ndarray of bool
        Not empty; its top left corner is that of the slide.
    mpp : tuple of float
        (y, x) µm per px of the mask.
    record : Mapping, optional
        The run record, kept as JSON in the image description's second line.

    Raises
    ------
    MaskError
        If the mask is no such array.
    """
    if mask.dtype != np.bool_ or mask.ndim != 2 or mask.size == 0:
        raise MaskError(
            f"mask for {path.name} is {mask.dtype} of shape {mask.shape}; give a "
            "two-dimensional array of bool with at least one px"
        )
    with atomic_path(path) as aside:
        tifffile.imwrite(
            aside,
            mask.view(np.uint8) * np.uint8(255),
            photometric="minisblack",
            metadata=None,
            description=f"{MASK_TITLE}\n{to_json(record or {})}",
            **_tiff_options(mpp),
        )


def _tiff_options(mpp: Pair) -> dict[str, Any]:
    """Return what every TIFF here has: tiles, deflate, resolution in px per cm."""
    return {
        "tile": (TILE_PX, TILE_PX),
        "compression": "zlib",
        "resolution": (UM_PER_CM / mpp[1], UM_PER_CM / mpp[0]),
        "resolutionunit": "CENTIMETER",
        "software": "napari-fastnet",
    }
