"""How a store of labelled patches comes to be, slide by slide; see `patch_store`."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.errors import DataError, StoreError
from napari_fastnet.machine.files import atomic_folder, write_bytes
from napari_fastnet.patches.store import (
    DESCRIPTION,
    FORMAT,
    VERSION,
    DrawnPatch,
    read_attributes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_CHUNK_BYTES = 4 * 2**20

#: Array of a slide: the field of `DrawnPatch`, and the kind of number.
COLUMNS = {
    "positions": ("position", "float64"),
    "weights": ("weight", "float32"),
    "labels": ("label", "uint8"),
    "parts": ("part", "uint8"),
}


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
    found = _attributes_of(folder)
    wanted = json.loads(json.dumps(options))
    other = [name for name in wanted if found["options"].get(name) != wanted[name]]
    if other:
        raise StoreError(
            f"{folder} was made with other options ({', '.join(other)}); give those, "
            "choose another output, or start over with --fresh"
        )


def reopen_store(folder: Path) -> None:
    """Say of a store that it is being changed, until `finish_store`."""
    found = _attributes_of(folder)
    _describe(folder, found["options"], found["slides"], whole=False)


def remove_store(folder: Path) -> None:
    """Remove a store, if there is one; StoreError where it is something else."""
    if folder.exists():
        _attributes_of(folder)
        shutil.rmtree(folder)


def _attributes_of(folder: Path) -> dict[str, Any]:
    """Return what a store says of itself; StoreError where it is none of ours."""
    try:
        found = read_attributes(folder)
    except DataError:
        found = {}
    if found.get(VERSION) != FORMAT:
        raise StoreError(f"{folder} holds something else; choose another output")
    return found


def finish_store(folder: Path, slides: Sequence[str]) -> None:
    """Call a store whole that holds some slides, and remove others from it."""
    options = _attributes_of(folder)["options"]
    for path in folder.iterdir():
        if path.is_dir() and path.name not in slides:
            shutil.rmtree(path)
    _describe(folder, options, slides, whole=True)


def stored_digest(folder: Path, slide: str) -> str | None:
    """Return what a slide's whole group was made of, None where there is none."""
    try:
        return str(read_attributes(folder / slide)["digest"])
    except (DataError, KeyError):
        return None


def write_slide_patches(
    folder: Path,
    slide: str,
    patches: Iterable[DrawnPatch],
    *,
    side_px: int,
    facts: Mapping[str, Any],
    digest: str,
) -> int:
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
        What the patches are made of; see `stored_digest`.

    Returns
    -------
    int
        How many.

    Raises
    ------
    OutputError
        It cannot be written; nothing half-written has the slide's name.
    """
    attributes = {"facts": dict(facts), "digest": digest}
    with atomic_folder(folder / slide, ours=lambda _: True) as unfinished:
        return _write_group(unfinished, patches, side_px, attributes)


def _write_group(
    path: Path,
    patches: Iterable[DrawnPatch],
    side_px: int,
    attributes: dict[str, Any],
) -> int:
    """Write one slide's arrays."""
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

    group = zarr.create_group(path, attributes=attributes)
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
    return count


def _describe(
    folder: Path, options: Mapping[str, Any], slides: Sequence[str], *, whole: bool
) -> None:
    """Write the store's own description."""
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
