"""Which truth there is for which slide: outlines, masks, CAMELYON16's reference.

Names are compared without regard to case: CAMELYON16 has both ``tumor_001`` and
``Tumor_001``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_fastnet.core.truth import TruthMask, draw_truth, truth_step
from napari_fastnet.errors import AnnotationError, DataError
from napari_fastnet.io.annotation_checks import odd_outlines
from napari_fastnet.io.annotation_files import SUFFIXES as OUTLINES
from napari_fastnet.io.annotation_files import read_annotations
from napari_fastnet.io.truth_mask import read_truth_mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_fastnet.core.geometry import Pair

MASKS = (".tif", ".tiff", ".png")
REFERENCE = "reference.csv"

_CLASSES = {"tumor": True, "tumour": True, "normal": False}
_HEADINGS = ("slide", "image", "name", "case", "filename")


@dataclass(frozen=True, slots=True)
class SlideTruth:
    """What is known of one slide.

    Parameters
    ----------
    name : str
        As its file or its line has it.
    outlines : Path or None
        ASAP's XML, CAMELYON's JSON, GeoJSON, or a mask.
    is_tumour : bool or None
        What the reference says; None where there is none.
    """

    name: str
    outlines: Path | None = None
    is_tumour: bool | None = None


@dataclass(frozen=True, slots=True)
class Truths:
    """Everything that is known, by name.

    Parameters
    ----------
    slides : dict of str to SlideTruth
        By `slide_key`.
    has_reference, has_outlines : bool
        Whether there is a reference at all, and outlines of any slide.
    """

    slides: dict[str, SlideTruth]
    has_reference: bool
    has_outlines: bool

    def of(self, name: str) -> SlideTruth | None:
        """Return what is known of a slide."""
        return self.slides.get(slide_key(name))


def slide_key(name: str) -> str:
    """Return a slide's name for comparing: without case, ``.ome`` and ``_mask``."""
    return name.casefold().removesuffix(".ome").removesuffix("_mask")


def find_truths(places: Iterable[Path]) -> Truths:
    """Return which truth lies where.

    Parameters
    ----------
    places : iterable of Path
        Folders of outlines (ASAP's XML, CAMELYON's JSON, GeoJSON), of masks (TIFF, or PNG named ``_mask``), of
        both, perhaps with a ``reference.csv``; or such files. A slide's file is named
        as the slide, a mask also with ``_mask`` behind. Other files of a folder are
        passed over.

    Returns
    -------
    Truths
        Of at least one slide.

    Raises
    ------
    DataError
        A place is missing or holds no truth, a slide has two, or a reference cannot be
        understood.
    """
    slides: dict[str, SlideTruth] = {}
    references = 0
    for place in places:
        files = list(_files(place))
        if not files:
            raise DataError(
                f"{place}: no truth; give a folder of ASAP's XML files or of mask TIFFs "
                "named as the slides, or CAMELYON16's reference.csv"
            )
        for path in files:
            if path.suffix.lower() == ".csv":
                references += 1
                _add_reference(slides, path)
            else:
                _add_outlines(slides, path)
    outlined = any(slide.outlines for slide in slides.values())
    return Truths(slides, bool(references), outlined)


def _files(place: Path) -> Iterator[Path]:
    """Return the truth at a place."""
    if not place.exists():
        raise DataError(f"{place}: no such file or folder; check --truth")
    kinds = (*OUTLINES, *MASKS)
    if not place.is_dir():
        if place.suffix.lower() in (*kinds, ".csv"):
            yield place
        return
    for path in sorted(place.iterdir()):
        named = path.suffix.lower() in kinds or path.name == REFERENCE
        # beside outlines lie pictures of slides, too
        stem, suffix = path.stem.casefold(), path.suffix.lower()
        picture = suffix == ".png" and not stem.endswith("_mask")
        if named and not picture and not path.name.startswith("."):
            yield path


def _add_outlines(slides: dict[str, SlideTruth], path: Path) -> None:
    key = slide_key(path.stem)
    known = slides.get(key, SlideTruth(path.stem))
    if known.outlines is not None:
        raise DataError(
            f"{path}: slide {known.name} has another truth, {known.outlines}; keep one"
        )
    slides[key] = replace(known, outlines=path)


def _add_reference(slides: dict[str, SlideTruth], path: Path) -> None:
    """Read lines of slide, class and whatever follows."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no reference to read ({error})") from error
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines())]
    for number, row in enumerate(rows, 1):
        if not any(row) or (number == 1 and row[0].casefold() in _HEADINGS):
            continue
        kind = _CLASSES.get(row[1].casefold()) if len(row) > 1 else None
        if kind is None:
            raise DataError(
                f"{path}, line {number}: {','.join(row)[:60]!r} is not slide,class with "
                "a class Tumor or Normal"
            )
        name = row[0] if Path(row[0]).suffix not in MASKS else Path(row[0]).stem
        key = slide_key(name)
        known = slides.get(key, SlideTruth(name))
        if known.is_tumour not in (None, kind):
            raise DataError(
                f"{path}, line {number}: slide {name} was of the other class before; "
                "keep one line"
            )
        slides[key] = replace(known, is_tumour=kind)


def read_truth(
    path: Path,
    *,
    mpp: Pair,
    shape: tuple[int, int] | None = None,
    mask_value: int | None = None,
) -> tuple[TruthMask, tuple[str, ...]]:
    """Return where a slide's tumour is, in px of some 7.776 µm.

    Parameters
    ----------
    path : Path
        Outlines, or a mask: TIFF or PNG.
    mpp : tuple of float
        (y, x) µm per level-0 px of the slide.
    shape : tuple of int, optional
        (height, width) of the slide, level-0 px. Without, it ends where its mask does,
        or where no outline reaches any more.
    mask_value : int, optional
        What stands for tumour in a mask of several numbers.

    Returns
    -------
    tuple of TruthMask and tuple of str
        The whole slide or a window around the tumour, and what is odd about its
        outlines, a line each.

    Raises
    ------
    AnnotationError, MaskError
        The file cannot be understood, or does not fit the slide.
    """
    step = truth_step(mpp)
    if path.suffix.lower() in MASKS:
        return read_truth_mask(path, step=step, shape=shape, value=mask_value), ()
    annotations = read_annotations(path)
    truth = draw_truth(annotations, step=step, shape=shape)
    outlines = len(annotations.positive)
    if outlines and not truth.inside.any():
        raise AnnotationError(
            f"{path}: none of its {outlines} outlines of tumour holds the centre of a px "
            "of the slide; give those of this slide, in level-0 px"
        )
    return truth, odd_outlines(annotations, shape)
