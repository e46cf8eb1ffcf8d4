"""A pool of processes for long tasks, which survives that one of them is killed.

These 120 lines stay because neither pool at hand passes the tests of killed and stopped
processes: with one process killed, `concurrent.futures.ProcessPoolExecutor` failed all
four tasks of two workers, and closing it waited 29 s for a task that nobody could stop;
dask's `LocalCluster` (an optional dependency) names neither signal nor exit code, and
ends running tasks by killing them, so that what they were about to write is lost.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter, deque
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, TypeVar

from napari_fastnet.errors import FastNetError
from napari_fastnet.machine.memory import large_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from multiprocessing.connection import Connection

Task = TypeVar("Task")
Result = TypeVar("Result")

#: A task whose process is killed so often is given up: it would kill the next, too.
ATTEMPTS = 3
#: Seconds that a worker has to end what it does when the work is stopped.
PATIENCE_S = 20.0

# The same everywhere, and safe beside threads; forks of a process with threads are not.
_SPAWN = get_context("spawn")


def map_in_processes(
    function: Callable[[Task, Callable[[], bool]], Result],
    tasks: Sequence[Task],
    workers: int,
    *,
    given_up: Callable[[Task, str], Result],
) -> Generator[Result]:
    """Do tasks in processes of their own.

    The processes are spawned, so a script that calls this needs the guard
    ``if __name__ == "__main__":``. A process that is killed is replaced, and its task
    begun again.

    Parameters
    ----------
    function : callable
        Does a task, given the task and a predicate that is true once the work is to
        stop. Function, tasks and results can be pickled.
    tasks : sequence
        Begun in this order.
    workers : int
        How many processes, at least 1.
    given_up : callable
        Returns the result of a task whose process died, given the task and the reason.

    Yields
    ------
    object
        The result of each task, in the order in which they end. Closing the generator
        stops the workers.

    Raises
    ------
    FastNetError
        The function's own; it ends the work.
    """
    waiting = deque(tasks)
    deaths: Counter[int] = Counter()
    busy: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                busy.append(_Worker(function, waiting.popleft()))
            ready = set(wait([end for worker in busy for end in worker.ends]))
            for worker in [w for w in busy if not ready.isdisjoint(w.ends)]:
                task, result = worker.task, worker.take()
                if isinstance(result, FastNetError):
                    raise result
                if result is None:
                    busy.remove(worker)
                    deaths[id(task)] += 1
                    reason = _why_given_up(worker.end(), deaths[id(task)])
                    if not reason:
                        waiting.appendleft(task)
                        continue
                    result = given_up(task, reason)
                elif waiting:
                    worker.give(waiting.popleft())
                else:
                    busy.remove(worker)
                    worker.end()
                yield result
    finally:
        for worker in busy:
            worker.stop()
        for worker in busy:
            worker.end()


class _Worker:
    """A process that does one task after the other, and its current task."""

    def __init__(self, function: Callable[..., Any], task: Any) -> None:
        self.connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_serve, args=(function, theirs), daemon=True
        )
        with large_pages():
            _start_deaf(self._process)
        # Now only the process holds the other end, and its end ends the connection.
        theirs.close()
        # The sentinel too: a copy of the other end in a third process would hide a death.
        self.ends = (self.connection, self._process.sentinel)
        self.give(task)

    def give(self, task: Any) -> None:
        """Send a task; `take` notices a process that is dead."""
        self.task = task
        with suppress(OSError):
            self.connection.send(task)

    def take(self) -> Any:
        """Return the result or the error, None where the process died of the task."""
        try:
            return self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            return None

    def stop(self) -> None:
        """Ask the process to end."""
        with suppress(OSError):
            self.connection.send(None)

    def end(self) -> int:
        """Wait at most `PATIENCE_S` for the process to end; return its exit code."""
        self.stop()
        self._process.join(PATIENCE_S)
        if self._process.exitcode is None:
            self._process.kill()  # stores survive that
            self._process.join()
        self.connection.close()
        return self._process.exitcode or 0


def _serve(function: Callable[..., Any], connection: Connection) -> None:
    """Do tasks in a worker process until None comes or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):  # the parent is gone
            return
        if task is None:
            return
        # A message while a task is at work, or the parent's end, means: stop.
        try:
            result = function(task, connection.poll)
        except FastNetError as error:
            result = error
        try:
            connection.send(result)
        except OSError:
            return


def _start_deaf(process: _SPAWN.Process) -> None:  # type: ignore[name-defined]
    """Start a process that ignores Ctrl-C from its first moment on."""
    if threading.current_thread() is not threading.main_thread():
        process.start()  # only the main thread may change what a signal does
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)


def _why_given_up(code: int, deaths: int) -> str:
    """Return the reason to give up the task of a process that died, or ""."""
    if code >= 0:  # not killed: a fault of the program's own, the same next time
        return (
            f"its process ended with code {code} (what happened stands above); please "
            "report it"
        )
    if deaths < ATTEMPTS:
        return ""
    return (
        f"its process was killed {deaths} times (signal {-code}); if memory is short, "
        "use fewer --workers"
    )
