"""Images made of tiles: the form in which every reader provides a slide."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import TileReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_fastnet.slide.spacing import Spacing


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An open slide file as a reader provides it to `Slide`.

    Parameters
    ----------
    levels : tuple of TiledLevel
        The file's own levels, finest first.
    facts : Facts
        Statements of the file about the slide.
    digest : callable
        Returns a hash of the layout of the contents (the tables of tiles).
    close : callable
        Closes the file; may be called twice.
    ends : callable, optional
        Returns the size of the file, and so many bytes of either end; by default they are
        read from the file as it is by then.
    """

    levels: tuple[TiledLevel, ...]
    facts: Facts
    digest: Callable[[], bytes]
    close: Callable[[], None]
    ends: Callable[[int], tuple[int, bytes, bytes]] | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Statements of a file about its slide.

    Parameters
    ----------
    vendor : str
        Scanner maker or kind of file, lower case.
    spacing : Spacing
        µm/px of level 0, believable or not.
    bounds : Box or None
        The scanned part, level-0 px, where the file states it; from `bounds_of`.
    profile : str or None
        Name of the ICC profile of the file, which is not applied.
    notes : tuple of str
        Choices made while reading the file that a user should know, without its name.
    """

    vendor: str
    spacing: Spacing
    bounds: Box | None
    profile: str | None
    notes: tuple[str, ...] = ()


def bounds_of(properties: Mapping[str, Any], reader: str) -> Box | None:
    """Return the box of the scanned part, which QuPath takes for the whole slide.

    Level-0 px; None where the properties do not state it. Their names begin with the reader:
    "openslide" or "tiffslide".
    """
    names = ("bounds-y", "bounds-x", "bounds-height", "bounds-width")
    stated: list[Any] = [properties.get(f"{reader}.{name}") for name in names]
    if None in stated:
        return None
    top, left, height, width = map(float, stated)
    return Box.of_shape((height, width), (top, left))


def profile_name(data: bytes) -> str:
    """Return the name of an ICC profile, "unnamed" where it cannot be read."""
    from PIL.ImageCms import ImageCmsProfile, PyCMSError, getProfileDescription

    try:
        name = str(getProfileDescription(ImageCmsProfile(BytesIO(data))))
    except (PyCMSError, OSError):
        return "unnamed"
    return " ".join(name.split()) or "unnamed"


#: ``uint8 (height, width, 3)``, RGB.
Pixels = NDArray[np.uint8]

#: Outcome of reading a tile that cannot be decoded: an error, or white.
Damaged = Literal["raise", "white"]

#: Value, in every channel, of px outside a slide or never scanned.
WHITE = 255

#: (level, row, column) of a tile.
TileKey = tuple[int, int, int]

#: Memory for decoded tiles, one allowance a cache.
CACHE_BYTES = 32 * 2**20


class TileCache:
    """Decoded tiles, of which the least recently used are dropped; thread-safe."""

    def __init__(self, budget_bytes: int = CACHE_BYTES) -> None:
        self._budget_bytes = budget_bytes
        self._used_bytes = 0
        self._tiles: OrderedDict[TileKey, Pixels] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: TileKey) -> Pixels | None:
        """Return a tile, None where it is not kept."""
        with self._lock:
            if (tile := self._tiles.get(key)) is not None:
                self._tiles.move_to_end(key)
            return tile

    def put(self, key: TileKey, tile: Pixels) -> None:
        """Keep a tile; one larger than the whole allowance is not kept."""
        with self._lock:
            if tile.nbytes > self._budget_bytes or key in self._tiles:
                return
            self._tiles[key] = tile
            self._used_bytes += tile.nbytes
            while self._used_bytes > self._budget_bytes:
                _, dropped = self._tiles.popitem(last=False)
                self._used_bytes -= dropped.nbytes


class DamagedTileError(TileReadError):
    """A tile's own bytes cannot be decoded; the message is the cause alone."""


@dataclass(frozen=True, slots=True, eq=False)
class TiledLevel:
    """One image cut into equal tiles, read tile by tile.

    Parameters
    ----------
    name : str
        The file, for error messages.
    index : int
        The level, for error messages and as the cache's key.
    shape, tile_shape : tuple of int
        (height, width) of the image and of a tile, px. Tiles of the last row and
        column may reach beyond the image.
    load : callable
        Maps (row, column, on_damage) of a tile to its px, or to None for a tile that
        was never written. Raises `DamagedTileError` where its bytes cannot be decoded.
        A level made of another passes ``on_damage`` on to that one's `read`.
    cache : TileCache
        Where decoded tiles are kept.
    blank : int, optional
        Number of tiles that were never written, where the file states it.
    remake : callable, optional
        Makes a tile that cannot be decoded from a finer level, given this level, row and
        column; TileReadError where the finer level cannot be decoded either.
    is_unfinished : bool, optional
        Treat a tile that was never written as one that cannot be decoded.
    fetch : callable, optional
        Called with the (row, column) of all tiles that a region needs before the first is
        loaded, where that saves time: for a file on another computer.
    """

    name: str
    index: int
    shape: tuple[int, int]
    tile_shape: tuple[int, int]
    load: Callable[[int, int, OnDamage | None], Pixels | None]
    cache: TileCache
    blank: int = 0
    remake: Callable[[TiledLevel, int, int], Pixels | None] | None = None
    is_unfinished: bool = False
    fetch: Callable[[Sequence[tuple[int, int]]], None] | None = None

    @property
    def tiles(self) -> int:
        """The number of tiles of the image, written or not."""
        (height, width), (rows, columns) = self.shape, self.tile_shape
        return -(-height // rows) * -(-width // columns)

    def read(
        self,
        top: int,
        left: int,
        height: int,
        width: int,
        *,
        on_damage: OnDamage | None = None,
    ) -> Pixels:
        """Return a region, ``uint8 (height, width, 3)``, of this image's own px.

        Parameters
        ----------
        top, left, height, width : int
            The region; white outside the image.
        on_damage : callable, optional
            Called with this level and the (row, column) of each tile that cannot be
            decoded, which is then white. Without it such a tile is a TileReadError.
        """
        pixels = np.full((height, width, 3), WHITE, np.uint8)
        tile_height, tile_width = self.tile_shape
        bottom = min(top + height, self.shape[0])
        right = min(left + width, self.shape[1])
        rows = range(max(0, top) // tile_height, -(-bottom // tile_height))
        columns = range(max(0, left) // tile_width, -(-right // tile_width))
        self.fetch_all([(top, left, height, width)])
        for row in rows:
            for column in columns:
                tile = self._tile(row, column, on_damage)
                if tile is None:
                    continue
                tile_top, tile_left = row * tile_height, column * tile_width
                y0, x0 = max(top, tile_top), max(left, tile_left)
                y1 = min(bottom, tile_top + tile.shape[0])
                x1 = min(right, tile_left + tile.shape[1])
                if y1 <= y0 or x1 <= x0:  # all of it lies behind the image's last px
                    continue
                pixels[y0 - top : y1 - top, x0 - left : x1 - left] = tile[
                    y0 - tile_top : y1 - tile_top, x0 - tile_left : x1 - tile_left
                ]
        return pixels

    def fetch_all(self, regions: Iterable[tuple[int, int, int, int]]) -> None:
        """Fetch together what `read` of these (top, left, height, width) will need.

        Does nothing, and does not look at the regions, for a file on a disk.
        """
        if self.fetch is None:
            return
        (height, width), (rows, columns) = self.shape, self.tile_shape
        places: dict[tuple[int, int], None] = {}
        for top, left, high, wide in regions:
            bottom, right = min(top + high, height), min(left + wide, width)
            across = range(max(0, left) // columns, -(-right // columns))
            for row in range(max(0, top) // rows, -(-bottom // rows)):
                places |= dict.fromkeys((row, column) for column in across)
        self.fetch([p for p in places if self.cache.get((self.index, *p)) is None])

    def _tile(self, row: int, column: int, on_damage: OnDamage | None) -> Pixels | None:
        """Return a tile from the cache or the file; None stands for white."""
        key = (self.index, row, column)
        tile = self.cache.get(key)
        if tile is not None:
            return tile
        whole = True

        def note(level: TiledLevel, row: int, column: int) -> None:
            nonlocal whole
            whole = False
            if on_damage is not None:
                on_damage(level, row, column)

        try:
            tile = self.load(row, column, note if on_damage is not None else None)
            if tile is None and self.is_unfinished:
                raise DamagedTileError("was never written")
        except DamagedTileError as error:
            try:
                if self.remake is None:
                    raise
                tile = self.remake(self, row, column)
            except TileReadError:
                if on_damage is None:
                    raise TileReadError(self._complaint(row, column, error)) from error
                on_damage(self, row, column)
                return None
        # With a white hole it is not kept: the next caller may want an error instead.
        if tile is not None and whole:
            tile.flags.writeable = False
            self.cache.put(key, tile)
        return tile

    def _complaint(self, row: int, column: int, cause: DamagedTileError) -> str:
        """Return the error message of a tile that cannot be decoded."""
        height, width = self.tile_shape
        top, left = row * height, column * width
        return (
            f"{self.name}: level {self.index}, rows {top} to {top + height}, columns "
            f"{left} to {left + width} (level px) cannot be read ({cause}); copy the "
            "file again from its origin"
        )


#: Called with the (level, row, column) of a tile that cannot be decoded.
OnDamage = Callable[[TiledLevel, int, int], None]
