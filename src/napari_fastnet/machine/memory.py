"""Freed memory, given back to the operating system."""

from __future__ import annotations

import ctypes
import os
import sys
from math import ceil
from pathlib import Path
from typing import Any

# malloc.h: from how many bytes on a block is mapped by itself, and freed to the system.
_M_MMAP_THRESHOLD = -3
# malloc.h: how much may lie free at a heap's end. With the option before given, glibc no
# longer learns this one: pictures would be taken and given back all the time.
_M_TRIM_THRESHOLD = -1
#: Both, bytes: of a process that detects, and of one with a window.
_DETECTION = 2**22, 2**26
_WINDOW = 2**20, 2**27
# malloc.h: how many heaps the threads share; without a limit, eight a core.
_M_ARENA_MAX = -8
_HEAPS = 2


def give_back() -> None:
    """Return what was freed to the system, where the C library keeps it otherwise.

    glibc keeps freed memory for each thread that ever asked for some: 60 MB after a scan.
    Elsewhere nothing is done.
    """
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def give_back_at_once() -> None:
    """Let each array of 4 MB and more go back to the system when it is freed.

    For a process without a window: glibc, which otherwise learns to keep ever larger ones,
    takes some 50 MB less for a detection. Smaller ones, such as the pictures of blocks,
    stay at hand: to fetch each from the system anew costs a tenth of the time. A window
    needs `stay_flat`. Elsewhere nothing is done.
    """
    _keep(_DETECTION)


def stay_flat() -> None:
    """Let all threads take memory from two heaps, and arrays of a megabyte from none.

    For a process that lives for long, with threads that come and go: glibc, which
    otherwise gives each a heap of its own, leaves holes in every one of them, and more
    of them where great arrays lie among the small. Elsewhere nothing is done.
    """
    _set_option(_M_ARENA_MAX, _HEAPS)
    _keep(_WINDOW)


def _keep(limits: tuple[int, int]) -> None:
    mapped, free = limits
    _set_option(_M_MMAP_THRESHOLD, mapped)
    _set_option(_M_TRIM_THRESHOLD, free)


def _set_option(option: int, value: int) -> None:
    """Set one of glibc's options."""
    set_option = _glibc("mallopt")
    if set_option is not None:
        set_option(option, value)


def _glibc(name: str) -> Any:
    """Return a function of the C library, None where it has none of this name."""
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), name, None)  # musl has neither


_PROCESSORS = Path("/sys/devices/system/cpu")
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def physical_cores() -> int:
    """Return how many cores this process may use, two threads of a core being one."""
    if not hasattr(os, "sched_getaffinity"):  # not Linux
        return os.cpu_count() or 1
    cores = set()
    for processor in os.sched_getaffinity(0):
        siblings = _PROCESSORS / f"cpu{processor}" / "topology" / "thread_siblings_list"
        try:
            cores.add(siblings.read_text())
        except OSError:  # not told: each is a core
            cores.add(str(processor))
    return max(1, min(len(cores), _allowance()))


def _allowance() -> int:
    """Return the processors that a container may use; very many where it may use all."""
    try:
        quota, period = _CONTAINER_LIMIT.read_text().split()
        return ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no container, or "max"
        return sys.maxsize
