"""Disks that are full or refuse: one line, and what was written stays."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

STORE = """
import json, resource, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from napari_fastnet.core.geometry import Grid
from napari_fastnet.errors import OutputError
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import open_store

folder = Path(sys.argv[1])

def opened():
    return open_store(folder / "run.zarr", RunDescription({}, Grid((0, 0), (1, 1), (320, 320)),
                      (1.0, 1.0), 32))

def write(store):
    \"\"\"Write what is missing; return the error, None if there was none.\"\"\"
    values = np.random.default_rng(0).random((320, 320), np.float32)
    try:
        with store.writing():
            known = store.read()
            for block in store.blocks():
                if np.isnan(known[block.slices]).any():
                    store.write(block, values[block.slices])
    except OutputError as error:
        return str(error)

def known(store):
    return int((~np.isnan(store.read())).sum()) // 1024
"""
FULL = """
ballast = folder / "ballast"
ballast.write_bytes(bytes(500_000))
store = opened()
error, before = write(store), known(store)
left = [path.name for path in (folder / "run.zarr").glob("c/*/.*")]
again = opened()
notes = again.notes
ballast.unlink()
print(json.dumps([error, before, left, notes, write(again), known(again)]))
"""
LIMITED = """
store = opened()
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
error, before = write(store), known(store)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
print(json.dumps([error, before, [], opened().notes, write(opened()), known(store)]))
"""
READ_ONLY = """
import subprocess
store = opened()
write(store)
subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
error, before = write(store), known(opened())
try:
    open_store(folder / "run.zarr", replace(store.description, key={"other": 1}))
except OutputError as other:
    print(json.dumps([error, before, str(other)]))
"""


def run(command: list[str], script: str, folder: Path) -> list:
    done = subprocess.run(
        [*command, sys.executable, "-c", STORE + script, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """A command in front of another: there, tmp_path is a disk of 1 MB."""
    mount = f"mount -t tmpfs -o size=1m none '{tmp_path}' && exec \"$@\""
    command = ["unshare", "-r", "-m", "sh", "-c", mount, "sh"]
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            [*command, "true"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("nothing may be mounted here")
    return command


def test_a_full_disk_keeps_what_is_on_it(small_disk: list[str], tmp_path: Path) -> None:
    error, before, left, notes, again, after = run(small_disk, FULL, tmp_path)
    assert "No space left on device" in error
    assert "free some space" in error
    assert "is kept" in error
    assert "\n" not in error
    assert 20 < before < 80
    assert left == notes == []
    assert (again, after) == (None, 100)


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits of this kind")
def test_a_file_that_may_not_grow_is_one_line(tmp_path: Path) -> None:
    error, before, _, notes, again, after = run([], LIMITED, tmp_path)
    assert "File too large" in error
    assert "\n" not in error
    assert before == 0
    assert notes == []
    assert (again, after) == (None, 100)


def test_a_read_only_folder_is_read_and_not_written(
    small_disk: list[str], tmp_path: Path
) -> None:
    error, before, other = run(small_disk, READ_ONLY, tmp_path)
    assert before == 100
    for message in (error, other):
        assert "Read-only file system" in message
        assert "choose another output folder" in message
        assert "\n" not in message
