"""``napari-fastnet export`` and ``replay``: a run in other formats, and once more."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from napari_fastnet.cli.output import print_columns, print_json, print_notes, wrote
from napari_fastnet.core.geometry import Pair
from napari_fastnet.core.options import ColoursName
from napari_fastnet.errors import ReplayError
from napari_fastnet.machine.progress import progress_bar
from napari_fastnet.machine.remote.url import SlidePath

if TYPE_CHECKING:
    from napari_fastnet.cohort.replay import Replay


def export(
    run: Path,
    output: Path,
    formats: list[str],
    threshold: float | None = None,
    lesion_threshold: float | None = None,
    slide: SlidePath | None = None,
    bounds_offset: Pair | Literal["scanned"] = (0.0, 0.0),
    colours: ColoursName | None = None,
    regions: Path | None = None,
    tumor_classes: tuple[str, ...] = (),
    as_json: bool = False,
) -> None:
    """Write the results of a run in other formats.

    Parameters
    ----------
    run : Path
        Folder that detect left, or its run.zarr or run.json.
    output : Path
        Folder for the files.
    formats : list of str
        ome-tiff, ome-zarr, geojson, qupath-project, asap, csv, xlsx, patches-csv, parquet, spatialdata,
        png; several with commas, or -f again.
    threshold : float or None
        Lowest probability inside the outline of a lesion; None is the run's.
    lesion_threshold : float or None
        Lowest evidence of a lesion, log odds; None is the run's.
    slide : Path, Url or None
        File or address of the slide, for png and qupath-project; None is as recorded.
    bounds_offset : tuple of float
        Level-0 px (y, x) that GeoJSON takes off, and --regions adds: OpenSlide's
        bounds-y and bounds-x.
    colours : {"red-green", "blue-orange"} or None
        Colours of normal tissue and tumor, for png; None is as recorded.
    regions : Path or None
        Outlines in place of the regions: GeoJSON edited in QuPath, or ASAP's XML.
    tumor_classes : tuple of str
        Class of outlines that is tumor, and no other; may be repeated.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.results.loading import load

    names = [name.lower() for words in formats for name in words.split(",") if name]
    result = load(
        run,
        threshold=threshold,
        lesion_threshold=lesion_threshold,
        slide=slide,
        colours=colours,
        regions=regions,
        tumor_classes=tumor_classes,
        bounds_offset=bounds_offset,
    )
    print_notes(result.notes)
    files = result.export(output, list(dict.fromkeys(names)))
    if as_json:
        print_json({"files": files})
        return
    for path in files:
        print(path)


def replay(
    record: Path,
    output: Path | None = None,
    slide: SlidePath | None = None,
    model: str | None = None,
    tolerance: float | None = None,
    as_json: bool = False,
) -> None:
    """Repeat a run from its record and print what differs; 1 if the results do.

    Parameters
    ----------
    record : Path
        The run.json of a run.
    output : Path or None
        Folder for the results of the repetition; None is nowhere.
    slide : Path, Url or None
        File or address of the slide; None is as recorded.
    model : str or None
        Model by its name or its folder; None is the recorded name.
    tolerance : float or None
        Largest difference of equal probabilities; None is 0.0001, and 0.02 where a network
        computed in bfloat16.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.cohort.replay import replay as replay_run

    place = TemporaryDirectory() if output is None else nullcontext(str(output))
    with place as folder, progress_bar(record.name) as bar:
        done = replay_run(
            record,
            Path(folder),
            slide=slide,
            model=model,
            tolerance=tolerance,
            progress=bar.show,
        )
    if as_json:
        print_json(
            {
                "same": done.same,
                "differences": [asdict(item) for item in done.differences],
                "values": None if done.values is None else asdict(done.values),
                "record": done.result.record.to_dict(),
            }
        )
    else:
        _print(done, record, output)
    if not done.same:
        raise ReplayError(
            f"the repetition found something else than {record} says; see the lines "
            "above for what differs"
        )


def _print(done: Replay, record: Path, output: Path | None) -> None:
    rows = [("repeated", str(record))]
    for item in done.differences:
        kind = "found" if item.is_result else "differs"
        rows.append((kind, f"{item.what}: {_short(item.then)} -> {_short(item.now)}"))
    values = "not compared: no heatmap.ome.tif of the same grid"
    if done.values is not None:
        values = (
            f"{done.values.cells:,} cells compared, {done.values.beyond:,} beyond "
            f"{done.values.tolerance:g}, largest difference {done.values.largest:.2g}"
        )
    rows.append(("values", values))
    if output is not None:
        rows += wrote([done.result.folder])
    rows.append(("results", "the same" if done.same else "NOT the same"))
    print_columns(rows)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
