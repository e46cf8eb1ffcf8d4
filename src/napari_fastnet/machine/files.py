"""Atomic writing: files and folders are written aside, flushed and renamed."""

from __future__ import annotations

import csv
import errno
import os
import re
import shutil
import socket
import time
import uuid
import zlib
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import TYPE_CHECKING

from napari_fastnet.errors import FastNetError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

WINDOWS = os.name == "nt"
RENAME_WAITS_S = (0.01, 0.05, 0.1, 0.3, 0.5)
#: A temporary file of another computer that is older than this is left over, s.
LEFT_AFTER_S = 86_400.0
# Host and process, as `_aside_stem` puts them into a name.
_ASIDE = re.compile(
    r"\..*-([0-9a-f]{8})-([0-9]{1,10})-[0-9a-f]{8}(?:\..*)?\Z", re.DOTALL
)

ANOTHER_FOLDER = "choose another output folder"
FULL = "free some space or " + ANOTHER_FOLDER
_OPEN = "close the program that has it open, " if WINDOWS else ""
DENIED = f"{_OPEN}ask for the right to write there or {ANOTHER_FOLDER}"
NOT_A_FOLDER = "a file stands where a folder should be; move it or " + ANOTHER_FOLDER
NOT_A_FILE = "a folder stands where the file should be; move it or " + ANOTHER_FOLDER
REMEDIES = {
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
}


@contextmanager
def output_errors(what: str) -> Iterator[None]:
    """Raise an OSError of the body as an OutputError that says ``cannot`` do what."""
    try:
        yield
    except FastNetError:
        raise
    except OSError as error:
        raise OutputError(f"cannot {what}: {reason(error)}") from error


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Yield a free path beside ``path``, with its suffix, and clear it at the end.

    The folder is made where it is missing. The body writes a file or folder there and calls
    `rename`. An OSError is an OutputError that names ``path``.
    """
    aside = path.with_name(f"{_aside_stem(path)}{path.suffix}")
    try:
        with output_errors(f"write {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield aside
    finally:
        _discard(aside)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path``, with its suffix, and rename it onto ``path`` at the end.

    The body writes one file, which is flushed to the disk before it is renamed: a power cut
    does not lose it. When the body raises, an earlier file stays as it was. An OSError is an
    OutputError that names ``path``.
    """
    with temporary_beside(path) as aside:
        yield aside
        _flush_to_disk(aside)
        rename(aside, path)
        _flush_names(path.parent)


@contextmanager
def atomic_folder(path: Path, ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield a path beside ``path`` and rename the folder there onto ``path`` at the end.

    The body makes the folder. When it raises, an earlier folder stays as it was. OutputError
    where it cannot be written, or where what is at ``path`` is not ``ours``.
    """
    if path.exists() and not ours(path):
        raise OutputError(
            f"{path} exists and was not written by this; move it or {ANOTHER_FOLDER}"
        )
    with temporary_beside(path) as aside, temporary_beside(path) as old:
        yield aside
        if path.exists():  # a folder cannot be renamed onto one that has files
            rename(path, old)
        rename(aside, path)
        _flush_names(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file as :func:`atomic_path` does."""
    with atomic_path(path) as aside:
        aside.write_bytes(content)


def write_csv(
    path: Path, rows: Iterable[Mapping[str, object]], columns: Iterable[str] = ()
) -> None:
    """Write rows as CSV (RFC 4180, UTF-8), one after another; None leaves a cell empty.

    Without columns, the keys of the first row are the header.
    """
    lines = iter(rows)
    first = list(islice(lines, 1))
    with (
        atomic_path(path) as aside,
        aside.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.DictWriter(file, list(columns) or list(first[0]))
        table.writeheader()
        table.writerows(chain(first, lines))


def default_cache_folder() -> Path:
    """Return this user's cache folder; it need not exist."""
    from platformdirs import user_cache_path

    return user_cache_path("napari-fastnet", appauthor=False)


def private_folder(cache: Path) -> Path:
    """Make a cache folder that only this user can read, and return it.

    It holds pictures of slides. A folder that exists keeps its permissions: a group may
    share one.

    Raises
    ------
    OutputError
        It cannot be made.
    """
    with output_errors(f"make {cache}"):
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.mkdir(mode=0o700, exist_ok=True)
    return cache


def remove(path: Path) -> None:
    """Remove a file that may be there; OutputError if it cannot be."""
    with output_errors(f"write {path}"):
        path.unlink(missing_ok=True)


def clear_leftovers(folder: Path) -> None:
    """Remove half-written files of killed processes from a folder that may be there.

    Those of this computer go as soon as their process has ended, those of others when
    they are a day old. Nothing is raised: leftovers cost only space.
    """
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if (found := _ASIDE.match(path.name)) and _is_left(path, *found.groups()):
                _discard(path)


def _discard(path: Path) -> None:
    """Remove a file or a folder that may be there."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _aside_stem(path: Path) -> str:
    """Return a unique name that contains the host and the process that writes."""
    stem = os.fsencode(path.stem)[:90].decode(errors="ignore")
    return f".{stem}-{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _is_left(path: Path, host: str, process: str) -> bool:
    if host == _host() and not WINDOWS:  # which has no harmless way to ask
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):  # another user's, so it is running
            return False
    return time.time() - path.stat().st_mtime > LEFT_AFTER_S


def rename(path: Path, onto: Path) -> None:
    """Rename a file or folder; on Windows repeatedly while the target is open.

    A virus scanner or a reader closes it within moments, a spreadsheet does not.
    """
    for wait_s in RENAME_WAITS_S if WINDOWS else ():
        try:
            path.replace(onto)
        except PermissionError:
            time.sleep(wait_s)
        else:
            return
    path.replace(onto)


def _flush_to_disk(path: Path) -> None:
    """Flush a file to the disk; a rename might otherwise be there before its content."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_names(folder: Path) -> None:
    """Flush a folder's renames to the disk, where the system can do so."""
    with suppress(OSError):  # Windows opens none, some network folders refuse
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def reason(error: OSError) -> str:
    """Return the system's message and a remedy."""
    said = error.strerror or str(error)
    remedy = REMEDIES.get(
        error.errno or 0, "check the disk and the folder's permissions"
    )
    return f"{said}; {remedy}"
