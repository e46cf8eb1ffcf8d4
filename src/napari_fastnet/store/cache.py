"""The cache folder: runs of the panel for which nobody chose an output folder.

Each lies in ``runs/<slide, model and stride>/<name of the slide>/``. They are results
that can be computed again, so the ones that were not used for longest go when all
together outgrow a limit.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fastnet.errors import BusyError, OutputError
from napari_fastnet.machine.files import reason
from napari_fastnet.store.format import DESCRIPTION, read_record
from napari_fastnet.store.lock import HOLDER, LOCK, hold, is_held

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def default_cache_folder() -> Path:
    """Return this user's cache folder; it need not exist."""
    from platformdirs import user_cache_path

    return user_cache_path("napari-fastnet", appauthor=False)


def private_folder(cache: Path) -> Path:
    """Return a cache folder, made where it is missing, for nobody but this user.

    Pictures of slides lie in it. A folder that is there keeps its permissions: a group
    may share one.

    Raises
    ------
    OutputError
        It cannot be made.
    """
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {cache}: {reason(error)}") from error
    return cache


def cached_runs(cache: Path) -> list[CachedRun]:
    """Return the runs in a cache folder, those not used for longest first.

    Parameters
    ----------
    cache : Path
        The folder; it need not exist.

    Returns
    -------
    list of CachedRun
        Only folders that hold a run count; whatever else lies there is left alone.
    """
    found = cache.glob(f"{RUNS}/*/*/{STORE}")
    # a link leads elsewhere, and what is elsewhere is not the cache's to delete
    stores = [s for s in found if not any(map(Path.is_symlink, (s, *s.parents[:2])))]
    return sorted(map(_cached_run, stores), key=lambda run: run.used)


def clear_cache(
    cache: Path,
    *,
    unused_since: datetime | None = None,
    down_to_bytes: int | None = None,
    keep: Path | None = None,
) -> list[CachedRun]:
    """Delete runs, those not used for longest first, and never one in use.

    Parameters
    ----------
    cache : Path
        The folder; it need not exist.
    unused_since : datetime, optional
        Keep what was used since, with a time zone.
    down_to_bytes : int, optional
        Stop when what is left is no more than this.
    keep : Path, optional
        Folder of a run that stays, however old.

    Returns
    -------
    list of CachedRun
        What was deleted.

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
    record: dict[str, Any] = {}
    with suppress(ValueError):  # a damaged record names no model
        record = read_record(store)
    # Whoever takes or leaves the lock changes the store's folder, an export the other.
    used = max(_modified(store), _modified(folder))
    return CachedRun(
        folder=folder,
        slide=folder.name,
        model=(record.get("model") or {}).get("name"),
        size_bytes=sum(_sizes(folder)),
        used=_date(used),
        in_use=is_held(store),
    )


def _date(seconds: float) -> datetime:
    """Return a time of a file; what a clock gone wrong left beyond all years is now."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.now(UTC)


def _sizes(folder: Path) -> Iterator[int]:
    """Yield the sizes of files, as far as they are still there."""
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file():
                yield path.stat().st_size


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted meanwhile
        return 0.0


def _delete(folder: Path) -> bool:
    """Delete a run; return False where it is in use."""
    store = folder / STORE
    try:
        with hold(store, wait_s=0):
            # First, so that nobody takes the rest for a run.
            (store / DESCRIPTION).unlink(missing_ok=True)
            _delete_all(folder, keep=(STORE,))
            _delete_all(store, keep=(LOCK, HOLDER))
            with suppress(PermissionError):  # Windows: it is open, and goes by itself
                (store / LOCK).unlink()
    except BusyError:
        return False
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot delete {folder}: {reason(error)}") from error
    with suppress(OSError):  # somebody began anew in there
        for emptied in (store, folder, folder.parent):
            emptied.rmdir()
    return True


def _delete_all(folder: Path, *, keep: tuple[str, ...]) -> None:
    for path in folder.iterdir():
        if path.name in keep:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
