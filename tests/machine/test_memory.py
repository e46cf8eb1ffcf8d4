"""Memory goes back to the system on Linux."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HOLES = """
import os
from napari_fastnet.machine.memory import give_back

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6

blocks = [bytes(2000) for _ in range(40_000)]
last = bytes(2000)  # keeps the heap from shrinking by itself
del blocks
before = resident_mb()
give_back()
print(before - resident_mb())
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="glibc's own")
def test_freed_memory_leaves_the_process() -> None:
    command = [sys.executable, "-c", HOLES]
    found = subprocess.run(command, capture_output=True, check=True)
    assert float(found.stdout) > 60


ARRAYS = """
import os
import numpy as np
from napari_fastnet.machine.memory import give_back_at_once

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6

give_back_at_once()
np.ones(30_000_000, np.uint8)  # glibc takes larger blocks for passing from here on
before = resident_mb()
arrays = [np.ones(5_000_000, np.uint8) for _ in range(16)]
last = np.ones(1000, np.uint8)
del arrays[:-1]
print(resident_mb() - before)
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="glibc's own")
def test_great_arrays_leave_the_process_when_they_are_freed() -> None:
    """Without, 75 MB mostly stay, as glibc finds room."""
    command = [sys.executable, "-c", ARRAYS]
    found = subprocess.run(command, capture_output=True, check=True)
    assert float(found.stdout) < 10


HEAPS = """
import ctypes
import sys
from threading import Barrier, Thread
from napari_fastnet.machine.memory import stay_flat

stay_flat()
library = ctypes.CDLL(None)
library.malloc.restype = library.fopen.restype = ctypes.c_void_p
together = Barrier(16)

def take():
    together.wait()
    library.malloc(ctypes.c_size_t(1000))
    together.wait()

threads = [Thread(target=take) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = library.fopen(sys.argv[1].encode(), b"w")
library.malloc_info(0, ctypes.c_void_p(file))
library.fclose(ctypes.c_void_p(file))
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="glibc's own")
def test_many_threads_share_two_heaps(tmp_path) -> None:
    """Without, each of the 16 gets its own, as far as there are cores for."""
    table = tmp_path / "heaps.xml"
    subprocess.run([sys.executable, "-c", HEAPS, str(table)], check=True)
    assert 1 <= table.read_text().count("<heap ") <= 2
