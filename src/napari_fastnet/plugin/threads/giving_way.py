"""Threads for work that lets the window go first."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Value = TypeVar("Value")

#: Of threads that compute; 0 is the window's, 19 would wait for everybody.
NICE = 10


def give_way() -> None:
    """Let this thread, and those it will start, wait for the window's, for good.

    Only where a thread has a priority of its own: elsewhere all would be slowed down.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def in_own_thread(make: Callable[[], Generator[Value]]) -> Generator[Value]:
    """Yield what a generator yields that runs in a thread of ours, which gives way.

    The caller's thread only waits. It may be one of a pool that others use as well: a
    user may not take back what a thread has given way.

    Parameters
    ----------
    make : callable
        Called in the thread; so is everything that follows, closing included.

    Yields
    ------
    object
        The generator's values; what it raises is raised here.
    """
    end = object()
    with _thread() as thread:
        values = thread.submit(make).result()
        try:
            while (value := thread.submit(next, values, end).result()) is not end:
                yield value  # type: ignore[misc]
        finally:
            thread.submit(values.close).result()


#: Threads that have given way and have nothing to do. Used again: the memory that
#: libraries keep for each thread would else add up.
_FREE: list[ThreadPoolExecutor] = []


@contextmanager
def _thread() -> Iterator[ThreadPoolExecutor]:
    """Lend a thread to one caller."""
    try:
        thread = _FREE.pop()
    except IndexError:
        thread = ThreadPoolExecutor(1, "fastnet-work", initializer=give_way)
    try:
        yield thread
    finally:
        _FREE.append(thread)
