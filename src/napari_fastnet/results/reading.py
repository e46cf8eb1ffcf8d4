"""Readers of our own exports and of the heatmaps of runs, with their records."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any, Literal
from xml.etree.ElementTree import ParseError

import numpy as np
import shapely

from napari_fastnet.annotations.masks import first_page
from napari_fastnet.core.geometry import Grid, Pair
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import Region
from napari_fastnet.errors import StoreError
from napari_fastnet.machine.json_text import parse_json
from napari_fastnet.results.decision_events import KINDS, VERDICTS, Decision
from napari_fastnet.results.formats.ome_tiff import FLAGS_NAME, RECORD_NAMESPACE
from napari_fastnet.results.record import HEATMAP, STORE, RunRecord, parse_record
from napari_fastnet.results.regions import RECORD_MEMBER
from napari_fastnet.results.reviewed import Reviewed
from napari_fastnet.slide.samples import TIFF_ERRORS
from napari_fastnet.store.store import read_store

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from tifffile import TiffFile

    from napari_fastnet.core.arrays import Bools, Bytes
    from napari_fastnet.store.store import StoredRun


#: Software tag of every TIFF of `results.formats.ome_tiff`.
SOFTWARE = "napari-fastnet"
_MEND = "export it again from its run"
_TAIL_BYTES = 2**20  # the record is at the end of a GeoJSON file


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """An exported mask: bool (height, width), (y, x) µm per px, and its record."""

    mask: Bools
    mpp: Pair
    record: RunRecord | None = None


def tiff_export(tif: TiffFile) -> Literal["heatmap", "mask", "quality"] | None:
    """Return the kind of export of an open TIFF file, None for any other file."""
    page = tif.pages.first
    ours = getattr(page, "software", None) == SOFTWARE
    if not ours or RECORD_NAMESPACE not in (tif.ome_metadata or ""):
        return None
    if page.dtype == np.float32:
        return "heatmap"
    return "quality" if f'Name="{FLAGS_NAME}"' in (tif.ome_metadata or "") else "mask"


def read_heatmap_ome_tiff(path: Path) -> tuple[Heatmap, RunRecord | None]:
    """Read a file of `write_heatmap_ome_tiff`.

    Parameters
    ----------
    path : Path
        Usually ``heatmap.ome.tif``.

    Returns
    -------
    tuple of Heatmap and RunRecord or None
        The same values on the same grid, and the run record. Without a record that
        states grid and µm/px, level-0 px are taken to be 1 µm.

    Raises
    ------
    StoreError
        It is no such file, or damaged.
    """
    values, record, grid = _read_export(path)
    mpp = (1.0, 1.0)
    if record is not None and record.grid is not None:
        grid, mpp = record.grid, recorded_mpp(path, record)
    if 0 in grid.shape:  # a heatmap without cells is written as a single NaN
        values = np.empty(grid.shape, np.float32)
    if values.shape != grid.shape or values.dtype != np.float32:
        raise StoreError(f"{path}: values and grid do not agree; {_MEND}")
    return Heatmap(values, grid, mpp), record


def read_mask_export(path: Path) -> Mask:
    """Read a file of `write_mask_tiff`.

    Parameters
    ----------
    path : Path
        For example ``tissue_roi.tif``.

    Returns
    -------
    Mask
        With its record.

    Raises
    ------
    StoreError
        It is no such file, or damaged.
    """
    values, record, grid = _read_export(path)
    return Mask(values > 0, grid.step, record)


def read_flags_export(path: Path) -> tuple[Bytes, RunRecord]:
    """Read a file of `write_flags_tiff`.

    Parameters
    ----------
    path : Path
        Usually ``quality.tif``.

    Returns
    -------
    tuple of ndarray and RunRecord
        uint8 (rows, columns), bits of `core.appearance.flags.Flag`, and the run record, which
        states the grid.

    Raises
    ------
    StoreError
        It is no such file, or damaged.
    """
    values, record, _ = _read_export(path)
    if record is None or record.grid is None:
        raise StoreError(f"{path}: its record states no grid; {_MEND}")
    grid = record.grid
    if 0 in grid.shape:  # written as a single 0
        values = np.empty(grid.shape, np.uint8)
    if values.shape != grid.shape or values.dtype != np.uint8:
        raise StoreError(f"{path}: flags and grid do not agree; {_MEND}")
    return values, record


def _read_export(path: Path) -> tuple[NDArray[Any], RunRecord | None, Grid]:
    """Read an export's first page, its record, and the grid of its px in µm."""
    import tifffile
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        with tifffile.TiffFile(path) as tif:
            values, root = first_page(tif), fromstring(tif.ome_metadata or "")
        nodes = {node.tag.rpartition("}")[2]: node for node in root.iter()}
        record = parse_record(nodes["CommentAnnotation"].findtext("{*}Value") or "")
        size, plane = nodes["Pixels"].attrib, nodes["Plane"].attrib
        grid = Grid(
            (float(plane["PositionY"]), float(plane["PositionX"])),
            (float(size["PhysicalSizeY"]), float(size["PhysicalSizeX"])),
            values.shape,
        )
    except (*TIFF_ERRORS, ParseError, DefusedXmlException) as error:
        raise _not_ours(path, error) from error
    return values, record, grid


def is_regions_export(path: Path) -> bool:
    """Return whether `write_regions_geojson` wrote a GeoJSON file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return f'"{RECORD_MEMBER}":'.encode() in file.read()
    except OSError:
        return False


def read_regions_geojson(path: Path) -> tuple[list[Reviewed], RunRecord | None]:
    """Read a file of `write_regions_geojson`.

    Parameters
    ----------
    path : Path
        Usually ``regions.geojson``, written without a bounds offset.

    Returns
    -------
    tuple of list of Reviewed and RunRecord or None
        The lesions in the order of the file, with what a person decided, and the run
        record.

    Raises
    ------
    StoreError
        It is no such file, or damaged.
    """
    try:
        collection = parse_json(path.read_bytes())
        lesions = [
            _lesion(number, feature)
            for number, feature in enumerate(collection["features"], 1)
        ]
        found = collection[RECORD_MEMBER]
        record = RunRecord.from_json(found) if found else None
    except (*TIFF_ERRORS, shapely.errors.ShapelyError) as error:
        raise _not_ours(path, error) from error
    return lesions, record


def recorded_mpp(path: Path, record: RunRecord | None) -> Pair:
    """Return the slide's (y, x) µm/px out of a run record.

    Raises
    ------
    StoreError
        The record does not state it.
    """
    if record is None or not min(record.slide.mpp) > 0:
        raise StoreError(f"{path}: its record states no µm/px of the slide; {_MEND}")
    return record.slide.mpp


def _lesion(number: int, feature: dict[str, Any]) -> Reviewed:
    """Return the lesion of a feature of GeoJSON, the n-th of its file."""
    properties = feature["properties"]
    geometry, measured = feature["geometry"], properties["measurements"]
    named = re.match(r"Region (\d+) ", str(properties.get("name")))
    parts = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        parts = [parts]
    polygons = tuple(
        tuple(np.asarray(ring, np.float64)[:-1, ::-1] for ring in part)
        for part in parts
    )
    if not all(np.isfinite(ring).all() for part in polygons for ring in part):
        raise ValueError("a coordinate is no number")
    # cells have one size, so the centroid of the area is the mean of their centres
    middle = shapely.MultiPolygon([(p[0], list(p[1:])) for p in polygons]).centroid
    region = Region(
        label=int(named[1]) if named else number,
        area_mm2=float(measured["area mm^2"]),
        longest_axis_mm=float(measured["longest axis mm"]),
        max_probability=float(measured.get("max probability", nan)),
        mean_probability=float(measured.get("mean probability", nan)),
        centroid=(middle.x, middle.y),
        polygons=polygons,
        evidence=float(measured.get("evidence", nan)),
        piece=int(measured.get("piece", 0)),
    )
    said = properties.get("metadata")
    if not isinstance(said, dict):
        return Reviewed(region)
    verdict, kind = said.get("status"), said.get("kind")
    decision = Decision(
        polygons=polygons,
        verdict=verdict if verdict in VERDICTS else None,
        kind=next((name for name in KINDS if name == kind), "found"),
        note=str(said.get("note", "")),
    )
    return Reviewed(region, decision)


def _not_ours(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path}: no export to open ({error}); {_MEND}")


def read_run_heatmap(folder: Path, record: RunRecord) -> Heatmap | None:
    """Read the heatmap of a finished run.

    Parameters
    ----------
    folder : Path
        Of its results.
    record : RunRecord
        Its record.

    Returns
    -------
    Heatmap or None
        Of ``heatmap.ome.tif``, or of ``run.zarr`` where that is missing; None where
        there is neither, since only tissue was computed.

    Raises
    ------
    StoreError
        It is damaged, or the store also holds patches of other masks, which are not part
        of the result.
    """
    if (folder / HEATMAP).is_file():
        return read_heatmap_ome_tiff(folder / HEATMAP)[0]
    if not (folder / STORE).is_dir():
        return None
    store, _ = read_store(folder / STORE)
    if store.notes:
        raise StoreError(" ".join(store.notes))
    return heatmap_of_store(store, record)


def heatmap_of_store(store: StoredRun, record: RunRecord | None) -> Heatmap:
    """Return the heatmap of a finished run out of its store.

    Parameters
    ----------
    store : StoredRun
        Of the run.
    record : RunRecord or None
        The run's, if it is finished; the store must hold what the run did and no more.

    Returns
    -------
    Heatmap
        What is known.

    Raises
    ------
    StoreError
        It also holds patches of other masks, which are not part of the result.
    """
    heatmap = store.heatmap()
    known = int(heatmap.computed.sum())
    counts = None if record is None else record.counts
    stated = known if counts is None else counts.computed
    if known > stated:
        raise StoreError(
            f"{store.folder}: holds {known:,} patches where the run has {stated:,}, since it "
            f"keeps those of other masks too, and {HEATMAP} beside it is missing; run "
            "detect again, which writes it"
        )
    return heatmap
