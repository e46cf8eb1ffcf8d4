"""Labels of a slide: the cells and outlines to which a person gave a class.

They come from the review of a run, from what was painted beside it, and from files. What a
person painted goes before what was decided on whole lesions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_fastnet.core.arrays import Bools
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.labelled_cells import Kind, LabelledCells
    from napari_fastnet.core.lesions.matching import Outline

#: Sources of labels that lie beside a run.
PAINTED, DECIDED = "painted", "decided"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Label:
    """An outline to which a person gave a kind.

    Parameters
    ----------
    polygons : Outline
        (y, x), level-0 px.
    kind : {"tumor", "normal", "ignore"}
        Cells to ignore are neither of both, whatever other labels say.
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
        In the order of their sources.
    notes : tuple of str
        Sentences: labels that were left out, and the reason.
    """

    fingerprint: str = ""
    slide: str = ""
    items: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()


def labels_of_run(run: Path) -> Labels:
    """Read the labels that lie beside a run.

    Parameters
    ----------
    run : Path
        The folder of the run.

    Returns
    -------
    Labels
        Lesions decided to be tumor, or not to be, as they were seen or as the person drew
        them, and what the person painted. Those that are unsure are none.

    Raises
    ------
    StoreError
        There is no finished run.
    """
    raise NotImplementedError


def read_label_file(path: Path, *, bounds_offset: Pair = (0.0, 0.0)) -> Labels:
    """Read labels from GeoJSON of QuPath, of others, or of `results.corrections`.

    Parameters
    ----------
    path : Path
        The file.
    bounds_offset : tuple of float, optional
        (y, x) level-0 px that are added to outlines of other programs.

    Returns
    -------
    Labels
        Its notes name the classes that are neither tumor nor normal, and all else that was
        left out.

    Raises
    ------
    AnnotationError
        The file cannot be read.
    """
    raise NotImplementedError


def labels_of_runs(runs: Sequence[Path], files: Sequence[Path]) -> list[Labels]:
    """Read the labels of runs, those beside them and those in files.

    Parameters
    ----------
    runs : sequence of Path
        Folders of runs.
    files : sequence of Path
        Each belongs to the run of the slide whose fingerprint is in it, else to that of
        the slide of its name, else to the only run.

    Returns
    -------
    list of Labels
        One for each run.

    Raises
    ------
    AnnotationError
        A file belongs to none of the runs, or to several.
    """
    raise NotImplementedError


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
        Tissue of the whole slide. With it, labels on glass are noted; they stay.

    Returns
    -------
    LabelledCells
        Perhaps none; with the notes of the labels.
    """
    raise NotImplementedError
