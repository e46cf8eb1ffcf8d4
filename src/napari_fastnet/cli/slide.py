"""``napari-fastnet info``, ``tissue`` and ``demo``: facts, tissue masks, a drawn slide."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from napari_fastnet.cli.detect import print_result
from napari_fastnet.cli.output import print_columns, print_json, print_notes, wrote
from napari_fastnet.core.options import TissueParameters
from napari_fastnet.machine.progress import progress_bar
from napari_fastnet.machine.remote.url import SlidePath

if TYPE_CHECKING:
    from napari_fastnet.results.result import Result
    from napari_fastnet.synthetic.layout import Layout


def info(slide: SlidePath, mpp: float | None = None, as_json: bool = False) -> None:
    """Show a slide's size, levels, µm/px and its source.

    Parameters
    ----------
    slide : Path or Url
        SVS, OME-TIFF, NDPI, SCN or tiled TIFF; also s3://, gs://, https://.
    mpp : float or None
        µm per level-0 px, where the file does not say or is wrong.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.slide.notes import reading_notes, spacing_notes
    from napari_fastnet.slide.slide import open_slide, slide_rows

    with open_slide(slide, mpp=mpp) as opened:
        facts = opened.to_dict()
        notes = (*reading_notes(opened), *spacing_notes(opened))
    print_notes(notes)
    if as_json:
        print_json(facts)
    else:
        print_columns(slide_rows(facts))


def tissue(
    slide: SlidePath,
    output: Path,
    parameters: TissueParameters,
    mpp: float | None = None,
    as_json: bool = False,
) -> None:
    """Write a slide's tissue masks.

    Parameters
    ----------
    slide : Path or Url
        SVS, OME-TIFF, NDPI, SCN or tiled TIFF; also s3://, gs://, https://.
    output : Path
        Folder for results, which go to DIR/<name of the slide>/.
    parameters : TissueParameters
        Thresholds and sizes that tell tissue from glass.
    mpp : float or None
        µm per level-0 px, where the file does not say or is wrong.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.cohort.folders import result_folder
    from napari_fastnet.detection.tissue import run_tissue
    from napari_fastnet.slide.notes import finer_notes, reading_notes
    from napari_fastnet.slide.slide import open_slide

    with open_slide(slide, mpp=mpp) as opened:
        run = run_tissue(opened, result_folder(opened, output), parameters)
        notes = (
            *reading_notes(opened),
            *finer_notes(opened),
            *run.notes,
            *_other_masks(run),
        )
    print_notes(notes)
    if as_json:
        print_json({**run.record.to_dict(), "files": run.files})
    else:
        _print_run(run)


def _other_masks(run: Result) -> tuple[str, ...]:
    """Note that a detection in the same folder used other masks."""
    from napari_fastnet.errors import StoreError
    from napari_fastnet.results.record import RECORD, read_record

    folder = run.files[0].parent
    try:
        then = read_record(folder / RECORD).tissue
    except StoreError:  # there is none
        return ()
    now = run.record.tissue
    same = attrgetter("thresholds", "parameters", "edited_px")
    if same(then) == same(now):
        return ()
    return (
        f"{folder}: the masks of its detection were others, and are replaced; run "
        "detect again, or give another --output",
    )


def _print_run(run: Result) -> None:
    from napari_fastnet.core.display import never_scanned_words

    found = run.record.tissue
    share = f"{found.fraction:.1%} of the slide, {found.area_mm2:.2f} mm²"
    used = found.thresholds.items()
    rows = [
        ("tissue", share if found.area_mm2 else "none"),
        ("thresholds", ", ".join(f"{name} {value:.4g}" for name, value in used)),
    ]
    if words := never_scanned_words(found.never_scanned):
        rows.insert(1, ("", words))
    if found.damaged_tiles:
        rows.append(("damaged", f"{found.damaged_tiles} tiles, taken as glass"))
    print_columns([*rows, *wrote(run.files)])


def demo(output: Path = Path("demo")) -> None:
    """Draw a slide, find its lesions, and print what was found.

    Parameters
    ----------
    output : Path
        Folder for the slide and the results.
    """
    from napari_fastnet.cohort.detect import detect
    from napari_fastnet.synthetic.slide import write_slide

    path = output / "synthetic.svs"
    print(f"Drawing a slide that looks like tissue and is none: {path}", flush=True)
    truth = write_slide(path)
    with progress_bar(path.name) as bar:
        result = detect(path, output, progress=bar.show)
    print_result(result)
    found, false = _compared(truth, result)
    print(
        f"Drawn were {len(truth.lesions)} lesions: {found} found, {false} false; look at "
        "overview.png."
    )


def _compared(truth: Layout, result: Result) -> tuple[int, int]:
    """Count the drawn lesions that were found, and the found ones that are false."""
    import shapely

    from napari_fastnet.core.lesions.matching import shapes_of

    drawn = shapes_of([((outline,),) for outline in truth.lesions])
    found = shapes_of([lesion.polygons for lesion in result.lesions])
    hits = shapely.intersects(found[:, None], drawn)
    return int(hits.any(axis=0).sum()), int((~hits.any(axis=1)).sum())
