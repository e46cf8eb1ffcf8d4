"""The file format of a stored run: a zarr 3 array, with checksums of all files.

Written and read here, without the zarr package: on thousands of small chunks it does 30
times the work, in threads of its own. Every zarr reader opens these files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.geometry import Grid, Pair
from napari_fastnet.errors import OptionError
from napari_fastnet.machine.json_text import parse_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Raise when stored values change their meaning: older runs then start anew.
FORMAT = 2
DESCRIPTION, RECORD, CHUNKS = "zarr.json", "record.json", "c"
#: Time that the parts of a run took so far.
SPENT = "seconds.json"
#: Limits against absurd files: a slide of 200,000 px a side has 40,000,000 cells of 32 px.
MAXIMUM_CELLS, MAXIMUM_BLOCKS = 2**27, 2**18

_VERSION = "napari_fastnet_run"
_CHECKSUM_BYTES = 4


@dataclass(frozen=True, slots=True)
class Seconds:
    """Time of all parts of a run; ``earlier`` is the total of those before the last.

    Reading and inference overlap, so together they may exceed the total.
    """

    read: float
    infer: float
    total: float
    earlier: float = 0.0


@dataclass(frozen=True)
class RunDescription:
    """Identity of a run, as in ``zarr.json``: equal descriptions are the same run.

    Parameters
    ----------
    key : dict
        JSON-able: slide, model and whatever else a probability depends on.
    grid : Grid
        Cells of the run.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    block_cells : int
        Side of a block, which is a chunk, in cells.
    """

    key: dict[str, Any]
    grid: Grid
    mpp: Pair
    block_cells: int

    def __post_init__(self) -> None:
        rows, columns = self.grid.shape
        side = self.block_cells
        whole = all(type(value) is int for value in (rows, columns, side))
        if not whole or side < 1:
            raise OptionError(
                f"a run of {rows} x {columns} cells in blocks of {side}; these are whole "
                "numbers"
            )
        blocks = -(-rows // side) * -(-columns // side)
        if max(rows * columns, side * side) > MAXIMUM_CELLS or blocks > MAXIMUM_BLOCKS:
            raise OptionError(
                f"a run of {rows} x {columns} cells in blocks of {side}; at most "
                f"{MAXIMUM_CELLS:,} cells in {MAXIMUM_BLOCKS:,} blocks can be kept: "
                "choose a larger stride"
            )

    @cached_property
    def content(self) -> bytes:
        """Content of ``zarr.json``; equal descriptions give equal bytes."""
        own = {
            _VERSION: FORMAT,
            "key": self.key,
            "grid": {
                "origin_px": self.grid.origin,
                "step_px": self.grid.step,
                "shape": self.grid.shape,
            },
            "mpp": self.mpp,
            "block_cells": self.block_cells,
        }
        document = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.grid.shape,
            "data_type": "float32",
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [self.block_cells] * 2},
            },
            "chunk_key_encoding": {
                "name": "default",
                "configuration": {"separator": "/"},
            },
            "fill_value": "NaN",
            "codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                {"name": "crc32c"},
            ],
            "dimension_names": ["y", "x"],
            "attributes": _sealed(own),
        }
        return json.dumps(document, indent=2, sort_keys=True).encode()


def read_description(content: bytes) -> RunDescription | None:
    """Parse a ``zarr.json``; None if it is of another version of this package.

    Raises
    ------
    ValueError
        It is damaged, or describes no run of this package.
    """
    try:
        own = parse_json(content)["attributes"]
        if own[_VERSION] != FORMAT:
            return None
        cells = own["grid"]
        origin, step, shape = (
            tuple(cells[name]) for name in ("origin_px", "step_px", "shape")
        )
        for pair in (origin, step, shape, own["mpp"]):
            if [type(number) in (int, float) for number in pair] != [True, True]:
                raise ValueError(f"its grid has {pair!r} where two numbers belong")
        grid = Grid(origin, step, shape)
        found = RunDescription(own["key"], grid, tuple(own["mpp"]), own["block_cells"])
        whole = found.content
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("it describes no run") from error
    # Compares the checksum, too, and the fields that zarr readers use.
    if whole != content:
        raise ValueError("its description contradicts itself")
    return found


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """Record of a finished run; the store itself reads only a few values of it.

    Parameters
    ----------
    text : str
        JSON; empty while the run is not finished.
    model : str or None
        Name of the model.
    computed : int or None
        Patches computed.
    seconds : dict
        Time spent.
    """

    text: str = ""
    model: str | None = None
    computed: int | None = None
    seconds: dict[str, Any] = field(default_factory=dict)


def record_bytes(text: str) -> bytes:
    """Return the content of ``record.json`` for the JSON of a finished run's record."""
    return json.dumps(_sealed({"record": json.loads(text)}), sort_keys=True).encode()


def read_record(folder: Path) -> StoredRecord:
    """Read the record of a run, empty while there is none; ValueError if damaged."""
    try:
        sealed: dict[str, Any] = parse_json((folder / RECORD).read_bytes())
        content = sealed["record"]
        again = _sealed({"record": content})
        if again != sealed:
            raise ValueError(f"{RECORD} has another checksum")
        model, counts, seconds = (
            content.get(name) or {} for name in ("model", "counts", "seconds")
        )
        return StoredRecord(
            json.dumps(content) if content else "",
            model.get("name"),
            counts.get("computed"),
            seconds,
        )
    except FileNotFoundError:
        return StoredRecord()
    except (OSError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{RECORD} holds no record") from error


def chunk_path(folder: Path, row: int, column: int) -> Path:
    """Return the file of a chunk; row and column count chunks."""
    return folder / CHUNKS / str(row) / str(column)


def encode(values: NDArray[np.float32], side: int) -> bytes:
    """Return the chunk of a block, at most ``side`` cells a side, with its checksum."""
    whole = np.full((side, side), np.nan, "<f4")
    whole[: values.shape[0], : values.shape[1]] = values
    content = whole.tobytes()
    return content + _checksum(content)


def decode(chunk: bytes, side: int) -> NDArray[np.float32]:
    """Return the float32 (side, side) values of a chunk; ValueError if damaged."""
    content, checksum = chunk[:-_CHECKSUM_BYTES], chunk[-_CHECKSUM_BYTES:]
    if _checksum(content) != checksum:
        raise ValueError("its checksum is another")
    return np.frombuffer(content, "<f4").reshape(side, side)


def read_chunks(
    folder: Path, description: RunDescription
) -> tuple[NDArray[np.float32], list[Path]]:
    """Read all values of a run, float32, and list the files of damaged chunks.

    Cells without a chunk, or with a damaged one, are NaN.
    """
    side, (rows, columns) = description.block_cells, description.grid.shape
    values = np.full((rows, columns), np.nan, np.float32)
    damaged = []
    for row, column in product(range(0, rows, side), range(0, columns, side)):
        path = chunk_path(folder, row // side, column // side)
        try:
            whole = decode(path.read_bytes(), side)
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            damaged.append(path)
            continue
        part = values[row : row + side, column : column + side]
        part[...] = whole[: part.shape[0], : part.shape[1]]
    return values, damaged


def _checksum(content: bytes) -> bytes:
    import google_crc32c

    return int(google_crc32c.value(content)).to_bytes(_CHECKSUM_BYTES, "little")


def _sealed(content: dict[str, Any]) -> dict[str, Any]:
    """Return content as JSON restores it, with its digest."""
    text = json.dumps(content, sort_keys=True)
    restored: dict[str, Any] = json.loads(text)
    return {**restored, "sha256": sha256(text.encode()).hexdigest()}
