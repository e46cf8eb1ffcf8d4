"""The tiles (or strips) of one TIFF page, fetched and decoded on their own.

Through tifffile's zarr arrays a region takes 1.4 to 10 times as long, see `slide.tiff`.
"""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.errors import DriveError, FastNetError, SlideFormatError
from napari_fastnet.machine.remote.url import Url
from napari_fastnet.slide import samples
from napari_fastnet.slide.tiles import DamagedTileError, OnDamage, Pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from io import BufferedReader
    from pathlib import Path

    from numpy.typing import NDArray
    from tifffile import TiffFrame, TiffPage

    from napari_fastnet.machine.remote.url import SlidePath

_CONVERT = (
    "convert it, e.g. vips tiffsave IN OUT.tif --tile --pyramid --compression jpeg"
)

# TIFF's numbers.
_JPEG = 7

# A JPEG stream ends with this; a few bytes of padding may follow.
_JPEG_END, _JPEG_PADDING = b"\xff\xd9", 64

# Errors of the decoders over corrupt bytes; imagecodecs' own are RuntimeErrors,
# tifffile's are ValueErrors.
_DECODE_ERRORS = (RuntimeError, ValueError, TypeError, OSError)


#: Both ends of a file enter its fingerprint: headers, first and last tiles.
ENDS_BYTES = 2**16
#: Waits before reading again, s: a network drive may be lost for a moment.
RETRY_S = (0.1, 0.4)


class FileBytes:
    """A file that several threads read at given places.

    A read that the drive refuses is repeated after each wait of `RETRY_S`.
    """

    #: What `RemoteBytes` does; a disk needs no such calls.
    fetch: None = None
    ends: None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of the file, now."""
        return self._path.stat().st_size

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset``.

        Raises
        ------
        DamagedTileError
            The file ends before.
        DriveError
            The drive fails again and again.
        FastNetError
            The file was closed.
        """
        with self._lock:
            if self._file.closed:
                raise FastNetError(
                    f"{self._path.name}: was closed; open the slide again"
                )
            for wait_s in (*RETRY_S, None):
                try:
                    self._file.seek(offset)
                    data = self._file.read(count)
                    if len(data) < count <= self.size - offset:
                        raise OSError(errno.EIO, "fewer bytes came than the file has")
                    break
                except OSError as error:
                    if wait_s is None:
                        raise DriveError.reading(self._path, error) from error
                    time.sleep(wait_s)
        return _whole(data, count)

    def open(self) -> BufferedReader:
        """Return the file anew, for a parser."""
        return self._path.open("rb")

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            self._file.close()


class RemoteBytes:
    """A file on another computer, as `FileBytes` is one on a disk."""

    def __init__(self, url: Url) -> None:
        # it loads asyncio and ssl, of which a file on a disk has no use
        from napari_fastnet.machine.remote.file import RemoteFile

        self._file = RemoteFile(url)
        self._closed = False
        self.ends(ENDS_BYTES)  # the pages of most TIFFs lie there

    @property
    def size(self) -> int:
        """Bytes of the file, when it was opened."""
        return self._file.size

    def fetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch what will be read, each (offset, count), in few requests."""
        self._require_open()
        self._file.fetch(ranges)

    def ends(self, count: int) -> tuple[int, bytes, bytes]:
        """Return the size, and so many bytes of either end."""
        count = min(count, self.size)
        ranges = ((0, count), (self.size - count, count))
        self.fetch(ranges)
        first, last = (self.read(*each) for each in ranges)
        return self.size, first, last

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset``, or raise as `FileBytes.read` does."""
        self._require_open()
        return _whole(self._file.read(offset, count), count)

    def open(self) -> BufferedReader:
        """Return the file anew, for a parser."""
        return self._file.open()

    def close(self) -> None:
        """Read no more; a second time does nothing."""
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise FastNetError(f"{self._file.url}: was closed; open the slide again")


#: A slide's file where it lies.
SlideBytes = FileBytes | RemoteBytes


def open_bytes(path: SlidePath) -> SlideBytes:
    """Open a slide's file where it lies."""
    return RemoteBytes(path) if isinstance(path, Url) else FileBytes(path)


def _whole(data: bytes, count: int) -> bytes:
    """Return the bytes, or raise DamagedTileError where the file ended before."""
    if len(data) < count:
        raise DamagedTileError(f"the file ends {count - len(data)} bytes too early")
    return data


@dataclass(frozen=True, slots=True, eq=False)
class TilePage:
    """The places of a page's tiles in the file, and their decoders.

    Parameters
    ----------
    shape, tile_shape : tuple of int
        (height, width) of the page and of its tiles (strips: as wide as the page).
    offsets, byte_counts : ndarray
        ``int64 (planes, rows, columns)``; a tile of 0 bytes was never written.
    decoders : tuple of callable
        One for each plane, a function of (bytes, index) to ``(height, width, samples)``.
    to_rgb : callable
        Maps ``(height, width, samples)`` to RGB.
    ends_as_jpeg : bool
        Each tile is a whole JPEG stream.
    reading : str
        Word for the slide's fingerprint, see `samples.reading_of`.
    """

    shape: tuple[int, int]
    tile_shape: tuple[int, int]
    offsets: NDArray[np.int64]
    byte_counts: NDArray[np.int64]
    decoders: tuple[Callable[[bytes, int], NDArray[Any]], ...]
    to_rgb: Callable[[NDArray[Any]], Pixels]
    ends_as_jpeg: bool
    reading: str = ""

    @classmethod
    def of(
        cls,
        pages: Sequence[TiffPage | TiffFrame],
        key: TiffPage,
        name: str,
        *,
        aperio: bool = False,
    ) -> TilePage:
        """Return the tiles of an image, independent of tifffile's open file.

        Parameters
        ----------
        pages : sequence of tifffile pages
            One page of 1, 3 or 4 samples, or three of one sample: R, G, B.
        key : tifffile page
            The page that describes them all.
        name : str
            The file, for error messages.
        aperio : bool
            Aperio wrote the file; other makers use its number for JPEG 2000 in YCbCr for
            RGB.

        Raises
        ------
        SlideFormatError
            The pixels are of a kind that is no brightfield RGB.
        """
        kind = samples.unread_kind(key, len(pages))
        if kind is not None:
            raise SlideFormatError(
                f"{name}: the pixels are {kind}; 8-bit RGB or grey is read, {_CONVERT}"
            )
        height, width = key.imagelength, key.imagewidth
        rows, columns = key.tilelength, key.tilewidth
        if not key.is_tiled:
            rows, columns = min(key.rowsperstrip, height), width
        if rows * columns > samples.LARGEST_TILE_PX:
            raise SlideFormatError(
                f"{name}: the image is stored in pieces of {columns} x {rows} px, too "
                f"large to decode one by one; {_CONVERT}"
            )
        grid = (len(pages), -(-height // rows), -(-width // columns))
        # each page has its own tables of JPEG
        decoders = [samples.decoder_of(page, key, aperio=aperio) for page in pages]
        return cls(
            (height, width),
            (rows, columns),
            _table([page.dataoffsets for page in pages], grid, name),
            _table([page.databytecounts for page in pages], grid, name),
            tuple(decode for decode, _ in decoders),
            samples.converter_of(key),
            key.compression == _JPEG and all(whole for _, whole in decoders),
            samples.reading_of(key),
        )

    @property
    def end(self) -> int:
        """First byte of the file behind all tiles, or beyond every file."""
        # As real numbers: a sum of whole ones may turn over and be negative.
        ends = self.offsets.astype(np.float64) + self.byte_counts
        return int(ends.max(initial=0))

    @property
    def blank(self) -> int:
        """The number of tiles that were never written."""
        return int(((self.offsets == 0) | (self.byte_counts == 0)).any(axis=0).sum())

    def ranges(self, places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Yield (offset, count) of the stored tiles at these rows and columns."""
        for row, column in places:
            for plane in range(len(self.decoders)):
                count = int(self.byte_counts[plane, row, column])
                yield int(self.offsets[plane, row, column]), count

    def load(
        self, file: SlideBytes, row: int, column: int, _: OnDamage | None
    ) -> Pixels | None:
        """Return a tile's RGB px, None for one that was never written.

        With the file bound, this is the ``load`` of a `TiledLevel`. DamagedTileError, with the
        cause alone, where the bytes are missing or cannot be decoded.
        """
        planes = []
        index = row * self.offsets.shape[2] + column
        for plane, decode in enumerate(self.decoders):
            offset = int(self.offsets[plane, row, column])
            count = int(self.byte_counts[plane, row, column])
            if not offset or not count:
                return None
            data = file.read(offset, count)
            if self.ends_as_jpeg and _JPEG_END not in data[-_JPEG_PADDING:]:
                raise DamagedTileError("its JPEG data end too early")
            try:
                samples.check_claim(data)
                planes.append(decode(data, index))
            except _DECODE_ERRORS as error:
                raise DamagedTileError(str(error) or type(error).__name__) from error
        return self.to_rgb(planes[0] if len(planes) == 1 else np.dstack(planes))


def _table(
    tables: Sequence[Sequence[int]], grid: tuple[int, int, int], name: str
) -> NDArray[np.int64]:
    """Return one number a tile, ``int64 (planes, rows, columns)``."""
    count = grid[1] * grid[2]
    if any(len(table) < count for table in tables):
        raise SlideFormatError(
            f"{name}: the table of tiles is too short, {count} are needed; copy the "
            "file again from its origin"
        )
    return np.array([table[:count] for table in tables], np.int64).reshape(grid)
