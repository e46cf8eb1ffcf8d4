"""``napari-fastnet tissue SLIDE -o DIR``: the three masks and the region of interest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

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
from napari_fastnet.cli.output import print_columns, print_json

if TYPE_CHECKING:
    from napari_fastnet.engine.tissue import TissueRun


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
    from napari_fastnet.core.tissue import preset_with
    from napari_fastnet.engine.result_folders import result_folder
    from napari_fastnet.engine.tissue import run_tissue
    from napari_fastnet.io.slide import open_slide
    from napari_fastnet.io.slide_facts import finer_notes, reading_notes

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
        notes = (*reading_notes(opened), *finer_notes(opened), *_other_masks(run))
    for note in notes:
        print(note, file=sys.stderr)
    if as_json:
        print_json({**run.record.to_dict(), "files": run.files})
    else:
        _print_run(run)


def _other_masks(run: TissueRun) -> tuple[str, ...]:
    """Return that a detection beside the masks was made with others."""
    from napari_fastnet.errors import StoreError
    from napari_fastnet.io.file_names import RECORD
    from napari_fastnet.io.record import plain, read_record

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
    from napari_fastnet.io.number_words import never_scanned_words

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
