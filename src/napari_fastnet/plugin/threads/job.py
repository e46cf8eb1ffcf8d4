"""The one adapter between work that is a generator and a napari worker thread.

A napari worker loses a RuntimeError raised in its generator, which is what torch
raises; and on an error it warns of things of its own. So nothing is raised across the
thread: every exception comes out as a `Failure`, a value like any other, and is shown
here, on the GUI thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from threading import Event
from time import perf_counter
from typing import Any

from napari.qt.threading import GeneratorWorker
from napari.utils.notifications import show_error

from napari_fastnet.errors import FastNetError

LOG = logging.getLogger(__name__)

#: How often a pause looks at the stop signal, seconds.
PAUSE_LOOK_S = 0.05

#: Takes a function that says whether to stop, yields values of any kind.
Work = Callable[[Callable[[], bool]], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in the thread.

    Parameters
    ----------
    error : Exception
        As it was raised.
    """

    error: Exception

    @property
    def message(self) -> str:
        """One line for the user: what, why and the mend."""
        if isinstance(self.error, FastNetError):
            return str(self.error)
        kind = type(self.error).__name__
        return f"unexpected {kind}: {self.error}; what was computed is kept, try again"

    def show(self) -> None:
        """Tell the user by a napari notification, and the log if it was unexpected."""
        if not isinstance(self.error, FastNetError):
            LOG.error("unexpected", exc_info=self.error)
        show_error(self.message)


class Job:
    """Work in a thread that can be paused and stopped; its values arrive as calls.

    All callbacks run on the GUI thread, and none of them after `abandon`.

    Parameters
    ----------
    work : callable
        Called in the thread with a function that is to be polled and says whether to
        stop; the values of the iterator it returns go to ``on_value``.
    on_value : callable
        Gets each value.
    on_end : callable
        Gets whether the work came to its own end: False if it failed or was stopped.
    """

    def __init__(
        self,
        work: Work,
        *,
        on_value: Callable[[Any], None],
        on_end: Callable[[bool], None],
    ) -> None:
        self._on_value, self._on_end = on_value, on_end
        self._stop = Event()
        # Not the worker's own pause: a resume before that takes effect is lost.
        self._may_go_on = Event()
        self._may_go_on.set()
        self._paused_at: float | None = None
        self._paused_s = 0.0
        self._running = self._failed = self._abandoned = False
        # Held here so that it can be closed: a worker that quits leaves it half-way.
        self._values = self._guarded(work)
        # Not by napari's create_worker: its window would keep each until it is closed.
        self._worker = GeneratorWorker(_drain, self._values)
        self._worker.yielded.connect(self._received)
        self._worker.finished.connect(self._finished)

    def start(self) -> None:
        """Begin."""
        self._running = True
        self._worker.start()

    @property
    def running(self) -> bool:
        """Whether `on_end` is still to come; true while paused."""
        return self._running

    @property
    def paused(self) -> bool:
        """Whether the work stands still, or will after the value at hand."""
        return self._running and not self._may_go_on.is_set()

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
        """How long all pauses took, the one at hand included."""
        if self._paused_at is None:
            return self._paused_s
        return self._paused_s + perf_counter() - self._paused_at

    def cancel(self) -> None:
        """Stop as soon as the work looks at its stop signal; `on_end` follows."""
        self._stop.set()
        self._worker.quit()

    def abandon(self) -> None:
        """Stop without another callback: whoever would get it is going away."""
        self._abandoned = True
        self.cancel()

    def _should_stop(self) -> bool:
        # napari quits workers itself when its window closes.
        return self._stop.is_set() or self._worker.abort_requested

    def _received(self, value: Any) -> None:
        if self._abandoned:
            return
        if isinstance(value, Failure):
            self._failed = True
            value.show()
            return
        self._on_value(value)

    def _finished(self) -> None:
        self._running = False
        # Ends the threads that read ahead.
        self._values.close()
        if not self._abandoned:
            self._on_end(not self._failed and not self._should_stop())

    def _guarded(self, work: Work) -> Generator[Any, None, None]:
        """Run the work in the thread; an exception is its last value."""
        try:
            for value in work(self._should_stop):
                yield value
                while not self._may_go_on.wait(PAUSE_LOOK_S):
                    if self._should_stop():
                        return
        except Exception as error:  # noqa: BLE001 - raised, it would be lost, see above
            yield Failure(error)


def _drain(values: Generator[Any, None, None]) -> Generator[Any, None, None]:
    """Pass values on; a worker wants a generator function of its own."""
    yield from values
