"""How a stored run begins, and how what is damaged in it is put out of the way.

All of this is done by whoever holds the run's lock. A process that is killed half-way
leaves a folder that the next one recognises.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_fastnet.errors import OutputError, StoreError
from napari_fastnet.machine.files import clear_leftovers, reason, write_bytes
from napari_fastnet.store.format import (
    CHUNKS,
    DESCRIPTION,
    RECORD,
    SPENT,
    RunDescription,
    read_chunks,
    read_description,
    read_record,
)

if TYPE_CHECKING:
    from pathlib import Path

#: The description of the run that another one is about to replace.
_REPLACED = f"{DESCRIPTION}.replaced"


def make_folder(folder: Path) -> None:
    """Make the folder of a run; OutputError if it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot begin a run in {folder}: {reason(error)}") from error


def begin(folder: Path, description: RunDescription) -> None:
    """Put an empty run in the place of whatever run is there.

    The description goes first and comes last: blocks never stand under one that is not
    theirs.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    replaced = folder / _REPLACED
    try:
        if (folder / DESCRIPTION).exists():
            (folder / DESCRIPTION).replace(replaced)
        if (folder / CHUNKS).exists():
            shutil.rmtree(folder / CHUNKS)
        (folder / RECORD).unlink(missing_ok=True)
        (folder / SPENT).unlink(missing_ok=True)
        write_bytes(folder / DESCRIPTION, description.content)
        replaced.unlink(missing_ok=True)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot begin a run in {folder}: {reason(error)}") from error


def fits(folder: Path, wanted: RunDescription) -> bool:
    """Return whether the run in a folder is the one that is wanted."""
    try:
        return (folder / DESCRIPTION).read_bytes() == wanted.content
    except OSError:
        return False


def damaged_files(folder: Path, description: RunDescription) -> list[Path]:
    """Return the files of a run whose checksums tell that they are damaged."""
    _, damaged = read_chunks(folder, description)
    try:
        read_record(folder)
    except ValueError:
        damaged.append(folder / RECORD)
    return damaged


def mend(folder: Path, wanted: RunDescription) -> tuple[str, ...]:
    """Move what is damaged in a run out of it, next to it.

    That is ``run.zarr.damaged-1``, or the next number that is free; files keep their
    places in it.

    Parameters
    ----------
    folder : Path
        The run, e.g. ``run.zarr``.
    wanted : RunDescription
        Which run is to go on; of another, nothing is mended but its description.

    Returns
    -------
    tuple of str
        What is to be said of it, a line each.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    why = _description_damage(folder)
    if why is not None:
        everything = [folder / name for name in (DESCRIPTION, CHUNKS, RECORD)]
        place = _set_aside(folder, everything)
        return (
            f"{folder}: damaged ({why}); set aside as {place.name}, the run begins "
            "anew",
        )
    damaged = damaged_files(folder, wanted) if fits(folder, wanted) else []
    if not damaged:
        return ()
    place = _set_aside(folder, damaged)
    names = ", ".join(str(path.relative_to(folder)) for path in damaged[:3])
    more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
    return (
        f"{folder}: damaged ({names}{more}); set aside in {place.name}, only this is "
        "made again",
    )


def look(folder: Path) -> tuple[RunDescription, dict[str, Any], tuple[str, ...]]:
    """Return which run a folder holds, its record, and what of it is lost.

    Nothing is changed.

    Parameters
    ----------
    folder : Path
        A ``run.zarr``.

    Returns
    -------
    tuple of RunDescription, dict and tuple of str
        The record is empty while the run is not finished, or where it is damaged.

    Raises
    ------
    StoreError
        There is no run, or its description is damaged.
    """
    again = "run detect again, which begins it anew"
    try:
        description = read_description((folder / DESCRIPTION).read_bytes())
    except OSError as error:
        raise StoreError(f"{folder}: no run to open ({error.strerror})") from error
    except ValueError as error:
        raise StoreError(f"{folder}: the run is damaged ({error}); {again}") from error
    if description is None:
        raise StoreError(f"{folder}: the run of another version; {again}")
    record: dict[str, Any] = {}
    with suppress(ValueError):  # it is among the damaged files
        record = read_record(folder)
    damaged = len(damaged_files(folder, description))
    known = int((read_chunks(folder, description)[0] >= 0).sum())
    computed = (record.get("counts") or {}).get("computed")
    missing = computed - known if isinstance(computed, int) else 0
    if damaged:
        lost = f"damaged files are left out ({damaged})"
    elif missing > 0:
        lost = f"patches are missing ({missing} of those computed)"
    else:
        return description, record, ()
    note = f"{folder}: {lost}; run detect again, it makes only them"
    return description, record, (note,)


def clear_litter(folder: Path) -> None:
    """Remove what processes that were killed left half-written."""
    clear_leftovers(folder)
    with suppress(OSError):  # it costs space, no more
        for path in (folder / CHUNKS).glob("*/.*"):
            path.unlink()
        (folder / _REPLACED).unlink(missing_ok=True)


def _description_damage(folder: Path) -> str | None:
    """Return what is wrong with the description of a run, None if nothing is lost."""
    try:
        read_description((folder / DESCRIPTION).read_bytes())
    except FileNotFoundError:
        orphans = (folder / CHUNKS).exists() or (folder / RECORD).exists()
        if orphans and not (folder / _REPLACED).exists():
            return f"{DESCRIPTION} is missing"
    except PermissionError as error:  # somebody else's, and perhaps whole
        raise OutputError(
            f"cannot read {folder / DESCRIPTION}: {reason(error)}"
        ) from error
    except OSError as error:
        return f"{DESCRIPTION}: {error.strerror}"
    except ValueError as error:
        return f"{DESCRIPTION}: {error}"
    return None


def _set_aside(folder: Path, paths: list[Path]) -> Path:
    """Move files or folders that exist out of a run and return where they are."""
    number = 1
    while (place := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
        number += 1
    try:
        for path in paths:
            if path.exists():
                there = place / path.relative_to(folder)
                there.parent.mkdir(parents=True, exist_ok=True)
                path.rename(there)
    except OSError as error:
        raise OutputError(
            f"cannot set aside what is damaged in {folder}: {reason(error)}"
        ) from error
    return place
