"""Regions as files that QuPath and spreadsheets read: GeoJSON and CSV.

The meaning of each file's numbers is in ``docs/explain/coordinates.md``. Every file is
written aside and renamed; an OutputError says what to do when it cannot be written.
"""

from __future__ import annotations

import json
from math import isfinite, nan
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import numpy as np

from napari_fastnet.annotations.classes import EXPORTED_AS
from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.display import written
from napari_fastnet.core.lesions.evidence import confidence
from napari_fastnet.core.options import DEFAULT_COLOURS
from napari_fastnet.errors import OptionError
from napari_fastnet.machine.files import write_bytes, write_csv
from napari_fastnet.results.record import RESEARCH_USE, RunRecord, record_json
from napari_fastnet.results.reviewed import Reviewed, Status, as_reviewed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.core.outlines import Polygon

#: The member of the GeoJSON file, beside ``features``, that holds the run record.
RECORD_MEMBER = "napari_fastnet"
#: Namespace of identifiers, which are made of the content: equal regions have equal ones.
ID_NAMESPACE = UUID("8a4c1f0e-97a6-5b0c-8f86-3a3c6e0a5d21")
#: Classes in QuPath by status. *Tumor* is QuPath's own name, so that its scripts find the
#: lesions; the panel's exports come back with these classes as they were.
_TUMOR = {"name": "Tumor", "color": list(HEATMAP_COLOURS[DEFAULT_COLOURS][-1][1:])}
QUPATH_CLASSES: dict[Status, dict[str, Any]] = {
    "undecided": _TUMOR,
    "tumor": _TUMOR,
    "not tumor": {"name": "Not tumor", "color": [70, 130, 180]},
    "unsure": {"name": "Unsure", "color": [255, 170, 0]},
}
#: In a project those on which no person decided have a class of their own, so that QuPath
#: shows them, and a verdict is one that a person chose; it is derived from *Tumor*.
PROJECT_CLASSES: dict[Status, dict[str, Any]] = QUPATH_CLASSES | {
    "undecided": {"name": "Tumor: Undecided", "color": [190, 75, 219]}
}
COORDINATE_DECIMALS = 3  # of a level-0 px, so under a nanometre

# Decimals of regions.csv; other columns have all their digits.
CSV_DECIMALS = {
    "area_mm2": 6,
    "longest_axis_mm": 4,
    "measured_mm": 4,
    "evidence": 3,
    "confidence": 3,
    "max_probability": 4,
    "mean_probability": 4,
    "centroid_x_px": 1,
    "centroid_y_px": 1,
    "centroid_x_um": 1,
    "centroid_y_um": 1,
}


def write_regions_geojson(
    path: Path,
    regions: Iterable[Region | Reviewed],
    *,
    bounds_offset: Pair = (0.0, 0.0),
    record: RunRecord | None = None,
    project: bool = False,
) -> None:
    """Write regions as a GeoJSON FeatureCollection with an annotation for each.

    Coordinates are (x, y) in level-0 px, y downwards, as QuPath has them.

    Parameters
    ----------
    path : Path
        Usually ``regions.geojson``.
    regions : iterable of Region or Reviewed
        May be empty. Decided ones are locked, and have the class of their verdict.
    bounds_offset : tuple of float
        (y, x) in level-0 px, subtracted from every coordinate. QuPath shows only the
        scanned part of a slide, from OpenSlide's bounds-y and bounds-x on; give those
        two for a file that QuPath is to show in the right place.
    record : RunRecord, optional
        The run record, kept as the member ``napari_fastnet``.
    project : bool, optional
        Whether it is for a project of QuPath; see `lesion_feature`.
    """
    if not np.isfinite(bounds_offset).all():
        raise OptionError(f"bounds offset is {bounds_offset}; give two numbers of px")
    source = "" if record is None else record.slide.fingerprint
    # Text at once: 100,000 regions as one tree of lists take a GB and twice the time.
    features = (
        json.dumps(
            lesion_feature(as_reviewed(one), bounds_offset, source, project=project)
        )
        for one in regions
    )
    text = (
        '{"type": "FeatureCollection", "features": [\n'
        + ",\n".join(features)
        + f'\n], "{RECORD_MEMBER}": {record_json(record)}}}\n'
    )
    write_bytes(path, text.encode())


def lesion_feature(
    lesion: Reviewed,
    offset: Pair = (0.0, 0.0),
    source: str = "",
    *,
    project: bool = False,
) -> dict[str, Any]:
    """Return a lesion as an annotation of QuPath in GeoJSON.

    Parameters
    ----------
    lesion : Reviewed
        With its decision, if there is one.
    offset : tuple of float, optional
        (y, x) level-0 px that are subtracted.
    source : str, optional
        Fingerprint of the slide. Equal outlines of a slide have equal identifiers.
    project : bool, optional
        With the classes of a project, and the class noted, so that one that a person
        changes in QuPath is known.

    Returns
    -------
    dict
        A Feature.
    """
    region, decision = lesion.region, lesion.decision
    parts = [geojson_rings(polygon, offset) for polygon in region.polygons]
    geometry = (
        {"type": "Polygon", "coordinates": parts[0]}
        if len(parts) == 1
        else {"type": "MultiPolygon", "coordinates": parts}
    )
    measurements = {
        "area mm^2": region.area_mm2,
        "longest axis mm": region.longest_axis_mm,
        "max probability": region.max_probability,
        "mean probability": region.mean_probability,
        "evidence": region.evidence,
        "confidence": confidence(region.evidence),
        "piece": region.piece or nan,
    }
    kind = (PROJECT_CLASSES if project else QUPATH_CLASSES)[lesion.status]
    properties: dict[str, Any] = {
        "objectType": "annotation",
        "name": f"Region {region.label} ({region.size_class})",
        "classification": kind,
        # JSON has no NaN; QuPath takes a missing measurement for unknown
        "measurements": {n: v for n, v in measurements.items() if isfinite(v)},
    }
    said = {EXPORTED_AS: kind["name"]} if project else {}
    if decision is not None:
        said |= {
            "status": lesion.status,
            "kind": decision.kind,
            "note": decision.note,
            "longest axis": "measured by a person" if decision.line else "",
            "origin": decision.origin,
        }
        properties["isLocked"] = True
    if said := {name: text for name, text in said.items() if text}:
        properties["metadata"] = said  # QuPath's own key; its values are text
    outline = json.dumps(geometry, allow_nan=False)
    return {
        "type": "Feature",
        "id": str(uuid5(ID_NAMESPACE, source + outline)),
        "geometry": geometry,
        "properties": properties,
    }


def geojson_rings(
    polygon: Polygon, offset: Pair = (0.0, 0.0)
) -> list[list[list[float]]]:
    """Return the closed rings of [x, y] of a polygon, for GeoJSON.

    Exteriors run clockwise to the eye and so, with y pointing down, anticlockwise by
    the formula: the order that RFC 7946 asks for.

    Parameters
    ----------
    polygon : Polygon
        (y, x), level-0 px.
    offset : tuple of float, optional
        (y, x) px that are subtracted.

    Returns
    -------
    list of list
        Rings of points, with ``COORDINATE_DECIMALS``.
    """
    return [
        np.round(
            np.concatenate((ring, ring[:1]))[:, ::-1] - np.asarray(offset)[::-1],
            COORDINATE_DECIMALS,
        ).tolist()
        for ring in polygon
    ]


def region_table(
    regions: Iterable[Region | Reviewed], *, mpp: Pair, **same: str
) -> dict[str, list[Any]]:
    """Return regions as columns of equal length.

    Parameters
    ----------
    regions : iterable of Region or Reviewed
        Without any, the columns are empty.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    **same : str
        More columns, with the same text in every row.

    Returns
    -------
    dict of str to list
        By name, with the unit in it.
    """
    lesions = [as_reviewed(one) for one in regions]
    found = [lesion.region for lesion in lesions]
    y, x = ([region.centroid[axis] for region in found] for axis in (0, 1))
    equal = {"um_per_px_x": mpp[1], "um_per_px_y": mpp[0], **same}
    return {
        "label": [region.label for region in found],
        "size_class": [str(region.size_class) for region in found],
        "area_mm2": [region.area_mm2 for region in found],
        "longest_axis_mm": [region.longest_axis_mm for region in found],
        "max_probability": [region.max_probability for region in found],
        "mean_probability": [region.mean_probability for region in found],
        "evidence": [region.evidence for region in found],
        "confidence": [confidence(region.evidence) for region in found],
        "centroid_x_px": x,
        "centroid_y_px": y,
        "centroid_x_um": [value * mpp[1] for value in x],
        "centroid_y_um": [value * mpp[0] for value in y],
        "piece": [region.piece for region in found],
        # where no person said more, each piece is a node of its own
        "node": [lesion.node or lesion.region.piece for lesion in lesions],
        "status": [str(lesion.status) for lesion in lesions],
        "kind": [str(lesion.kind) for lesion in lesions],
        "note": [written(lesion.note) for lesion in lesions],
        "measured_mm": [lesion.measured_mm(mpp) for lesion in lesions],
        **{name: [value] * len(found) for name, value in equal.items()},
    }


def write_regions_csv(
    path: Path, regions: Iterable[Region | Reviewed], *, mpp: Pair, slide: str = ""
) -> None:
    """Write regions as a table (RFC 4180, UTF-8) with a row for each.

    The columns are those of `region_table`, ``notice`` (research use only) and ``slide``,
    so that the tables of many slides can be put together.

    Parameters
    ----------
    path : Path
        Usually ``regions.csv``.
    regions : iterable of Region or Reviewed
        Without any, the table is its header.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    slide : str, optional
        Name of the slide's file.
    """
    columns = region_table(regions, mpp=mpp, notice=RESEARCH_USE, slide=written(slide))
    for name, decimals in CSV_DECIMALS.items():
        columns[name] = [
            f"{value:.{decimals}f}" if isfinite(value) else ""
            for value in columns[name]
        ]
    rows = zip(*columns.values(), strict=True)
    write_csv(path, (dict(zip(columns, row, strict=True)) for row in rows), columns)
