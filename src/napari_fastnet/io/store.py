"""The run of one model over one slide, on disk, block by block.

A store is a folder that zarr and every zarr reader opens: one array of
probabilities, one chunk a block of work. A chunk is written aside and renamed, so a
killed run leaves whole blocks, and the next start goes on with the others.
"""

from __future__ import annotations

import json
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.geometry import Grid, Pair
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.errors import OutputError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray

#: Bump when the meaning of what is stored changes: older runs then start anew.
FORMAT = 1
#: Stored for a patch that could not be read; a probability is 0 to 1.
UNREADABLE = np.float32(-1)


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of grid cells: the unit of work, of storage and of order.

    Parameters
    ----------
    first, end : tuple of int
        (row, column) of the first cell, and one past the last.
    """

    first: tuple[int, int]
    end: tuple[int, int]

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the block in an array over the grid."""
        return slice(self.first[0], self.end[0]), slice(self.first[1], self.end[1])


class RunStore:
    """Probabilities of a grid on disk; open it with `open_store`.

    Parameters
    ----------
    folder : Path
        The zarr folder.
    array : zarr.Array
        Its probabilities, (rows, columns) float32.
    grid : Grid
        Where the cells lie.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    """

    def __init__(
        self, folder: Path, array: zarr.Array[Any], grid: Grid, mpp: Pair
    ) -> None:
        self.folder, self.grid, self.mpp = folder, grid, mpp
        self._array = array

    @property
    def block_cells(self) -> int:
        """Side of a block in cells."""
        return int(self._array.chunks[0])

    def blocks(self) -> list[Block]:
        """Return all blocks, row by row; those at the end are smaller."""
        rows, columns = self.grid.shape
        side = self.block_cells
        return [
            Block((row, column), (min(row + side, rows), min(column + side, columns)))
            for row in range(0, rows, side)
            for column in range(0, columns, side)
        ]

    def write(self, block: Block, values: NDArray[np.float32]) -> None:
        """Store a block; once this returns, a kill does not lose it.

        Parameters
        ----------
        block : Block
            One of `blocks`.
        values : ndarray
            float32 probabilities; NaN = not asked for, `UNREADABLE` = tried in vain.

        Raises
        ------
        OutputError
            The disk is full or refuses.
        """
        try:
            self._array[block.slices] = values
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot write ({error.strerror}); free some space and "
                "start again, what was computed is kept"
            ) from error

    def read(self) -> NDArray[np.float32]:
        """Return all values as stored: NaN, `UNREADABLE`, or a probability."""
        values: NDArray[np.float32] = np.asarray(self._array[:], np.float32)
        return values

    def heatmap(self) -> Heatmap:
        """Return what is known so far; cells that could not be read are NaN."""
        values = self.read()
        return Heatmap(
            np.where(values == UNREADABLE, np.float32(np.nan), values),
            self.grid,
            self.mpp,
        )

    def unreadable(self) -> int:
        """Return how many patches were tried in vain."""
        return int((self.read() == UNREADABLE).sum())

    def set_record(self, record: dict[str, Any]) -> None:
        """Keep the run record with the probabilities."""
        self._array.attrs["record"] = record


def open_store(
    folder: Path,
    *,
    key: dict[str, Any],
    grid: Grid,
    mpp: Pair,
    block_cells: int,
    fresh: bool = False,
) -> RunStore:
    """Open the run in a folder, or begin one where there is none that fits.

    Parameters
    ----------
    folder : Path
        ``run.zarr``; made where it is missing.
    key : dict
        JSON-able: slide, model and whatever else a probability depends on. A run
        with another key or grid is not continued but replaced.
    grid : Grid
        Cells of the run.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    block_cells : int
        Side of a block in cells.
    fresh : bool, optional
        Replace the run even if it fits.

    Returns
    -------
    RunStore
        The run, with what it already holds.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    wanted = _attributes(key, grid, mpp)
    if not fresh:
        with suppress(StoreError):
            store, attributes = _open(folder)
            same = all(attributes.get(name) == wanted[name] for name in wanted)
            if same and store.block_cells == block_cells:
                return store
    return _create(folder, wanted, grid, mpp, block_cells)


def read_store(folder: Path) -> tuple[RunStore, dict[str, Any]]:
    """Open a run for reading.

    Parameters
    ----------
    folder : Path
        A ``run.zarr``.

    Returns
    -------
    tuple of RunStore and dict
        The run and its record; the record is empty while the run is not finished.

    Raises
    ------
    StoreError
        There is no run, or it is damaged.
    """
    store, attributes = _open(folder)
    return store, attributes.get("record", {})


def _attributes(key: dict[str, Any], grid: Grid, mpp: Pair) -> dict[str, Any]:
    attributes = {
        "napari_fastnet_run": FORMAT,
        "key": key,
        "grid": {
            "origin_px": list(grid.origin),
            "step_px": list(grid.step),
            "shape": list(grid.shape),
        },
        "mpp": list(mpp),
    }
    # As they will be read: tuples become lists, integers in floats' places stay.
    restored: dict[str, Any] = json.loads(json.dumps(attributes))
    return restored


def _open(folder: Path) -> tuple[RunStore, dict[str, Any]]:
    import zarr

    mend = "start the run anew with --fresh"
    try:
        array = zarr.open_array(str(folder), mode="r+")
        attributes: dict[str, Any] = array.attrs.asdict()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{folder}: no run to open ({error}); {mend}") from error
    if attributes.get("napari_fastnet_run") != FORMAT:
        raise StoreError(f"{folder}: not a run of this version; {mend}")
    stored = attributes["grid"]
    grid = Grid(
        tuple(stored["origin_px"]), tuple(stored["step_px"]), tuple(stored["shape"])
    )
    if array.shape != grid.shape:
        raise StoreError(f"{folder}: array and grid differ in shape; {mend}")
    return RunStore(folder, array, grid, tuple(attributes["mpp"])), attributes


def _create(
    folder: Path, attributes: dict[str, Any], grid: Grid, mpp: Pair, block_cells: int
) -> RunStore:
    """Make an empty run aside and rename it into place."""
    import zarr

    aside = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:12]}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        zarr.create_array(
            str(aside),
            shape=grid.shape,
            dtype="float32",
            chunks=(block_cells, block_cells),
            fill_value=np.nan,
            attributes=attributes,
        )
        if folder.exists():
            folder.rename(aside.with_suffix(".old"))
        aside.rename(folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot begin a run ({error.strerror}); choose another output "
            "folder or make this one writable"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(aside.with_suffix(".old"), ignore_errors=True)
    return RunStore(folder, zarr.open_array(str(folder), mode="r+"), grid, mpp)
