"""``napari-fastnet decide RUN... --from PROJECT``: verdicts from QuPath."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.cli.output import print_columns, print_json, print_notes
from napari_fastnet.core.geometry import Pair


def decide(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...")],
    source: Annotated[Path, typer.Option("--from", metavar="FILE")],
    bounds_offset: Pair | Literal["scanned"] = (0.0, 0.0),
    as_json: bool = False,
) -> None:
    """Take verdicts from a QuPath project or GeoJSON into the decisions of runs.

    The class of an annotation is its verdict: Tumor, Not tumor (or another class of normal
    tissue), Unsure. Each goes into decisions.json as a new decision, with the file it is
    from; taking a file twice changes nothing.

    Parameters
    ----------
    runs : list of Path
        Folders that detect left, or that hold such.
    source : Path
        project.qpproj or its folder, data.qpdata of one of its images, or GeoJSON.
    bounds_offset : tuple of float
        Level-0 px (y, x) to add to outlines; a project says its own.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.case.listing import Runs
    from napari_fastnet.results.formats.verdicts import read_verdicts
    from napari_fastnet.results.labels import owned_by
    from napari_fastnet.results.record import RECORD, read_record

    found = Runs.at(runs).all
    slides = [read_record(run / RECORD).slide for run in found]
    about = {found[index] for index in owned_by(source, slides)}
    options = OutlineOptions(bounds_offset=bounds_offset)
    # all are read before any is changed
    read = {run: read_verdicts(run, source, options) for run in found if run in about}
    rows, taken = [], {}
    for run in found:
        if run not in read:
            rows.append((run.name, f"nothing of it in {source.name}"))
            continue
        changes = read[run]()
        print_notes(changes.notes, "note: ")
        rows.append((run.name, changes.words))
        taken[str(run)] = changes.to_dict()
    if as_json:
        print_json(taken)
    else:
        print_columns(rows)
