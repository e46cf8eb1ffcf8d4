"""Work in low-priority threads, which are used again."""

from __future__ import annotations

import os
import sys
import threading
from queue import SimpleQueue

import pytest

from napari_fastnet.plugin.threads.giving_way import NICE, run_in_thread


def niceness():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def in_thread(function):
    """Return what a function returns in a low-priority thread."""
    found = SimpleQueue()
    run_in_thread(lambda: found.put(function()))
    return found.get(timeout=10)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority there")
def test_only_the_thread_that_works_gives_way() -> None:
    before = niceness()
    assert in_thread(niceness) == max(NICE, before)
    assert niceness() == before


def test_threads_are_used_again_but_not_by_two_at_once() -> None:
    gate, found = threading.Event(), SimpleQueue()

    def hold():
        found.put(threading.current_thread())
        gate.wait(10)

    run_in_thread(hold)
    run_in_thread(hold)
    both = {found.get(timeout=10), found.get(timeout=10)}
    assert len(both) == 2
    gate.set()
    again = in_thread(threading.current_thread)
    while again not in both:  # idle ones of earlier tests come first
        again = in_thread(threading.current_thread)
