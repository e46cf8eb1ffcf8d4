"""Memory goes back to the system on Linux; cores are those that a process may use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from napari_fastnet.machine import memory
from napari_fastnet.machine.memory import large_pages, physical_cores

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


def test_cores_are_at_least_one_and_at_most_the_processors():
    assert 1 <= physical_cores() <= os.cpu_count()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that makes a Linux machine: processors by core, CPU limit."""

    def make(siblings, limit=None):
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda _: set(siblings), raising=False
        )
        monkeypatch.setattr(memory, "_PROCESSORS", tmp_path)
        monkeypatch.setattr(memory, "_CONTAINER_LIMIT", tmp_path / "cpu.max")
        for processor, core in siblings.items():
            topology = tmp_path / f"cpu{processor}" / "topology"
            topology.mkdir(parents=True)
            if core is not None:
                (topology / "thread_siblings_list").write_text(core)
        if limit is not None:
            (tmp_path / "cpu.max").write_text(limit)

    return make


def test_two_threads_of_a_core_count_once(machine):
    machine({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"})
    assert physical_cores() == 2


def test_processors_without_topology_count_each(machine):
    machine({4: None, 5: None, 6: None})
    assert physical_cores() == 3


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000\n", 4),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("900000 100000\n", 4),
        ("nonsense", 4),
    ],
)
def test_a_containers_limit_holds(limit, expected, machine):
    machine({processor: str(processor) for processor in range(4)}, limit)
    assert physical_cores() == expected


@pytest.mark.skipif(sys.platform != "linux", reason="an option of glibc")
@pytest.mark.parametrize("before", [None, "glibc.malloc.check=3"])
def test_large_pages_are_asked_for_while_a_process_begins(monkeypatch, before) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if before:
        monkeypatch.setenv("GLIBC_TUNABLES", before)
    with large_pages():
        assert os.environ["GLIBC_TUNABLES"] == (before or "glibc.malloc.hugetlb=1")
    assert os.environ.get("GLIBC_TUNABLES") == before
