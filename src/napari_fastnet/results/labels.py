"""Labels of a slide: the cells and outlines to which a person gave a class.

They come from the review of a run, from what was painted beside it, and from files. What a
person painted goes before what was decided on whole lesions or outlined elsewhere.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.annotations.placement import placement_note
from napari_fastnet.annotations.qupath.project import (
    entry_of,
    objects_of,
    project_file,
    read_project,
    stated_slide,
)
from napari_fastnet.annotations.reading import MAXIMUM_JSON_BYTES
from napari_fastnet.annotations.roi import read_outlines
from napari_fastnet.core.display import counted, in_a_line
from napari_fastnet.core.labelled_cells import (
    CELL_UM,
    IGNORE,
    KINDS,
    NORMAL,
    TUMOR,
    cells_inside,
    label_grid,
    labelled,
    outlines_of,
)
from napari_fastnet.errors import AnnotationError
from napari_fastnet.machine.json_text import parse_json
from napari_fastnet.results.corrections import (
    MEMBER,
    corrections_of,
    painted_outlines,
)
from napari_fastnet.results.decisions import decisions_of
from napari_fastnet.results.loading import run_folder
from napari_fastnet.results.record import RECORD, read_record, results_name
from napari_fastnet.results.recorded_slide import recorded_corner
from napari_fastnet.results.regions import RECORD_MEMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_fastnet.core.arrays import Bools, Bytes
    from napari_fastnet.core.geometry import Grid, Pair
    from napari_fastnet.core.labelled_cells import Kind, LabelledCells
    from napari_fastnet.core.lesions.matching import Outline
    from napari_fastnet.results.corrections import Corrections
    from napari_fastnet.results.decision_events import Verdict
    from napari_fastnet.results.decisions import Decisions
    from napari_fastnet.results.record import SlideFacts

#: Sources of labels that are no files of other programs.
PAINTED, DECIDED = "painted", "decided"
_DECIDED: dict[Verdict | None, Kind] = {"tumor": "tumor", "not tumor": "normal"}
#: Cells that are tumor and normal at once.
_BOTH = len(KINDS) + 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Label:
    """An outline to which a person gave a kind.

    Parameters
    ----------
    polygons : Outline
        (y, x), level-0 px.
    kind : {"tumor", "normal", "ignore"}
        Cells to ignore are neither of both.
    source : str
        ``"painted"``, ``"decided"``, or the name of a file.
    """

    polygons: Outline
    kind: Kind
    source: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """The labels of one slide.

    Parameters
    ----------
    fingerprint : str
        Of the slide; empty where a file does not say it.
    slide : str
        Name of the slide's file; empty where a file does not say it.
    items : tuple of Label
        In any order.
    notes : tuple of str
        Sentences: labels that were left out, and the reason.
    """

    fingerprint: str = ""
    slide: str = ""
    items: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()


def labels_of(decisions: Decisions, corrections: Corrections) -> Labels:
    """Return the labels that a person gave in the panel.

    Parameters
    ----------
    decisions : Decisions
        About a slide.
    corrections : Corrections
        Of the same slide.

    Returns
    -------
    Labels
        Lesions decided to be tumor, or not to be, as they were seen or as the person drew
        them, and what the person painted. Those that are unsure are none.
    """
    fingerprint, slide = corrections.slide
    decided = decisions.decisions
    painted = (
        Label(polygons=(polygon,), kind=kind, source=PAINTED)
        for number, kind in enumerate(KINDS, 1)
        for polygon in outlines_of(corrections.cells == number, corrections.grid)
    )
    judged = (
        Label(polygons=one.polygons, kind=_DECIDED[one.verdict], source=DECIDED)
        for one in decided
        if one.verdict in _DECIDED
    )
    notes = [*decisions.notes, *corrections.notes]
    if unsure := sum(one.verdict not in _DECIDED for one in decided):
        notes.append(
            f"{in_a_line(slide)}: {counted(unsure, 'lesion')} without a verdict, or "
            "unsure, label nothing"
        )
    return Labels(
        fingerprint=fingerprint,
        slide=slide,
        items=(*painted, *judged),
        notes=tuple(notes),
    )


def labels_of_run(run: Path) -> Labels:
    """Read the labels that lie beside a run.

    Parameters
    ----------
    run : Path
        The folder of the run.

    Returns
    -------
    Labels
        As from `labels_of`.

    Raises
    ------
    StoreError
        There is no finished run.
    SpacingError
        The run does not say the slide's µm/px.
    """
    folder = run_folder(run)
    slide = read_record(folder / RECORD).slide
    return labels_of(decisions_of(folder, slide), corrections_of(folder, slide))


def read_label_file(
    path: Path,
    slide_shape: tuple[int, int],
    *,
    bounds_offset: Pair = (0.0, 0.0),
    tumor_classes: tuple[str, ...] = (),
) -> Labels:
    """Read labels from GeoJSON or data of QuPath, ASAP's XML, or `results.corrections`.

    Parameters
    ----------
    path : Path
        The file, as for `annotations.reading.read_annotations`. Its classes have the
        meanings of `annotations.classes`.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.
    bounds_offset : tuple of float, optional
        (y, x) level-0 px that are added to outlines of other programs.
    tumor_classes : tuple of str, optional
        Classes of outlines of other programs that are tumor, and no others.

    Returns
    -------
    Labels
        Its notes name the classes that are neither tumor nor normal, and all else that was
        left out.

    Raises
    ------
    AnnotationError
        The file cannot be read, or nothing in it is a label on the slide.
    """
    document = _document(path)
    fingerprint, slide = _slide_of(document)
    if MEMBER in document:
        try:
            _, painted = painted_outlines(path.read_bytes())
        except ValueError as error:
            raise AnnotationError(f"{path}: {error}") from error
        items = [
            Label(polygons=(polygon,), kind=kind, source=PAINTED)
            for kind, polygon in painted
        ]
        return Labels(fingerprint=fingerprint, slide=slide, items=tuple(items))
    found, notes = read_outlines(
        path,
        slide_shape,
        bounds_offset,
        meaning="labels",
        tumor_classes=tumor_classes,
    )
    by_kind = zip(KINDS, (found.positive, found.negative, found.ignored), strict=True)
    return Labels(
        fingerprint=fingerprint,
        slide=slide,
        items=tuple(
            Label(polygons=((ring,),), kind=kind, source=path.name)
            for kind, rings in by_kind
            for ring in rings
        ),
        notes=notes,
    )


def labels_of_runs(
    runs: Sequence[Path],
    files: Sequence[Path],
    options: OutlineOptions | None = None,
) -> list[Labels]:
    """Read the labels of runs, those beside them and those in files.

    Parameters
    ----------
    runs : sequence of Path
        Folders of runs.
    files : sequence of Path
        Each belongs to the run of the slide whose fingerprint is in it, else to that of
        the slide of its name, else to the only slide; to the first of several runs. A
        project of QuPath has labels of each run whose slide is one of its images.
    options : OutlineOptions, optional
        For the outlines of other programs.

    Returns
    -------
    list of Labels
        One for each run.

    Raises
    ------
    StoreError
        There is no finished run.
    AnnotationError
        A file cannot be read, or belongs to none of the runs.
    """
    folders = [run_folder(run) for run in runs]
    records = [read_record(folder / RECORD) for folder in folders]
    found = [labels_of_run(folder) for folder in folders]
    options = options or OutlineOptions()
    slides = [record.slide for record in records]
    for path in files:
        for which in owned_by(path, slides):
            slide = slides[which]
            corner = partial(recorded_corner, folders[which], records[which])
            file, offset, notes = objects_of(
                path, slide.path, corner, options.offset(corner), slide.fingerprint
            )
            read = read_label_file(
                file,
                (slide.height, slide.width),
                bounds_offset=offset,
                tumor_classes=options.tumor_classes,
            )
            own, notes = found[which], (*notes, *read.notes)
            notes += () if file != path else unstated_note(path, slide)
            found[which] = replace(
                own, items=(*own.items, *read.items), notes=(*own.notes, *notes)
            )
    return found


def owned_by(path: Path, slides: Sequence[SlideFacts]) -> list[int]:
    """Find the runs whose slides a file is about.

    Parameters
    ----------
    path : Path
        A file of outlines, of one slide; or a project of QuPath, of several.
    slides : sequence of SlideFacts
        Those of the runs.

    Returns
    -------
    list of int
        Indices of runs; at least one.

    Raises
    ------
    AnnotationError
        It is about none of them, or it is not known about which.
    """
    if (file := project_file(path)) is None:
        return [_owner(path, slides)]
    project = read_project(file)
    entries = [entry_of(project, slide.path, slide.fingerprint)[0] for slide in slides]
    found = [at for at, one in enumerate(entries) if one and one.objects.is_file()]
    if not found:
        several = ", ".join(Counter(in_a_line(slide.name) for slide in slides))
        raise AnnotationError(
            f"{file}: has objects of none of the slides ({several}); add them to the "
            "project, draw in QuPath and save"
        )
    return found


def labelled_cells(
    labels: Labels,
    slide_shape: tuple[int, int],
    mpp: Pair,
    *,
    tissue: Bools | None = None,
) -> LabelledCells:
    """Return the cells of a slide that the labels make tumor or normal.

    What was painted goes before all else. Cells that are tumor and normal at once are left
    out, and so are those to ignore.

    Parameters
    ----------
    labels : Labels
        Of the slide.
    slide_shape : tuple of int
        (height, width), level-0 px.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    tissue : (height, width) bool ndarray, optional
        Tissue of the whole slide. With it, labels outside of it are noted; they stay.

    Returns
    -------
    LabelledCells
        Perhaps none; its notes begin with those of the labels.

    Raises
    ------
    SpacingError
        The µm/px is no two numbers above 0.
    """
    grid = label_grid(slide_shape, mpp)
    painted, others = (
        _laid([one for one in labels.items if (one.source == PAINTED) == own], grid)
        for own in (True, False)
    )
    cells = np.where(painted > 0, painted, others)
    found = labelled(cells, grid, labels.fingerprint)
    notes, of_slide = list(labels.notes), in_a_line(labels.slide) or "the slide"
    if both := int((cells == _BOTH).sum()):
        notes.append(
            f"{of_slide}: {counted(both, 'cell')} labelled tumor and normal at once, "
            "left out; paint them, or remove one of both outlines"
        )
    if small := sum(_is_small(one.polygons, grid) for one in labels.items):
        notes.append(
            f"{of_slide}: {counted(small, 'outline')} too small to hold the centre of a "
            f"cell of {CELL_UM:.1f} µm, and of no effect"
        )
    if tissue is not None:
        # what was outlined in our own window is not turned or mirrored
        foreign = [one for one in labels.items if one.source not in (PAINTED, DECIDED)]
        points = labelled(_laid(foreign, grid), grid, "").centres
        words = placement_note(points, tissue, slide_shape, mpp=mpp)
        at = (found.centres * np.divide(tissue.shape, slide_shape)).astype(np.intp)
        if glass := int((~tissue[tuple(at.T)]).sum()):
            words = (
                words or f"{counted(glass, 'labelled cell')} outside the tissue masks"
            )
        if words:
            notes.append(f"{of_slide}: {words}")
    return replace(found, notes=tuple(notes))


def _laid(labels: Iterable[Label], grid: Grid) -> Bytes:
    """Return the cells that labels of equal standing make, (rows, columns)."""
    by_kind: dict[Kind, list[Outline]] = {kind: [] for kind in KINDS}
    for one in labels:
        by_kind[one.kind].append(one.polygons)
    tumor, normal, ignored = (
        cells_inside(chain.from_iterable(outlines), grid)
        for outlines in by_kind.values()
    )
    cells = np.zeros(grid.shape, np.uint8)
    cells[tumor], cells[normal], cells[tumor & normal] = TUMOR, NORMAL, _BOTH
    cells[ignored] = IGNORE
    return cells


def _is_small(outline: Outline, grid: Grid) -> bool:
    """Return whether no row or no column of cells has its centre within an outline."""
    points = np.concatenate([polygon[0] for polygon in outline])
    ends = np.ceil([edge / grid.step - 0.5 for edge in (points.min(0), points.max(0))])
    return bool((ends[0] == ends[1]).any())


def _document(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file; an empty one where others are to refuse it."""
    with suppress(OSError, ValueError):
        if (
            path.suffix.lower() not in (".xml", ".qpdata")
            and path.stat().st_size <= MAXIMUM_JSON_BYTES
        ):
            document = parse_json(path.read_bytes())
            return document if isinstance(document, dict) else {}
    return {}


def slide_of_file(path: Path) -> tuple[str, str]:
    """Return the fingerprint and the name of the slide that a file states; or empty ones."""
    if path.suffix.lower() == ".qpdata":
        return stated_slide(path)
    return _slide_of(_document(path))


def _slide_of(document: dict[str, Any]) -> tuple[str, str]:
    """Return the fingerprint and the name of the slide that a file of ours states."""
    with suppress(KeyError, TypeError, AttributeError):
        if MEMBER in document:
            head = document[MEMBER]
            return str(head["slide_fingerprint"]), str(head["slide_name"])
        slide = document[RECORD_MEMBER]["slide"]
        return str(slide["fingerprint"]), str(slide["path"])
    return "", ""


def _owner(path: Path, slides: Sequence[SlideFacts]) -> int:
    """Return the index of the first run that a file belongs to."""
    fingerprint, name = slide_of_file(path)
    first = {slide.fingerprint: at for at, slide in reversed(list(enumerate(slides)))}
    if fingerprint:
        if fingerprint in first:
            return first[fingerprint]
        raise AnnotationError(
            f"{path}: labels of another slide ({in_a_line(name)}); give its run, too"
        )
    named = {slide.fingerprint for slide in slides if _is_named_after(path, slide)}
    if len(fits := named or first.keys()) == 1:
        return first[next(iter(fits))]
    several = ", ".join(Counter(in_a_line(slide.name) for slide in slides))
    raise AnnotationError(
        f"{path}: it is not known to which of the slides it belongs ({several}); name it "
        "after its slide, such as slide.geojson of slide.svs"
    )


def unstated_note(path: Path, slide: SlideFacts) -> tuple[str, ...]:
    """Return a note about a file that does not say its slide, taken to be of the only one."""
    if slide_of_file(path)[0] or _is_named_after(path, slide):
        return ()
    return (
        f"{in_a_line(path.name)} does not say its slide: taken to be of "
        f"{in_a_line(slide.name)}, the only one",
    )


def _is_named_after(path: Path, slide: SlideFacts) -> bool:
    return path.stem in (slide.name, results_name(path.with_name(slide.name)))
