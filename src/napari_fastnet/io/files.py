"""Files written aside and renamed: there is the old one or the new one, never half."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from napari_fastnet.errors import FastNetError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ANOTHER_FOLDER = "choose another output folder"
FULL = "free some space or " + ANOTHER_FOLDER
DENIED = "ask for the right to write there or " + ANOTHER_FOLDER
NOT_A_FOLDER = "a file stands where a folder should be; move it or " + ANOTHER_FOLDER
NOT_A_FILE = "a folder stands where the file should be; move it or " + ANOTHER_FOLDER
MENDS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: FULL,
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
    errno.EROFS: DENIED,
    errno.ENOTDIR: NOT_A_FOLDER,
    errno.EEXIST: NOT_A_FOLDER,
    errno.EISDIR: NOT_A_FILE,
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ENOLCK: "its file system has no locks; " + ANOTHER_FOLDER,
}


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it onto ``path`` at the end.

    The folder is made where it is missing. What is renamed is on the disk, so that a power
    cut does not lose it. When the body raises, the temporary file is
    removed and a file that was at ``path`` before is left as it was.

    Parameters
    ----------
    path : Path
        The file to write or replace.

    Yields
    ------
    Path
        A path in the same folder with the same suffix, where the body writes one file.

    Raises
    ------
    OutputError
        If making the folder, writing or renaming fails with an OSError.
    """
    aside = path.with_name(f".{path.stem[:100]}-{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        _flush_to_disk(aside)
        aside.replace(path)
        _flush_names(path.parent)
    except FastNetError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason(error)}") from error
    finally:
        with suppress(OSError):  # it was renamed, or never came to be
            aside.unlink()


@contextmanager
def atomic_folder(path: Path, ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` and rename it onto ``path`` at the end.

    Parameters
    ----------
    path : Path
        The folder to write or replace.
    ours : callable
        Whether what is at ``path`` may be replaced.

    Yields
    ------
    Path
        A path in the same folder where the body makes one. When the body raises it is
        removed, and what was at ``path`` before is left as it was.

    Raises
    ------
    OutputError
        At ``path`` is something else, or it cannot be written.
    """
    if path.exists() and not ours(path):
        raise OutputError(
            f"{path} exists and was not written by this; move it or {ANOTHER_FOLDER}"
        )
    name = f".{path.stem[:100]}-{uuid.uuid4().hex[:12]}"
    aside, old = path.with_name(f"{name}{path.suffix}"), path.with_name(f"{name}.old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        if path.exists():  # a folder cannot be renamed onto one that has files
            path.replace(old)
        aside.replace(path)
        _flush_names(path.parent)
    except FastNetError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason(error)}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file as :func:`atomic_path` does."""
    with atomic_path(path) as aside:
        aside.write_bytes(content)


def _flush_to_disk(path: Path) -> None:
    """Wait until the file is on the disk: a rename may otherwise overtake its content."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_names(folder: Path) -> None:
    """Wait until a rename is on the disk, where folders can be asked for that."""
    with suppress(OSError):  # Windows opens none, some network folders refuse
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def reason(error: OSError) -> str:
    """Return what the system says and what can be done about it."""
    said = error.strerror or str(error)
    mend = MENDS.get(error.errno or 0, "check the disk and the folder's permissions")
    return f"{said}; {mend}"
