"""A whole-slide image: levels, µm/px with its source, and pixels at any µm/px."""

from __future__ import annotations

import weakref
from collections import Counter
from contextlib import contextmanager
from functools import cached_property, partial
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.display import NOTEBOOK_PX, notebook_card, png_bytes
from napari_fastnet.core.geometry import Box, Level, Pair
from napari_fastnet.errors import OptionError
from napari_fastnet.machine.remote.url import Url, path_of
from napari_fastnet.slide.opening import file_stamp, fingerprint, open_source
from napari_fastnet.slide.pyramid import (
    LevelArray,
    coarser_levels,
    coarsest_within,
    levels_of,
    repaired,
)
from napari_fastnet.slide.resample import is_aligned, read_of, resample
from napari_fastnet.slide.spacing import Spacing, pair_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import dask.array

    from napari_fastnet.machine.remote.url import SlidePath
    from napari_fastnet.slide.opening import Stamp
    from napari_fastnet.slide.resample import Read
    from napari_fastnet.slide.tiles import (
        Damaged,
        Pixels,
        Source,
        TiledLevel,
        TileKey,
    )


class Slide:
    """An open slide; `open_slide` makes one.

    Coordinates are (y, x) in level-0 px unless said otherwise, pixels ``uint8
    (height, width, 3)`` RGB, white (255) outside the slide and where the scanner
    wrote no tile. All methods may be called from several threads at once. A slide
    pickles as its path (and the µm/px the user gave) and is opened anew on unpickling.

    A tile of a coarser level that cannot be decoded, or is missing, is made from the next
    finer level and counted in `finer_tiles`. Only where that level cannot be decoded
    either is the tile damaged.

    Parameters
    ----------
    path : Path or Url
        The file.
    source : Source
        The opened file, which this object closes.
    spacing : Spacing
        µm/px of level 0, which the user may have given instead of the file.
    stamp : tuple of int or None
        `slide.opening.file_stamp` of the file before it was opened; None of an address.

    Attributes
    ----------
    shape : tuple of int
        (height, width) of level 0.
    levels : tuple of Level
        The file's own, finest first; downsamples are real ratios, (y, x).
    mpp : tuple of float or None
        (y, x) µm/px as stated, even if absurd; `require_mpp` gives it checked.
    stated_mpp : tuple of float or None
        (y, x) µm/px that the file states, also where the user gave another.
    mpp_source : str
        "vendor", "OME", "resolution tag", "user" or "unknown".
    vendor : str
        Scanner maker, or "generic-tiff" and "ome-tiff".
    bounds : Box or None
        The scanned part, level-0 px, where the file states it.
    reading_notes : tuple of str
        Choices made while reading the file that a user should know: of its focal plane,
        of one of several images.
    profile : str or None
        Name of the ICC profile of the file; colours are read without it.
    """

    def __init__(
        self, path: SlidePath, source: Source, spacing: Spacing, stamp: Stamp | None
    ) -> None:
        facts = source.facts
        self.path, self.vendor, self.bounds = path, facts.vendor, facts.bounds
        self.mpp, self.mpp_source = spacing.mpp, spacing.source
        self.stated_mpp = facts.spacing.mpp
        self.reading_notes, self.profile = facts.notes, facts.profile
        self.shape = source.levels[0].shape
        self._source, self._spacing, self.stamp = source, spacing, stamp
        # Threads write to both at once; what reads them takes a copy first.
        self._damaged: dict[TileKey, Box] = {}
        self._remade: set[TileKey] = set()
        own = repaired(source.levels, self._remade)
        made = coarser_levels(own[-1])
        self._tiles = (*own, *made)
        self._all_levels = levels_of(own, made)
        self.levels = tuple(self._all_levels[: len(own)])
        # a viewer drops a layer without closing its slide
        weakref.finalize(self, source.close)

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        given = self.mpp if self.mpp_source == "user" else None
        return partial(open_slide, self.path.absolute(), mpp=given), ()

    def __repr__(self) -> str:
        return f"<Slide {self.path.name}, {self.shape[1]} x {self.shape[0]} px>"

    def _repr_html_(self) -> str:
        picture = png_bytes(self.thumbnail(NOTEBOOK_PX))
        return notebook_card(slide_rows(self.to_dict()), png=picture)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``info --json``: plain data, None where unknown.

        Returns
        -------
        dict
            path, vendor, fingerprint, width and height (level-0 px), mpp ((y, x), µm/px),
            mpp_source, width_mm, height_mm, bounds (y, x, height, width of the scanned
            part, level-0 px), icc_profile (its name; it is not applied), reading (the
            reading notes), and levels: index, width, height (level px) and downsample
            ((y, x), level-0 px per level px).
        """
        height, width = self.shape
        y, x = self.mpp or (None, None)
        bounds = self.bounds
        return {
            "path": str(self.path),
            "vendor": self.vendor,
            "fingerprint": self.fingerprint,
            "width": width,
            "height": height,
            "mpp": None if self.mpp is None else list(self.mpp),
            "mpp_source": self.mpp_source,
            "width_mm": None if x is None else width * x / 1000,
            "height_mm": None if y is None else height * y / 1000,
            "bounds": None
            if bounds is None
            else {"y": bounds.top, "x": bounds.left}
            | {"height": bounds.height, "width": bounds.width},
            "icc_profile": self.profile,
            "reading": list(self.reading_notes),
            "levels": [
                {
                    "index": level.index,
                    "width": level.shape[1],
                    "height": level.shape[0],
                    "downsample": list(level.downsample),
                }
                for level in self.levels
            ],
        }

    def close(self) -> None:
        """Close the file; reading afterwards is a FastNetError."""
        self._source.close()

    def require_mpp(self) -> Pair:
        """Return the (y, x) µm/px of level 0, checked.

        Raises
        ------
        SpacingError
            Unknown, outside 0.05..5, or y and x more than 2 % apart.
        """
        return self._spacing.require(self.path.name)

    def with_mpp(self, mpp: float | Pair) -> Slide:
        """Open the slide once more with the user's µm/px, as `open_slide` does."""
        return open_slide(self.path, mpp=mpp)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the contents, the same for renamed and copied files.

        See `slide.opening.fingerprint` for what it covers.
        """
        return fingerprint(self.path, self._source)

    @property
    def damaged(self) -> tuple[Box, ...]:
        """The places of tiles that could not be decoded and were read as white."""
        return tuple(self._damaged.copy().values())

    def damaged_tiles(self, level: Level) -> int:
        """Count the damaged tiles of a level, or of the level it is made from."""
        own = min(level.index, self.levels[-1].index)
        return sum(index == own for index, _, _ in self._damaged.copy())

    def written_tiles(self, level: Level) -> int:
        """Count the tiles in the file of a level, or of the level it is made from."""
        tiles = self._tiles[min(level.index, self.levels[-1].index)]
        return tiles.tiles - tiles.blank

    @property
    def finer_tiles(self) -> dict[int, int]:
        """The number of tiles made from a finer level so far, by the index of the level."""
        return dict(Counter(index for index, _, _ in sorted(self._remade.copy())))

    def level_for(self, mpp: float | Pair) -> Level:
        """Return the coarsest level that is at least as fine as asked, 1 % allowed.

        Parameters
        ----------
        mpp : float or (float, float)
            Wanted µm/px, one number or (y, x).

        Returns
        -------
        Level
            The finest, if none is fine enough. Behind the file's own ``levels`` come
            those that `pyramid` makes where the file has none so coarse.
        """
        return coarsest_within(self._all_levels, self._scale(mpp))

    def read(
        self,
        box: Box,
        mpp: float | Pair,
        *,
        damaged: Damaged = "raise",
        threads: int = 1,
    ) -> Pixels:
        """Return a box of the slide at the µm/px asked for.

        The px come from the level of `level_for`, through the one filter of
        `slide.resample`; a box that needs no change of size is returned unfiltered.

        Parameters
        ----------
        box : Box
            Level-0 px, real-valued; it may leave the slide.
        mpp : float or (float, float)
            Wanted µm/px, one number or (y, x).
        damaged : {"raise", "white"}
            What a tile that cannot be decoded is: an error, or white and noted in
            `damaged`.
        threads : int, optional
            That read a large box together.

        Returns
        -------
        ndarray
            ``uint8 (round(box height * slide µm/px / mpp), the same of width, 3)``. It
            spans the box exactly: where that is no whole number of px, px are up to
            half a px over the whole box wider or narrower than asked.

        Raises
        ------
        TileReadError
            A tile cannot be decoded.
        DriveError
            The drive fails.
        SpacingError
            The slide's own µm/px is unknown or absurd.
        """
        scale = self._scale(mpp)
        shape = (round(box.height / scale[0]), round(box.width / scale[1]))
        level = coarsest_within(self._all_levels, scale)
        self.fetch((box,), mpp)
        return resample(*self._part(box, level, damaged), shape, threads=threads)

    def fetch(self, boxes: Iterable[Box], mpp: float | Pair) -> None:
        """Fetch together what `read` of these boxes needs, of a slide by its address."""
        scale = self._scale(mpp)
        level = coarsest_within(self._all_levels, scale)
        if (tiles := self._tiles[level.index]).fetch is not None:
            tiles.fetch_all(read_of(box, scale, level.downsample) for box in boxes)

    def is_unfiltered(self, box: Box, mpp: float | Pair) -> bool:
        """Return whether `read` returns the px of a level as they are."""
        scale = self._scale(mpp)
        shape = (round(box.height / scale[0]), round(box.width / scale[1]))
        y, x = coarsest_within(self._all_levels, scale).downsample
        part = Box(box.top / y, box.left / x, box.bottom / y, box.right / x)
        return is_aligned(part, shape)

    def read_level(
        self,
        level: int,
        top: int,
        left: int,
        height: int,
        width: int,
        *,
        damaged: Damaged = "raise",
    ) -> Pixels:
        """Return the untouched px of a level.

        Parameters
        ----------
        level : int
            0 is the finest; those behind ``levels`` are the made ones of `pyramid`.
        top, left, height, width : int
            The region in the level's own px; white where it leaves the slide.
        damaged : {"raise", "white"}
            As for `read`.

        Returns
        -------
        ndarray
            ``uint8 (height, width, 3)``.

        Raises
        ------
        OptionError
            There is no such level.
        TileReadError
            A tile cannot be decoded.
        DriveError
            The drive fails.
        """
        if not 0 <= level < len(self._tiles):
            raise OptionError(
                f"level is {level}; {self.path.name} has 0 to {len(self._tiles) - 1}"
            )
        return self._reader(level, damaged)(top, left, height, width)

    def thumbnail(self, max_side_px: int) -> Pixels:
        """Return the whole slide, its longer side ``max_side_px`` or its own size.

        Tiles that cannot be decoded are white and noted in `damaged`.

        Parameters
        ----------
        max_side_px : int
            At least 1.

        Returns
        -------
        ndarray
            ``uint8 (height, width, 3)``.
        """
        factor = max(1.0, max(self.shape) / max_side_px)
        height, width = (max(1, round(side / factor)) for side in self.shape)
        level = coarsest_within(self._all_levels, (factor, factor))
        part = self._part(Box.of_shape(self.shape), level, "white")
        return resample(*part, (height, width))

    def pyramid(self) -> list[dask.array.Array]:
        """Return lazy arrays, ``uint8 (height, width, 3)``, finest level first.

        The file's own levels, a chunk a tile, then levels made from the last one by
        averaging 4 x 4 px until one has at most 2048 px a side. Tiles that cannot be
        decoded are white and noted in `damaged`. The arrays read from this object: do
        not close it while they are in use.

        Returns
        -------
        list of dask.array.Array
            A chunk is a tile of the file; strips and the tiles of huge levels are joined.
        """
        import dask.array

        wrap: Callable[..., dask.array.Array] = dask.array.from_array  # it has no types
        arrays = []
        for level in self._tiles:
            read = partial(self.read_level, level.index, damaged="white")
            array = LevelArray(read, level)
            arrays.append(
                wrap(
                    array,
                    array.chunks,
                    # dask keeps what it computed of arrays of this name
                    name=f"slide-{self.fingerprint}-{level.index}",
                    meta=np.empty((0, 0, 0), np.uint8),
                    asarray=False,
                    fancy=False,
                )
            )
        return arrays

    def _note_damage(self, tiles: TiledLevel, row: int, column: int) -> None:
        """Note a tile of the file that cannot be decoded."""
        height, width = tiles.tile_shape
        y, x = self.levels[tiles.index].downsample
        tile = Box.of_shape(
            (height * y, width * x), (row * height * y, column * width * x)
        )
        box = tile.intersect(Box.of_shape(self.shape))
        self._damaged[tiles.index, row, column] = box

    def _reader(self, level: int, damaged: Damaged) -> Read:
        """Return a function that reads a region of a level."""
        note = self._note_damage if damaged == "white" else None
        return partial(self._tiles[level].read, on_damage=note)

    def _part(
        self, box: Box, level: Level, damaged: Damaged
    ) -> tuple[Read, tuple[int, int], Box]:
        """Return the arguments of `resample` for a level: reader, shape, box in its px."""
        y, x = level.downsample
        part = Box(box.top / y, box.left / x, box.bottom / y, box.right / x)
        return self._reader(level.index, damaged), level.shape, part

    def _scale(self, mpp: float | Pair) -> Pair:
        """Return level-0 px per px at the µm/px asked for, (y, x)."""
        own = self.require_mpp()
        wanted = pair_of(mpp)
        if not all(0 < value < inf for value in wanted):
            raise OptionError(f"µm/px asked for is {mpp}; use a number above 0")
        return wanted[0] / own[0], wanted[1] / own[1]


def open_slide(path: str | SlidePath, *, mpp: float | Pair | None = None) -> Slide:
    """Open a slide as TIFF or, where it is none, with OpenSlide.

    Parameters
    ----------
    path : str, Path or Url
        SVS, tiled TIFF, OME-TIFF, SCN, NDPI; with OpenSlide also MRXS, VMS, BIF, DICOM.
        TIFF slides also by an address: ``s3://``, ``gs://`` or ``https://``.
    mpp : float or (float, float), optional
        µm/px of level 0 that replaces what the file states, one number or (y, x).

    Returns
    -------
    Slide
        A context manager. A slide whose own µm/px is unknown or absurd opens too.

    Raises
    ------
    SlideNotFoundError
        There is no such file.
    SlideFormatError
        It is no slide, is cut short, or its pixels are not 8-bit RGB or grey.
    SpacingError
        The ``mpp`` given is absurd.
    DriveError
        The server of an address does not answer, or refuses.
    OptionError
        The address is of a kind that is not read.
    """
    path = path_of(path)
    if (spacing := None if mpp is None else Spacing.of_user(mpp)) is not None:
        spacing.require(path.name)
    # first: a file that takes its place now is another one; of an address each range tells
    stamp = None if isinstance(path, Url) else file_stamp(path)
    source = open_source(path)
    return Slide(path, source, spacing or source.facts.spacing, stamp)


@contextmanager
def opened(slide: str | SlidePath | Slide) -> Iterator[Slide]:
    """Yield the slide of a path, closed at the end, or an open slide as it is."""
    if isinstance(slide, Slide):
        yield slide
        return
    with open_slide(slide) as own:
        yield own


def slide_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the facts of `Slide.to_dict` as rows of (name, text)."""
    size = f"{facts['width']:,} x {facts['height']:,} px"
    spacing = f"{facts['mpp_source']}: give it with --mpp"
    if facts["mpp"] is not None:
        size += f" = {facts['width_mm']:.1f} x {facts['height_mm']:.1f} mm"
        y, x = facts["mpp"]
        number = f"{x:.4g}" if x == y else f"{x:.4g} x {y:.4g}"
        spacing = f"{number} ({facts['mpp_source']})"
    rows = [
        ("slide", path_of(facts["path"]).name),
        ("size", size),
        ("µm/px", spacing),
        ("vendor", facts["vendor"]),
        ("fingerprint", facts["fingerprint"]),
    ]
    if bounds := facts["bounds"]:
        y, x = bounds["y"], bounds["x"]
        rows.append(
            ("scanned", f"from {y:g} (y), {x:g} (x) px on: see --bounds-offset")
        )
    if profile := facts["icc_profile"]:
        rows.append(("colours", f"as stored; the ICC profile {profile} is not applied"))
    for level in facts["levels"]:
        ratio = max(level["downsample"])
        pixels = f"{level['width']:,} x {level['height']:,} px"
        rows.append((f"level {level['index']}", f"{pixels}, 1:{ratio:.6g}"))
    return rows
