"""Files of truth by slide: outlines, masks, CAMELYON16's reference.

Names are compared without regard to case: CAMELYON16 has both ``tumor_001`` and
``Tumor_001``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_fastnet.annotations.checks import odd_outlines
from napari_fastnet.annotations.reading import SUFFIXES as OUTLINES
from napari_fastnet.annotations.roi import read_slide_annotations
from napari_fastnet.annotations.truth_mask import read_truth_mask
from napari_fastnet.core.metrics.truth import TruthMask, draw_truth, truth_step
from napari_fastnet.errors import AnnotationError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_fastnet.core.geometry import Pair

MASKS = (".tif", ".tiff", ".png")
REFERENCE = "reference.csv"

_CLASSES = {"tumor": True, "tumour": True, "normal": False}
_HEADINGS = ("slide", "image", "name", "case", "file")
_SEPARATORS = ",;\t"

#: Suffixes of slides; names of outlines and lines of lists keep them (``a.svs.geojson``).
_SLIDES = (
    *(".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".dcm", ".czi", ".vsi", ".isyntax"),
    *(".svslide", ".vms", ".vmu", ".tif", ".tiff", ".png", ".qptiff", ".btf"),
)
#: Suffixes of truths that are not read: of HALO, NDP.view, QuPath, CaseViewer, and packed
#: ones.
_UNREAD = (".annotations", ".ndpa", ".qpdata", ".annot", ".gz", ".zip", ".npy", ".svg")


@dataclass(frozen=True, slots=True)
class SlideTruth:
    """The truth of one slide.

    Parameters
    ----------
    name : str
        From the truth's file or the reference's line.
    outlines : Path or None
        ASAP's XML, CAMELYON's JSON, GeoJSON, or a mask.
    is_tumor : bool or None
        Class in the reference; None without one.
    """

    name: str
    outlines: Path | None = None
    is_tumor: bool | None = None


@dataclass(frozen=True, slots=True)
class Truths:
    """The truths of slides.

    Parameters
    ----------
    slides : dict of str to SlideTruth
        By `slide_key`.
    has_reference, has_outlines : bool
        Whether there is a reference at all, and outlines of any slide.
    unread : tuple of Path
        Files that look like a truth and are of a kind that is not read.
    """

    slides: dict[str, SlideTruth]
    has_reference: bool
    has_outlines: bool
    unread: tuple[Path, ...] = ()

    @property
    def has_masks(self) -> bool:
        """Whether the truth of any slide is a mask."""
        files = (slide.outlines for slide in self.slides.values())
        return any(f is not None and f.suffix.lower() in MASKS for f in files)

    def unread_of(self, name: str) -> Path | None:
        """Return the file that looks like a slide's truth but is not read, or None."""
        start = slide_key(name)
        for path in self.unread:
            rest = path.name.casefold().removeprefix(start)
            if rest != path.name.casefold() and rest.startswith((".", "_mask.")):
                return path
        return None

    def of(self, name: str) -> SlideTruth | None:
        """Return the truth of a slide, or None."""
        return self.slides.get(slide_key(name))


def slide_key(name: str) -> str:
    """Return a slide's name in a form for comparison.

    Parameters
    ----------
    name : str
        Of the slide, of its file, or of a file of its truth without the last suffix.

    Returns
    -------
    str
        Without case, folders, the suffix of a slide's file, ``.ome`` and ``_mask``.
    """
    key = _without_folders(name.casefold()).removesuffix("_mask")
    for suffix in _SLIDES:
        key = key.removesuffix(suffix)
    return key.removesuffix(".ome").removesuffix("_mask")


def find_truths(places: Iterable[Path]) -> Truths:
    """Find the truths at some places.

    Parameters
    ----------
    places : iterable of Path
        Folders of outlines (ASAP's XML, CAMELYON's JSON, GeoJSON), of masks (TIFF, or
        PNG named ``_mask``), of both, perhaps with a ``reference.csv``; or such files. A
        file of truth is named as its slide, a mask also with ``_mask`` behind. Other
        files of a folder are ignored.

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
    unread: list[Path] = []
    references = 0
    for place in places:
        if not place.exists():
            raise DataError(f"{place}: no such file or folder; check --truth")
        found, others = _files(place)
        if not found:
            raise DataError(
                f"{place}: no truth; give a folder of ASAP's XML files or of mask TIFFs "
                "named as the slides, or CAMELYON16's reference.csv"
            )
        unread += others
        for path in found:
            if path.suffix.lower() == ".csv":
                references += 1
                _add_reference(slides, path)
            else:
                _add_outlines(slides, path)
    outlined = any(slide.outlines for slide in slides.values())
    return Truths(slides, bool(references), outlined, tuple(unread))


def _files(place: Path) -> tuple[list[Path], list[Path]]:
    """Return the files of truth at a place, and those of a kind that is not read."""
    kinds = (*OUTLINES, *MASKS)
    if not place.is_dir():
        return [place] if place.suffix.lower() in (*kinds, ".csv") else [], []
    truths, unread = [], []
    for path in sorted(place.iterdir()):
        name, suffix = path.name.casefold(), path.suffix.lower()
        # beside outlines lie pictures of slides, too
        is_picture = suffix == ".png" and not name.endswith("_mask.png")
        if name.startswith("."):
            continue
        if suffix in _UNREAD:
            unread.append(path)
        elif name == REFERENCE or (suffix in kinds and not is_picture):
            truths.append(path)
    return truths, unread


def _add_outlines(slides: dict[str, SlideTruth], path: Path) -> None:
    key = slide_key(path.stem)
    known = slides.get(key, SlideTruth(path.stem))
    if known.outlines is not None:
        raise DataError(
            f"{path}: slide {known.name} has another truth, {known.outlines}; keep one"
        )
    slides[key] = replace(known, outlines=path)


def _add_reference(slides: dict[str, SlideTruth], path: Path) -> None:
    """Read lines of slide, class and any other columns."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no reference to read ({error})") from error
    lines = text.splitlines()
    separator = max(_SEPARATORS, key=next(filter(str.strip, lines), "").count)
    table = csv.reader(lines, delimiter=separator)
    rows = [[cell.strip() for cell in row] for row in table]
    for number, row in enumerate(rows, 1):
        kind = _CLASSES.get(row[1].casefold()) if len(row) > 1 else None
        if kind is None:
            heading = number == 1 and row and row[0].casefold().startswith(_HEADINGS)
            if heading or not any(row):
                continue
            raise DataError(
                f"{path}, line {number}: {','.join(row)[:60]!r} is not slide,class with "
                "a class Tumor or Normal"
            )
        name = _without_folders(row[0])
        suffix = next((one for one in _SLIDES if name.casefold().endswith(one)), "")
        name = name[: len(name) - len(suffix)]
        key = slide_key(name)
        known = slides.get(key, SlideTruth(name))
        if known.is_tumor not in (None, kind):
            raise DataError(
                f"{path}, line {number}: slide {name} was of the other class before; "
                "keep one line"
            )
        slides[key] = replace(known, is_tumor=kind)


def _without_folders(name: str) -> str:
    """Return a name without folders before it, of any system."""
    return name.replace("\\", "/").rpartition("/")[2]


def read_truth(
    path: Path,
    *,
    mpp: Pair,
    shape: tuple[int, int] | None = None,
    mask_value: int | None = None,
    bounds_offset: Pair = (0.0, 0.0),
    tumor_classes: tuple[str, ...] = (),
) -> tuple[TruthMask, tuple[str, ...]]:
    """Read the truth of a slide as a mask of px of about 7.776 µm.

    Parameters
    ----------
    path : Path
        Outlines, or a mask: TIFF or PNG.
    mpp : tuple of float
        (y, x) µm per level-0 px of the slide.
    shape : tuple of int, optional
        (height, width) of the slide, level-0 px. By default the slide ends with its
        mask, or beyond its outlines.
    mask_value : int, optional
        Number of tumor in a mask of several numbers.
    bounds_offset : tuple of float, optional
        (y, x) level-0 px that are added to outlines, see `roi.read_outlines`.
    tumor_classes : tuple of str, optional
        Classes of outlines that are tumor, see `classes.Classes`.

    Returns
    -------
    tuple of TruthMask and tuple of str
        The whole slide or a window around the tumor, and notes about its outlines.

    Raises
    ------
    AnnotationError, MaskError
        The file cannot be understood, or does not fit the slide.
    """
    step = truth_step(mpp)
    if path.suffix.lower() in MASKS:
        return read_truth_mask(path, step=step, shape=shape, value=mask_value), ()
    annotations = read_slide_annotations(
        path, shape, bounds_offset=bounds_offset, tumor_classes=tumor_classes
    )
    truth = draw_truth(annotations, step=step, shape=shape)
    outlines = len(annotations.positive)
    if outlines and not truth.inside.any():
        raise AnnotationError(
            f"{path}: none of its {outlines} outlines of tumor holds the centre of a px "
            "of the slide; give those of this slide, in level-0 px"
        )
    return truth, odd_outlines(annotations, shape)
