"""The folder of each slide's results, never one that holds another slide's."""

from __future__ import annotations

from hashlib import sha256
from os import fsencode
from typing import TYPE_CHECKING

from napari_fastnet.cohort.slides import result_names
from napari_fastnet.core.display import written
from napari_fastnet.errors import FastNetError, StoreError
from napari_fastnet.machine.remote.url import Url, recorded_path, whole_text
from napari_fastnet.results import record
from napari_fastnet.slide.slide import Slide, open_slide
from napari_fastnet.store.store import key_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_fastnet.machine.remote.url import SlidePath

#: Longest name that every file system takes, and the part kept of a longer one, bytes.
LONGEST, SHORTENED = 255, 200


def result_folder(slide: Slide, output: Path) -> Path:
    """Choose the folder for the results of an open slide, as `result_folders` does."""
    folders, wanted = _Folders(output, {}), record.results_name(slide.path)
    return folders.own(slide, wanted) or folders.free(slide, wanted)


def result_folders(
    slides: Sequence[SlidePath], output: Path, promised: Mapping[str, str] | None = None
) -> list[Path]:
    """Choose the folder for the results of each slide.

    A folder that already holds the slide's results is used again, under whichever of the
    names that `result_names` may give. Otherwise it is the first of these names without
    results of another slide: two slides of one name that come on two days get folders
    beside each other.

    Parameters
    ----------
    slides : sequence of Path or Url
        Different files.
    output : Path
        The folder around them; need not exist.
    promised : mapping of str to str, optional
        Folders that other commands are about to make: name in lower case, and path of the
        slide.

    Returns
    -------
    list of Path
        In the order of the slides, all different.
    """
    folders = _Folders(output, promised or {})
    wanted = result_names(slides)
    # First the slides that have a folder, so that no new slide is put there.
    found = [
        folders.own(slide, name) for slide, name in zip(slides, wanted, strict=True)
    ]
    return [
        own or folders.free(slide, name)
        for own, slide, name in zip(found, slides, wanted, strict=True)
    ]


class _Folders:
    """The folders of results in one place, and the slide of each."""

    def __init__(self, output: Path, promised: Mapping[str, str]) -> None:
        self._output, self._promised, self._used = output, promised, set[str]()
        try:  # in lower case: some disks do not tell apart upper and lower case
            self._there = {path.name.casefold(): path.name for path in output.iterdir()}
        except OSError:  # none yet, or unreadable: writing there will say so
            self._there = {}

    def own(self, slide: SlidePath | Slide, wanted: str) -> Path | None:
        """Return the folder that a slide has; None if it has none."""
        path = _path(slide)
        for name in _candidates(path, wanted):
            key = name.casefold()
            if key in self._used:
                continue
            there = self._there.get(key)
            promised = there is None and self._promised.get(key) == written(path)
            if promised or (there and _is_of(self._output / there, slide)):
                return self._use(there or name)
        return None

    def free(self, slide: SlidePath | Slide, wanted: str) -> Path:
        """Return a folder for a slide that has none."""
        path = _path(slide)
        candidates = _candidates(path, wanted)
        if wanted in candidates:  # shorter names do not tell the slides apart
            del candidates[: candidates.index(wanted)]
        beside = False  # whether the slide that has the name lies in the same folder
        for name in candidates:
            if name == _with_suffix(path) and not (beside or name == wanted):
                continue
            there = self._there.get(name.casefold())
            other = self._promised.get(name.casefold())
            if there is not None and (recorded := _recorded(self._output / there)):
                other = recorded[0]
            if other is None and name.casefold() not in self._used:
                return self._use(there or name)
            beside = beside or (
                other is not None and recorded_path(other).parent == path.parent
            )
        return self._use(candidates[-1])  # has the hash of the path in it

    def _use(self, name: str) -> Path:
        self._used.add(name.casefold())
        return self._output / name


def _path(slide: SlidePath | Slide) -> SlidePath:
    return (slide.path if isinstance(slide, Slide) else slide).absolute()


def _with_suffix(path: SlidePath) -> str:
    """Return a file's name with the suffix as part of it, as `result_names` does."""
    return path.name.replace(".", "_")


def _candidates(path: SlidePath, wanted: str) -> list[str]:
    """Return possible names for the folder of a slide, the preferred ones first."""
    stem, whole = record.results_name(path), _with_suffix(path)
    names = [stem, wanted, whole]
    for above in range(1, len(path.parts) - 1):
        folders = path.parts[-1 - above : -1]
        names += ["_".join((*folders, stem)), "_".join((*folders, whole))]
    short = fsencode(stem)[:SHORTENED].decode(errors="ignore")
    names.append(f"{short}-{sha256(fsencode(whole_text(path))).hexdigest()[:8]}")
    return [name for name in dict.fromkeys(names) if len(fsencode(name)) <= LONGEST]


def _is_of(folder: Path, slide: SlidePath | Slide) -> bool:
    """Return whether a folder holds the results of a slide."""
    recorded = _recorded(folder)
    if recorded is None:
        return False
    where, fingerprint = recorded
    path = _path(slide)
    # a query, which is not recorded, may be all that tells two slides apart
    if where == str(path) and not (isinstance(path, Url) and path.query):
        return True  # its content may differ, of which a note is made
    try:
        if isinstance(slide, Slide):
            return slide.fingerprint == fingerprint
        with open_slide(slide) as opened:
            return opened.fingerprint == fingerprint
    except FastNetError:  # raised again when the slide is computed
        return False


def _recorded(folder: Path) -> tuple[str, str] | None:
    """Return path and fingerprint of the slide whose results a folder holds."""
    for name in (record.RECORD, record.TISSUE_RECORD):
        try:
            recorded = record.read_record(folder / name).slide
        except StoreError:  # none, or damaged
            continue
        return recorded.path, recorded.fingerprint
    key = key_in(folder / record.STORE)  # of a run that has not ended
    return None if key is None else ("", str(key.get("slide", "")))
