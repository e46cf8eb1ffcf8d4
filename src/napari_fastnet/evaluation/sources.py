"""What is to be evaluated: finished runs, or candidates that others wrote."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.annotations.truth_files import slide_key
from napari_fastnet.core.metrics.candidates import Candidates
from napari_fastnet.core.metrics.truth import CAMELYON_MPP
from napari_fastnet.errors import DataError, StoreError
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.results.reading import read_run_heatmap
from napari_fastnet.results.record import HEATMAP, RECORD, STORE, RunRecord, read_record
from napari_fastnet.results.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_fastnet.results.record import Counts


def write_candidates(path: Path, candidates: Candidates) -> None:
    """Write a slide's candidates, in their order, no header.

    Parameters
    ----------
    path : Path
        Usually ``<slide>.csv``.
    candidates : Candidates
        Points are written as whole level-0 px, probabilities with all their digits.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(
        (repr(score), int(x), int(y))
        for score, (y, x) in zip(
            candidates.scores.tolist(), candidates.points.tolist(), strict=True
        )
    )
    write_bytes(path, text.getvalue().encode())


def read_candidates(path: Path) -> Candidates:
    """Read a slide's candidates.

    Parameters
    ----------
    path : Path
        Lines of probability, x, y in level-0 px; may be empty.

    Returns
    -------
    Candidates
        In the file's order. A line of probability 0 says that nothing is there and is
        left out.

    Raises
    ------
    DataError
        The file cannot be read, or a line is not three numbers: a probability and a
        place on a slide.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no candidates to read ({error})") from error
    rows = [
        _row(path, number, line) for number, line in enumerate(lines, 1) if line.strip()
    ]
    table = np.array([row for row in rows if row[0] > 0], np.float64).reshape(-1, 3)
    return Candidates(table[:, 0], np.ascontiguousarray(table[:, :0:-1]))


def _row(path: Path, number: int, line: str) -> tuple[float, float, float]:
    try:
        score, x, y = (float(word) for word in line.split(","))
        fine = 0 <= score <= 1 and min(x, y) >= 0 and isfinite(x) and isfinite(y)
    except ValueError:
        fine = False
    if not fine:
        raise DataError(
            f"{path}, line {number}: {line.strip()[:60]!r} is not p,x,y: a probability "
            "in 0..1 and a place in level-0 px"
        )
    return score, x, y


#: Where a file of candidates does not say it, and CAMELYON16's do not.
DEFAULT_MPP = (CAMELYON_MPP, CAMELYON_MPP)

_WANTED = "give folders that detect wrote, or CSV files of p,x,y named as the slides"


@dataclass(frozen=True, slots=True)
class Source:
    """A slide to evaluate.

    Parameters
    ----------
    name : str
        No other has it.
    path : Path
        The folder of its run, or its candidates.
    shared : str
        Where several slides have one name, that name; ``name`` is then what `detect`
        called the folder of results.
    """

    name: str
    path: Path
    shared: str = ""

    @property
    def called(self) -> tuple[str, ...]:
        """Return its names, its own first."""
        return (self.name, self.shared) if self.shared else (self.name,)


def find_sources(places: Iterable[Path]) -> list[Source]:
    """Return the slides that are meant.

    Parameters
    ----------
    places : iterable of Path
        Folders of a run, folders that hold such, CSV files of candidates, or folders
        of them.

    Returns
    -------
    list of Source
        Each slide once, by name. A run is called as its slide, or, where another slide
        is called the same, as its folder.

    Raises
    ------
    DataError
        A place is missing or holds neither, or two are of one slide.
    """
    found: dict[Path, Source] = {}
    for place in places:
        paths = list(_sources_at(place))
        if not paths:
            raise DataError(f"{place}: nothing to evaluate; {_WANTED}")
        found |= {path.resolve(): Source(_name(path), path) for path in paths}
    sources = _told_apart(list(found.values()))
    sources.sort(key=lambda source: slide_key(source.name))
    for source, other in pairwise(sources):
        if slide_key(source.name) == slide_key(other.name):
            raise DataError(
                f"slide {source.name} is there twice: {source.path} and {other.path}; "
                "keep one"
            )
    return sources


def _told_apart(sources: list[Source]) -> list[Source]:
    """Call the runs of different slides of one name as their folders."""
    files: dict[str, list[str]] = {}
    for source in sources:
        files.setdefault(slide_key(source.name), []).append(_slide_file(source.path))
    return [
        Source(source.path.resolve().name, source.path, source.name)
        if _are_different(files[slide_key(source.name)])
        else source
        for source in sources
    ]


def _are_different(files: list[str]) -> bool:
    """Return whether several files are all known and no two of them the same."""
    return len(files) > 1 and all(files) and len(set(files)) == len(files)


def _sources_at(place: Path) -> Iterator[Path]:
    """Return the runs and files of candidates at a place."""
    if not place.exists():
        raise DataError(f"{place}: no such file or folder; {_WANTED}")
    if not place.is_dir():
        if place.suffix.lower() == ".csv":
            yield place
        return
    if _is_run(place):
        yield place
        return
    runs = [path for path in sorted(place.iterdir()) if _is_run(path)]
    # Beside runs lies the summary of their cohort.
    yield from runs or sorted(place.glob("[!.]*.csv"))


def _is_run(path: Path) -> bool:
    return any((path / name).exists() for name in (RECORD, HEATMAP, STORE))


def _name(path: Path) -> str:
    """Return what a slide is called: the stem of its file, where the record says it."""
    if not path.is_dir():
        return path.stem
    # without a record, which is said when its turn comes, as its folder
    slide = _slide_file(path) or path.resolve().name
    return PureWindowsPath(slide).stem  # splits at both kinds of slash


def _slide_file(path: Path) -> str:
    """Return which file a run was of, nothing where no record says it."""
    try:
        return str(read_record(path / RECORD)["slide"]["path"])
    except StoreError:
        return ""


def load_source(source: Source) -> Result | Candidates:
    """Read what was found on a slide.

    Parameters
    ----------
    source : Source
        A run, or a file of candidates.

    Returns
    -------
    Result or Candidates
        Of a run record and heatmap alone.

    Raises
    ------
    StoreError
        The run is damaged or was not finished.
    DataError
        The candidates cannot be read.
    """
    if not source.path.is_dir():
        return read_candidates(source.path)
    record = RunRecord.from_json(read_record(source.path / RECORD))
    _require_finished(source.path, record.counts)
    heatmap = read_run_heatmap(source.path, record.to_dict())
    if heatmap is None:
        raise StoreError(f"{source.path}: neither {HEATMAP} nor {STORE}; {_WANTED}")
    return Result(record=record, heatmap=heatmap)


def _require_finished(path: Path, counts: Counts | None) -> None:
    """Refuse a run of which a part was never looked at."""
    if counts is None:
        raise StoreError(f"{path}: only tissue was found here; run detect on the slide")
    if counts.stopped:
        raise StoreError(
            f"{path}: the run was stopped with {counts.stopped:,} patches to go; run "
            "detect again, it goes on from there"
        )
