"""``napari-fastnet export RUN -f FORMAT -o DIR``: results in the formats of others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from napari_fastnet.cli.options import (
    AsJson,
    OtherColours,
    QupathOrigin,
    TumorClass,
    offset_of,
)
from napari_fastnet.cli.output import print_json


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A folder that detect left, or its run.zarr or run.json.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Files go here.")
    ],
    formats: Annotated[
        list[str],
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="ome-tiff, ome-zarr, geojson, asap, csv, xlsx, patches-csv, parquet, "
            "spatialdata, png; several with commas, or -f again.",
        ),
    ],
    threshold: Annotated[
        float | None,
        typer.Option(help="Regions from this probability on [the run's]."),
    ] = None,
    slide: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the slide is now, for png."),
    ] = None,
    bounds_offset: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="Y X",
            help="Level-0 px that GeoJSON takes off, and --regions adds: OpenSlide's "
            "bounds-y and bounds-x.",
        ),
    ] = None,
    qupath_origin: QupathOrigin = False,
    colours: OtherColours = None,
    regions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Outlines that take the regions' place: GeoJSON edited in QuPath, or "
            "ASAP's XML.",
        ),
    ] = None,
    tumor_class: TumorClass = None,
    as_json: AsJson = False,
) -> None:
    """Write the results of a run in the formats of others."""
    from napari_fastnet.engine.saved_results import Saved, load_results
    from napari_fastnet.io.formats import write_formats

    names = [name.lower() for words in formats for name in words.split(",") if name]
    saved = Saved(
        run,
        threshold,
        slide,
        offset_of(bounds_offset, qupath_origin),
        colours,
        regions,
        tuple(tumor_class or ()),
    )
    results = load_results(saved)
    for note in results.notes:
        print(note, file=sys.stderr)
    files = write_formats(results, output, list(dict.fromkeys(names)))
    if as_json:
        print_json({"files": files})
        return
    for path in files:
        print(path)
