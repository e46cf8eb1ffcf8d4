"""Labelled patches of many slides in one zarr, a group a slide.

    patches.zarr                 attributes: options, slides, whether it is whole
    patches.zarr/tumor_001       attributes: the slide, its µm/px, what was drawn
        images      uint8   (n, height, width, 3)   RGB
        positions   float64 (n, 2)                  (y, x) of the top left corner, level 0
        weights     float32 (n,)                    W of Eq. 3, px of the patch
        labels      uint8   (n,)                    1 tumour, 0 normal
        parts       uint8   (n,)                    0 train, 1 valid, 2 test

A slide's group is written aside and renamed when it is whole, so that a killed run
leaves whole slides, and processes can write different slides at once. Chunks carry
checksums.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.errors import DataError
from napari_fastnet.machine.json_text import parse_json
from napari_fastnet.patches.sampling import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

#: Bump when the meaning of what is stored changes.
FORMAT = 1
VERSION = "napari_fastnet_patches"
DESCRIPTION = "zarr.json"

_MEND = "make it anew with `napari-fastnet patches ... --fresh`"


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPatch:
    """One patch as it is stored.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        RGB.
    position : (float, float)
        (y, x) of its top left corner, level-0 px.
    weight : float
        W of Eq. 3, px of the patch.
    label : int
        1 is tumour, 0 is normal.
    part : int
        Index in ``PARTS``.
    """

    image: NDArray[np.uint8]
    position: tuple[float, float]
    weight: float
    label: int
    part: int


@dataclass(frozen=True, slots=True)
class PatchStore:
    """A whole store, open for reading.

    Parameters
    ----------
    folder : Path
        The zarr.
    options : dict
        What the patches were made with.
    slides : tuple of str
        Names.
    """

    folder: Path
    options: dict[str, Any]
    slides: tuple[str, ...]

    @property
    def patch_px(self) -> int:
        """Side of a patch."""
        return int(self.options["patch_px"])

    @property
    def spacing_um_px(self) -> float:
        """Spacing of the patches, µm/px."""
        return float(self.options["spacing_um_px"])

    @property
    def leaks(self) -> bool:
        """Whether patches of one slide are in several parts."""
        return bool(self.options["sampling"]["split"] == "patches")

    def table(self, slide: str) -> dict[str, NDArray[Any]]:
        """Return positions, weights, labels and parts of a slide's patches."""
        group = self._open(slide)
        names = ("positions", "weights", "labels", "parts")
        return {name: self._values(group, name, slide) for name in names}

    def facts(self, slide: str) -> dict[str, Any]:
        """Return what is known of a slide."""
        facts: dict[str, Any] = read_attributes(self.folder / slide)["facts"]
        return facts

    def count(self, part: str | None) -> int:
        """Return how many patches a part has, or the whole store."""
        return sum(int(self._inside(name, part).sum()) for name in self.slides)

    def patches(self, part: str | None) -> Iterator[tuple[str, DrawnPatch]]:
        """Yield the patches of a part, or of the whole store, chunk by chunk.

        Parameters
        ----------
        part : {"train", "valid", "test"} or None
            Which; None is all.

        Yields
        ------
        tuple of str and DrawnPatch
            The slide and its patch.

        Raises
        ------
        DataError
            A chunk is missing or damaged, or there is no such part.
        """
        for name in self.slides:
            inside = self._inside(name, part)
            if not inside.any():
                continue
            table, images = self.table(name), self._open(name)["images"]
            self._check(images, "images", name)
            step = images.chunks[0]
            for first in range(0, len(inside), step):
                rows = np.flatnonzero(inside[first : first + step])
                if not rows.size:
                    continue
                block = self._values(images, slice(first, first + step), name)
                # A copy: what is kept of it does not keep the whole chunk in memory.
                for row, image in zip(rows, block[rows], strict=True):
                    yield name, _patch(image, table, int(first + row))

    def read(self, slide: str, indices: Sequence[int]) -> list[DrawnPatch]:
        """Return some patches of a slide."""
        table, images = self.table(slide), self._open(slide)["images"]
        self._check(images, "images", slide)
        return [
            _patch(self._values(images, index, slide), table, index)
            for index in indices
        ]

    def _inside(self, slide: str, part: str | None) -> NDArray[np.bool_]:
        """Return which patches of a slide are of a part."""
        if part is not None and part not in PARTS:
            raise DataError(f"part is {part!r}; use one of {', '.join(PARTS)}")
        values = self._values(self._open(slide), "parts", slide)
        whole = np.ones(len(values), np.bool_)
        return whole if part is None else values == PARTS.index(part)

    def _open(self, slide: str) -> Any:
        import zarr

        try:
            return zarr.open_group(self.folder / slide, mode="r")
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{self.folder}: {slide} is damaged; {_MEND}") from error

    def _values(self, source: Any, key: Any, slide: str) -> NDArray[Any]:
        """Return values of an array, or of a group's array by name."""
        try:
            if isinstance(key, str):
                source, key = source[key], slice(None)
                self._check(source, str(source.basename), slide)
            return np.asarray(source[key])
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise DataError(
                f"{self.folder}: {slide} has a chunk that cannot be read ({error}); "
                f"{_MEND}"
            ) from error

    def _check(self, array: Any, name: str, slide: str) -> None:
        """Refuse an array that lacks chunks: zarr would give black patches for them."""
        if array.nchunks_initialized != array.nchunks:
            raise DataError(
                f"{self.folder}: {slide} lacks chunks of its {name}; {_MEND}"
            )


def _patch(
    image: NDArray[np.uint8], table: Mapping[str, NDArray[Any]], index: int
) -> DrawnPatch:
    y, x = table["positions"][index].tolist()
    return DrawnPatch(
        image,
        (y, x),
        float(table["weights"][index]),
        int(table["labels"][index]),
        int(table["parts"][index]),
    )


def is_patch_store(path: Path) -> bool:
    """Return whether a path is a store of this package, whole or not; never raises."""
    try:
        return VERSION in read_attributes(path)
    except DataError:
        return False


def open_patch_store(path: Path) -> PatchStore:
    """Open a store for reading.

    Parameters
    ----------
    path : Path
        The zarr.

    Returns
    -------
    PatchStore
        Whole.

    Raises
    ------
    DataError
        It is none, of another version, or was not finished.
    """
    found = read_attributes(path)
    if found.get(VERSION) != FORMAT:
        raise DataError(f"{path} holds no patches of this version; {_MEND}")
    if not found["whole"]:
        raise DataError(
            f"{path} is not finished; give the command that makes it once more, it goes "
            "on where it was"
        )
    slides = found["slides"]
    names = list(map(str, slides))
    if not all(name == Path(name).name and name not in ("", "..") for name in names):
        raise DataError(f"{path} names slides outside of itself; {_MEND}")
    return PatchStore(path, found["options"], tuple(names))


def read_attributes(group: Path) -> dict[str, Any]:
    """Return the attributes of a zarr group; DataError where it is none."""
    try:
        attributes = parse_json((group / DESCRIPTION).read_bytes())["attributes"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{group} holds no patches; check the path") from error
    if not isinstance(attributes, dict):
        raise DataError(f"{group} holds no patches; check the path")
    return attributes
