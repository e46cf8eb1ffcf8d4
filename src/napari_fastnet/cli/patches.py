"""``napari-fastnet patches CAMELYON_DIR -o patches.zarr``: labelled patches of slides."""

from __future__ import annotations

from contextlib import closing
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_fastnet.cli.output import print_columns, print_json, print_notes, wrote
from napari_fastnet.machine.progress import progress_bar
from napari_fastnet.patches.options import MakeOptions

if TYPE_CHECKING:
    from napari_fastnet.patches.report import PatchReport

_TITLES = {"look": "looking at slides", "write": "writing patches"}
_NAMED = 5  # lines of each kind that are shown; the report has them all


def patches(
    camelyon_dir: Path,
    output: Path,
    options: MakeOptions,
    workers: int | None = None,
    fresh: bool = False,
    as_json: bool = False,
) -> None:
    """Cut CAMELYON16's slides into labelled patches to train on.

    Parameters
    ----------
    camelyon_dir : Path
        Folder around CAMELYON16's `training`.
    output : Path
        Zarr to write; its report goes to a folder beside it.
    options : MakeOptions
        Size and number of the patches, and their division.
    workers : int or None
        Slides at once; None is as many as cores.
    fresh : bool
        Start over instead of going on.
    as_json : bool
        Print JSON.
    """
    if options.sampling.split == "patches":
        print_notes(
            [
                "patches are split at random: training and validation share slides, and "
                "the figures will be too good"
            ],
            "warning: ",
        )
    report = cut(camelyon_dir, output, options, workers=workers, fresh=fresh)
    if as_json:
        print_json({**report.to_dict(), "files": _files(report)})
    else:
        print_report(report)
    if report.faults:
        raise typer.Exit(1)


def cut(
    camelyon: Path,
    output: Path,
    options: MakeOptions,
    *,
    workers: int | None = None,
    fresh: bool = False,
) -> PatchReport:
    """Make patches, show the progress, and print warnings.

    Parameters
    ----------
    camelyon, output : Path
        The folder, and the zarr to write.
    options : MakeOptions
        Size and number of the patches, and their division.
    workers : int, optional
        Processes; as many as cores by default.
    fresh : bool, optional
        Start over.

    Returns
    -------
    PatchReport
        Contents of the zarr.
    """
    from napari_fastnet.patches.make import make_patches

    making = make_patches(camelyon, output, options, workers=workers, fresh=fresh)
    reports = []
    with closing(making) as steps:
        for stage, values in groupby(steps, key=attrgetter("stage")):
            with progress_bar(_TITLES[stage], unit="slides") as bar:
                for value in values:
                    bar.show(value)
                    reports += [value.report] if value.report else []
    (report,) = reports
    for kind, lines in (
        ("odd", report.odd),
        ("left out", report.notes),
        ("failed", report.faults),
    ):
        more = len(lines) - _NAMED
        print_notes(lines[:_NAMED], f"warning: {kind}: ")
        print_notes([f"{more} more, see the report"] * (more > 0), f"warning: {kind}: ")
    return report


def print_report(report: PatchReport) -> None:
    """Print the number of patches, and the files that hold them."""
    failed = len(report.faults)
    print_columns(
        [
            *(
                (part, f"{counts['tumour']:,} tumor, {counts['normal']:,} normal")
                for part, counts in report.totals.items()
                if part != "test" or any(counts.values())
            ),
            (
                "slides",
                f"{len(report.store.slides)}{f', {failed} failed' * (failed > 0)}",
            ),
            *wrote(_files(report)),
        ]
    )


def _files(report: PatchReport) -> list[Path]:
    """Return the zarr, the contact sheet and the table of slides."""
    from napari_fastnet.patches.make import log_folder
    from napari_fastnet.patches.report import SHEET, SLIDES_CSV

    store = report.store.folder
    return [store, log_folder(store) / SHEET, log_folder(store) / SLIDES_CSV]
