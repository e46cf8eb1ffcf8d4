"""One writer at a time: between threads, between processes, and after a kill."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_fastnet.core.geometry import Grid
from napari_fastnet.errors import BusyError, OutputError
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.lock import hold, hold_file, is_held
from napari_fastnet.store.store import StoredRun, open_store, read_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUES = np.full((3, 3), 0.5, np.float32)
SCRIPT = """
import sys
from pathlib import Path
from napari_fastnet.store.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def opened(folder: Path, *, fresh: bool = False, **changes: object) -> StoredRun:
    options = {"key": {}, "grid": Grid((0, 0), (9, 9), (3, 3)), "block_cells": 3}
    return open_store(
        folder / "run.zarr",
        RunDescription(mpp=(1.0, 1.0), **options | changes),
        fresh=fresh,
    )


@pytest.fixture
def store(tmp_path: Path) -> StoredRun:
    return opened(tmp_path)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits unless asked to."""
    monkeypatch.setattr(hold.__wrapped__, "__defaults__", (0.0,))
    monkeypatch.setattr(StoredRun.writing.__wrapped__, "__defaults__", (0.0,))


@pytest.fixture
def other_process(store: StoredRun) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the run until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(store.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_holds_the_run(
    store: StoredRun, other_process: subprocess.Popen[str]
) -> None:
    assert is_held(store.folder)
    with pytest.raises(BusyError) as caught, store.writing(wait_s=0):
        pass
    message = str(caught.value)
    assert f"process {other_process.pid} on {socket.gethostname()}" in message
    assert str(store.folder) in message
    assert "\n" not in message


@pytest.mark.usefixtures("other_process")
def test_reading_takes_no_lock(store: StoredRun, tmp_path: Path) -> None:
    assert opened(tmp_path).read().shape == (3, 3)
    assert read_store(store.folder)[0].heatmap().coverage == 0


@pytest.mark.usefixtures("impatient")
def test_a_run_in_use_is_not_replaced(
    store: StoredRun, other_process: subprocess.Popen[str], tmp_path: Path
) -> None:
    for changes in ({"fresh": True}, {"key": {"slide": "other"}}):
        with pytest.raises(BusyError, match=str(other_process.pid)):
            opened(tmp_path, **changes)
    assert opened(tmp_path).read().shape == (3, 3)


def test_a_killed_holder_holds_nothing(
    store: StoredRun, other_process: subprocess.Popen[str]
) -> None:
    other_process.kill()
    other_process.wait()
    assert (store.folder / ".holder.json").exists()  # it had no time to tidy up
    assert not is_held(store.folder)
    with store.writing(wait_s=0):
        store.write(store.blocks()[0], VALUES)
    assert (store.read() == 0.5).all()


def test_who_waits_goes_on_when_the_other_ends(
    store: StoredRun, other_process: subprocess.Popen[str]
) -> None:
    assert other_process.stdin is not None
    timer = threading.Timer(0.3, other_process.stdin.close)
    timer.start()
    with store.writing(wait_s=30):
        store.write(store.blocks()[0], VALUES)
    timer.join()
    assert (store.read() == 0.5).all()


def test_an_older_store_of_this_program_keeps_a_newer_one_waiting(
    store: StoredRun, tmp_path: Path
) -> None:
    newer = opened(tmp_path)
    with store.writing():
        with pytest.raises(BusyError, match="this program"), newer.writing(wait_s=0):
            pass
        with pytest.raises(BusyError), store.writing(wait_s=0):
            pass
    with newer.writing(wait_s=0):
        pass


def test_the_lock_may_be_let_go_by_another_thread(store: StoredRun) -> None:
    # A panel closes the generator of its worker thread on its own thread.
    holding = store.writing()
    thread = threading.Thread(target=holding.__enter__)
    thread.start()
    thread.join()
    assert is_held(store.folder)
    holding.__exit__(None, None, None)
    assert not is_held(store.folder)


def test_an_error_lets_the_lock_go(store: StoredRun) -> None:
    with pytest.raises(RuntimeError), store.writing():
        raise RuntimeError
    assert not is_held(store.folder)
    assert not (store.folder / ".holder.json").exists()


@pytest.mark.usefixtures("impatient", "other_process")
def test_writing_a_block_takes_the_lock_by_itself(store: StoredRun) -> None:
    with pytest.raises(BusyError):
        store.write(store.blocks()[0], VALUES)
    assert np.isnan(store.read()).all()


@pytest.mark.parametrize("text", ["", "\0\0\0", "[]", '{"process": 1}'])
def test_a_holder_that_cannot_be_read_is_another_process(
    store: StoredRun, text: str
) -> None:
    with hold(store.folder):
        (store.folder / ".holder.json").write_text(text)
        with pytest.raises(BusyError, match="another process"), hold(store.folder, 0):
            pass


def test_the_holder_says_since_when(store: StoredRun) -> None:
    with hold(store.folder):
        said = json.loads((store.folder / ".holder.json").read_bytes())
    assert said["process"] == os.getpid()
    assert said["since"].startswith("20")


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot lock"), hold(tmp_path / "none"):
        pass
    assert not is_held(tmp_path / "none")


def no_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the file system have no locks, as some network drives have none."""
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


#: As other hosts and processes see the same folder, they have no locks there either.
LEASING = f"""
import fcntl, errno
def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
{SCRIPT}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="always has locks")
@pytest.mark.parametrize("name", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_without_locks_a_lease_keeps_others_out(
    store: StoredRun, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    no_locks(monkeypatch, getattr(errno, name))
    with hold(store.folder):  # a Python warning would fail this test
        assert is_held(store.folder)
        with pytest.raises(BusyError, match="this program"), hold(store.folder, 0):
            pass
    assert not is_held(store.folder)
    with store.writing():
        store.write(store.blocks()[0], VALUES)
    assert (store.read() == 0.5).all()
    assert not (store.folder / ".lease").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="always has locks")
def test_the_lease_of_a_process_that_was_killed_is_void(
    store: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_locks(monkeypatch, errno.ENOLCK)
    with subprocess.Popen(
        [sys.executable, "-c", LEASING, str(store.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with (
            pytest.raises(BusyError, match=str(process.pid)),
            hold(store.folder, wait_s=0),
        ):
            pass
        process.kill()
    assert (store.folder / ".lease").exists()
    with store.writing(wait_s=1):
        store.write(store.blocks()[0], VALUES)
    assert (store.read() == 0.5).all()


@pytest.mark.skipif(sys.platform == "win32", reason="always has locks")
def test_a_disk_that_is_full_is_no_file_system_without_locks(
    store: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_locks(monkeypatch, errno.ENOSPC)
    with pytest.raises(OutputError, match="free some space"), hold(store.folder):
        pass
    assert not (store.folder / ".lease").exists()


def test_a_file_is_changed_by_one_at_a_time(tmp_path):
    path = tmp_path / "decisions.json"
    with hold_file(path):
        said = "another program has been changing it"
        with pytest.raises(BusyError, match=said), hold_file(path, wait_s=0.2):
            raise AssertionError("held twice")
        with hold_file(tmp_path / "other.json"):
            pass
    with hold_file(path):
        pass
    assert not path.exists()
