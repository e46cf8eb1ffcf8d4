"""Network of the panel, loaded and compiled before the click that starts a detection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread, Timer
from typing import TYPE_CHECKING

from napari_fastnet.errors import FastNetError
from napari_fastnet.machine.memory import give_back
from napari_fastnet.model.backends.backend import Backend
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import ModelBundle, load_bundle
from napari_fastnet.plugin.threads.job import give_way

if TYPE_CHECKING:
    from napari_fastnet.plugin.detection.request import Request

#: Time without use after which a network is dropped, to give its memory back, seconds.
IDLE_S = 300


class ReadyNetwork:
    """Keeps the network that was requested last, until it was unused for a while.

    Loading a library and compiling a network takes most of a second, which otherwise
    passes between the click and the first probabilities.

    Parameters
    ----------
    idle_s : float
        Time that it is kept after its last use, seconds.
    """

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._loading, self._counting = Lock(), Lock()
        self._ready: tuple[object, Backend] | None = None  # by what it was made from
        self._prepared: tuple[object, ...] | None = None  # requested last
        self._users = 0
        self._timer = Timer(idle_s, self.drop)

    def prepare(self, request: Request) -> None:
        """Load and compile the network of a request in a low-priority thread.

        Errors are left to the detection that will use it. Nothing is done if the same
        network was requested last.
        """
        wanted = (request.network, request.density)
        if wanted != self._prepared:
            self._prepared = wanted
            Thread(target=self._prepare, args=(request,), name="fastnet-ready").start()

    @contextmanager
    def used(self, request: Request) -> Iterator[tuple[ModelBundle, Backend]]:
        """Lend the model and the network of a request, loading them if necessary.

        Yields
        ------
        ModelBundle and Backend
            May be shared with other users.

        Raises
        ------
        BundleError, DependencyError, DetectionError
            As `load_bundle` and `create_backend` say.
        """
        self._count(1)
        try:
            yield self._get(request)
        finally:
            self._count(-1)

    def drop(self) -> None:
        """Drop the network; those who use it keep it until they are done."""
        with self._loading:
            self._ready = self._prepared = None
        give_back()

    def _prepare(self, request: Request) -> None:
        give_way()
        with suppress(FastNetError), self.used(request) as (bundle, backend):
            backend.warm_up(bundle, dense=request.stride(bundle) == "dense")

    def _get(self, request: Request) -> tuple[ModelBundle, Backend]:
        bundle = load_bundle(request.network.model)
        files = tuple(sorted(bundle.files.items()))
        key = (bundle.folder, files, request.network)
        with self._loading:  # a second user waits, and finds it loaded
            if self._ready is None or self._ready[0] != key:
                self._ready = None  # not two networks at once
                self._ready = key, create_backend(bundle, request.network)
            return bundle, self._ready[1]

    def _count(self, change: int) -> None:
        with self._counting:
            self._users += change
            self._timer.cancel()
            if self._users == 0:
                self._timer = Timer(self._idle_s, self.drop)
                self._timer.daemon = True  # nothing is lost with it
                self._timer.start()


#: Shared by all viewers of the process.
NETWORK = ReadyNetwork()
