"""``napari-fastnet info``, ``tissue`` and ``demo``: a slide, its masks, a drawn one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_fastnet.cli.detect import print_result
from napari_fastnet.cli.options import (
    AsJson,
    Blue,
    Channels,
    ClosingUm,
    GlassMargin,
    Green,
    High,
    Low,
    MinimumHoleUm2,
    MinimumObjectUm2,
    OutputFolder,
    Preset,
    Red,
    Saturation,
    SlideMpp,
    SlidePath,
)
from napari_fastnet.cli.output import print_columns, print_json, progress_bar

if TYPE_CHECKING:
    from napari_fastnet.detection.tissue import TissueRun


def info(slide: SlidePath, mpp: SlideMpp = None, as_json: AsJson = False) -> None:
    """Show a slide's size, levels, µm/px and its source."""
    from napari_fastnet.slide.notes import reading_notes, spacing_notes
    from napari_fastnet.slide.slide import open_slide, slide_rows

    with open_slide(slide, mpp=mpp) as opened:
        facts = opened.to_dict()
        notes = (*reading_notes(opened), *spacing_notes(opened))
    for note in notes:
        print(note, file=sys.stderr)
    if as_json:
        print_json(facts)
    else:
        print_columns(slide_rows(facts))


def tissue(
    slide: SlidePath,
    output: OutputFolder,
    mpp: SlideMpp = None,
    preset: Preset = "default",
    low: Low = None,
    high: High = None,
    channels: Channels = None,
    red: Red = None,
    green: Green = None,
    blue: Blue = None,
    saturation: Saturation = None,
    glass_margin: GlassMargin = None,
    closing_um: ClosingUm = None,
    minimum_object_um2: MinimumObjectUm2 = None,
    minimum_hole_um2: MinimumHoleUm2 = None,
    as_json: AsJson = False,
) -> None:
    """Write a slide's tissue masks."""
    from napari_fastnet.cohort.folders import result_folder
    from napari_fastnet.core.options import preset_with
    from napari_fastnet.detection.tissue import run_tissue
    from napari_fastnet.slide.notes import finer_notes, reading_notes
    from napari_fastnet.slide.slide import open_slide

    parameters = preset_with(
        preset,
        low=low,
        high=high,
        channels=channels,
        red=red,
        green=green,
        blue=blue,
        saturation=saturation,
        glass_margin=glass_margin,
        closing_um=closing_um,
        minimum_object_um2=minimum_object_um2,
        minimum_hole_um2=minimum_hole_um2,
    )
    with open_slide(slide, mpp=mpp) as opened:
        run = run_tissue(opened, result_folder(opened, output), parameters)
        notes = (
            *reading_notes(opened),
            *finer_notes(opened),
            *run.tissue.notes,
            *_other_masks(run),
        )
    for note in notes:
        print(note, file=sys.stderr)
    if as_json:
        print_json({**run.record.to_dict(), "files": run.files})
    else:
        _print_run(run)


def _other_masks(run: TissueRun) -> tuple[str, ...]:
    """Return that a detection beside the masks was made with others."""
    from napari_fastnet.errors import StoreError
    from napari_fastnet.machine.json_text import plain
    from napari_fastnet.results.record import RECORD, read_record

    folder = run.files[0].parent
    try:
        then = read_record(folder / RECORD)["tissue"]
    except StoreError:  # there is none
        return ()
    now = plain(run.record.tissue)
    if all(
        then.get(k) == now.get(k) for k in ("thresholds", "parameters", "edited_px")
    ):
        return ()
    return (
        f"{folder}: the masks of its detection were others, and are replaced; run "
        "detect again, or give another --output",
    )


def _print_run(run: TissueRun) -> None:
    from napari_fastnet.core.display import never_scanned_words

    found = run.tissue
    share = f"{found.masks.fraction:.1%} of the slide, {found.area_mm2:.2f} mm²"
    used = found.masks.thresholds.items()
    rows = [
        ("tissue", share if found.area_mm2 else "none"),
        ("thresholds", ", ".join(f"{name} {value:.4g}" for name, value in used)),
    ]
    if words := never_scanned_words(found.masks.never_scanned):
        rows.insert(1, ("", words))
    if found.damaged:
        rows.append(("damaged", f"{found.damaged} tiles, taken as glass"))
    rows += [("wrote" if path is run.files[0] else "", str(path)) for path in run.files]
    print_columns(rows)


#: Fine enough for smooth outlines, and a few seconds on a laptop.
STRIDE_PX = 32


def demo(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write."),
    ] = Path("demo"),
) -> None:
    """Make a synthetic slide, find its lesions, and say what was found."""
    from napari_fastnet.cohort.detect import detect
    from napari_fastnet.detection.options import RunOptions
    from napari_fastnet.synthetic.slide import write_slide

    path = output / "synthetic.svs"
    print(f"Drawing a slide that looks like tissue and is none: {path}", flush=True)
    truth = write_slide(path)
    with progress_bar(path.name) as update:
        result = detect(
            path,
            output,
            options=RunOptions(stride=STRIDE_PX),
            progress=lambda step: update(step.done, step.total),
        )
    print_result(result)
    print(f"Drawn were {len(truth.lesions)} lesions; look at overview.png.")
