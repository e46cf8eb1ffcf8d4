"""Work in a low-priority thread, its values and errors handed to the GUI thread.

Not a napari worker: that loses a RuntimeError raised in a generator, which is what torch
raises, and changes the warning filters of the whole process while it runs.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from queue import SimpleQueue
from time import perf_counter, sleep
from traceback import clear_frames
from typing import Any

from napari.utils.notifications import (
    ErrorNotification,
    notification_manager,
    show_error,
)
from superqt.utils import ensure_main_thread

from napari_fastnet.errors import FastNetError

LOG = logging.getLogger(__name__)

#: Takes a function that says whether to stop, yields values of any kind.
Work = Callable[[Callable[[], bool]], Generator[Any]]

#: Niceness of threads that compute; the window's is 0, the weakest 19.
NICE = 10

_RUNNING: set[Job] = set()
#: Idle threads, by the queue of each. They are reused, because libraries keep memory for
#: every thread that ever called them.
_IDLE: list[SimpleQueue[Callable[[], None]]] = []


def give_way() -> None:
    """Lower the priority of this thread, and of those it starts, for good.

    On Linux only: elsewhere all threads share the priority of the process.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


class Job:
    """Work in a thread that can be paused and stopped; its values arrive as calls.

    All callbacks run on the GUI thread, and none of them after `abandon`.

    Parameters
    ----------
    work : callable
        Called in the thread with a predicate that it polls to learn whether to stop; the
        values of the generator it returns go to ``on_value``.
    on_value : callable
        Gets each value.
    on_end : callable
        Gets whether the work came to its own end: False if it failed or was stopped.

    Attributes
    ----------
    running : bool
        Whether ``on_end`` is still to come; true while paused.
    """

    def __init__(
        self,
        work: Work,
        *,
        on_value: Callable[[Any], None],
        on_end: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._work, self._on_value, self._on_end = work, on_value, on_end
        self._stop, self._may_go_on = threading.Event(), threading.Event()
        self._may_go_on.set()
        self._paused_at: float | None = None
        self._paused_s = 0.0
        self.running = self._abandoned = False

    def start(self) -> None:
        """Begin, in an idle thread or a new one."""
        self.running = True
        _RUNNING.add(self)
        try:
            tasks = _IDLE.pop()
        except IndexError:
            tasks = SimpleQueue()
            # Not a ThreadPoolExecutor: at exit Python waits for its threads before they
            # can be asked to stop.
            threading.Thread(target=_serve, args=(tasks,), daemon=True).start()
        tasks.put(self._run)

    @property
    def paused(self) -> bool:
        """Whether the work stands still, or will after the value at hand."""
        return self.running and not self._may_go_on.is_set()

    def pause(self) -> None:
        """Stand still after the value at hand."""
        if self._paused_at is None:
            self._paused_at = perf_counter()
        self._may_go_on.clear()

    def resume(self) -> None:
        """Go on after a pause."""
        self._paused_s = self.paused_seconds
        self._paused_at = None
        self._may_go_on.set()

    @property
    def paused_seconds(self) -> float:
        """Length of all pauses together, the one at hand included."""
        if self._paused_at is None:
            return self._paused_s
        return self._paused_s + perf_counter() - self._paused_at

    def cancel(self) -> None:
        """Stop as soon as the work polls its predicate; ``on_end`` follows."""
        self._stop.set()
        self._may_go_on.set()

    def abandon(self) -> None:
        """Stop without another callback: their receiver is going away."""
        self._abandoned = True
        self.cancel()

    def _run(self) -> None:
        failed = False
        try:
            with closing(self._work(self._stop.is_set)) as values:
                for value in values:
                    self._tell(self._on_value, value)
                    self._may_go_on.wait()
                    if self._stop.is_set():
                        break
        except Exception as error:  # noqa: BLE001 - every error is shown
            failed = True
            self._tell(show_failure, error)
        finally:
            _RUNNING.discard(self)
            if self._abandoned:
                self.running = False
            else:
                ensure_main_thread(self._finished)(failed)

    def _tell(self, callback: Callable[[Any], None], value: Any) -> None:
        """Call back on the GUI thread, unless the job is abandoned by then."""

        def call() -> None:
            if not self._abandoned:
                callback(value)

        if not self._abandoned:
            ensure_main_thread(call)()

    def _finished(self, failed: bool) -> None:
        self.running = False
        if not self._abandoned:
            self._on_end(not failed and not self._stop.is_set())


def show_failure(error: Exception) -> None:
    """Show an error as a napari notification; an unexpected one has its traceback."""
    if isinstance(error, FastNetError):
        show_error(str(error))
        return
    LOG.error("unexpected", exc_info=error)
    # The notification is kept: without the frames it does not keep slide and network.
    trace = error.__traceback__
    error.__traceback__ = None if trace is None else trace.tb_next  # without `Job._run`
    clear_frames(error.__traceback__)
    notification = ErrorNotification(error)
    notification.message = f"unexpected {type(error).__name__}: {error}; what was computed is kept, try again"
    notification_manager.dispatch(notification)


def _serve(tasks: SimpleQueue[Callable[[], None]]) -> None:
    give_way()
    while True:
        tasks.get()()
        _IDLE.append(tasks)


@atexit.register
def _end_all() -> None:
    """Stop all jobs and wait for them: native code that outlives Python would crash."""
    for job in list(_RUNNING):
        job.abandon()
    while _RUNNING:
        sleep(0.01)
