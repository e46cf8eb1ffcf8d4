"""Where the results of a slide go, so that no other slide's are in the way."""

from __future__ import annotations

from hashlib import sha256
from os import fsencode
from pathlib import Path
from typing import TYPE_CHECKING

from napari_fastnet.cohort.slides import result_names
from napari_fastnet.errors import FastNetError, StoreError
from napari_fastnet.results.record import (
    RECORD,
    STORE,
    TISSUE_RECORD,
    read_record,
    results_name,
    written,
)
from napari_fastnet.slide.slide import Slide, open_slide
from napari_fastnet.store.format import DESCRIPTION, read_description

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Bytes of a name that every file system takes, and of a long one's beginning.
LONGEST, SHORTENED = 255, 200


def result_folder(slide: Slide, output: Path) -> Path:
    """Return where the results of an open slide go; see `result_folders`."""
    return _Folders(output, {}).place(slide, results_name(slide.path))


def result_folders(
    slides: Sequence[Path], output: Path, promised: Mapping[str, str] | None = None
) -> list[Path]:
    """Return the folder of each slide's results.

    It is the one that holds the slide's results already, under whichever of the names
    that `result_names` may give. Else it is the first of these names under which there
    are no results of another slide: two slides of one name that come on two days lie
    beside each other.

    Parameters
    ----------
    slides : sequence of Path
        Different files.
    output : Path
        The folder around them; need not exist.
    promised : mapping of str to str, optional
        Names of folders that are not there yet, in lower case, and the path of the
        slide that each is for: what other commands are about to do.

    Returns
    -------
    list of Path
        In the order of the slides, no two alike.
    """
    folders = _Folders(output, promised or {})
    wanted = result_names(slides)
    found: dict[int, Path] = {}
    # first whoever has a place already, so that nobody new is put there
    for index, slide in enumerate(slides):
        own = folders.own(slide, wanted[index])
        if own is not None:
            found[index] = own
    for index, slide in enumerate(slides):
        if index not in found:
            found[index] = folders.free(slide, wanted[index])
    return [found[index] for index in range(len(slides))]


class _Folders:
    """Folders of results in one place, and who has or gets them."""

    def __init__(self, output: Path, promised: Mapping[str, str]) -> None:
        self._output, self._promised = output, promised
        self._there, self._used = _names(output), set[str]()

    def place(self, slide: Slide, wanted: str) -> Path:
        """Return the folder that a slide has, or gets."""
        return self.own(slide, wanted) or self.free(slide, wanted)

    def own(self, slide: Path | Slide, wanted: str) -> Path | None:
        """Return the folder that a slide has; None where it has none."""
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

    def free(self, slide: Path | Slide, wanted: str) -> Path:
        """Return a folder for a slide that has none."""
        path = _path(slide)
        whole, candidates = _whole(path), _candidates(path, wanted)
        if wanted in candidates:  # not one that is less than tells it apart
            del candidates[: candidates.index(wanted)]
        beside = False  # in the folder of the slide that has the name
        for name in candidates:
            if name == whole and not (beside or name == wanted):
                continue
            there = self._there.get(name.casefold())
            other = self._promised.get(name.casefold())
            if there is not None and (recorded := _recorded(self._output / there)):
                other = recorded[0]
            if other is None and name.casefold() not in self._used:
                return self._use(there or name)
            beside = beside or (other is not None and Path(other).parent == path.parent)
        return self._use(candidates[-1])  # it has the path's hash in it

    def _use(self, name: str) -> Path:
        self._used.add(name.casefold())
        return self._output / name


def _path(slide: Path | Slide) -> Path:
    return (slide.path if isinstance(slide, Slide) else slide).absolute()


def _candidates(path: Path, wanted: str) -> list[str]:
    """Return the names that the folder of a slide may have, those preferred first."""
    names = dict.fromkeys((results_name(path), wanted, *_longer(path)))
    return [name for name in names if len(fsencode(name)) <= LONGEST]


def _whole(path: Path) -> str:
    """Return a file's name with its suffix as part of it, as `result_names` has it."""
    return path.name.replace(".", "_")


def _longer(path: Path) -> Iterator[str]:
    """Return the names that tell a slide from others of its name, short ones first."""
    whole = _whole(path)
    yield whole
    for above in range(1, len(path.parts) - 1):
        folders = path.parts[-1 - above : -1]
        yield "_".join((*folders, results_name(path)))
        yield "_".join((*folders, whole))
    short = fsencode(results_name(path))[:SHORTENED].decode(errors="ignore")
    yield f"{short}-{sha256(fsencode(path)).hexdigest()[:8]}"


def _names(output: Path) -> dict[str, str]:
    """Return what lies in a folder, by name in lower case: some disks know no other."""
    try:
        return {path.name.casefold(): path.name for path in output.iterdir()}
    except OSError:  # none yet; that it cannot be read is said when it is written
        return {}


def _is_of(folder: Path, slide: Path | Slide) -> bool:
    """Return whether a folder holds the results of a slide."""
    recorded = _recorded(folder)
    if recorded is None:
        return False
    where, fingerprint = recorded
    if where == str(_path(slide)):  # perhaps with other content: then that is said
        return True
    try:
        if isinstance(slide, Slide):
            return slide.fingerprint == fingerprint
        with open_slide(slide) as opened:
            return opened.fingerprint == fingerprint
    except FastNetError:  # said when its turn comes
        return False


def _recorded(folder: Path) -> tuple[str, str] | None:
    """Return path and fingerprint of the slide whose results a folder holds."""
    for name in (RECORD, TISSUE_RECORD):
        try:
            recorded = read_record(folder / name)["slide"]
        except StoreError:  # none, or damaged
            continue
        return recorded["path"], recorded["fingerprint"]
    try:  # of a run that has not ended
        described = read_description((folder / STORE / DESCRIPTION).read_bytes())
    except (OSError, ValueError):
        return None
    return None if described is None else ("", str(described.key.get("slide", "")))
