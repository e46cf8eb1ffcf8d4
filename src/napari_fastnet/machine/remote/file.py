"""A file on another computer, of which only the ranges that are wanted are fetched."""

from __future__ import annotations

import io
from bisect import bisect_right, insort
from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING

from napari_fastnet.machine.remote.kept import KeptRanges
from napari_fastnet.machine.remote.transport import facts_of, read_ranges

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_fastnet.machine.remote.url import Url

#: (first, end) of some bytes of a file.
Span = tuple[int, int]

#: Wanted ranges that are no further apart are fetched as one, up to a size, bytes.
GAP_BYTES, LARGEST_BYTES = 2**12, 2**20
#: A TIFF's pages are read in blocks, of which a few hold most of them, bytes.
BLOCK_BYTES = 2**14
#: Memory for ranges that were fetched and not yet decoded, bytes.
MEMORY_BYTES = 2**26


class RemoteFile:
    """Reading of ranges, kept for a while in memory and for long on disk; thread-safe.

    All bytes are of the file as it was when this was made: if it changes meanwhile, reading
    is a DriveError.

    Parameters
    ----------
    url : Url
        The file.
    """

    def __init__(self, url: Url) -> None:
        self.url = url
        self.facts = facts_of(url)
        self._kept = KeptRanges.of(url, self.facts)
        # A piece is a future: who wants one that another thread fetches waits for it.
        self._pieces: OrderedDict[Span, Future[bytes]] = OrderedDict()
        self._order: list[Span] = []
        self._lock = Lock()

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.facts.size

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes, fewer where the file ends.

        Raises
        ------
        FastNetError
            They cannot be fetched, or the file changed.
        """
        wanted = (offset, min(offset + count, self.size))
        if wanted[0] >= wanted[1]:
            return b""
        found = self._covering(wanted) or self._fetched([wanted])[0]
        (start, _), piece = found
        return piece.result()[offset - start : wanted[1] - start]

    def fetch(self, ranges: Iterable[Span]) -> None:
        """Fetch what will be read, given as (first, count), in as few requests as pay.

        Does nothing where that is more than half of what memory may hold. Raises as `read`.
        """
        spans = sorted(
            (first, min(first + count, self.size)) for first, count in ranges
        )
        missing = [
            span for span in spans if span[0] < span[1] and not self._covering(span)
        ]
        if missing and sum(end - first for first, end in missing) <= MEMORY_BYTES / 2:
            self._fetched(missing)

    def open(self) -> io.BufferedReader:
        """Return a file object, whose reads are made of blocks."""
        return io.BufferedReader(_Blocks(self))

    def _covering(self, span: Span) -> tuple[Span, Future[bytes]] | None:
        """Return the piece in memory, or on its way, that covers a span."""
        with self._lock:
            at = bisect_right(self._order, (span[0], self.size))
            for found in reversed(self._order[max(0, at - 4) : at]):
                if found[0] <= span[0] and span[1] <= found[1]:
                    self._pieces.move_to_end(found)
                    return found, self._pieces[found]
        return None

    def _fetched(self, missing: Sequence[Span]) -> list[tuple[Span, Future[bytes]]]:
        """Fetch spans that are not in memory, sorted; from the disk where they are there."""
        kept = [None if self._kept is None else self._kept.covering(s) for s in missing]
        on_disk = list(dict.fromkeys(span for span in kept if span))
        rest = merged(
            span for span, found in zip(missing, kept, strict=True) if not found
        )
        pieces: dict[Span, Future[bytes]] = {s: Future() for s in (*on_disk, *rest)}
        with self._lock:
            for span, piece in pieces.items():
                if span not in self._pieces:
                    insort(self._order, span)
                self._pieces[span] = piece
        try:
            self._fill(pieces, on_disk)
        except BaseException as error:
            self._drop(pieces, error)
            raise
        self._forget_old()
        return list(pieces.items())

    def _fill(self, pieces: dict[Span, Future[bytes]], on_disk: Sequence[Span]) -> None:
        """Read pieces from the disk, and the others from the server."""
        for span in on_disk:
            assert self._kept is not None
            if (data := self._kept.read(span)) is not None:
                pieces[span].set_result(data)
        rest = [span for span, piece in pieces.items() if not piece.done()]
        if not rest:
            return
        for span, data in zip(
            rest, read_ranges(self.url, rest, self.facts), strict=True
        ):
            pieces[span].set_result(data)
            if self._kept is not None:
                self._kept.write(span, data)

    def _drop(self, pieces: dict[Span, Future[bytes]], error: BaseException) -> None:
        """Tell who waits for pieces that they do not come."""
        with self._lock:
            for span, piece in pieces.items():
                if not piece.done():
                    piece.set_exception(error)
                    if self._pieces.get(span) is piece:
                        del self._pieces[span]
                        self._order.remove(span)

    def _forget_old(self) -> None:
        """Drop the pieces not used for longest, beyond `MEMORY_BYTES`."""
        with self._lock:
            used = sum(end - first for first, end in self._pieces)
            for span in list(self._pieces)[:-1]:
                if used <= MEMORY_BYTES:
                    break
                if self._pieces[span].done():
                    del self._pieces[span]
                    self._order.remove(span)
                    used -= span[1] - span[0]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join sorted spans that are no further apart than `GAP_BYTES`."""
    found: list[Span] = []
    for first, end in spans:
        if found and first - found[-1][1] <= GAP_BYTES:
            start, before = found[-1]
            if max(end, before) - start <= LARGEST_BYTES:
                found[-1] = start, max(end, before)
                continue
        found.append((first, end))
    return found


class _Blocks(io.RawIOBase):
    """A remote file for a parser that jumps about in it."""

    def __init__(self, file: RemoteFile) -> None:
        self._file, self._at = file, 0
        self.name = str(file.url)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._file.size)[whence]
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        end = min(self._at + len(buffer), self._file.size)
        if end <= self._at:
            return 0
        starts = range(self._at // BLOCK_BYTES * BLOCK_BYTES, end, BLOCK_BYTES)
        self._file.fetch((start, BLOCK_BYTES) for start in starts)
        data = b"".join(self._file.read(start, BLOCK_BYTES) for start in starts)
        buffer[: end - self._at] = data[self._at - starts[0] : end - starts[0]]
        count, self._at = end - self._at, end
        return count
