"""The writer: masks, heatmap and regions in the formats of the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.errors import OutputError
from napari_fastnet.plugin.layers.data import LayerData, to_px
from napari_fastnet.plugin.layers.info import SLIDE_KEY, ResultInfo, SlideInfo
from napari_fastnet.plugin.layers.regions import regions_of
from napari_fastnet.results import ome_tiff
from napari_fastnet.results.record import (
    HEATMAP,
    QUALITY,
    REGIONS,
    REGIONS_CSV,
    RunRecord,
    mask_file,
)
from napari_fastnet.results.regions import write_regions_csv, write_regions_geojson

#: npe2 compares beginnings: without the dot it would find this plugin too.
NAPARI = "napari."


def write_folder(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write several layers into a folder.

    Ours become the files that ``napari-fastnet detect`` writes. A slide is a file
    already and is not written. Layers of others go to napari's own writer, in the same
    folder.

    Parameters
    ----------
    path : str
        The folder; made where it is missing.
    layers : sequence of tuple
        Data, attributes and type of each.

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
    folder = _Folder(Path(path))
    written = [file for layer in layers for file in folder.write(layer)]
    if not written:
        raise OutputError(
            f"{path}: a slide is a file already and is not written again; select masks, "
            "heatmap or regions"
        )
    return written


def write_heatmap(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a heatmap layer as OME-TIFF, another image as napari would."""
    info = _info(attributes)
    if info is None:
        return _write_with_napari(path, (data, attributes, "image"))
    if isinstance(info, SlideInfo):
        raise OutputError(
            f"{path}: a slide is a file already and is not written again; copy "
            f"{info.path}"
        )
    ome_tiff.write_heatmap_ome_tiff(
        Path(path), _heatmap(data, info), record=_record(info)
    )
    return [path]


def write_mask(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a tissue mask or flags as TIFF, other labels as napari would."""
    info = _info(attributes)
    if not isinstance(info, ResultInfo):
        return _write_with_napari(path, (data, attributes, "labels"))
    if info.kind == "quality":
        flags = np.asarray(data, np.uint8)
        ome_tiff.write_flags_tiff(
            Path(path), flags, _flagged(info), record=_record(info)
        )
        return [path]
    ome_tiff.write_mask_tiff(
        Path(path), np.asarray(data) > 0, info.mpp, record=_record(info)
    )
    return [path]


def write_regions(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write regions as GeoJSON or CSV, as the suffix says; other shapes as napari."""
    info = _info(attributes)
    if not isinstance(info, ResultInfo):
        return _write_with_napari(path, (data, attributes, "shapes"))
    regions = _regions(data, attributes, info)
    if path.lower().endswith(".csv"):
        name = _record(info).slide.name
        write_regions_csv(Path(path), regions, mpp=info.mpp, slide=name)
    else:
        write_regions_geojson(Path(path), regions, record=_record(info))
    return [path]


class _Folder:
    """Writes layers into a folder, each under the name that is its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used: set[str] = set()

    def write(self, layer: LayerData) -> list[str]:
        """Write a layer and return its files."""
        data, attributes, _ = layer
        info = _info(attributes)
        if isinstance(info, SlideInfo):
            return []
        if info is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            return _write_with_napari(str(self._folder / attributes["name"]), layer)
        if info.kind == "heatmap":
            return self._write(HEATMAP, write_heatmap, data, attributes)
        if info.kind == "regions":
            names = (REGIONS, REGIONS_CSV)
            done = (self._write(n, write_regions, data, attributes) for n in names)
            return [path for paths in done for path in paths]
        if info.kind == "quality":
            return self._write(QUALITY, write_mask, data, attributes)
        return self._write(mask_file(info.kind), write_mask, data, attributes)

    def _write(
        self,
        name: str,
        writer: Callable[[str, Any, dict[str, Any]], list[str]],
        data: Any,
        attributes: dict[str, Any],
    ) -> list[str]:
        if name in self._used:
            raise OutputError(
                f"{self._folder}: two layers would both become {name}; select the "
                "layers of one slide at a time"
            )
        self._used.add(name)
        return writer(str(self._folder / name), data, attributes)


def _info(attributes: dict[str, Any]) -> SlideInfo | ResultInfo | None:
    info = (attributes.get("metadata") or {}).get(SLIDE_KEY)
    return info if isinstance(info, SlideInfo | ResultInfo) else None


def _heatmap(data: Any, info: ResultInfo) -> Heatmap:
    """Return the heatmap that a layer shows."""
    if info.grid is None:
        raise OutputError(
            f"{info.slide_name}: the heatmap layer says no longer where it lies; show "
            "the run anew"
        )
    values = np.asarray(data, np.float32)
    if 0 in info.grid.shape:  # shown as a single NaN
        values = np.empty(info.grid.shape, np.float32)
    return Heatmap(values, info.grid, info.mpp)


def _flagged(info: ResultInfo) -> Heatmap:
    """Return the cells that flags stand at, as a heatmap without values."""
    assert info.grid is not None
    return Heatmap(np.full(info.grid.shape, np.nan, np.float32), info.grid, info.mpp)


def _regions(data: Any, attributes: dict[str, Any], info: ResultInfo) -> list[Any]:
    rings = [to_px(ring, info.mpp) for ring in data]
    return regions_of(rings, attributes["features"], info.mpp)


def _record(info: ResultInfo) -> RunRecord:
    """Return the layer's record with what brings it back to its place."""
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
    """Hand a layer of others to napari's own writer."""
    from npe2 import write

    try:
        return write(path, [layer], plugin_name=NAPARI)
    except ValueError as error:
        raise OutputError(
            f"{path}: napari writes no such file of this layer; choose another suffix"
        ) from error
