"""Heatmap and masks as OME-TIFF, which QuPath, Fiji, OpenSlide and bioio read.

The meaning of each file's numbers is in ``docs/explain/coordinates.md``. Every file is
written aside and renamed; an OutputError says what to do when it cannot be written.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import numpy as np
import tifffile

from napari_fastnet.core.heatmap import halvings
from napari_fastnet.errors import MaskError
from napari_fastnet.machine.files import atomic_path
from napari_fastnet.results.record import RESEARCH_USE, RunRecord, record_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Bytes
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap

TILE_PX = 256
UM_PER_CM = 10_000
#: Namespace of the run record among an OME-TIFF's annotations.
RECORD_NAMESPACE = "napari-fastnet/run-record"
#: Name of the image of flags; it tells flags from a mask.
FLAGS_NAME = "quality flags"
#: Namespace of identifiers, which are made of the content: equal files have equal ones.
ID_NAMESPACE = UUID("2f1f3a3e-6f0e-5a55-9f6c-0d5f6c1f7a10")


def write_heatmap_ome_tiff(
    path: Path, heatmap: Heatmap, *, record: RunRecord | None = None
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
        If it is large, smaller levels follow as SubIFDs, each half as fine as the one
        before, as `core.heatmap` makes them.
    record : RunRecord, optional
        The run record, kept as an annotation of the image.
    """
    values = heatmap.probabilities
    if values.size == 0:
        values = np.full((1, 1), np.nan, dtype=np.float32)
    name, about = "tumour probability", "Tumour probability, 0..1; NaN: not computed."
    place = heatmap.cell_um, heatmap.corner_um
    _write_ome_tiff(path, halvings(values, TILE_PX), name, about, place, record)


def write_mask_tiff(
    path: Path,
    mask: Bools,
    mpp: Pair,
    *,
    record: RunRecord | None = None,
) -> None:
    """Write a mask as OME-TIFF: uint8, 0 outside and 255 inside, with its µm/px.

    Parameters
    ----------
    path : Path
        For example ``tissue_roi.tif``.
    mask : (height, width) ndarray of bool
        Not empty; its top left corner is that of the slide. Where it is large, smaller
        levels follow as for the heatmap.
    mpp : tuple of float
        (y, x) µm per px of the mask.
    record : RunRecord, optional
        The run record, kept as an annotation of the image.

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
    levels = [level.view(np.uint8) * np.uint8(255) for level in halvings(mask, TILE_PX)]
    name = path.name.split(".")[0]
    place = mpp, (0.0, 0.0)
    _write_ome_tiff(path, levels, name, "Mask: 255 inside, 0 outside.", place, record)


def write_flags_tiff(
    path: Path,
    flags: Bytes,
    heatmap: Heatmap,
    *,
    record: RunRecord | None = None,
) -> None:
    """Write flags as OME-TIFF: uint8, bits of `core.appearance.flags.Flag`, one value a cell.

    Parameters
    ----------
    path : Path
        Usually ``quality.tif``.
    flags : (rows, columns) uint8 ndarray
        Without cells it becomes a single 0.
    heatmap : Heatmap
        Of the same cells, for their place.
    record : RunRecord, optional
        The run record, kept as an annotation of the image.
    """
    values = flags if flags.size else np.zeros((1, 1), np.uint8)
    about = "Bits: 1 colour unlike the training data, 2 pen, 4 blur; 0 none."
    place = heatmap.cell_um, heatmap.corner_um
    _write_ome_tiff(path, [values], FLAGS_NAME, about, place, record)


def _write_ome_tiff(
    path: Path,
    levels: list[NDArray[Any]],
    name: str,
    about: str,
    place: tuple[Pair, Pair],
    record: RunRecord | None,
) -> None:
    """Write a pyramid, finest level first, the others as its SubIFDs.

    ``place`` is (y, x) of a px and of the corner, µm.
    """
    (y_um, x_um), (top_um, left_um) = place
    text = record_json(record)
    content = sha256(levels[0].tobytes()).hexdigest() + text
    metadata = {
        "axes": "YX",
        # by default tifffile makes one of the time and this computer's network address
        "UUID": str(uuid5(ID_NAMESPACE, content)),
        "Name": name,
        "Description": f"{about} {RESEARCH_USE}",
        "PhysicalSizeX": x_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": y_um,
        "PhysicalSizeYUnit": "µm",
        "Channel": {"Name": [name]},
        "Plane": {
            "PositionX": [left_um],
            "PositionXUnit": ["µm"],
            "PositionY": [top_um],
            "PositionYUnit": ["µm"],
        },
        "CommentAnnotation": {"Namespace": RECORD_NAMESPACE, "Value": text},
    }
    with atomic_path(path) as aside, tifffile.TiffWriter(aside, ome=True) as tif:
        for index, level in enumerate(levels):
            px_per_cm = UM_PER_CM / (x_um * 2**index), UM_PER_CM / (y_um * 2**index)
            tif.write(
                level,
                photometric="minisblack",
                tile=(TILE_PX, TILE_PX),
                compression="zlib",
                resolution=px_per_cm,
                resolutionunit="CENTIMETER",
                software="napari-fastnet",
                metadata=None if index else metadata,
                subfiletype=1 if index else 0,
                subifds=0 if index else len(levels) - 1,
            )
