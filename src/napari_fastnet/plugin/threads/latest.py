"""What follows the user in a thread: only the last of what was asked for counts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from time import perf_counter
from typing import Generic, TypeVar

from qtpy.QtCore import QTimer
from superqt.utils import ensure_main_thread

Found = TypeVar("Found")


class Latest(Generic[Found]):
    """Computes in a thread what is to follow a slider or a brush.

    Parameters
    ----------
    prepare : callable
        Called on the GUI's thread; returns what to compute in the other, as of now, or
        None where there is nothing to compute.
    take : callable
        Gets what was found, on the GUI's thread.
    rest : float
        After `take` nothing is computed for so many times as long as that took: so
        much is left of the window for everything else.
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
        self._wanted = object()  # of what is computed; another when it is not wanted

    def ask(self) -> None:
        """Compute, at once or when what is being computed is taken."""
        self._again = self._busy
        work = None if self._busy else self._prepare()
        if work is None:
            return
        self._busy = True
        wanted, arrived = self._wanted, ensure_main_thread(self._arrived)

        def run() -> None:
            future: Future[Found] = Future()
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - raised on the GUI's thread
                future.set_exception(error)
            arrived(wanted, future)

        # nothing is lost with it when the program ends
        Thread(target=run, name="fastnet-latest", daemon=True).start()

    def drop(self) -> None:
        """Take nothing of what is being computed."""
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
