"""How many processors there are to compute with."""

from __future__ import annotations

import os
import sys
from math import ceil
from pathlib import Path

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
