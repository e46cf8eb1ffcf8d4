"""``napari-fastnet export`` and ``replay``: a run in other formats, and once more."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_fastnet.cli.options import (
    AsJson,
    OtherColours,
    QupathOrigin,
    TumorClass,
    offset_of,
)
from napari_fastnet.cli.output import print_columns, print_json, progress_bar
from napari_fastnet.errors import ReplayError

if TYPE_CHECKING:
    from napari_fastnet.cohort.replay import Replay


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
    from napari_fastnet.results.loading import load

    names = [name.lower() for words in formats for name in words.split(",") if name]
    result = load(
        run,
        threshold=threshold,
        slide=slide,
        colours=colours,
        regions=regions,
        tumor_classes=tumor_class or (),
        bounds_offset=offset_of(bounds_offset, qupath_origin),
    )
    for note in result.notes:
        print(note, file=sys.stderr)
    files = result.export(output, list(dict.fromkeys(names)))
    if as_json:
        print_json({"files": files})
        return
    for path in files:
        print(path)


def replay(
    record: Annotated[
        Path, typer.Argument(metavar="RUN.JSON", help="The record of a run.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Keep the results here."),
    ] = None,
    slide: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the slide is now [as recorded]."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|DIR", help="The model [the recorded name]."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Probabilities so close are the same.")
    ] = 1e-4,
    as_json: AsJson = False,
) -> None:
    """Repeat a run from its record and say what differs; 1 if the results do."""
    from napari_fastnet.cohort.replay import replay as replay_run

    place = TemporaryDirectory() if output is None else nullcontext(str(output))
    with place as folder, progress_bar(record.name) as update:
        done = replay_run(
            record,
            Path(folder),
            slide=slide,
            model=model,
            tolerance=tolerance,
            progress=lambda step: update(step.done, step.total),
        )
    if as_json:
        print_json(_facts(done))
    else:
        _print(done, record, output, tolerance)
    if not done.same:
        raise ReplayError(
            f"the repetition found something else than {record} says; see the lines "
            "above for what differs"
        )


def _facts(done: Replay) -> dict[str, Any]:
    return {
        "same": done.same,
        "differences": [asdict(item) for item in done.differences],
        "values": None if done.values is None else asdict(done.values),
        "record": done.result.record.to_dict(),
    }


def _print(done: Replay, record: Path, output: Path | None, tolerance: float) -> None:
    rows = [("repeated", str(record))]
    for item in done.differences:
        kind = "found" if item.is_result else "differs"
        rows.append((kind, f"{item.what}: {_short(item.then)} -> {_short(item.now)}"))
    if done.values is None:
        rows.append(("values", "not compared: no heatmap.ome.tif of the same grid"))
    else:
        rows.append(
            (
                "values",
                f"{done.values.cells:,} cells compared, {done.values.beyond:,} beyond "
                f"{tolerance:g}, largest difference {done.values.largest:.2g}",
            )
        )
    if output is not None:
        rows.append(("wrote", str(done.result.folder)))
    rows.append(("results", "the same" if done.same else "NOT the same"))
    print_columns(rows)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
