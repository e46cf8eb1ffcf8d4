"""The lock by which one process at a time writes a stored run.

The operating system holds the lock and drops it when the process ends, so a crash leaves
no lock behind. On a file system without locks (some network drives and cluster mounts) a
lease replaces it: a file with process and host, refreshed while it is held. It is void
once that process has ended on this host, or, on another host, when it was not refreshed
for `LEASE_S`.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from napari_fastnet.errors import BusyError, OutputError
from napari_fastnet.machine.files import reason, write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from filelock import BaseFileLock

LOCK, LEASE, HOLDER = ".lock", ".lease", ".holder.json"
#: A run of the panel that was just cancelled ends within this time.
WAIT_S = 5.0
POLL_S = 0.1
#: Age at which a lease is void; its holder refreshes it three times as often.
LEASE_S = 60.0
#: Error numbers of file systems without locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)


@contextmanager
def hold(folder: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock of a run, for any thread of this process; not to be entered twice.

    Parameters
    ----------
    folder : Path
        The run; it must exist.
    wait_s : float, optional
        How long to wait for another holder.

    Raises
    ------
    BusyError
        Another process, or another thread of this one, is still writing; names it.
    OutputError
        The folder cannot be written.
    """
    from filelock import Timeout

    if not folder.is_dir():  # the lock would make it again, without a run
        raise OutputError(f"cannot lock {folder}: it was deleted; start again")
    try:
        lock = _acquired(folder / LOCK, folder / LEASE, wait_s)
    except Timeout as error:
        raise BusyError(
            f"{folder}: {_holder(folder)}; wait for it to end, or choose another "
            "output folder"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot lock {folder}: {reason(error)}") from error
    signature = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    try:
        with suppress(OSError):  # a full disk: the lock holds without a name on it
            write_bytes(folder / HOLDER, json.dumps(signature).encode())
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink()
        lock.release()


@contextmanager
def hold_file(path: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock of a file while it is changed; not to be entered twice.

    Parameters
    ----------
    path : Path
        The file; it need not exist, its folder must.
    wait_s : float, optional
        Time to wait for another holder.

    Raises
    ------
    BusyError
        Another process, or another thread of this one, is still changing it.
    OutputError
        The folder cannot be written.
    """
    from filelock import Timeout

    beside = path.with_name(f".{path.name}")
    lock, lease = (beside.with_name(beside.name + end) for end in (LOCK, LEASE))
    try:
        held = _acquired(lock, lease, wait_s)
    except Timeout as error:
        raise BusyError(
            f"{path}: another program has been changing it for {wait_s:g} s; try again"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason(error)}") from error
    try:
        yield
    finally:
        held.release()


def is_held(folder: Path) -> bool:
    """Return whether a process is writing a run."""
    from filelock import Timeout

    if not any((folder / name).exists() for name in (LOCK, LEASE)):
        return False
    try:
        _acquired(folder / LOCK, folder / LEASE, 0).release()
    except Timeout:
        return True
    except OSError:  # no right to write there: unknown
        return False
    return False


def _acquired(place: Path, lease_place: Path, wait_s: float) -> BaseFileLock:
    """Acquire the lock of the operating system, or a lease if it has none."""
    from filelock import FileLock, SoftFileLease, Timeout

    lock = FileLock(place, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=wait_s, poll_interval=POLL_S)
    except Timeout:  # an OSError, too
        raise
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        lease = SoftFileLease(lease_place, lease_duration=LEASE_S, thread_local=False)
        lease.acquire(timeout=wait_s, poll_interval=POLL_S)
        return lease
    return lock


def _holder(folder: Path) -> str:
    """Read the holder's name, for an error message."""
    try:
        said = json.loads((folder / HOLDER).read_bytes())
        who = f"process {said['process']} on {said['host']}"
        if (said["process"], said["host"]) == (os.getpid(), socket.gethostname()):
            who = "this program"
        return f"{who} is computing this run since {said['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process is computing this run"
