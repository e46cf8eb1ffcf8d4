"""Settings of the C library's memory, and the number of cores to use."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Options of glibc's malloc.h: from this size on, a block is mapped by itself and freed to
# the system; ...
_M_MMAP_THRESHOLD = -3
# ... as much may lie free at a heap's end (setting the former option disables glibc's own
# adaptive limit, so that pictures would be fetched from the system again and again); ...
_M_TRIM_THRESHOLD = -1
# ... and as many heaps are shared by all threads, by default eight a core.
_M_ARENA_MAX = -8
# glibc reads its options of this environment variable when a process starts.
_TUNABLES = "GLIBC_TUNABLES"


def give_back() -> None:
    """Return freed memory to the system, where the C library keeps it otherwise.

    glibc keeps freed memory for each thread that ever asked for some: 60 MB after a scan.
    Elsewhere nothing is done.
    """
    if (trim := _glibc("malloc_trim")) is not None:
        trim(0)


def give_back_at_once() -> None:
    """Let each array of 4 MB and more go back to the system when it is freed.

    For a process without a window: a detection takes some 50 MB less than with glibc's
    defaults, which learn to keep ever larger blocks. Smaller arrays, such as pictures of
    blocks, stay at hand: to fetch each from the system anew costs a tenth of the time.
    Elsewhere nothing is done.
    """
    _set_options({_M_MMAP_THRESHOLD: 2**22, _M_TRIM_THRESHOLD: 2**26})


def stay_flat() -> None:
    """Let all threads take memory from two heaps, and arrays of a megabyte from none.

    For a process with a window, which lives long and whose threads come and go: by
    default glibc gives each thread a heap of its own and leaves holes in every one, more
    of them where large arrays lie among small ones. Elsewhere nothing is done.
    """
    _set_options({_M_ARENA_MAX: 2, _M_MMAP_THRESHOLD: 2**20, _M_TRIM_THRESHOLD: 2**27})


@contextmanager
def large_pages() -> Iterator[None]:
    """Let processes that are begun meanwhile fetch memory from the system in large pages.

    The maps of a network are some tens of MB that are fetched anew for each slide: page by
    page of 4 kB that takes a twelfth of a small slide's time. Elsewhere than on Linux, and
    where the user has set options of glibc, nothing is done.
    """
    if sys.platform != "linux" or _TUNABLES in os.environ:
        yield
        return
    os.environ[_TUNABLES] = "glibc.malloc.hugetlb=1"
    try:
        yield
    finally:
        del os.environ[_TUNABLES]


def _set_options(options: dict[int, int]) -> None:
    """Set options of glibc, where it is there."""
    if (set_option := _glibc("mallopt")) is not None:
        for option, value in options.items():
            set_option(option, value)


def _glibc(name: str) -> Any:
    """Return a function of the C library, None where it has none of this name."""
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), name, None)  # musl has neither


_PROCESSORS = Path("/sys/devices/system/cpu")
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def physical_cores() -> int:
    """Count the cores this process may use; two threads of a core are one."""
    if not hasattr(os, "sched_getaffinity"):  # not Linux
        return os.cpu_count() or 1
    cores = set()
    for processor in os.sched_getaffinity(0):
        siblings = _PROCESSORS / f"cpu{processor}" / "topology" / "thread_siblings_list"
        try:
            cores.add(siblings.read_text())
        except OSError:  # not stated: each counts as a core
            cores.add(str(processor))
    return max(1, min(len(cores), _allowance()))


def _allowance() -> int:
    """Count the processors a container may use; very many where it may use all."""
    try:
        quota, period = _CONTAINER_LIMIT.read_text().split()
        return ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no container, or "max"
        return sys.maxsize
