"""The writer: masks, heatmap and regions in the formats of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.errors import OutputError
from napari_fastnet.plugin.commands import say_without_file
from napari_fastnet.plugin.layers.data import LayerData, to_px
from napari_fastnet.plugin.layers.info import SLIDE_KEY, ResultInfo, SlideInfo
from napari_fastnet.plugin.layers.regions import regions_of
from napari_fastnet.results.formats import ome_tiff
from napari_fastnet.results.record import (
    HEATMAP,
    QUALITY,
    REGIONS,
    REGIONS_CSV,
    RunRecord,
    mask_file,
)
from napari_fastnet.results.regions import write_regions_csv, write_regions_geojson

#: npe2 compares the beginning of names: without the dot it also finds this plugin.
NAPARI = "napari."
chosen_by_napari = say_without_file(
    "to save layers select them in the layer list, then File > Save Selected Layers; to "
    "save all results of a slide, 'Export masks, heatmap and lesions'",
    instead=(),
)


@chosen_by_napari
def write_folder(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write several layers into a folder.

    This plugin's layers become the files that ``napari-fastnet detect`` writes. A slide
    is a file already and is not written. napari's own writer writes all other layers.

    Parameters
    ----------
    path : str
        The folder; created if it is missing.
    layers : sequence of tuple
        Data, attributes and type of each layer.

    Returns
    -------
    list of str
        The files written.

    Raises
    ------
    OutputError
        A file cannot be written, two layers would become one file, or there is
        nothing to write.
    """
    folder, used, written = Path(path), set[str](), list[str]()
    writers = {"image": write_heatmap, "labels": write_mask, "shapes": write_regions}
    for data, attributes, kind in layers:
        info = _info(attributes)
        if info is None:
            folder.mkdir(parents=True, exist_ok=True)
            file = str(folder / attributes["name"])
            written += _write_with_napari(file, (data, attributes, kind))
        for name in _file_names(info) if isinstance(info, ResultInfo) else ():
            if name in used:
                raise OutputError(
                    f"{folder}: two layers would both become {name}; select the layers of "
                    "one slide at a time"
                )
            used.add(name)
            written += writers[kind](str(folder / name), data, attributes)
    if not written:
        raise OutputError(
            f"{path}: a slide is a file already and is not written again; select masks, "
            "heatmap or regions"
        )
    return written


@chosen_by_napari
def write_heatmap(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a heatmap layer as OME-TIFF, any other image with napari."""
    info = _info(attributes)
    if info is None:
        return _write_with_napari(path, (data, attributes, "image"))
    if isinstance(info, SlideInfo):
        raise OutputError(
            f"{path}: a slide is a file already and is not written again; copy "
            f"{info.path}"
        )
    if info.grid is None:
        raise OutputError(
            f"{info.slide_name}: the heatmap layer has lost its position; show the run "
            "again"
        )
    values = np.asarray(data, np.float32)
    if 0 in info.grid.shape:  # shown as a single NaN
        values = np.empty(info.grid.shape, np.float32)
    heatmap = Heatmap(values, info.grid, info.mpp)
    ome_tiff.write_heatmap_ome_tiff(Path(path), heatmap, record=_record(info))
    return [path]


@chosen_by_napari
def write_mask(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a tissue mask or quality flags as TIFF, other labels with napari."""
    info = _info(attributes)
    if not isinstance(info, ResultInfo):
        return _write_with_napari(path, (data, attributes, "labels"))
    if info.kind == "quality":
        assert info.grid is not None
        # a heatmap without values: the flags need its grid
        nothing = np.full(info.grid.shape, np.nan, np.float32)
        cells = Heatmap(nothing, info.grid, info.mpp)
        flags = np.asarray(data, np.uint8)
        ome_tiff.write_flags_tiff(Path(path), flags, cells, record=_record(info))
        return [path]
    ome_tiff.write_mask_tiff(
        Path(path), np.asarray(data) > 0, info.mpp, record=_record(info)
    )
    return [path]


@chosen_by_napari
def write_regions(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write regions as GeoJSON or CSV, by the suffix; other shapes with napari."""
    info = _info(attributes)
    if not isinstance(info, ResultInfo):
        return _write_with_napari(path, (data, attributes, "shapes"))
    rings = [to_px(ring, info.mpp) for ring in data]
    regions = regions_of(rings, attributes["features"], info.mpp)
    if path.lower().endswith(".csv"):
        name = _record(info).slide.name
        write_regions_csv(Path(path), regions, mpp=info.mpp, slide=name)
    else:
        write_regions_geojson(Path(path), regions, record=_record(info))
    return [path]


def _info(attributes: dict[str, Any]) -> SlideInfo | ResultInfo | None:
    info = (attributes.get("metadata") or {}).get(SLIDE_KEY)
    return info if isinstance(info, SlideInfo | ResultInfo) else None


def _file_names(info: ResultInfo) -> tuple[str, ...]:
    """Return the names of a layer's files, as ``napari-fastnet detect`` writes them."""
    cells = {
        "heatmap": (HEATMAP,),
        "regions": (REGIONS, REGIONS_CSV),
        "quality": (QUALITY,),
    }
    return cells.get(info.kind) or (mask_file(info.kind),)


def _record(info: ResultInfo) -> RunRecord:
    """Return the layer's record with the µm/px and grid that place it again."""
    record = info.record
    of_cells = info.kind in ("heatmap", "regions", "quality")
    if record is None:
        slide = {"path": info.slide_name, "fingerprint": info.fingerprint}
        tissue = {} if of_cells else {"mpp": list(info.mpp)}
        record = RunRecord.from_json({"slide": slide, "tissue": tissue})
    if not of_cells:
        return record
    slide_facts = replace(record.slide, mpp=info.mpp)
    return replace(record, slide=slide_facts, grid=info.grid or record.grid)


def _write_with_napari(path: str, layer: LayerData) -> list[str]:
    """Write a layer of another plugin with napari's own writer."""
    from npe2 import write

    try:
        return write(path, [layer], plugin_name=NAPARI)
    except ValueError as error:
        raise OutputError(
            f"{path}: napari cannot write this layer to such a file; choose another suffix"
        ) from error
