"""Facts about a slide from its folder of results: tissue, picture, scanned corner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fastnet.annotations import placement
from napari_fastnet.core.polygons import slide_mask
from napari_fastnet.errors import FastNetError, OutputError, StoreError
from napari_fastnet.machine.remote.url import recorded_path
from napari_fastnet.results.reading import read_mask_export
from napari_fastnet.results.record import MASKS, mask_file
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_fastnet.annotations.roi import RegionOfInterest
    from napari_fastnet.core.arrays import Bools, Bytes, Floats
    from napari_fastnet.core.geometry import Box, Pair
    from napari_fastnet.core.metrics.truth import TruthMask
    from napari_fastnet.core.polygons import Annotations
    from napari_fastnet.machine.remote.url import SlidePath
    from napari_fastnet.results.record import RunRecord

#: Longer side of the slide's picture, px: about as large as overview.png shows it.
THUMBNAIL_PX = 1000


def tissue_of(masks: Mapping[str, Bools]) -> Bools | None:
    """Return the tissue by a majority of a slide's masks, whatever its region of interest.

    Parameters
    ----------
    masks : Mapping of str to ndarray
        bool (height, width), by the names of ``MASKS``.

    Returns
    -------
    ndarray or None
        bool; None without the three masks.
    """
    if not set(MASKS) - {"roi"} <= set(masks):
        return None
    first, second, third = (masks[name] for name in MASKS if name != "roi")
    return (first & second) | (first & third) | (second & third)


def recorded_tissue(folder: Path) -> Bools | None:
    """Return the tissue by the masks in a folder of results, None without them."""
    paths = {name: folder / mask_file(name) for name in MASKS if name != "roi"}
    if not all(path.is_file() for path in paths.values()):
        return None
    return tissue_of({name: read_mask_export(p).mask for name, p in paths.items()})


def corner_of(bounds: Box | None) -> Pair:
    """Return the corner of the scanned part of a slide, (y, x) level-0 px."""
    return (0.0, 0.0) if bounds is None else (bounds.top, bounds.left)


def recorded_picture(record: RunRecord, path: SlidePath | None = None) -> Bytes:
    """Read the slide of a run for the overview.

    Parameters
    ----------
    record : RunRecord
        Of the run.
    path : Path or Url, optional
        Where the slide is now; as recorded by default.

    Returns
    -------
    (height, width, 3) ndarray of uint8
        The whole slide, ``THUMBNAIL_PX`` on its longer side.

    Raises
    ------
    OutputError
        The slide cannot be opened, or is another one now.
    """
    path = path or recorded_path(record.slide.path)
    try:
        with open_slide(path) as slide:
            if slide.fingerprint == record.slide.fingerprint:
                return slide.thumbnail(THUMBNAIL_PX)
    except FastNetError as error:
        raise OutputError(
            f"the overview shows the slide, which cannot be opened ({error}); give it "
            "with --slide, or leave png out"
        ) from error
    raise OutputError(f"{path}: not the slide of this run; give it with --slide")


def recorded_corner(folder: Path, record: RunRecord) -> Pair:
    """Return the corner of the scanned part of a recorded slide.

    Parameters
    ----------
    folder : Path
        Of the results, for what errors say.
    record : RunRecord
        Of the run. Of one that does not say it, the slide itself is asked.

    Returns
    -------
    tuple of float
        (y, x) level-0 px.

    Raises
    ------
    StoreError
        Neither says it.
    """
    slide = record.slide
    if slide.scanned_from is not None:
        return slide.scanned_from
    try:
        with open_slide(recorded_path(slide.path)) as opened:
            if opened.fingerprint == slide.fingerprint:
                return corner_of(opened.bounds)
    except FastNetError as error:
        reason = str(error)
    else:
        reason = f"{slide.path} is another slide now"
    raise StoreError(
        f"{folder}: the record does not say where the scanned part begins, and the slide "
        f"cannot be asked ({reason}); give --bounds-offset Y X"
    )


def roi_notes(
    given: RegionOfInterest,
    roi: Bools,
    masks: Mapping[str, Bools],
    mpp: Pair,
) -> tuple[str, ...]:
    """Return a note if a region of interest is mostly glass.

    Parameters
    ----------
    given : RegionOfInterest
        As read.
    roi : (height, width) bool ndarray
        Its mask.
    masks : Mapping of str to ndarray
        Of the slide, as for `tissue_of`.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    """
    height, width = given.slide_shape
    points = placement.mask_points(roi, (height / roi.shape[0], width / roi.shape[1]))
    note = _note(
        points, tissue_of(masks), given.slide_shape, mpp, placement.LEAST_INTEREST
    )
    return (f"{given.path.name}: {note}",) if note else ()


def outline_notes(
    path: Path,
    outlines: Annotations,
    tissue: Bools | None,
    slide_shape: tuple[int, int],
    mpp: Pair,
) -> tuple[str, ...]:
    """Return a note if outlines of tumor are mostly around glass.

    Parameters
    ----------
    path : Path
        Their file.
    outlines : Annotations
        On the slide.
    tissue : (height, width) bool ndarray or None
        As `tissue_of` gives it.
    slide_shape : tuple of int
        (height, width), level-0 px.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    """
    if tissue is None:
        return ()
    height, width = tissue.shape
    step = (slide_shape[0] / height, slide_shape[1] / width)
    inside = slide_mask(outlines, slide_shape, (height, width))
    note = _note(placement.mask_points(inside, step), tissue, slide_shape, mpp)
    return (f"{path.name}: {note}",) if note else ()


def truth_notes(
    truth: TruthMask,
    tissue: Bools | None,
    slide_shape: tuple[int, int],
    mpp: Pair,
) -> tuple[str, ...]:
    """Return a note if a truth is mostly glass; see `outline_notes`."""
    points = placement.mask_points(truth.inside, truth.step, truth.first)
    note = _note(points, tissue, slide_shape, mpp)
    return (note,) if note else ()


def _note(
    points: Floats,
    tissue: Bools | None,
    slide_shape: tuple[int, int],
    mpp: Pair,
    least: float = placement.LEAST_TUMOR,
) -> str:
    """Return a note if less than a share of points lies on tissue, as far as known."""
    if tissue is None:
        return ""
    return placement.placement_note(points, tissue, slide_shape, mpp=mpp, least=least)
