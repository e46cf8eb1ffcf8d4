"""Examples to teach by: the patches around the labelled cells of one or more slides."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.display import counted
from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import DataError, FastNetError, TileReadError
from napari_fastnet.results.labels import Labels, labelled_cells, labels_of_runs
from napari_fastnet.results.loading import run_folder
from napari_fastnet.results.record import RECORD, read_record
from napari_fastnet.results.recorded_slide import recorded_tissue
from napari_fastnet.slide.slide import Slide, open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_fastnet.annotations.options import OutlineOptions
    from napari_fastnet.core.arrays import Bools, Bytes, Floats, Indices
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.labelled_cells import LabelledCells
    from napari_fastnet.model.description import ModelDescription

#: Most patches of a class: more teach little, and take time to judge.
MOST_OF_CLASS = 600
#: Fewest labelled cells of a class.
FEWEST_OF_CLASS = 5
# A patch is glass where nearly all of its px are brighter than this grey value.
_GLASS_GREY, _GLASS_SHARE = 225, 0.95


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Examples:
    """Labelled patches of a laboratory.

    Parameters
    ----------
    images : (n, side, side, 3) ndarray of uint8
        RGB at the model's µm/px, each around a labelled cell.
    tumor : (n,) ndarray of bool
        Their labels; both occur.
    places : (n,) ndarray of int
        Place of each, a group of labelled cells close together.
    labels_tumor, labels_normal : int
        Labelled cells of each class, of which the patches are at most some hundreds.
    slides : int
        Slides they lie on.
    digest : str
        SHA-256 of the corrections, the same however they came.
    notes : tuple of str
        Sentences about what was left out and why.
    """

    images: Bytes
    tumor: Bools
    places: Indices
    labels_tumor: int
    labels_normal: int
    slides: int
    digest: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GatherProgress:
    """Patches read, and their number in all."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LabelledSlide:
    """A slide and its labels.

    Parameters
    ----------
    slide : Path or Slide
        The file, or the open slide, which stays open.
    labels : Labels
        Of this slide, with its fingerprint.
    mpp : tuple of float or None
        (y, x) µm/px that a user gave for a file; None is its own.
    tissue : (height, width) bool ndarray or None
        Of the whole slide, by which labels that lie elsewhere are noted.
    """

    slide: Path | Slide
    labels: Labels
    mpp: Pair | None = None
    tissue: Bools | None = None

    @property
    def name(self) -> str:
        """Name of the slide's file."""
        path = self.slide.path if isinstance(self.slide, Slide) else self.slide
        return path.name


def labelled_slides(
    runs: Sequence[Path],
    files: Sequence[Path] = (),
    outlines: OutlineOptions | None = None,
) -> list[LabelledSlide]:
    """Return the slides of runs with the labels beside the runs and in files.

    Parameters
    ----------
    runs : sequence of Path
        Folders of finished runs.
    files : sequence of Path, optional
        Files of labels, as for `results.labels.labels_of_runs`.
    outlines : OutlineOptions, optional
        For the outlines of other programs.

    Returns
    -------
    list of LabelledSlide
        One for each run.

    Raises
    ------
    StoreError
        A folder has no finished run.
    AnnotationError
        A file cannot be read, or belongs to none of the runs.
    """
    found = []
    read = labels_of_runs(runs, files, outlines)
    for run, labels in zip(runs, read, strict=True):
        record = read_record(run_folder(run) / RECORD)
        facts, notes = record.slide, labels.notes
        if record.options.stain.get("method", "none") != "none":
            notes += (
                f"{facts.name} was detected with colours matched to the model's, and is "
                "taught in its own",
            )
        found.append(
            LabelledSlide(
                slide=Path(facts.path),
                labels=replace(labels, fingerprint=facts.fingerprint, notes=notes),
                mpp=facts.mpp if facts.mpp_source == "user" else None,
                tissue=recorded_tissue(run_folder(run)),
            )
        )
    return found


def gather(
    slides: Sequence[LabelledSlide],
    model: ModelDescription,
    seed: int = 0,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[GatherProgress | Examples]:
    """Read the patches around labelled cells.

    Parameters
    ----------
    slides : sequence of LabelledSlide
        In any order; the labels of one slide may come in parts.
    model : ModelDescription
        States the side and the µm/px of the patches.
    seed : int, optional
        Draws the cells where there are more than `MOST_OF_CLASS`, places in turn.
    stopped : callable, optional
        Asked after each patch; once it returns True, nothing more is yielded.

    Yields
    ------
    GatherProgress or Examples
        Progress, and the examples at the end.

    Raises
    ------
    DataError
        Too few cells are labelled, all are of one class, or no slide can be read.
    """
    notes: list[str] = []
    with ExitStack() as stack:
        found = _labelled(slides, stack, notes)
        cells = [of_slide for _, of_slide in found]
        tumor = np.concatenate([of.tumor for of in cells] or [np.zeros(0, np.bool_)])
        _require_enough(tumor, notes)
        places = _numbered(cells)
        chosen = _draw(tumor, places, np.random.default_rng(seed))
        owners = np.repeat(np.arange(len(found)), [len(of.tumor) for of in cells])
        centres = np.concatenate([of.centres for of in cells])
        images: list[Bytes] = []
        taught: list[int] = []
        left_out = Counter[str]()
        for number, cell in enumerate(chosen, start=1):
            slide = found[owners[cell]][0]
            image, fault = _patch(slide, centres[cell], model)
            if fault:
                left_out[f"{slide.path.name} {fault}"] += 1
            else:
                images.append(image)
                taught.append(cell)
            yield GatherProgress(number, len(chosen))
            if stopped():
                return
    notes += [
        f"{counted(count, 'labelled cell')} of {words}, left out"
        for words, count in left_out.items()
    ]
    _require_enough(tumor[taught], notes)
    yield Examples(
        images=np.stack(images),
        tumor=tumor[taught],
        places=places[taught],
        labels_tumor=int(tumor.sum()),
        labels_normal=int((~tumor).sum()),
        slides=len(np.unique(owners)),
        digest=sha256("".join(of.digest for of in cells).encode()).hexdigest(),
        notes=tuple(dict.fromkeys(notes)),
    )


def _labelled(
    slides: Sequence[LabelledSlide], stack: ExitStack, notes: list[str]
) -> list[tuple[Slide, LabelledCells]]:
    """Return the slides that have labelled cells, in an order that is always the same.

    Slides that cannot be read are noted; DataError where none can.
    """
    parts: dict[str, list[Labels]] = {}
    opened: dict[str, Slide] = {}
    tissue: dict[str, Bools | None] = {}
    for one in slides:
        notes += one.labels.notes
        try:
            slide = _open(one, stack)
        except FastNetError as error:
            notes.append(f"the labels of {one.name} cannot be used: {error}")
            continue
        opened.setdefault(slide.fingerprint, slide)
        parts.setdefault(slide.fingerprint, []).append(one.labels)
        tissue[slide.fingerprint] = one.tissue
    if slides and not opened:
        raise DataError(notes[-1])
    found = []
    for fingerprint, slide in sorted(opened.items()):
        labels = Labels(
            fingerprint=fingerprint,
            slide=slide.path.name,
            items=tuple(chain.from_iterable(of.items for of in parts[fingerprint])),
        )
        cells = labelled_cells(
            labels, slide.shape, slide.require_mpp(), tissue=tissue[fingerprint]
        )
        notes += cells.notes
        if len(cells.tumor):
            found.append((slide, cells))
    return found


def _open(labelled: LabelledSlide, stack: ExitStack) -> Slide:
    """Return the open slide that the labels are of; it is closed at the end if opened."""
    slide, path = labelled.slide, labelled.slide
    if not isinstance(slide, Slide):
        slide = stack.enter_context(open_slide(slide, mpp=labelled.mpp))
    slide.require_mpp()
    if labelled.labels.fingerprint not in ("", slide.fingerprint):
        raise DataError(
            f"{path} is another slide now; put the one of the labels back, or leave "
            "them out"
        )
    return slide


def _require_enough(tumor: Bools, notes: Sequence[str]) -> None:
    """Raise DataError where a class has too few cells."""
    counts = [int(tumor.sum()), int((~tumor).sum())]
    if min(counts) < FEWEST_OF_CLASS:
        reason = f" ({'; '.join(notes)})" if notes else ""
        raise DataError(
            f"labelled are {counts[0]:,} tumor and {counts[1]:,} normal cells{reason}; "
            f"label at least {FEWEST_OF_CLASS} of each"
        )


def _numbered(cells: Sequence[LabelledCells]) -> Indices:
    """Return the place of each cell, those of all slides numbered on."""
    first, numbered = 0, []
    for of_slide in cells:
        numbered.append(of_slide.places + first)
        first += int(of_slide.places.max()) + 1
    return np.concatenate(numbered)


def _draw(tumor: Bools, places: Indices, rng: np.random.Generator) -> Indices:
    """Draw up to `MOST_OF_CLASS` cells of each class, from its places in turn."""
    drawn = []
    for label in (False, True):
        order = rng.permutation(np.flatnonzero(tumor == label))
        # The turn of each cell in its place: first all that are first, then the second.
        _, place = np.unique(places[order], return_inverse=True)
        by_place = np.argsort(place, kind="stable")
        sizes = np.bincount(place)
        turn = np.empty(len(order), np.intp)
        turn[by_place] = np.arange(len(order)) - np.repeat(
            np.cumsum(sizes) - sizes, sizes
        )
        drawn.append(order[np.argsort(turn, kind="stable")][:MOST_OF_CLASS])
    return np.sort(np.concatenate(drawn))


def _patch(slide: Slide, centre: Floats, model: ModelDescription) -> tuple[Bytes, str]:
    """Read the patch around a point, (y, x) level-0 px, and say why it cannot teach."""
    side, spacing = model.patch_size_pixels, model.spacing_um_px
    height, width = (side * spacing / own for own in slide.require_mpp())
    corner = (centre[0] - height / 2, centre[1] - width / 2)
    try:
        image = slide.read(Box.of_shape((height, width), corner), spacing)
    except TileReadError:
        return np.empty((0, 0, 3), np.uint8), "in damaged tiles"
    glass = (image.mean(axis=2) > _GLASS_GREY).mean() > _GLASS_SHARE
    return image, "on glass" if glass else ""
