"""Low-priority threads, so that computing leaves the processor to the window first."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import sleep

#: Niceness of threads that compute; the window's is 0, the weakest 19.
NICE = 10

Task = Callable[[], None]

#: All threads and the idle ones, each by its queue. Reused, because libraries keep memory
#: for every thread that ever called them.
_ALL: list[SimpleQueue[Task]] = []
_IDLE: list[SimpleQueue[Task]] = []


def run_in_thread(task: Task) -> None:
    """Call a function, which raises nothing, in an idle or new low-priority thread."""
    try:
        tasks = _IDLE.pop()
    except IndexError:
        tasks = SimpleQueue()
        _ALL.append(tasks)
        # Not a ThreadPoolExecutor: Python waits for its threads before anything can tell
        # them at exit that they should stop.
        threading.Thread(
            target=_serve, args=(tasks,), name="fastnet-work", daemon=True
        ).start()
    tasks.put(task)


def give_way() -> None:
    """Lower the priority of this thread, and of those it starts, for good.

    On Linux only: elsewhere all threads share the priority of the process.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def _serve(tasks: SimpleQueue[Task]) -> None:
    give_way()
    while True:
        tasks.get()()
        _IDLE.append(tasks)


@atexit.register
def _wait_for_all() -> None:
    """Wait until all threads are idle: native code that outlives Python would crash."""
    while len(_IDLE) < len(_ALL):
        sleep(0.01)
