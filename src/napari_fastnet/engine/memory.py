"""Freed memory, given back to the operating system."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

# malloc.h: from how many bytes on a block is mapped by itself, and freed to the system.
_M_MMAP_THRESHOLD = -3
_MAPPED_BYTES = 2**20
# malloc.h: how much may lie free at a heap's end. With the option before given, glibc no
# longer learns this one: a window would take and give back its pictures all the time.
_M_TRIM_THRESHOLD = -1
_FREE_BYTES = 2**27
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
    """Let each array of a megabyte and more go back to the system when it is freed.

    For a process without a window: glibc, which otherwise learns to keep ever larger ones,
    takes 50 to 70 MB less for a detection, and no longer. A window, which draws with such
    arrays all the time, needs `stay_flat`. Elsewhere nothing is done.
    """
    _set_option(_M_MMAP_THRESHOLD, _MAPPED_BYTES)


def stay_flat() -> None:
    """Let all threads take memory from two heaps, and arrays of a megabyte from none.

    For a process that lives for long, with threads that come and go: glibc, which
    otherwise gives each a heap of its own, leaves holes in every one of them, and more
    of them where great arrays lie among the small. Elsewhere nothing is done.
    """
    _set_option(_M_ARENA_MAX, _HEAPS)
    _set_option(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
    _set_option(_M_TRIM_THRESHOLD, _FREE_BYTES)


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
