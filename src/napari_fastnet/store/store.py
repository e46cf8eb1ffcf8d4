"""The probabilities of one model over one slide, block by block, on disk or in memory.

A store on disk is a folder that zarr and every zarr reader opens: one array of
probabilities, one chunk for each block of work. A chunk is written aside and renamed, so a
killed run leaves whole blocks, and the next start goes on with the others. Chunks carry
checksums, so damage on the disk is found. Damaged files are moved out of the store, next
to it, and computed again.

One process writes at a time, see `StoredRun.writing`; reading takes no lock.
"""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.errors import OutputError, StoreError
from napari_fastnet.machine.files import clear_leftovers, output_errors, write_bytes
from napari_fastnet.machine.json_text import parse_json
from napari_fastnet.store import format as store_format
from napari_fastnet.store.format import (
    CHUNKS,
    DESCRIPTION,
    RECORD,
    SPENT,
    RunDescription,
    Seconds,
)
from napari_fastnet.store.lock import WAIT_S, hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Grid

_PARTS = ("read", "infer", "total")

# The description of a run while another run replaces it.
_REPLACED = f"{DESCRIPTION}.replaced"
_AGAIN = "run detect again"

#: Value of a patch that could not be read; a probability is 0 to 1.
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
    """Probabilities of a grid, block by block, in memory.

    `StoredRun` keeps them in a folder.

    Parameters
    ----------
    description : RunDescription
        Identity of the run.

    Attributes
    ----------
    notes : tuple of str
        Damage that was found and set aside when the run was opened.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, description: RunDescription) -> None:
        self.description = description
        self._companions: dict[str, RunStore] = {}

    @property
    def grid(self) -> Grid:
        """Cells of the run, level-0 px."""
        return self.description.grid

    @property
    def block_cells(self) -> int:
        """Side of a block in cells."""
        return self.description.block_cells

    def blocks(self) -> list[Block]:
        """Return all blocks, row by row; those at the end are smaller."""
        rows, columns = self.grid.shape
        side = self.block_cells
        return [
            Block((row, column), (min(row + side, rows), min(column + side, columns)))
            for row in range(0, rows, side)
            for column in range(0, columns, side)
        ]

    def heatmap(self) -> Heatmap:
        """Return the probabilities known so far; cells that could not be read are NaN."""
        values = self.read()
        return Heatmap(
            np.where(values == UNREADABLE, np.float32(np.nan), values),
            self.grid,
            self.description.mpp,
        )

    def unreadable(self, among: NDArray[np.bool_] | None = None) -> int:
        """Count the patches that could not be read, of all or ``among`` some."""
        found = self.read() == UNREADABLE
        return int((found if among is None else found & among).sum())

    @contextmanager
    def writing(self, wait_s: float = WAIT_S) -> Iterator[None]:
        """Keep other writers out; a run in memory has none."""
        yield

    def write(self, block: Block, values: NDArray[np.float32]) -> None:
        """Store the values of one of `blocks`.

        ``values`` are float32 probabilities; NaN = not asked for, `UNREADABLE` = tried
        in vain.
        """
        self._values[block.slices] = values

    def read(self) -> NDArray[np.float32]:
        """Return a copy of all values: NaN, `UNREADABLE`, or a probability."""
        return self._values.copy()

    def spent(self) -> Seconds:
        """Return the time that earlier parts of the run took."""
        return Seconds(0.0, 0.0, 0.0)

    def keep_spent(self, seconds: Seconds) -> None:
        """Store the time that the run took so far; in memory there is no later part."""

    def companion(self, name: str) -> RunStore:
        """Return the store of other values of the same cells, e.g. their sharpness."""
        if name not in self._companions:  # only once, or its notes would be lost
            self._companions[name] = self._open_companion(name)
        return self._companions[name]

    @cached_property
    def _values(self) -> NDArray[np.float32]:
        return np.full(self.grid.shape, np.nan, np.float32)

    def _open_companion(self, name: str) -> RunStore:
        return RunStore(self.description)


class StoredRun(RunStore):
    """Probabilities of a grid on disk; open it with `open_store`.

    Parameters
    ----------
    folder : Path
        The zarr folder.
    description : RunDescription
        Identity of the run.
    notes : tuple of str, optional
        Damage that was found and set aside when the run was opened.
    """

    def __init__(
        self, folder: Path, description: RunDescription, notes: tuple[str, ...] = ()
    ) -> None:
        super().__init__(description)
        self.folder, self.notes = folder, notes
        self._writing = False

    @contextmanager
    def writing(self, wait_s: float = WAIT_S) -> Iterator[None]:
        """Keep other processes from writing this run; not to be entered twice.

        Read after entering: the store then has what another process computed before.

        Parameters
        ----------
        wait_s : float, optional
            How long to wait for a process that is still writing.

        Raises
        ------
        BusyError
            Another process is computing the run; names it.
        StoreError
            The run was replaced or deleted since it was opened.
        OutputError
            The folder cannot be written or locked.
        """
        self._require_unchanged()
        with hold(self.folder, wait_s):
            self._require_unchanged()
            _clear_leftovers(self.folder)
            self._writing = True
            try:
                yield
            finally:
                self._writing = False

    def write(self, block: Block, values: NDArray[np.float32]) -> None:
        """Store a block; afterwards neither a kill nor a power cut loses it.

        Raises
        ------
        BusyError
            Outside of `writing`: another process is computing the run.
        StoreError
            The run was replaced or deleted while it was computed.
        OutputError
            The disk is full or refuses.
        """
        if not self._writing:
            with self.writing():
                self.write(block, values)
            return
        self._require_unchanged()
        content = store_format.encode(values, self.block_cells)
        row, column = (first // self.block_cells for first in block.first)
        path = store_format.chunk_path(self.folder, row, column)
        try:
            write_bytes(path, content)
        except OutputError as error:
            raise OutputError(f"{error}; what was computed is kept") from error

    def read(self) -> NDArray[np.float32]:
        """Return all values as stored: NaN, `UNREADABLE`, or a probability.

        Damaged blocks are NaN.

        Raises
        ------
        StoreError
            The run was replaced or deleted since it was opened.
        """
        values, _ = store_format.read_chunks(self.folder, self.description)
        # Check after reading: blocks of a run that replaced this one are never returned.
        self._require_unchanged()
        return values

    def set_record(self, text: str) -> None:
        """Store the JSON of the run record with the probabilities."""
        self._require_unchanged()
        write_bytes(self.folder / RECORD, store_format.record_bytes(text))

    def spent(self) -> Seconds:
        """Return the time that earlier parts of the run took; 0 if that is unknown."""
        path, none = self.folder / SPENT, Seconds(0.0, 0.0, 0.0)
        try:
            if path.exists():
                said = parse_json(path.read_bytes())
            else:  # versions of before left it in the record alone
                said = store_format.read_record(self.folder).seconds
            seconds = Seconds(*(float(said[name]) for name in _PARTS))
        except (OSError, ValueError, LookupError, TypeError):
            return none
        return seconds if min(astuple(seconds)) >= 0 else none

    def keep_spent(self, seconds: Seconds) -> None:
        """Store the time that the run took so far; a full disk loses it."""
        content = json.dumps({name: getattr(seconds, name) for name in _PARTS})
        with suppress(OutputError):
            write_bytes(self.folder / SPENT, content.encode())

    def _open_companion(self, name: str) -> RunStore:
        own = self.description
        key = {"values": name, "of": own.key}
        return open_store(self.folder / name, replace(own, key=key))

    def _require_unchanged(self) -> None:
        """Raise unless the folder still holds this run."""
        if not _fits(self.folder, self.description):
            raise StoreError(
                f"{self.folder}: another run took its place, or it was deleted, while "
                "it was in use; start again"
            )


def open_store(
    folder: Path, wanted: RunDescription, *, fresh: bool = False
) -> StoredRun:
    """Open the run in a folder, or begin one if there is none that fits.

    Damaged files are moved to ``run.zarr.damaged-1`` (or the next free number) and named
    in the store's ``notes``: single blocks, which are then computed again, or the whole
    run if its description is damaged.

    Parameters
    ----------
    folder : Path
        ``run.zarr``; made if it is missing.
    wanted : RunDescription
        The run; one with another description is not continued but replaced.
    fresh : bool, optional
        Replace the run even if it fits.

    Returns
    -------
    StoredRun
        The run, with what it already holds.

    Raises
    ------
    BusyError
        Another process is computing the run that would be replaced or repaired.
    OutputError
        The folder cannot be written.
    """
    if not fresh and _fits(folder, wanted) and not _damaged_files(folder, wanted):
        return StoredRun(folder, wanted)
    with output_errors(f"begin a run in {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder):
            notes = () if fresh else _set_damage_aside(folder, wanted)
            if fresh or not _fits(folder, wanted):
                _begin(folder, wanted)
    return StoredRun(folder, wanted, notes)


def key_in(folder: Path) -> dict[str, Any] | None:
    """Return the key of the run in a folder; None where there is none to read."""
    try:
        description = store_format.read_description((folder / DESCRIPTION).read_bytes())
    except (OSError, ValueError):
        return None
    return None if description is None else description.key


def read_store(folder: Path) -> tuple[StoredRun, str]:
    """Open a run for reading; takes no lock and changes nothing.

    Parameters
    ----------
    folder : Path
        A ``run.zarr``.

    Returns
    -------
    tuple of StoredRun and str
        The run and the JSON of its record; this is empty while the run is not finished.
        Blocks that are damaged or missing are NaN and said in the run's ``notes``.

    Raises
    ------
    StoreError
        There is no run, or its description is damaged.
    """
    try:
        description = store_format.read_description((folder / DESCRIPTION).read_bytes())
    except OSError as error:
        raise StoreError(f"{folder}: no run to open ({error.strerror})") from error
    except ValueError as error:
        raise StoreError(
            f"{folder}: the run is damaged ({error}); {_AGAIN}, which begins it anew"
        ) from error
    if description is None:
        raise StoreError(
            f"{folder}: the run of another version; {_AGAIN}, which begins it anew"
        )
    record = store_format.StoredRecord()
    with suppress(ValueError):  # it is among the damaged files
        record = store_format.read_record(folder)
    values, _ = store_format.read_chunks(folder, description)
    damaged = len(_damaged_files(folder, description))
    computed = record.computed
    missing = computed - int((values >= 0).sum()) if isinstance(computed, int) else 0
    lost = ""
    if damaged:
        lost = f"damaged files are left out ({damaged})"
    elif missing > 0:
        lost = f"patches are missing ({missing} of those computed)"
    notes = (f"{folder}: {lost}; {_AGAIN}, it makes only them",) if lost else ()
    return StoredRun(folder, description, notes), record.text


def _fits(folder: Path, wanted: RunDescription) -> bool:
    """Return whether the run in a folder is the wanted one."""
    try:
        return (folder / DESCRIPTION).read_bytes() == wanted.content
    except OSError:
        return False


def _begin(folder: Path, description: RunDescription) -> None:
    """Replace the run in a folder, if there is any, by an empty one.

    The description is removed first and written last: blocks never lie under the
    description of another run.
    """
    replaced = folder / _REPLACED
    if (folder / DESCRIPTION).exists():
        (folder / DESCRIPTION).replace(replaced)
    if (folder / CHUNKS).exists():
        shutil.rmtree(folder / CHUNKS)
    for name in (RECORD, SPENT):
        (folder / name).unlink(missing_ok=True)
    write_bytes(folder / DESCRIPTION, description.content)
    replaced.unlink(missing_ok=True)


def _damaged_files(folder: Path, description: RunDescription) -> list[Path]:
    """Return the files of a run whose checksums do not match."""
    _, damaged = store_format.read_chunks(folder, description)
    try:
        store_format.read_record(folder)
    except ValueError:
        damaged.append(folder / RECORD)
    return damaged


def _set_damage_aside(folder: Path, wanted: RunDescription) -> tuple[str, ...]:
    """Move damaged files out of a run, and return notes about them.

    They keep their places in ``run.zarr.damaged-1``, or the next free number. Of another
    run than the wanted one, only the description is checked.
    """
    if why := _description_damage(folder):
        damaged = [folder / name for name in (DESCRIPTION, CHUNKS, RECORD)]
    elif not (
        damaged := _damaged_files(folder, wanted) if _fits(folder, wanted) else []
    ):
        return ()
    number = 1
    while (place := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
        number += 1
    with output_errors(f"set aside what is damaged in {folder}"):
        for path in filter(Path.exists, damaged):
            there = place / path.relative_to(folder)
            there.parent.mkdir(parents=True, exist_ok=True)
            path.rename(there)
    if why:
        return (
            f"{folder}: damaged ({why}); set aside as {place.name}, the run begins "
            "anew",
        )
    names = ", ".join(str(path.relative_to(folder)) for path in damaged[:3])
    more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
    return (
        f"{folder}: damaged ({names}{more}); set aside in {place.name}, only this is "
        "made again",
    )


def _description_damage(folder: Path) -> str:
    """Return the fault of a run's description; empty if nothing is lost."""
    try:
        store_format.read_description((folder / DESCRIPTION).read_bytes())
    except FileNotFoundError:
        # A process that was killed while it replaced a run left the old description.
        orphans = (folder / CHUNKS).exists() or (folder / RECORD).exists()
        if orphans and not (folder / _REPLACED).exists():
            return f"{DESCRIPTION} is missing"
    except PermissionError:  # somebody else's, and perhaps whole
        with output_errors(f"read {folder / DESCRIPTION}"):
            raise
    except OSError as error:
        return f"{DESCRIPTION}: {error.strerror}"
    except ValueError as error:
        return f"{DESCRIPTION}: {error}"
    return ""


def _clear_leftovers(folder: Path) -> None:
    """Remove files that killed processes left half-written."""
    clear_leftovers(folder)
    with suppress(OSError):  # they only cost space
        for path in (folder / CHUNKS).glob("*/.*"):
            path.unlink()
        (folder / _REPLACED).unlink(missing_ok=True)
