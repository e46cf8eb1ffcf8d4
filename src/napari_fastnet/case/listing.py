"""The slides of cases: a table of them, or runs given directly, and the run of each.

A slide without a usable run stays in its case, with the reason.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_fastnet.annotations.truth_files import slide_key
from napari_fastnet.errors import DataError, StoreError
from napari_fastnet.results.record import RECORD, STORE, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Reason why a slide of a case has no result; empty for one that has.
Problem = Literal["", "missing", "twice", "failed"]

#: The table of a cohort's slides, which knows those that failed.
_SUMMARY = "summary.csv"
_WANTED = (
    "give folders that detect left, or a CSV file with the columns case, slide and node"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSlide:
    """A slide of a case.

    Parameters
    ----------
    slide : str
        Its name, as in the table.
    node : str
        The node that it is a section of; empty where its pieces of tissue are nodes.
    run : Path or None
        The folder of its run; None where there is none to use.
    problem : {"", "missing", "twice", "failed"}
        Why there is none.
    reason : str
        The same in a line, with the remedy; of a slide with a run, a doubt about it.
    fingerprint : str
        Of a slide with a run.
    """

    slide: str
    node: str = ""
    run: Path | None = None
    problem: Problem = ""
    reason: str = ""
    fingerprint: str = ""


def find_cases(places: Sequence[Path]) -> dict[str, list[ListedSlide]]:
    """Find the slides of cases.

    Parameters
    ----------
    places : sequence of Path
        Folders of runs, or that hold such, which are one case together; or one CSV file,
        and folders in which its runs are looked for, its own by default.

    Returns
    -------
    dict of str to list of ListedSlide
        By name of the case, in their order.

    Raises
    ------
    DataError
        A place holds no run, or the table cannot be read.
    """
    tables = [place for place in places if place.suffix.lower() == ".csv"]
    folders = [place for place in places if place not in tables]
    if len(tables) > 1:
        raise DataError(f"{tables[1]}: a second table of cases; give one")
    if tables:
        return _of_table(tables[0], folders)
    if not folders:
        raise DataError(f"no run is given; {_WANTED}")
    runs = Runs.at(folders).all
    above = {run.resolve().parent for run in runs}
    name = runs[0].resolve() if len(runs) == 1 else next(iter(above))
    title = name.name if len(above) == 1 else "case"
    return {title: _once([_checked(run.name, run) for run in runs])}


def _of_table(table: Path, folders: Sequence[Path]) -> dict[str, list[ListedSlide]]:
    """Return the cases of a table, each slide with its run."""
    home = table.absolute().parent
    runs = Runs.at(folders) if folders else Runs.below(home)
    return with_runs(read_table(table), runs, home)


def with_runs(
    rows: Iterable[tuple[str, str, str]], runs: Runs, home: Path | None = None
) -> dict[str, list[ListedSlide]]:
    """Find the run of each slide.

    Parameters
    ----------
    rows : iterable of tuple of str
        Case, slide and node, as from `read_table`.
    runs : Runs
        Those that there are.
    home : Path, optional
        Folder from which paths of slides go out.

    Returns
    -------
    dict of str to list of ListedSlide
        By case; a slide that is there twice in a case has its run the first time.
    """
    cases: dict[str, list[ListedSlide]] = defaultdict(list)
    for case, slide, node in rows:
        cases[case].append(replace(runs.find(slide, home or Path()), node=node))
    owners = Counter(
        key for slides in cases.values() for key in {one.fingerprint for one in slides}
    )
    return {
        case: [_shared(listed, owners) for listed in _once(slides)]
        for case, slides in cases.items()
    }


def read_table(table: Path) -> list[tuple[str, str, str]]:
    """Read a table of cases.

    Parameters
    ----------
    table : Path
        CSV (commas, semicolons or tabs, UTF-8) with the columns ``case``, ``slide`` and,
        perhaps, ``node``; others are not looked at.

    Returns
    -------
    list of tuple of str
        Case, slide and node of each line; without the column, the case is the name of the
        file.

    Raises
    ------
    DataError
        It cannot be read, lacks a column, or a line lacks case or slide.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{table}: no table to read ({error})") from error
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [name.strip().casefold() for name in next(lines, [])]
    if "slide" not in names:
        raise DataError(
            f"{table}: no column slide in its first line; give case, slide and node"
        )
    rows = []
    for line in lines:
        row = dict(zip(names, (cell.strip() for cell in line), strict=False))
        if not any(row.values()):
            continue
        case = row.get("case", "") if "case" in names else table.stem
        slide, node = row.get("slide", ""), row.get("node", "")
        if not (case and slide):
            raise DataError(
                f"{table}, line {lines.line_num}: no {'slide' if case else 'case'}; "
                "each line names a case and a slide"
            )
        rows.append((case, slide, node))
    if not rows:
        raise DataError(f"{table}: lists no slide; add a line for each")
    return rows


class Runs:
    """Runs by the name of their slide or folder, and the slides that failed beside them.

    Parameters
    ----------
    runs : iterable of Path
        Folders of runs.
    summaries : iterable of Path
        Tables of the cohorts that they are of.
    """

    def __init__(self, runs: Iterable[Path], summaries: Iterable[Path] = ()) -> None:
        self.all = list({run.resolve(): run for run in runs}.values())
        self._named: dict[str, list[Path]] = defaultdict(list)
        for run in self.all:
            for key in {slide_key(run.name), slide_key(_slide_file(run))} - {""}:
                self._named[key].append(run)
        self._failed: dict[str, str] = {}
        for summary in summaries:
            self._failed |= _failures(summary)

    @classmethod
    def at(cls, places: Sequence[Path]) -> Runs:
        """Find the runs at some places: folders of runs, or folders that hold such.

        Raises
        ------
        DataError
            A place holds none.
        """
        runs = [run for place in places for run in _runs_at(place)]
        return cls(runs, (place / _SUMMARY for place in places))

    @classmethod
    def below(cls, folder: Path) -> Runs:
        """Find the runs in a folder and in its folders; perhaps none."""
        runs = [run for one in ("*", "*/*") for run in sorted(folder.glob(one))]
        summaries = (folder / _SUMMARY, *folder.glob(f"*/{_SUMMARY}"))
        return cls(filter(_is_run, runs), summaries)

    def find(self, slide: str, home: Path) -> ListedSlide:
        """Return a slide with its run, or with the reason why there is none.

        Parameters
        ----------
        slide : str
            Name or path of the slide or of the run's folder.
        home : Path
            Folder from which such a path goes out.
        """
        path, key = home / slide, slide_key(slide)
        found = [path] if _is_run(path) else self._named.get(key, [])
        if len(found) == 1:
            return _checked(slide, found[0])
        if found:
            several = " and ".join(map(str, found))
            why = f"two runs of this name: {several}; list the folder of one"
            return ListedSlide(slide=slide, problem="twice", reason=why)
        if key in self._failed:
            return ListedSlide(slide=slide, problem="failed", reason=self._failed[key])
        why = "no run of this slide; run detect on it, or list its folder"
        return ListedSlide(slide=slide, problem="missing", reason=why)


def _checked(slide: str, run: Path) -> ListedSlide:
    """Return a slide with its run, if detection has ended there."""
    if not (run / RECORD).is_file():
        why = "detection has not ended; run detect again, it goes on from there"
        return ListedSlide(slide=slide, problem="failed", reason=why)
    try:
        record = read_record(run / RECORD)
    except StoreError as error:
        return ListedSlide(slide=slide, problem="failed", reason=str(error))
    if record.counts is None:
        why = "only tissue was found; run detect on the slide"
        return ListedSlide(slide=slide, problem="failed", reason=why)
    return ListedSlide(slide=slide, run=run, fingerprint=record.slide.fingerprint)


def _once(slides: Sequence[ListedSlide]) -> list[ListedSlide]:
    """Return the slides of a case, a result with the first of those that have it."""
    seen: set[str] = set()
    found = []
    for listed in slides:
        again = listed.run is not None and listed.fingerprint in seen
        seen.add(listed.fingerprint)
        why = "listed before in this case; counted once"
        found.append(
            replace(listed, run=None, problem="twice", reason=why) if again else listed
        )
    return found


def _shared(listed: ListedSlide, owners: Mapping[str, int]) -> ListedSlide:
    """Say of a slide that another case has it as well."""
    if listed.run is None or owners[listed.fingerprint] == 1:
        return listed
    return replace(listed, reason="listed in another case, too")


def _runs_at(place: Path) -> list[Path]:
    """Return the runs at a place: itself, or those in it."""
    if not place.is_dir():
        raise DataError(f"{place}: no such folder; {_WANTED}")
    found = (
        [place] if _is_run(place) else list(filter(_is_run, sorted(place.iterdir())))
    )
    if not found:
        raise DataError(f"{place}: no run in it; {_WANTED}")
    return found


def _is_run(path: Path) -> bool:
    return (path / RECORD).is_file() or (path / STORE).is_dir()


def _slide_file(run: Path) -> str:
    """Return the slide's file as a run recorded it; empty without a record."""
    try:
        return read_record(run / RECORD).slide.name
    except StoreError:
        return ""


def _failures(summary: Path) -> dict[str, str]:
    """Return the errors of a cohort's failed slides, by `slide_key`, from its table."""
    try:
        lines = csv.DictReader(io.StringIO(summary.read_text("utf-8-sig"), newline=""))
        return {
            slide_key(line["slide"]): line.get("error") or "detection failed"
            for line in lines
            if line.get("status") == "failed" and line.get("slide")
        }
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
