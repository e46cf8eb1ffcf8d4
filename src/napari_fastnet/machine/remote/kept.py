"""Ranges of remote files, kept on disk up to a size; those not used for longest go first.

Each is a file of its own, ``remote/<address and state of the file>/<first>-<end>``, with
a checksum behind the bytes. Files are written aside, renamed and never changed, so that
several processes share them. What cannot be kept is no error: it is fetched again.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right, insort
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from napari_fastnet.errors import OptionError, OutputError
from napari_fastnet.machine import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_fastnet.machine.remote.server import Facts
    from napari_fastnet.machine.remote.url import Url

#: Inside of the cache folder.
FOLDER = "remote"
#: Variable that gives another size, such as ``5GB``; 0 keeps nothing.
VARIABLE = "NAPARI_FASTNET_REMOTE_CACHE"
LIMIT_BYTES = 1_000_000_000

_ADDRESS = "address"
_SPAN = re.compile(r"(\d{1,19})-(\d{1,19})\Z")
_CHECKSUM_BYTES = 4
# When full it is emptied to the first share; looked at whenever so much was added.
_EMPTIED, _LOOKED_AT = 0.9, 0.05

#: Each is 1000 times the one before.
PREFIXES = ("", "k", "M", "G", "T")

_chosen: list[Path] = []


@dataclass(frozen=True, slots=True)
class CachedFile:
    """The kept ranges of one remote file.

    Parameters
    ----------
    folder : Path
        Where they are.
    address : str
        Of the file, without query.
    size_bytes : int
        Of all ranges.
    used : datetime
        When one was last read or written, UTC.
    """

    folder: Path
    address: str
    size_bytes: int
    used: datetime


def use_cache_folder(folder: Path) -> None:
    """Keep ranges in another cache folder than the user's, in this process."""
    _chosen[:] = [folder]


def limit_bytes() -> int:
    """Return the size that kept ranges may take.

    Raises
    ------
    OptionError
        `VARIABLE` is no size.
    """
    text = os.environ.get(VARIABLE)
    return LIMIT_BYTES if not text else size_bytes(text, VARIABLE)


def size_bytes(text: str, name: str = "size") -> int:
    """Parse a size such as ``500MB`` into bytes; k is 1000."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)b?", text.strip(), re.IGNORECASE)
    if found is None:
        raise OptionError(
            f"{name} is {text!r}; use a number with kB, MB or GB, such as 500MB"
        )
    number, unit = found.groups()
    power = [prefix.lower() for prefix in PREFIXES].index(unit.lower())
    return int(float(number) * 1000**power)


class KeptRanges:
    """The kept ranges of one state of one remote file.

    Parameters
    ----------
    folder : Path
        Around those of all files.
    url : Url
        The file.
    facts : Facts
        Its state.
    limit : int
        Bytes for all files together.
    """

    def __init__(self, folder: Path, url: Url, facts: Facts, limit: int) -> None:
        self._all, self._limit, self._added = folder, limit, limit
        key = f"{url.full}\n{facts.size}\n{facts.tag}"
        self._folder = folder / sha256(key.encode()).hexdigest()[:32]
        self._url = url
        self._spans = sorted(span for span, _ in _spans_in(self._folder))

    @classmethod
    def of(cls, url: Url, facts: Facts) -> KeptRanges | None:
        """Return the kept ranges of a file, None where nothing is to be kept.

        Without a tag another file of the same size would not be told apart.
        """
        limit = limit_bytes()
        if not limit or not facts.tag:
            return None
        cache = _chosen[0] if _chosen else files.default_cache_folder()
        return cls(cache / FOLDER, url, facts, limit)

    def covering(self, span: tuple[int, int]) -> tuple[int, int] | None:
        """Return the kept range that covers a span."""
        at = bisect_right(self._spans, (span[0], 2**63))
        for found in reversed(self._spans[max(0, at - 4) : at]):
            if span[1] <= found[1]:
                return found
        return None

    def read(self, span: tuple[int, int]) -> bytes | None:
        """Return a kept range, None where it is gone by now or damaged."""
        path = self._path(span)
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        with suppress(OSError):  # another user's
            os.utime(path)
        data, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
        if len(data) == span[1] - span[0] and checksum == _checksum(data):
            return data
        with suppress(ValueError):  # another thread was first
            self._spans.remove(span)
        return None

    def write(self, span: tuple[int, int], data: bytes) -> None:
        """Keep a range, and drop old ones where all are too large."""
        if self._limit == 0:
            return
        try:
            if not self._folder.is_dir():
                files.private_folder(self._all.parent)
                files.write_bytes(self._folder / _ADDRESS, str(self._url).encode())
            path = self._path(span)
            if path.exists():  # another process was first
                return
            with files.temporary_beside(path) as aside:
                aside.write_bytes(data + _checksum(data))
                files.rename(aside, path)
        except (
            OutputError,
            OSError,
        ):  # full or protected: later ranges go there no more
            self._limit = 0
            return
        insort(self._spans, span)
        self._added += len(data)
        if self._added >= _LOOKED_AT * self._limit:
            self._added = 0
            drop_oldest(self._all, self._limit)

    def _path(self, span: tuple[int, int]) -> Path:
        return self._folder / f"{span[0]}-{span[1]}"


def drop_oldest(folder: Path, limit: int) -> None:
    """Delete the ranges not used for longest, once all outgrow a limit."""
    found = [
        (facts.st_mtime, facts.st_size, path)
        for each in _folders_in(folder)
        for _, path in _spans_in(each)
        if (facts := _facts(path)) is not None
    ]
    left = sum(size for _, size, _ in found)
    if left <= limit:
        return
    for _, size, path in sorted(found):
        if left <= _EMPTIED * limit:
            break
        with suppress(OSError):
            path.unlink()
        left -= size
    for each in _folders_in(folder):
        files.clear_leftovers(each)
        if not any(_spans_in(each)):
            _delete(each)


def kept_files(cache: Path) -> list[CachedFile]:
    """List the remote files of which a cache folder keeps ranges, oldest first."""
    found = []
    for folder in _folders_in(cache / FOLDER):
        facts = [f for _, path in _spans_in(folder) if (f := _facts(path))]
        address = "?"
        with suppress(OSError):
            address = (folder / _ADDRESS).read_text("utf-8", "replace")
        used = max((f.st_mtime for f in facts), default=0.0)
        size = sum(f.st_size for f in facts)
        found.append(
            CachedFile(folder, address, size, datetime.fromtimestamp(used, UTC))
        )
    return sorted(found, key=lambda each: each.used)


def clear_kept(
    cache: Path,
    *,
    unused_since: datetime | None = None,
    down_to_bytes: int | None = None,
) -> list[CachedFile]:
    """Delete kept ranges, file by file, those not used for longest first.

    Parameters
    ----------
    cache : Path
        The cache folder; need not exist.
    unused_since : datetime, optional
        Keep those used since then.
    down_to_bytes : int, optional
        Stop once what is left is no larger.

    Returns
    -------
    list of CachedFile
        The deleted ones.
    """
    kept, deleted = kept_files(cache), []
    left = sum(each.size_bytes for each in kept)
    for each in kept:
        if down_to_bytes is not None and left <= down_to_bytes:
            break
        if unused_since is not None and each.used >= unused_since:
            break
        _delete(each.folder)
        deleted.append(each)
        left -= each.size_bytes
    return deleted


def _delete(folder: Path) -> None:
    """Delete a folder of ranges; its files may go meanwhile, or come."""
    with suppress(OSError):
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        folder.rmdir()


def _folders_in(folder: Path) -> list[Path]:
    """Return the folders of all files; links are not followed."""
    with suppress(OSError):
        return [p for p in folder.iterdir() if p.is_dir() and not p.is_symlink()]
    return []


def _spans_in(folder: Path) -> Iterator[tuple[tuple[int, int], Path]]:
    """Yield the (first, end) of each kept range, and its file."""
    with suppress(OSError):
        for path in folder.iterdir():
            if found := _SPAN.match(path.name):
                yield (int(found[1]), int(found[2])), path


def _facts(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # deleted meanwhile
        return None


def _checksum(data: bytes) -> bytes:
    import google_crc32c

    return int(google_crc32c.value(data)).to_bytes(_CHECKSUM_BYTES, "big")
