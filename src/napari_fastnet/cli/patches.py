"""``napari-fastnet patches CAMELYON_DIR -o patches.zarr``: labelled patches of slides."""

from __future__ import annotations

import sys
from contextlib import closing
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from napari_fastnet.cli.options import (
    AsJson,
    BoundsOffset,
    Preset,
    QupathOrigin,
    TumorClass,
    outline_options,
)
from napari_fastnet.cli.output import print_columns, print_json, progress_bar

if TYPE_CHECKING:
    from napari_fastnet.patches.options import MakeOptions
    from napari_fastnet.patches.report import PatchReport

_TITLES = {"look": "looking at slides", "write": "writing patches"}
_NAMED = 5  # lines of each kind that are shown; the report has them all


def patches(
    camelyon: Annotated[
        Path,
        typer.Argument(
            metavar="CAMELYON_DIR", help="The folder around CAMELYON16's `training`."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="ZARR",
            help="What to write; its report goes to a folder beside it.",
        ),
    ],
    mpp: Annotated[
        float, typer.Option(metavar="UM_PER_PX", help="µm/px of the patches.")
    ] = 0.243,
    patch: Annotated[int, typer.Option(help="Side of a patch, px.")] = 256,
    sampling: Annotated[
        Literal["balanced", "full"],
        typer.Option(help="As many normal as tumour patches, or all there are."),
    ] = "balanced",
    per_slide: Annotated[
        int | None, typer.Option(help="Most patches of a class from one slide [all].")
    ] = None,
    split: Annotated[
        Literal["slides", "patches"],
        typer.Option(help="What is divided; `patches`, the paper's way, leaks."),
    ] = "slides",
    valid_share: Annotated[float, typer.Option(help="Share for validation.")] = 0.2,
    testing: Annotated[
        bool, typer.Option("--testing", help="The test set too, as a part of its own.")
    ] = False,
    fully_annotated: Annotated[
        bool,
        typer.Option(
            "--fully-annotated",
            help="Take normal patches of CAMELYON16's partly annotated slides, too.",
        ),
    ] = False,
    tumor_class: TumorClass = None,
    bounds_offset: BoundsOffset = None,
    qupath_origin: QupathOrigin = False,
    preset: Preset = "default",
    slide_mpp: Annotated[
        float | None,
        typer.Option(
            metavar="UM_PER_PX",
            help="µm per level-0 px of the slides, where the files do not say.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    workers: Annotated[
        int | None, typer.Option(help="Slides at once [as many as cores].")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over instead of going on.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Cut CAMELYON16's slides into labelled patches to train on."""
    from napari_fastnet.core.options import PRESETS
    from napari_fastnet.patches.options import (
        MakeOptions,
        PatchOptions,
        SamplingOptions,
    )

    options = MakeOptions(
        patches=PatchOptions(
            spacing_um_px=mpp,
            patch_px=patch,
            tissue=PRESETS[preset],
            slide_mpp=slide_mpp,
            fully_annotated=fully_annotated,
            outlines=outline_options(tumor_class, bounds_offset, qupath_origin),
        ),
        sampling=SamplingOptions(
            sampling=sampling,
            per_slide=per_slide,
            split=split,
            valid_share=valid_share,
            seed=seed,
        ),
        testing=testing,
    )
    if split == "patches":
        _warn(
            "patches are split at random: training and validation share slides, and the "
            "figures will be too good"
        )
    report = cut(camelyon, output, options, workers=workers, fresh=fresh)
    if as_json:
        print_json({**report.to_dict(), "files": written_files(report)})
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
    """Make patches, show the progress, and say what was left out or failed.

    Parameters
    ----------
    camelyon, output : Path
        The folder, and the zarr to write.
    options : MakeOptions
        What is asked for.
    workers : int, optional
        Processes; as many as cores by default.
    fresh : bool, optional
        Start over.

    Returns
    -------
    PatchReport
        Of what the zarr holds now.
    """
    from napari_fastnet.patches.make import make_patches

    making = make_patches(camelyon, output, options, workers=workers, fresh=fresh)
    reports = []
    with closing(making) as steps:
        for stage, values in groupby(steps, key=attrgetter("stage")):
            with progress_bar(_TITLES[stage], unit="slides") as update:
                for value in values:
                    update(value.done, value.total)
                    reports += [value.report] if value.report else []
    (report,) = reports
    for kind, lines in (
        ("odd", report.odd),
        ("left out", report.notes),
        ("failed", report.faults),
    ):
        for line in lines[:_NAMED]:
            _warn(f"{kind}: {line}")
        if len(lines) > _NAMED:
            _warn(f"{kind}: {len(lines) - _NAMED} more, see the report")
    return report


def print_report(report: PatchReport) -> None:
    """Print how many patches there are, and where to look."""
    rows = [
        (part, f"{counts['tumour']:,} tumour, {counts['normal']:,} normal")
        for part, counts in report.totals.items()
        if part != "test" or any(counts.values())
    ]
    failed = len(report.faults)
    slides = f"{len(report.store.slides)}" + (f", {failed} failed" if failed else "")
    rows.append(("slides", slides))
    files = written_files(report)
    rows += [("wrote" if path is files[0] else "", str(path)) for path in files]
    print_columns(rows)


def written_files(report: PatchReport) -> list[Path]:
    """Return the zarr, the contact sheet and the table of slides."""
    from napari_fastnet.patches.make import log_folder
    from napari_fastnet.patches.report import SHEET, SLIDES_CSV

    store = report.store.folder
    return [store, log_folder(store) / SHEET, log_folder(store) / SLIDES_CSV]


def _warn(words: str) -> None:
    print(f"warning: {words}", file=sys.stderr)
