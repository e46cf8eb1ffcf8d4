"""One process at a time writes a stored run, and the others learn which.

The operating system holds the lock and drops it when the process ends, however it
ends: a lock left behind by a crash does not exist. On a file system without such locks
(some cluster mounts) ``filelock`` leaves a file with process and host instead, which is
void as soon as that process is gone from this host; on another host it stays, and the
error names it.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from napari_fastnet.errors import BusyError, OutputError
from napari_fastnet.io.files import reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK, HOLDER = ".lock", ".holder.json"
#: A panel's run that was just cancelled ends within that.
WAIT_S = 5.0
POLL_S = 0.1


@contextmanager
def hold(folder: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Be the only one who writes a run; not to be entered twice.

    Parameters
    ----------
    folder : Path
        The run; it must exist.
    wait_s : float, optional
        How long to wait for another holder.

    Yields
    ------
    None
        While it is held, by whichever thread.

    Raises
    ------
    BusyError
        Another process, or another thread of this one, is still writing; names it.
    OutputError
        The folder cannot be written, or its file system has no locks.
    """
    from filelock import FileLock, Timeout

    if not folder.is_dir():  # it would be made, and then be no run
        raise OutputError(f"cannot lock {folder}: it was deleted; start again")
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=wait_s, poll_interval=POLL_S)
    except Timeout as error:
        raise BusyError(
            f"{folder}: {_holder(folder)}; wait for it to end, or choose another "
            "output folder"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot lock {folder}: {reason(error)}") from error
    try:
        with suppress(OSError):  # a full disk: the lock holds without a name on it
            _sign(folder)
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink()
        lock.release()


def is_held(folder: Path) -> bool:
    """Return whether somebody is writing a run; changes nothing where nobody is."""
    from filelock import FileLock, Timeout

    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # not ours to write: nobody here can tell
        return False


def _sign(folder: Path) -> None:
    """Say who holds the lock."""
    signature = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    # never through a link that somebody put there
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(folder / HOLDER, flags, 0o666), "w") as file:
        file.write(json.dumps(signature))


def _holder(folder: Path) -> str:
    """Return who holds the lock, as far as it can be read."""
    try:
        said = json.loads((folder / HOLDER).read_bytes())
        who = f"process {said['process']} on {said['host']}"
        if (said["process"], said["host"]) == (os.getpid(), socket.gethostname()):
            who = "this program"
        return f"{who} is computing this run since {said['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process is computing this run"
