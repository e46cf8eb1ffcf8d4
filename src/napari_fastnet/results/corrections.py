"""Cells that a person painted on a slide, ``corrections.geojson``.

The cells are those of `core.labelled_cells.label_grid`. The file is GeoJSON that QuPath
opens, with an annotation for each group of cells, and is kept as `store.kept_file` says. A
member of its own says the slide, and has the last strokes, to take them back. Strokes of
two programs meet cell by cell.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_fastnet.annotations.checks import FARTHEST_PX
from napari_fastnet.core.display import in_a_line, written
from napari_fastnet.core.labelled_cells import (
    CELL_UM,
    KINDS,
    cells_inside,
    label_grid,
    outlines_of,
)
from napari_fastnet.errors import OptionError, OutputError
from napari_fastnet.machine.json_text import parse_json
from napari_fastnet.results.record import CORRECTIONS, RESEARCH_USE, timestamp
from napari_fastnet.results.regions import QUPATH_CLASSES, geojson_rings
from napari_fastnet.store.kept_file import KeptFile, in_default_cache, kept_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_fastnet.core.arrays import Bytes, Floats, Integers
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.labelled_cells import Kind
    from napari_fastnet.core.outlines import Polygon
    from napari_fastnet.results.record import SlideFacts

FORMAT = "napari-fastnet corrections"
FORMAT_VERSION = 1
#: The member of the file, beside ``features``, that says the slide.
MEMBER = "corrections"
#: Classes in QuPath; it computes nothing on those that end in an asterisk.
CLASSES: dict[Kind, dict[str, Any]] = {
    "tumor": QUPATH_CLASSES["tumor"],
    "normal": {"name": "Normal", "color": [70, 130, 180]},
    "ignore": {"name": "Ignore*", "color": [180, 180, 180]},
}
#: Most strokes that can be taken back, and runs of cells that these may have.
MOST_STROKES, MOST_RUNS = 100, 20_000

#: A stroke: first cell in reading order, number of cells and their kind before it.
_Stroke = list[list[int]]


def corrections_path(run: Path, in_cache: bool, fingerprint: str) -> Path:
    """Return the place of what was painted on a slide, as `kept_path` does."""
    return kept_path(run, in_cache, fingerprint, CORRECTIONS)


def corrections_of(
    run: Path, slide: SlideFacts, *, change: bool = False
) -> Corrections:
    """Read what was painted on the slide of a run, wherever it lies.

    Parameters
    ----------
    run : Path
        The folder of the run.
    slide : SlideFacts
        As recorded.
    change : bool, optional
        As for `Corrections.open`.

    Returns
    -------
    Corrections
        Perhaps without any cell.

    Raises
    ------
    SpacingError
        The record does not say the slide's µm/px.
    """
    path = corrections_path(run, in_default_cache(run), slide.fingerprint)
    shape = (slide.height, slide.width)
    return Corrections.open(
        path, slide.fingerprint, shape, slide.mpp, slide.name, change=change
    )


class Corrections(KeptFile):
    """The cells that a person painted on one slide; on the disk when a call returns.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    fingerprint : str
        Of the slide.
    slide_shape : tuple of int
        (height, width), level-0 px.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    slide : str, optional
        Name of the slide's file, for people who open the file.
    """

    nothing_known = "nothing painted is known"

    def __init__(
        self,
        path: Path,
        fingerprint: str,
        slide_shape: tuple[int, int],
        mpp: Pair,
        slide: str = "",
    ) -> None:
        super().__init__(path)
        self._slide = fingerprint, slide_shape, mpp, slide
        #: Places of the cells, level-0 px.
        self.grid = label_grid(slide_shape, mpp)
        #: (rows, columns) uint8: 0 none, 1 tumor, 2 normal, 3 ignore. Not to be changed.
        self.cells: Bytes = np.zeros(self.grid.shape, np.uint8)
        self._saved = self.cells  # as in the file
        self._given = self.cells  # as the caller saw or gave them last
        self._strokes: list[_Stroke] = []
        # keys of the member of the file; another version may have more
        self._head: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "notice": RESEARCH_USE,
            "slide_fingerprint": fingerprint,
            "slide_name": written(slide),
            "mpp": list(mpp),
            "cell_um": CELL_UM,
            "painted": "",
        }

    @classmethod
    def open(
        cls,
        path: Path,
        fingerprint: str,
        slide_shape: tuple[int, int],
        mpp: Pair,
        slide: str = "",
        *,
        change: bool = True,
    ) -> Corrections:
        """Read what was painted on a slide, or begin anew where nothing was.

        Parameters
        ----------
        path : Path
            The file, as from `corrections_path`.
        fingerprint : str
            Of the slide.
        slide_shape : tuple of int
            (height, width), level-0 px.
        mpp : tuple of float
            (y, x) µm per level-0 px.
        slide : str, optional
            Name of the slide's file.
        change : bool, optional
            Whether a file that cannot be used is renamed at once; without it that is only
            noted, as for a program that does no more than read.

        Returns
        -------
        Corrections
            Its ``notes`` tell of a file that could not be used.

        Raises
        ------
        SpacingError
            The µm/px is no two numbers above 0.
        """
        return cls(path, fingerprint, slide_shape, mpp, slide).begin(change=change)

    def begin(self, *, change: bool) -> Self:
        """Read the file, see `open`."""
        super().begin(change=change)
        self._given = self.cells
        return self

    @property
    def slide(self) -> tuple[str, str]:
        """Fingerprint and name of the slide."""
        return self._slide[0], self._slide[3]

    def paint(self, cells: Bytes) -> None:
        """Take over what is new in the cells, as after a stroke; `undo` takes it back.

        Parameters
        ----------
        cells : (rows, columns) uint8 ndarray
            All cells, with those that differ from the last ones given. ``cells`` may then
            have what another program painted, too.

        Raises
        ------
        OutputError
            They cannot be written; they are known, and written with the next stroke.
        """
        if cells.shape != self.grid.shape or (cells > len(KINDS)).any():
            raise OptionError(
                f"cells of shape {cells.shape} up to {cells.max(initial=0)}; give "
                f"{self.grid.shape} of 0 to {len(KINDS)}"
            )
        cells = cells.astype(np.uint8)
        # and what could not be written before
        new = (cells != self._given) | (self.cells != self._saved)
        self._given = cells
        try:
            with self._changing():
                self._save(np.where(new, cells, self._saved))
        except OutputError:
            self.cells = np.where(new, cells, self._saved)
            raise

    def undo(self) -> bool:
        """Take back the last stroke that still holds; False without any."""
        if (self.cells != self._saved).any():  # strokes that could not be written
            self.cells = self._given = self._saved
            return True
        with self._changing():
            if not self._strokes:
                return False
            *rest, last = self._strokes
            cells = self._saved.copy()
            for first, count, kind in last:
                cells.ravel()[first : first + count] = kind
            self._save(cells, rest)
            self._given = cells
        return True

    def copy_to(self, path: Path) -> None:
        """Add all cells to another file about the same slide.

        Parameters
        ----------
        path : Path
            The file; it need not exist. Where both have a cell, the one painted last holds.
        """
        if path == self.path or not self.cells.any():
            return
        other, painted = Corrections(path, *self._slide), str(self._head["painted"])
        with other._changing():
            later, earlier = self.cells, other.cells
            if painted < other._head["painted"]:
                later, earlier = earlier, later
            other._save(np.where(later > 0, later, earlier), painted=painted)

    def _save(
        self, cells: Bytes, strokes: list[_Stroke] | None = None, painted: str = ""
    ) -> None:
        """Write cells that differ from those of the file; without strokes as one more."""
        self.cells = cells
        if (cells == self._saved).all():
            return
        if strokes is None:
            strokes = _last([*self._strokes, _stroke(self._saved, cells)])
        self._head["painted"] = max(painted or timestamp(), self._head["painted"])
        self._write(self._text(cells, strokes))
        self._saved, self._strokes = cells, strokes

    def _text(self, cells: Bytes, strokes: Sequence[_Stroke]) -> bytes:
        features = ",\n".join(
            f'{{"type": "Feature", "geometry": {{"type": "Polygon", "coordinates": '
            f'{json.dumps(geojson_rings(polygon))}}}, "properties": '
            f'{{"objectType": "annotation", "classification": {json.dumps(CLASSES[kind])}}}}}'
            for number, kind in enumerate(KINDS, 1)
            for polygon in outlines_of(cells == number, self.grid)
        )
        head = json.dumps({**self._head, "strokes": strokes}, allow_nan=False)
        return (
            f'{{"type": "FeatureCollection", "features": [\n{features}\n], '
            f'"{MEMBER}": {head}}}\n'
        ).encode()

    def _take(self, content: bytes) -> None:
        """Take over the cells of the file."""
        head, outlines = painted_outlines(content)
        if head["slide_fingerprint"] != self._head["slide_fingerprint"]:
            raise ValueError(
                f"is about another slide ({in_a_line(str(head.get('slide_name')))})"
            )
        cells = np.zeros(self.grid.shape, np.uint8)
        for number, kind in enumerate(KINDS, 1):
            polygons = [polygon for one, polygon in outlines if one == kind]
            cells[cells_inside(polygons, self.grid)] = number
        strokes = head.pop("strokes", None)
        if head["mpp"] != self._head["mpp"]:
            self._note(
                f"{in_a_line(self.path)}: painted at {_words(head['mpp'])} µm/px, and the "
                f"slide has {_words(self._head['mpp'])} now; its cells are laid anew"
            )
            head, strokes = head | {"mpp": self._head["mpp"]}, None
        self._head |= head
        self._strokes = _checked(strokes, cells.size)
        self.cells = self._saved = cells


def painted_outlines(
    content: bytes,
) -> tuple[dict[str, Any], list[tuple[Kind, Polygon]]]:
    """Return the contents of a file of `Corrections`.

    Parameters
    ----------
    content : bytes
        Of the file.

    Returns
    -------
    tuple of dict and list of tuple
        Its own member; and the kind and outline, (y, x) in level-0 px, of each group of
        cells.

    Raises
    ------
    ValueError
        Says why it cannot be used, as the end of a sentence that begins with its name.
    """
    try:
        document = parse_json(content, strict=True)
    except ValueError as error:
        raise ValueError(f"is damaged ({error})") from error
    head = document.get(MEMBER) if isinstance(document, dict) else None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ValueError(
            "was not painted with napari-fastnet; labels of other programs are given "
            "with --labels"
        )
    version = head.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"has format version {version!r}, this version reads {FORMAT_VERSION}; "
            "update napari-fastnet"
        )
    texts = [head.get(key) for key in ("slide_fingerprint", "slide_name", "painted")]
    mpp = head.get("mpp")
    numbers = mpp if isinstance(mpp, list) and len(mpp) == 2 else [""]
    if not (
        all(isinstance(text, str) for text in texts)
        and all(type(number) in (int, float) for number in numbers)
    ):
        raise ValueError("is damaged (it has no slide, time or µm/px)")
    try:
        return head, list(_outlines(document["features"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"is damaged (an outline: {error!r})") from error


def _outlines(features: list[dict[str, Any]]) -> Iterator[tuple[Kind, Polygon]]:
    kinds = {str(entry["name"]): kind for kind, entry in CLASSES.items()}
    for feature in features:
        kind = kinds[feature["properties"]["classification"]["name"]]
        yield kind, tuple(map(_ring, feature["geometry"]["coordinates"]))


def _ring(points: Any) -> Floats:
    ring = np.array(points, np.float64)
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 4:
        raise ValueError(f"a ring of shape {ring.shape}")
    if np.abs(ring).max() > FARTHEST_PX:
        raise ValueError("a point beyond any slide")
    return ring[:-1, ::-1]


def _stroke(before: Bytes, after: Bytes) -> _Stroke:
    """Return the runs of cells that are others after, with their kind before."""
    changed: Integers = np.flatnonzero(before != after)
    kinds = before.ravel()[changed]
    begins = np.flatnonzero((np.diff(changed) != 1) | (np.diff(kinds) != 0)) + 1
    first = np.concatenate(([0], begins))
    count = np.diff(np.concatenate((first, [len(changed)])))
    runs: _Stroke = np.column_stack((changed[first], count, kinds[first])).tolist()
    return runs


def _last(strokes: list[_Stroke]) -> list[_Stroke]:
    """Return the last strokes, one at least and not too many for the file."""
    runs = np.cumsum([len(stroke) for stroke in strokes[::-1]])
    kept = max(1, int((runs <= MOST_RUNS).sum()))
    return strokes[-min(kept, MOST_STROKES) :]


def _checked(strokes: Any, cells: int) -> list[_Stroke]:
    """Return the strokes of a file; none where any is damaged, the cells hold without."""
    try:
        runs = [np.array(stroke, np.int64).reshape(-1, 3) for stroke in strokes or []]
    except (TypeError, ValueError, OverflowError):
        return []
    limits = np.array([cells, cells, len(KINDS) + 1])
    if not all(((run >= 0) & (run < limits)).all() for run in runs):
        return []
    return [run.tolist() for run in runs]


def _words(mpp: list[float]) -> str:
    return " x ".join(f"{one:.5g}" for one in dict.fromkeys(mpp))
