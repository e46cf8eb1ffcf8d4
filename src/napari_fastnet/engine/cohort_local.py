"""Slides done by processes of this machine, one slide a process at a time."""

from __future__ import annotations

import signal
import threading
from collections import Counter, deque
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from napari_fastnet.engine.cohort_task import Outcome, SlideTask, failed, run_task

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from multiprocessing.connection import Connection

#: A slide whose process is killed so often is given up: it would kill the next, too.
ATTEMPTS = 3
#: Seconds that a worker has to end its batch when the work is stopped.
PATIENCE_S = 20.0

# The same everywhere, and safe beside threads; forks of a process with threads are not.
_SPAWN = get_context("spawn")


def run_locally(tasks: Sequence[SlideTask], workers: int) -> Generator[Outcome]:
    """Do slides in processes of their own.

    The processes are spawned, so a script that calls this needs the guard
    ``if __name__ == "__main__":``. A process that is killed is replaced, and its slide
    goes on where its store ends.

    Parameters
    ----------
    tasks : sequence of SlideTask
        Begun in this order.
    workers : int
        How many processes, at least 1.

    Yields
    ------
    Outcome
        One a slide, as they end. When the generator is closed, the workers end the
        batch at hand and stop.
    """
    waiting = deque(tasks)
    deaths: Counter[SlideTask] = Counter()
    busy = [_Worker(waiting.popleft()) for _ in range(min(workers, len(tasks)))]
    try:
        while busy:
            ready = wait([worker.connection for worker in busy])
            for worker in [w for w in busy if w.connection in ready]:
                task, outcome = worker.task, worker.take()
                if outcome is None:
                    deaths[task] += 1
                    outcome = _given_up(task, worker.end(), deaths[task])
                    if outcome is None:
                        waiting.appendleft(task)
                    busy.remove(worker)
                    busy += [_Worker(waiting.popleft())] if waiting else []
                elif waiting:
                    worker.give(waiting.popleft())
                else:
                    busy.remove(worker)
                    worker.end()
                if outcome is not None:
                    yield outcome
    finally:
        for worker in busy:
            worker.stop()
        for worker in busy:
            worker.end()


class _Worker:
    """A process that does one slide after the other, and the one it has now."""

    def __init__(self, task: SlideTask) -> None:
        self.connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
        _start_deaf(self._process)
        # Now only the process holds the other end, and its end ends the connection.
        theirs.close()
        self.give(task)

    def give(self, task: SlideTask) -> None:
        """Send it a slide; a process that is dead is found out by `take`."""
        self.task = task
        with suppress(OSError):
            self.connection.send(task)

    def take(self) -> Outcome | None:
        """Return what became of the slide, None where the process died over it."""
        try:
            outcome: Outcome = self.connection.recv()
        except (EOFError, OSError):
            return None
        return outcome

    def stop(self) -> None:
        """Ask it to end."""
        with suppress(OSError):
            self.connection.send(None)

    def end(self) -> int:
        """Wait until it has ended, not for ever, and return its exit code."""
        self.stop()
        self._process.join(PATIENCE_S)
        if self._process.exitcode is None:
            self._process.kill()  # its store bears it
            self._process.join()
        self.connection.close()
        return self._process.exitcode or 0


def _serve(connection: Connection) -> None:
    """Do the slides that come, in a process of its own, until None does or all ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):  # the parent is gone
            return
        if task is None:
            return
        # Whatever comes while a slide is at work, or the parent's end, means: stop.
        outcome = run_task(task, connection.poll)
        try:
            connection.send(outcome)
        except OSError:
            return


def _start_deaf(process: _SPAWN.Process) -> None:  # type: ignore[name-defined]
    """Start a process to which Ctrl-C means nothing, from its first moment on."""
    if threading.current_thread() is not threading.main_thread():
        process.start()  # only the main thread may change what a signal does
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)


def _given_up(task: SlideTask, code: int, deaths: int) -> Outcome | None:
    """Return the outcome of a slide whose process died; None where it gets another."""
    if code >= 0:  # not killed: a fault of the program's own, the same next time
        return failed(
            task,
            f"its process ended with code {code} (what happened stands "
            "above); please report it",
        )
    if deaths < ATTEMPTS:
        return None
    return failed(
        task,
        f"its process was killed {deaths} times (signal {-code}); if "
        "memory is short, use fewer --workers",
    )
