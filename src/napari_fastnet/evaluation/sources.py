"""Sources of an evaluation: finished runs, or candidates of other programs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.annotations.truth_files import slide_key
from napari_fastnet.core.lesions.evidence import find_candidates
from napari_fastnet.core.metrics.candidates import Candidates
from napari_fastnet.core.metrics.truth import CAMELYON_MPP
from napari_fastnet.errors import DataError, StoreError
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.results.reading import read_run_heatmap
from napari_fastnet.results.record import HEATMAP, RECORD, STORE, read_record
from napari_fastnet.results.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterable


def write_candidates(path: Path, candidates: Candidates) -> None:
    """Write lines of probability, x, y, in the order of the candidates, no header.

    Points become whole level-0 px, probabilities keep all their digits.
    """
    rows = zip(candidates.scores.tolist(), candidates.points.tolist(), strict=True)
    lines = (f"{score!r},{int(x)},{int(y)}\n" for score, (y, x) in rows)
    write_bytes(path, "".join(lines).encode())


def read_candidates(path: Path) -> Candidates:
    """Read lines of probability, x, y in level-0 px, in their order; there may be none.

    A line of probability 0 stands for no candidate and is left out. DataError where the
    file cannot be read, or a line is not a probability and a place on a slide.
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


#: µm/px of level 0 for files of candidates, which do not state it.
DEFAULT_MPP = (CAMELYON_MPP, CAMELYON_MPP)

_WANTED = "give folders that detect wrote, or CSV files of p,x,y named as the slides"


@dataclass(frozen=True, slots=True)
class Source:
    """A slide to evaluate.

    Parameters
    ----------
    name : str
        Unique among the sources.
    path : Path
        The folder of its run, or its candidates.
    shared : str
        Name of the slide, where several have the same; ``name`` is then that of the
        folder of results.
    """

    name: str
    path: Path
    shared: str = ""

    @property
    def called(self) -> tuple[str, ...]:
        """Names of the slide, its own first."""
        return (self.name, self.shared) if self.shared else (self.name,)


def find_sources(places: Iterable[Path]) -> list[Source]:
    """Find the slides at some places.

    Parameters
    ----------
    places : iterable of Path
        Folders of a run, folders that hold such, CSV files of candidates, or folders
        of them.

    Returns
    -------
    list of Source
        Each slide once, by name. A run has the name of its slide, or, where another
        slide has the same, of its folder.

    Raises
    ------
    DataError
        A place is missing or holds neither, or two are of one slide.
    """
    found: dict[Path, Path] = {}
    for place in places:
        paths = _sources_at(place)
        if not paths:
            raise DataError(f"{place}: nothing to evaluate; {_WANTED}")
        found |= {path.resolve(): path for path in paths}
    named = []
    files: dict[str, list[str]] = defaultdict(list)
    for path in found.values():
        file, name = _slide_file(path), path.stem
        if path.is_dir():  # a run without a record is an error only once its turn comes
            # PureWindowsPath splits at both kinds of slash.
            name = PureWindowsPath(file or path.resolve().name).stem
        named.append((name, path))
        files[slide_key(name)].append(file)
    sources = []
    for name, path in named:
        alike = files[slide_key(name)]
        # Runs of different slides of one name are called as their folders.
        if len(alike) > 1 and all(alike) and len(set(alike)) == len(alike):
            sources.append(Source(path.resolve().name, path, name))
        else:
            sources.append(Source(name, path))
    sources.sort(key=lambda source: slide_key(source.name))
    for source, other in pairwise(sources):
        if slide_key(source.name) == slide_key(other.name):
            raise DataError(
                f"slide {source.name} is there twice: {source.path} and {other.path}; "
                "keep one"
            )
    return sources


def _sources_at(place: Path) -> list[Path]:
    """Return the runs and files of candidates at a place."""
    if not place.exists():
        raise DataError(f"{place}: no such file or folder; {_WANTED}")
    if not place.is_dir():
        return [place] if place.suffix.lower() == ".csv" else []
    if _is_run(place):
        return [place]
    runs = [path for path in sorted(place.iterdir()) if _is_run(path)]
    # Beside runs lies the summary of their cohort.
    return runs or sorted(place.glob("[!.]*.csv"))


def _is_run(path: Path) -> bool:
    return any((path / name).exists() for name in (RECORD, HEATMAP, STORE))


def _slide_file(path: Path) -> str:
    """Return the slide's file as a run recorded it; empty without a record."""
    try:
        return read_record(path / RECORD).slide.path
    except StoreError:
        return ""


def load_source(source: Source) -> Result | Candidates:
    """Read the record and heatmap of a run, or a file of candidates.

    StoreError where the run is damaged or was not finished, DataError where the
    candidates cannot be read.
    """
    path = source.path
    if not path.is_dir():
        return read_candidates(path)
    record = read_record(path / RECORD)
    if record.counts is None:
        raise StoreError(f"{path}: only tissue was found here; run detect on the slide")
    if record.counts.stopped:
        raise StoreError(
            f"{path}: the run was stopped with {record.counts.stopped:,} patches to go; "
            "run detect again, it goes on from there"
        )
    heatmap = read_run_heatmap(path, record)
    if heatmap is None:
        raise StoreError(f"{path}: neither {HEATMAP} nor {STORE}; {_WANTED}")
    found = find_candidates(heatmap, record.rule)
    return Result(record=record, heatmap=heatmap, candidates=found)
