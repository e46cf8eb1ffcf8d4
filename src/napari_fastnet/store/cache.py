"""The cache folder: runs of the panel without an output folder.

Each lies in ``runs/<slide, model and stride>/<name of the slide>/``. They can be computed
again, so the least recently used ones are deleted once all together outgrow a limit.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from napari_fastnet.errors import BusyError
from napari_fastnet.machine.files import output_errors
from napari_fastnet.store.format import DESCRIPTION, StoredRecord, read_record
from napari_fastnet.store.lock import HOLDER, LOCK, hold, is_held

RUNS, STORE = "runs", "run.zarr"
#: Room for about a hundred whole slides with their masks and pictures.
LIMIT_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class CachedRun:
    """A run in the cache.

    Parameters
    ----------
    folder : Path
        The run's results, with the store in it.
    slide : str
        Name of the slide without its suffix.
    model : str or None
        Name of the model; None while the run is not finished.
    size_bytes : int
        Of all its files.
    used : datetime
        When it was last computed or exported, UTC.
    in_use : bool
        Whether a process is computing it now.
    """

    folder: Path
    slide: str
    model: str | None
    size_bytes: int
    used: datetime
    in_use: bool


def cached_runs(cache: Path) -> list[CachedRun]:
    """List the runs in a cache folder, the least recently used first.

    Parameters
    ----------
    cache : Path
        The folder; it need not exist.

    Returns
    -------
    list of CachedRun
        Only folders that hold a run count.
    """
    found = cache.glob(f"{RUNS}/*/*/{STORE}")
    # Links are left out: their targets are not the cache's to delete.
    stores = [s for s in found if not any(map(Path.is_symlink, (s, *s.parents[:2])))]
    return sorted(map(_cached_run, stores), key=lambda run: run.used)


def clear_cache(
    cache: Path,
    *,
    unused_since: datetime | None = None,
    down_to_bytes: int | None = None,
    keep: Path | None = None,
) -> list[CachedRun]:
    """Delete runs, the least recently used first, and never one in use.

    Parameters
    ----------
    cache : Path
        The folder; it need not exist.
    unused_since : datetime, optional
        Keep runs used since then, with a time zone.
    down_to_bytes : int, optional
        Stop once the remaining runs are no larger than this.
    keep : Path, optional
        Folder of a run to keep, however old.

    Returns
    -------
    list of CachedRun
        The deleted runs.

    Raises
    ------
    OutputError
        A run cannot be deleted.
    """
    runs = cached_runs(cache)
    left = sum(run.size_bytes for run in runs)
    deleted = []
    for run in runs:
        if down_to_bytes is not None and left <= down_to_bytes:
            break
        if unused_since is not None and run.used >= unused_since:
            break
        if run.folder != keep and _delete(run.folder):
            deleted.append(run)
            left -= run.size_bytes
    return deleted


def _cached_run(store: Path) -> CachedRun:
    folder = store.parent
    record = StoredRecord()
    with suppress(ValueError):  # a damaged record names no model
        record = read_record(store)
    size, used = 0, 0.0
    for path in (store, folder, *folder.rglob("*")):
        with suppress(OSError):  # deleted meanwhile
            facts = path.stat()
            size += facts.st_size if path.is_file() else 0
            # Locking touches the store folder's mtime, exporting the results folder's.
            used = max(used, facts.st_mtime if path in (store, folder) else 0)
    try:
        date = datetime.fromtimestamp(used, UTC)
    except (ValueError, OverflowError, OSError):  # from a clock gone wrong
        date = datetime.now(UTC)
    model = record.model
    return CachedRun(folder, folder.name, model, size, date, in_use=is_held(store))


def _delete(folder: Path) -> bool:
    """Delete a run; return False if it is in use."""
    store = folder / STORE
    try:
        with output_errors(f"delete {folder}"), hold(store, wait_s=0):
            # The description first, so that nobody takes the rest for a run.
            (store / DESCRIPTION).unlink(missing_ok=True)
            for place, keep in ((folder, (STORE,)), (store, (LOCK, HOLDER))):
                for path in (p for p in place.iterdir() if p.name not in keep):
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink()
            with suppress(PermissionError):  # Windows: it is open, and goes by itself
                (store / LOCK).unlink()
    except BusyError:
        return False
    with suppress(OSError):  # somebody began another run in there
        for emptied in (store, folder, folder.parent):
            emptied.rmdir()
    return True
