"""Our own exports read back: heatmaps, masks and regions, with their run records."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from xml.etree.ElementTree import ParseError

import numpy as np
import shapely

from napari_fastnet.core.geometry import Grid, Pair
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.regions import Region
from napari_fastnet.errors import StoreError
from napari_fastnet.io.export import MASK_TITLE, RECORD_NAMESPACE, UM_PER_CM
from napari_fastnet.io.region_files import RECORD_MEMBER

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from tifffile import TiffFile, TiffPage

#: How every TIFF of `io.export` names its software.
SOFTWARE = "napari-fastnet"
_MEND = "export it again from its run"
_TAIL_BYTES = 2**20  # a GeoJSON's record stands at its end
_DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A mask that was exported: bool (height, width), (y, x) µm per px, the record."""

    mask: NDArray[np.bool_]
    mpp: Pair
    record: dict[str, Any] = field(default_factory=dict)


def tiff_export(tif: TiffFile) -> Literal["heatmap", "mask"] | None:
    """Return which export an open TIFF file is, None for any other file."""
    page = tif.pages.first
    if getattr(page, "software", None) != SOFTWARE:
        return None
    if page.dtype == np.float32:
        return "heatmap" if RECORD_NAMESPACE in (tif.ome_metadata or "") else None
    return "mask" if page.description.startswith(MASK_TITLE) else None


def read_heatmap_ome_tiff(path: Path) -> tuple[Heatmap, dict[str, Any]]:
    """Read what `write_heatmap_ome_tiff` wrote.

    Parameters
    ----------
    path : Path
        Usually ``heatmap.ome.tif``.

    Returns
    -------
    tuple of Heatmap and dict
        The same values on the same grid, and the run record. Without a record that
        states grid and µm/px, level-0 px are taken to be 1 µm.

    Raises
    ------
    StoreError
        It is no such file, or damaged.
    """
    import tifffile
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        with tifffile.TiffFile(path) as tif:
            values = np.asarray(tif.pages.first.asarray())
            root = fromstring(tif.ome_metadata or "")
        nodes = {node.tag.rpartition("}")[2]: node for node in root.iter()}
        record = _record(nodes["CommentAnnotation"].findtext("{*}Value") or "{}")
        pixels, plane = nodes["Pixels"].attrib, nodes["Plane"].attrib
        if "grid" in record and "slide" in record:
            grid, mpp = _recorded_grid(record)
        else:
            step = float(pixels["PhysicalSizeY"]), float(pixels["PhysicalSizeX"])
            origin = float(plane["PositionY"]), float(plane["PositionX"])
            grid, mpp = Grid(origin, step, values.shape), (1.0, 1.0)
    except (*_DAMAGED, ParseError, DefusedXmlException) as error:
        raise _not_ours(path, error) from error
    if 0 in grid.shape:  # a heatmap without cells is written as a single NaN
        values = np.empty(grid.shape, np.float32)
    if values.shape != grid.shape or values.dtype != np.float32:
        raise StoreError(f"{path}: values and grid do not agree; {_MEND}")
    return Heatmap(values, grid, mpp), record


def read_mask_export(path: Path) -> Mask:
    """Read what `write_mask_tiff` wrote.

    Parameters
    ----------
    path : Path
        For example ``tissue_roi.tif``.

    Returns
    -------
    Mask
        With the record's µm/px where it states them and the file's tags agree.

    Raises
    ------
    StoreError
        It is no such file, or damaged.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as tif:
            page = tif.pages.first
            values = np.asarray(page.asarray())
            record = _record(page.description.removeprefix(MASK_TITLE))
            mpp = _tagged_mpp(page)
    except _DAMAGED as error:
        raise _not_ours(path, error) from error
    recorded = (record.get("tissue") or {}).get("mpp")
    if recorded is not None and np.allclose(recorded, mpp, rtol=1e-4):
        mpp = (float(recorded[0]), float(recorded[1]))
    return Mask(values > 0, mpp, record)


def is_regions_export(path: Path) -> bool:
    """Return whether a GeoJSON file is one that `write_regions_geojson` wrote."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return f'"{RECORD_MEMBER}":'.encode() in file.read()
    except OSError:
        return False


def read_regions_geojson(path: Path) -> tuple[list[Region], dict[str, Any]]:
    """Read what `write_regions_geojson` wrote.

    Parameters
    ----------
    path : Path
        Usually ``regions.geojson``, written without a bounds offset.

    Returns
    -------
    tuple of list of Region and dict
        The regions, largest first, and the run record.

    Raises
    ------
    StoreError
        It is no such file, or damaged.
    """
    try:
        collection = json.loads(path.read_bytes())
        regions = [
            _region(label, feature)
            for label, feature in enumerate(collection["features"], 1)
        ]
        record: dict[str, Any] = dict(collection[RECORD_MEMBER])
    except _DAMAGED as error:
        raise _not_ours(path, error) from error
    return regions, record


def recorded_mpp(path: Path, record: dict[str, Any]) -> Pair:
    """Return the slide's (y, x) µm/px out of a run record.

    Raises
    ------
    StoreError
        The record does not state it.
    """
    try:
        y, x = record["slide"]["mpp"]
        return float(y), float(x)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path}: its record states no µm/px of the slide; {_MEND}"
        ) from error


def _region(label: int, feature: dict[str, Any]) -> Region:
    """Return one region of a feature."""
    geometry, measured = feature["geometry"], feature["properties"]["measurements"]
    parts = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        parts = [parts]
    polygons = tuple(
        tuple(np.asarray(ring, np.float64)[:-1, ::-1] for ring in part)
        for part in parts
    )
    # cells are of one size, so that the middle of the area is the mean of their centres
    middle = shapely.MultiPolygon([(p[0], list(p[1:])) for p in polygons]).centroid
    return Region(
        label=label,
        area_mm2=float(measured["area mm^2"]),
        longest_axis_mm=float(measured["longest axis mm"]),
        max_probability=float(measured["max probability"]),
        mean_probability=float(measured["mean probability"]),
        centroid=(middle.x, middle.y),
        polygons=polygons,
    )


def _record(text: str) -> dict[str, Any]:
    record = json.loads(text)
    if not isinstance(record, dict):
        raise ValueError("its record is no object")
    return record


def _recorded_grid(record: dict[str, Any]) -> tuple[Grid, Pair]:
    """Return the grid and the slide's µm/px of a record."""
    grid, (y, x) = record["grid"], record["slide"]["mpp"]
    origin, step, shape = (
        tuple(grid[name]) for name in ("origin_px", "step_px", "shape")
    )
    return Grid(origin, step, shape), (float(y), float(x))


def _tagged_mpp(page: TiffPage) -> Pair:
    """Return (y, x) µm per px of the resolution tags, px per cm."""
    y, x = (
        UM_PER_CM * below / above
        for above, below in (
            page.tags[name].value for name in ("YResolution", "XResolution")
        )
    )
    return y, x


def _not_ours(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path}: no export to open ({error}); {_MEND}")
