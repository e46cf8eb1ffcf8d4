"""Heatmap and masks as one OME-Zarr 0.4 image, for napari, Fiji and Python.

Zarr's format 2, plain zlib and one folder for each pyramid: the readers of today open it.
Coordinates are µm from the top left corner of the slide, of the *centres* of px, as
OME-Zarr has them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.heatmap import halvings
from napari_fastnet.errors import MaskError
from napari_fastnet.machine.files import atomic_folder
from napari_fastnet.results.record import RESEARCH_USE, RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap

#: The attribute, beside those of OME-Zarr, that holds the run record.
RECORD_ATTRIBUTE = "napari_fastnet"
VERSION = "0.4"
CHUNK_PX = 512
HEATMAP_NAME = "tumour probability"
#: Colour of a mask: value, and red, green, blue, alpha.
MASK_COLOURS = [{"label-value": 1, "rgba": [0, 114, 178, 128]}]
_CHANNEL: dict[str, Any] = {
    "label": HEATMAP_NAME,
    "color": "FF0000",
    "active": True,
    "window": {"min": 0.0, "max": 1.0, "start": 0.0, "end": 1.0},
}
_AXES = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]


def write_ome_zarr(
    path: Path,
    heatmap: Heatmap,
    masks: Mapping[str, Bools] | None = None,
    *,
    mask_mpp: Pair = (1.0, 1.0),
    record: RunRecord | None = None,
) -> None:
    """Write the heatmap as an OME-Zarr image, and masks as its labels.

    Parameters
    ----------
    path : Path
        Usually ``heatmap.ome.zarr``; one that was written before is replaced.
    heatmap : Heatmap
        float32, NaN where not computed; without cells, a single NaN.
    masks : mapping of str to (height, width) ndarray of bool, optional
        By name, each of the whole slide, with at least one px. They become labels, 1
        inside, in px of their own: their transformation puts them in place.
    mask_mpp : tuple of float
        (y, x) µm per px of the masks.
    record : RunRecord, optional
        The run record, kept as the attribute ``napari_fastnet``.

    Raises
    ------
    MaskError
        A mask has no px.
    OutputError
        It cannot be written, or something else is there.
    """
    import zarr

    masks = masks or {}
    if empty := [name for name, mask in masks.items() if not mask.size]:
        raise MaskError(
            f"mask {empty[0]} for {path.name} has no px; give one with some"
        )
    values = heatmap.probabilities
    if not values.size:
        values = np.full((1, 1), np.nan, np.float32)
    with atomic_folder(path, is_ours) as aside:
        image = zarr.create_group(aside, zarr_format=2)
        levels = halvings(values, CHUNK_PX)
        scales = _write_levels(image, levels, heatmap.cell_um, heatmap.corner_um)
        image.attrs.update(
            {
                "multiscales": [_multiscale(HEATMAP_NAME, scales)],
                "omero": {"channels": [_CHANNEL], "version": VERSION},
                RECORD_ATTRIBUTE: record.to_dict()
                if record
                else {"notice": RESEARCH_USE},
            }
        )
        if masks:
            labels = image.create_group("labels")
            labels.attrs["labels"] = list(masks)
            for name, mask in masks.items():
                _write_mask(labels.create_group(name), name, mask, mask_mpp)


def _write_mask(group: Any, name: str, mask: Bools, mpp: Pair) -> None:
    levels = [level.astype(np.uint8) for level in halvings(mask, CHUNK_PX)]
    scales = _write_levels(group, levels, mpp, (0.0, 0.0))
    group.attrs.update(
        {
            "multiscales": [_multiscale(name, scales)],
            "image-label": {
                "version": VERSION,
                "colors": MASK_COLOURS,
                "source": {"image": "../../"},
            },
        }
    )


def _write_levels(
    group: Any, levels: Sequence[NDArray[Any]], px_um: Pair, corner_um: Pair
) -> list[dict[str, Any]]:
    """Write arrays 0, 1, ... and return the datasets that describe them."""
    datasets = []
    for index, level in enumerate(levels):
        group.create_array(
            str(index),
            data=level,
            chunks=tuple(min(CHUNK_PX, side) for side in level.shape),
            compressors={"id": "zlib", "level": 6},
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        scale = [um * 2**index for um in px_um]
        centre = [at + um / 2 for at, um in zip(corner_um, scale, strict=True)]
        datasets.append(
            {
                "path": str(index),
                "coordinateTransformations": [
                    {"type": "scale", "scale": scale},
                    {"type": "translation", "translation": centre},
                ],
            }
        )
    return datasets


def _multiscale(name: str, datasets: list[dict[str, Any]]) -> dict[str, Any]:
    return {"version": VERSION, "name": name, "axes": _AXES, "datasets": datasets}


def is_ours(path: Path) -> bool:
    """Return whether a folder is a zarr group with our record, of format 2 or 3."""
    for name in (".zattrs", "zarr.json"):
        try:
            content = json.loads((path / name).read_bytes())
            return RECORD_ATTRIBUTE in content.get("attributes", content)
        except (OSError, ValueError, TypeError, AttributeError):
            continue
    return False
