"""Labelled patches of many slides in one zarr, a group a slide.

    patches.zarr                 attributes: options, slides, whether it is whole
    patches.zarr/tumor_001       attributes: the slide, its µm/px, numbers of candidates
        images      uint8   (n, height, width, 3)   RGB
        positions   float64 (n, 2)                  (y, x) of the top left corner, level 0
        weights     float32 (n,)                    W of Eq. 3, px of the patch
        labels      uint8   (n,)                    1 tumor, 0 normal
        parts       uint8   (n,)                    0 train, 1 valid, 2 test

A slide's group is written aside and renamed when it is whole, so that a killed run
leaves whole slides, and processes can write different slides at once. Chunks carry
checksums.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.errors import DataError, StoreError
from napari_fastnet.machine.files import atomic_folder, write_bytes
from napari_fastnet.machine.json_text import parse_json
from napari_fastnet.patches.sampling import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

#: Bump when the meaning of the stored values changes.
FORMAT = 1
VERSION = "napari_fastnet_patches"
DESCRIPTION = "zarr.json"
#: Arrays of a slide beside the images: the field of `DrawnPatch`, and the kind of number.
COLUMNS = {
    "positions": ("position", "float64"),
    "weights": ("weight", "float32"),
    "labels": ("label", "uint8"),
    "parts": ("part", "uint8"),
}

_CHUNK_BYTES = 4 * 2**20
_MEND = "make it anew with `napari-fastnet patches ... --fresh`"


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPatch:
    """One stored patch.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        RGB.
    position : (float, float)
        (y, x) of its top left corner, level-0 px.
    weight : float
        W of Eq. 3, px of the patch.
    label : int
        1 is tumor, 0 is normal.
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
        As the patches were made.
    slides : tuple of str
        Names.
    """

    folder: Path
    options: dict[str, Any]
    slides: tuple[str, ...]

    @property
    def patch_px(self) -> int:
        """Side of a patch, px."""
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
        return {name: self._values(slide, self._array(slide, name)) for name in COLUMNS}

    def facts(self, slide: str) -> dict[str, Any]:
        """Return the facts stored of a slide."""
        facts: dict[str, Any] = _attributes(self.folder / slide)["facts"]
        return facts

    def patches(self, part: str | None) -> Iterator[tuple[str, DrawnPatch]]:
        """Yield the patches of a part, or of the whole store, chunk by chunk.

        Parameters
        ----------
        part : {"train", "valid", "test"} or None
            None is all.

        Yields
        ------
        tuple of str and DrawnPatch
            The slide and its patch.

        Raises
        ------
        DataError
            A chunk is missing or damaged, or there is no such part.
        """
        if part is not None and part not in PARTS:
            raise DataError(f"part is {part!r}; use one of {', '.join(PARTS)}")
        wanted = range(len(PARTS)) if part is None else [PARTS.index(part)]
        for name in self.slides:
            table = self.table(name)
            rows = np.flatnonzero(np.isin(table["parts"], wanted))
            if not rows.size:
                continue
            images = self._array(name, "images")
            step = images.chunks[0]
            chunks = rows // step
            for start in (np.unique(chunks) * step).tolist():
                block = self._values(name, images, slice(start, start + step))
                for row in rows[chunks == start // step].tolist():
                    # A copy, so that a kept patch does not keep the whole chunk.
                    yield name, _patch(block[row - start].copy(), table, row)

    def read(self, slide: str, indices: Sequence[int]) -> list[DrawnPatch]:
        """Return some patches of a slide."""
        table, images = self.table(slide), self._array(slide, "images")
        return [
            _patch(self._values(slide, images, index), table, index)
            for index in indices
        ]

    def _array(self, slide: str, name: str) -> Any:
        """Open an array; refuse one that lacks chunks, which zarr would read as black."""
        import zarr

        try:
            array = zarr.open_array(self.folder / slide / name, mode="r")
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{self.folder}: {slide} is damaged; {_MEND}") from error
        if array.nchunks_initialized != array.nchunks:
            raise DataError(
                f"{self.folder}: {slide} lacks chunks of its {name}; {_MEND}"
            )
        return array

    def _values(
        self, slide: str, array: Any, key: int | slice = slice(None)
    ) -> NDArray[Any]:
        """Read values of an array of a slide."""
        try:
            return np.asarray(array[key])
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise DataError(
                f"{self.folder}: {slide} has a chunk that cannot be read ({error}); "
                f"{_MEND}"
            ) from error


def _patch(
    image: NDArray[np.uint8], table: Mapping[str, NDArray[Any]], index: int
) -> DrawnPatch:
    columns = {field: table[name][index] for name, (field, _) in COLUMNS.items()}
    values = {field: value.tolist() for field, value in columns.items()}
    return DrawnPatch(image, **values | {"position": tuple(values["position"])})


def is_patch_store(path: Path) -> bool:
    """Return whether a path is a store of this package, whole or not; never raises."""
    return VERSION in _attributes(path)


def open_patch_store(path: Path) -> PatchStore:
    """Open a store for reading; DataError unless it is whole and of this version."""
    found = _attributes(path)
    if VERSION not in found:
        raise DataError(f"{path} holds no patches; check the path")
    if found[VERSION] != FORMAT:
        raise DataError(f"{path} holds no patches of this version; {_MEND}")
    if not found["whole"]:
        raise DataError(
            f"{path} is not finished; give the command that makes it once more, it goes "
            "on where it was"
        )
    names = tuple(map(str, found["slides"]))
    if not all(name == Path(name).name and name not in ("", "..") for name in names):
        raise DataError(f"{path} names slides outside of itself; {_MEND}")
    return PatchStore(path, found["options"], names)


def _attributes(group: Path) -> dict[str, Any]:
    """Return the attributes of a zarr group; none where it is no such group."""
    try:
        found = parse_json((group / DESCRIPTION).read_bytes())["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def begin_store(folder: Path, options: Mapping[str, Any]) -> None:
    """Make a store, or take up one that was begun with the same options.

    Parameters
    ----------
    folder : Path
        The zarr; made where it is missing.
    options : Mapping
        JSON-able.

    Raises
    ------
    StoreError
        There is something else, or patches made with other options.
    OutputError
        It cannot be written.
    """
    if not folder.exists():
        _describe(folder, options, (), whole=False)
        return
    found = _own_attributes(folder)["options"]
    wanted = json.loads(json.dumps(options))
    other = [name for name in wanted if found.get(name) != wanted[name]]
    if other:
        raise StoreError(
            f"{folder} was made with other options ({', '.join(other)}); give those, "
            "choose another output, or start over with --fresh"
        )


def reopen_store(folder: Path) -> None:
    """Mark a store as not whole, until `finish_store`."""
    found = _own_attributes(folder)
    _describe(folder, found["options"], found["slides"], whole=False)


def remove_store(folder: Path) -> None:
    """Remove a store, if there is one; StoreError where it is something else."""
    if folder.exists():
        _own_attributes(folder)
        shutil.rmtree(folder)


def finish_store(folder: Path, slides: Sequence[str]) -> None:
    """Mark a store of these slides as whole, and remove all others from it."""
    options = _own_attributes(folder)["options"]
    for path in folder.iterdir():
        if path.is_dir() and path.name not in slides:
            shutil.rmtree(path)
    _describe(folder, options, slides, whole=True)


def _own_attributes(folder: Path) -> dict[str, Any]:
    """Return the attributes of a store; StoreError where it is none of ours."""
    found = _attributes(folder)
    if found.get(VERSION) != FORMAT:
        raise StoreError(f"{folder} holds something else; choose another output")
    return found


def _describe(
    folder: Path, options: Mapping[str, Any], slides: Sequence[str], *, whole: bool
) -> None:
    """Write the attributes of a store."""
    document = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {
            VERSION: FORMAT,
            "options": dict(options),
            "slides": list(slides),
            "whole": whole,
        },
    }
    write_bytes(folder / DESCRIPTION, json.dumps(document, indent=2).encode())


def stored_digest(folder: Path, slide: str) -> str | None:
    """Return the digest given to `write_slide_patches`, None where nothing is stored."""
    return _attributes(folder / slide).get("digest")


def write_slide_patches(
    folder: Path,
    slide: str,
    patches: Iterable[DrawnPatch],
    *,
    side_px: int,
    facts: Mapping[str, Any],
    digest: str,
) -> None:
    """Write the patches of one slide; at most one chunk of them is in memory.

    Parameters
    ----------
    folder : Path
        The store.
    slide : str
        Name of the slide; a group of that name is replaced.
    patches : iterable of DrawnPatch
        All of one size.
    side_px : int
        That size.
    facts : Mapping
        JSON-able, about the slide.
    digest : str
        Stands for the patches; see `stored_digest`.

    Raises
    ------
    OutputError
        It cannot be written; nothing half-written has the slide's name.
    """
    import zarr
    from zarr.codecs import ZstdCodec

    def array(name: str, dtype: str, chunks: tuple[int, ...]) -> Any:
        return group.create_array(
            name,
            shape=(0, *chunks[1:]),
            chunks=chunks,
            dtype=dtype,
            compressors=[ZstdCodec(level=3, checksum=True)],
            # Otherwise a chunk of zeros is not written, and looks like one that is lost.
            config={"write_empty_chunks": True},
        )

    with atomic_folder(folder / slide, lambda _: True) as aside:
        attributes = {"facts": dict(facts), "digest": digest}
        group = zarr.create_group(aside, attributes=attributes)
        step = max(1, _CHUNK_BYTES // (side_px * side_px * 3))
        images = array("images", "uint8", (step, side_px, side_px, 3))
        table: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        block: list[NDArray[np.uint8]] = []
        for patch in patches:
            block.append(patch.image)
            for name, (field, _) in COLUMNS.items():
                table[name].append(getattr(patch, field))
            if len(block) == step:
                images.append(np.stack(block))
                block.clear()
        if block:
            images.append(np.stack(block))
        count = len(table["labels"])
        for name, (_, dtype) in COLUMNS.items():
            shape = (2,) if name == "positions" else ()
            column = array(name, dtype, (max(1, count), *shape))
            if count:
                column.append(np.array(table[name], dtype))
