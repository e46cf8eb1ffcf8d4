"""Computing in a thread what follows a slider or a brush: only the last request counts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from typing import Generic, TypeVar

from qtpy.QtCore import QTimer
from superqt.utils import ensure_main_thread

Found = TypeVar("Found")

#: At full priority, unlike jobs: a hand is waiting.
_THREADS = ThreadPoolExecutor(4, "fastnet-latest")


class Latest(Generic[Found]):
    """Computes one request at a time in a thread, and skips those that came in between.

    Parameters
    ----------
    prepare : callable
        Called on the GUI thread; returns the function to call in the other one, or None
        where there is nothing to compute.
    take : callable
        Gets what that returned, on the GUI thread.
    rest : float
        Pause after `take`, as a multiple of the time that took: the rest is left to the
        window.
    """

    def __init__(
        self,
        prepare: Callable[[], Callable[[], Found] | None],
        take: Callable[[Found], None],
        *,
        rest: float = 0.0,
    ) -> None:
        self._prepare, self._take, self._rest = prepare, take, rest
        self._busy = self._again = False
        self._wanted = object()  # replaced when what is being computed is dropped

    def ask(self) -> None:
        """Compute now, or once what is being computed was taken."""
        self._again = self._busy
        work = None if self._busy else self._prepare()
        if work is not None:
            self._busy = True
            wanted, arrived = self._wanted, ensure_main_thread(self._arrived)
            future = _THREADS.submit(work)
            future.add_done_callback(lambda future: arrived(wanted, future))

    def drop(self) -> None:
        """Discard what is being computed, and what was asked for since."""
        self._wanted, self._again = object(), False

    def _arrived(self, wanted: object, future: Future[Found]) -> None:
        began = perf_counter()
        try:
            found = future.result()
            if wanted is self._wanted:
                self._take(found)
        finally:
            rest_ms = self._rest * (perf_counter() - began) * 1e3
            QTimer.singleShot(int(rest_ms), self._next)

    def _next(self) -> None:
        self._busy = False
        if self._again:
            self.ask()
