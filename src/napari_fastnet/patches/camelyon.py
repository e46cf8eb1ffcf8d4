"""Slides, classes and annotations of CAMELYON16's folder as it is published.

    training/normal/normal_001.tif ...
    training/tumor/tumor_001.tif ...
    training/lesion_annotations/tumor_001.xml ...   (from lesion_annotations.zip)
    testing/images/test_001.tif ...
    testing/lesion_annotations/test_001.xml ...
    testing/reference.csv

``annotations`` may stand for ``lesion_annotations``, and either beside ``training`` and
``testing``. Capitals do not matter. A part of the slides will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_fastnet.annotations.truth_files import REFERENCE, find_truths, slide_key
from napari_fastnet.errors import DataError
from napari_fastnet.results.recognise import SCANNER_SUFFIXES, TIFF_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_PARTLY = (
    *(10, 15, 18, 20, 25, 29, 33, 34, 44, 46),
    *(51, 54, 55, 56, 67, 79, 85, 92, 95, 110),
)
#: Slides of CAMELYON16 on which not all tumor is outlined: tissue outside their outlines
#: is not known to be normal.
PARTLY_ANNOTATED = frozenset((*(f"tumor_{n:03}" for n in _PARTLY), "test_114"))
#: A copy of another slide of the test set.
DUPLICATES = frozenset({"test_049"})

_ANNOTATIONS = ("lesion_annotations", "annotations")
_LAYOUT = (
    "give the folder that holds training/normal, training/tumor and "
    "training/lesion_annotations, as CAMELYON16 is published"
)


@dataclass(frozen=True, slots=True)
class CamelyonSlide:
    """One slide of the folder.

    Parameters
    ----------
    name : str
        Of the file, without suffix.
    path : Path
        The slide.
    is_tumor : bool
        Whether there is tumor on it.
    is_test : bool
        Whether it is of the test set.
    outlines : Path or None
        Its annotation; every slide with tumor has one.
    is_partly : bool
        Whether there may be tumor that is not outlined.
    """

    name: str
    path: Path
    is_tumor: bool
    is_test: bool
    outlines: Path | None
    is_partly: bool


@dataclass(frozen=True, slots=True)
class CamelyonFolder:
    """The slides of a folder, and notes on files left out.

    Parameters
    ----------
    slides : tuple of CamelyonSlide
        By name, those for training first.
    notes : tuple of str
        A line for each slide without annotation or class, and for each annotation
        without slide.
    """

    slides: tuple[CamelyonSlide, ...]
    notes: tuple[str, ...]


def is_camelyon(folder: Path) -> bool:
    """Return whether a path looks like CAMELYON16's folder."""
    training = _child(folder, "training") if folder.is_dir() else None
    return training is not None and any(
        _child(training, name) for name in ("normal", "tumor")
    )


def find_camelyon(folder: Path, *, testing: bool = False) -> CamelyonFolder:
    """Find the slides of a folder in CAMELYON16's layout.

    Parameters
    ----------
    folder : Path
        The folder around ``training``.
    testing : bool
        Find the slides for testing too.

    Returns
    -------
    CamelyonFolder
        At least one slide.

    Raises
    ------
    DataError
        It is no such folder, its annotations are still packed, two slides have one
        name, or one has two annotations.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; {_LAYOUT}")
    slides, notes = _training(folder)
    if testing:
        more, more_notes = _testing(folder)
        slides, notes = slides + more, notes + more_notes
    if not slides:
        raise DataError(
            f"{folder}: no slide that can be used ({len(notes)} left out; first: "
            f"{notes[0] if notes else 'there is none'}); {_LAYOUT}"
        )
    seen: dict[str, Path] = {}
    for slide in slides:
        other = seen.setdefault(slide_key(slide.name), slide.path)
        if other != slide.path:
            raise DataError(
                f"{slide.path}: another slide has the same name, {other}; keep one"
            )
    return CamelyonFolder(tuple(slides), tuple(notes))


def _training(folder: Path) -> tuple[list[CamelyonSlide], list[str]]:
    """Find the slides for training: their class is the folder they lie in."""
    training = _child(folder, "training")
    if training is None:
        raise DataError(f"{folder}: no folder training in it; {_LAYOUT}")
    normal = _slides(_child(training, "normal"))
    tumor = _slides(_child(training, "tumor"))
    outlines = _outlines(folder, training) if tumor else {}
    classes = [(path, False) for path in normal] + [(path, True) for path in tumor]
    slides, notes = _usable(classes, outlines, is_test=False)
    known = {slide_key(path.stem) for path in tumor}
    notes += [
        f"{path}: no slide of that name in training/tumor"
        for key, path in outlines.items()
        if key not in known and not key.startswith("test")
    ]
    return slides, notes


def _testing(folder: Path) -> tuple[list[CamelyonSlide], list[str]]:
    """Find the slides for testing: the reference has their classes."""
    testing = _child(folder, "testing")
    if testing is None:
        raise DataError(f"{folder}: no folder testing in it; leave the test set out")
    reference = _child(testing, REFERENCE)
    if reference is None:
        raise DataError(f"{testing}: no {REFERENCE}, which has the slides' classes")
    known = find_truths([reference]).slides
    classes, notes = [], []
    for path in _slides(_child(testing, "images") or testing):
        truth = known.get(slide_key(path.stem))
        if slide_key(path.stem) in DUPLICATES:
            notes.append(f"{path}: a copy of another slide")
        elif truth is None or truth.is_tumor is None:
            notes.append(f"{path}: not in {reference}")
        else:
            classes.append((path, truth.is_tumor))
    slides, more = _usable(classes, _outlines(folder, testing), is_test=True)
    return slides, notes + more


def _usable(
    classes: Iterable[tuple[Path, bool]], outlines: dict[str, Path], *, is_test: bool
) -> tuple[list[CamelyonSlide], list[str]]:
    """Return the slides that can be used, and a note on each other one."""
    slides, notes = [], []
    for path, is_tumor in classes:
        key = slide_key(path.stem)
        own = outlines.get(key) if is_tumor else None
        if is_tumor and own is None:
            notes.append(f"{path}: a tumor slide without annotation")
            continue
        partly = key in PARTLY_ANNOTATED
        slides.append(CamelyonSlide(path.stem, path, is_tumor, is_test, own, partly))
    return slides, notes


def _outlines(folder: Path, part: Path) -> dict[str, Path]:
    """Return the annotations of a part by slide."""
    places = [_child(place, name) for place in (part, folder) for name in _ANNOTATIONS]
    folders = [place for place in places if place is not None and place.is_dir()]
    if not folders:
        packed = _child(part, "lesion_annotations.zip")
        remedy = f"unpack {packed} into {part / _ANNOTATIONS[0]}" if packed else _LAYOUT
        raise DataError(f"{part}: no folder lesion_annotations; {remedy}")
    found = find_truths(folders).slides
    return {key: truth.outlines for key, truth in found.items() if truth.outlines}


def _slides(folder: Path | None) -> list[Path]:
    """Return the slides of a folder by name, hidden files left out."""
    if folder is None or not folder.is_dir():
        return []
    slides = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (*SCANNER_SUFFIXES, *TIFF_SUFFIXES)
        and not path.name.startswith(".")
    ]
    return sorted(slides, key=lambda path: slide_key(path.stem))


def _child(folder: Path, name: str) -> Path | None:
    """Return an entry of a folder whatever its capitals, None where there is none."""
    exact = folder / name
    if exact.exists():
        return exact
    alike = (path for path in folder.iterdir() if path.name.casefold() == name)
    return min(alike, default=None)
