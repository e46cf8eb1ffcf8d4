"""Detection on the workers of a dask.distributed cluster that is already running."""

from __future__ import annotations

import logging
import socket
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_fastnet.cohort.task import Outcome, SlideTask, failed, run_task
from napari_fastnet.core.display import in_a_line
from napari_fastnet.errors import DependencyError, OptionError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from distributed import Client, Future

#: Seconds to wait for an answer of the scheduler.
TIMEOUT_S = 5.0

#: Largest first message of a scheduler; it is a greeting of some hundred bytes.
_GREETING_BYTES = 2**20


class Cluster:
    """A connection to a cluster; to be closed.

    Parameters
    ----------
    address : str
        Address of the scheduler, such as ``tcp://10.0.0.5:8786``.

    Raises
    ------
    DependencyError
        dask.distributed is not installed.
    OptionError
        No scheduler answers there within seconds.
    """

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError as error:
            raise DependencyError(
                "a scheduler needs dask.distributed, which is not installed; run: "
                'pip install "napari-fastnet[cluster]"'
            ) from error
        self.address = address
        _greet(address)
        # the error is reported once, by us
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        try:
            self._client: Client = distributed.Client(
                address, timeout=TIMEOUT_S, set_as_default=False, name="napari-fastnet"
            )
        except (OSError, ValueError) as error:
            raise _unreachable(address, str(error)) from error

    @property
    def threads(self) -> int:
        """Slides computed at once; 0 while there is no worker."""
        return sum(self._client.nthreads().values())

    def close(self) -> None:
        """Leave the cluster, which forgets the tasks of this client."""
        self._client.close()

    def run(self, tasks: Sequence[SlideTask]) -> Generator[Outcome]:
        """Compute slides; if a worker is lost, another one goes on with its slide.

        Parameters
        ----------
        tasks : sequence of SlideTask
            Begun in this order. Slides and folders must have the same paths on all
            machines.

        Yields
        ------
        Outcome
            One a slide, as they end. When the generator is closed, slides that have
            not begun are withdrawn; those in progress end on the cluster.
        """
        from distributed import as_completed

        run = uuid4().hex  # the cluster would answer an equal key from its memory
        futures: dict[Future[Any], SlideTask] = {
            self._client.submit(
                run_task,
                task,
                key=f"napari-fastnet-{in_a_line(task.folder.name)}-{run}",
            ): task
            for task in tasks
        }
        try:
            for future in as_completed(list(futures), loop=self._client.loop):
                task = futures.pop(future)
                if future.status == "finished":
                    yield future.result()
                    continue
                reason = (
                    f"the scheduler at {self.address} was lost; start again, what was "
                    "computed is kept"
                )
                if future.status == "error":
                    error = future.exception()
                    reason = f"{type(error).__name__}: {error}"
                yield failed(task, reason)
        finally:
            self._client.cancel(list(futures))


def _greet(address: str) -> None:
    """Raise unless a scheduler answers at an address.

    The client itself trusts any answer: from that of a web server it reads the size of
    a message, and waits for so many bytes.
    """
    from distributed.comm.addressing import get_address_host_port

    try:
        host, port = get_address_host_port(address)
        with closing(socket.create_connection((host, port), TIMEOUT_S)) as connection:
            if "://" in address and not address.startswith("tcp://"):
                return  # encrypted: the greeting cannot be read here
            (size,) = struct.unpack("<Q", connection.recv(8, socket.MSG_WAITALL))
    except (OSError, ValueError, TypeError, struct.error) as error:
        raise _unreachable(address, str(error)) from error
    if size > _GREETING_BYTES:
        raise _unreachable(address, "something else listens there")


def _unreachable(address: str, reason: str) -> OptionError:
    line = " ".join(reason.split())
    return OptionError(
        f"no dask scheduler answers at {address!r} ({line}); start one with `dask "
        "scheduler`, or leave --scheduler out"
    )
