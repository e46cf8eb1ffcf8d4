"""Files of a person's work on a slide, of which nothing is ever lost.

Before a change the file is read again under a lock, and the whole is written aside and
renamed. So a change is on the disk before its call returns, two programs lose nothing of
each other's, and a program that is killed leaves the file as it was before or after a change.

A file that is damaged, of another slide or of a newer version is renamed, never overwritten.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Self

from napari_fastnet.core.display import in_a_line
from napari_fastnet.errors import OutputError
from napari_fastnet.machine import files
from napari_fastnet.machine.files import output_errors, write_bytes
from napari_fastnet.store.lock import hold_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def kept_path(run: Path, in_cache: bool, fingerprint: str, name: str) -> Path:
    """Return the place of a person's work on the slide of a run.

    Parameters
    ----------
    run : Path
        The folder of the run.
    in_cache : bool
        Whether that is in the cache, which is trimmed and so is no place for it. Then it
        lies in the user's data folder, by slide.
    fingerprint : str
        Of the slide.
    name : str
        Of the file beside a run; its stem is the name of the folder of those by slide.

    Returns
    -------
    Path
        The file; it need not exist.
    """
    if not in_cache:
        return run / name
    from platformdirs import user_data_path

    folder = user_data_path("napari-fastnet", appauthor=False) / PurePath(name).stem
    by_slide = re.sub("[^0-9A-Za-z]", "-", fingerprint)
    return folder / f"{by_slide}{PurePath(name).suffix}"


def place_beside(path: Path, own: str, name: str) -> Path:
    """Return the place of another file about the same slide, in either kind of place.

    Parameters
    ----------
    path : Path
        As from `kept_path`.
    own : str
        The name that it was given there.
    name : str
        That of the other file.

    Returns
    -------
    Path
        As `kept_path` gives it for that name.
    """
    if path.name == own:
        return path.with_name(name)
    folder = path.parents[1] / PurePath(name).stem
    return folder / f"{path.stem}{PurePath(name).suffix}"


def in_default_cache(run: Path) -> bool:
    """Return whether a run is in this user's cache."""
    return files.default_cache_folder() in run.absolute().parents


class KeptFile:
    """A file of a person's work; a subclass says what is in it.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    """

    #: What is said where the file cannot be used.
    nothing_known = "nothing is known"

    def __init__(self, path: Path) -> None:
        self.path = path
        #: Messages for the user, such as a file that was set aside.
        self.notes: tuple[str, ...] = ()
        self._content = b""

    def begin(self, *, change: bool) -> Self:
        """Read the file; where it cannot be used rename it, or without ``change`` say so."""
        if self._read() and change:
            said, self.notes = self.notes, ()
            try:
                with hold_file(self.path):
                    self._read(set_aside=True)
            except OutputError:  # a folder that cannot be written
                self.notes = said
        return self

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the file, with what another program has written read, for a change."""
        with output_errors(f"write {self.path}"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with hold_file(self.path):
            self._read(set_aside=True)
            yield

    def _write(self, content: bytes) -> None:
        write_bytes(self.path, content)
        self._content = content

    def _read(self, *, set_aside: bool = False) -> bool:
        """Read the file if it is another than before; return whether it cannot be used."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return False
        except OSError as error:
            said = f"{in_a_line(self.path)}: cannot be read ({error.strerror})"
            if set_aside:
                raise OutputError(f"{said}; ask for the right to read it") from error
            self._note(f"{said}, and {self.nothing_known}")
            return True
        if content == self._content:
            return False
        try:
            self._take(content)
        except ValueError as error:
            what = f"left as it is, and {self.nothing_known}"
            if set_aside:
                aside = _free(self.path)
                with output_errors(f"rename {self.path}"):
                    self.path.rename(aside)
                what = f"kept as {aside.name}, and a new file is begun"
            self._note(f"{in_a_line(self.path)}: {error}; it is {what}")
            return True
        self._content = content
        return False

    def _take(self, content: bytes) -> None:
        """Take over the content of the file; a ValueError that says why it is not used."""
        raise NotImplementedError

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes = (*self.notes, text)


def _free(path: Path) -> Path:
    """Return a free name for a file that is set aside."""
    names: Iterator[Path] = (
        path.with_name(f"{path.stem}-set-aside-{number}{path.suffix}")
        for number in range(1, 10_000)
    )
    return next(name for name in names if not name.exists())
