"""Slides done by the workers of a dask.distributed cluster that is already there."""

from __future__ import annotations

import logging
import socket
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_fastnet.cohort.task import Outcome, SlideTask, failed, run_task
from napari_fastnet.errors import DependencyError, OptionError
from napari_fastnet.results.record import in_a_line

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from distributed import Client, Future

#: Seconds until a scheduler that does not answer is given up.
TIMEOUT_S = 5.0

#: The first message of a scheduler is a greeting of some hundred bytes.
_GREETING_BYTES = 2**20

_MEND = "start one with `dask scheduler`, or leave --scheduler out"


class Cluster:
    """A connection to a cluster; to be closed.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://10.0.0.5:8786``.

    Raises
    ------
    DependencyError
        dask.distributed is not installed.
    OptionError
        Nothing answers there within seconds, or something else does.
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
        # What goes wrong is said once, by us.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        try:
            self._client: Client = distributed.Client(
                address, timeout=TIMEOUT_S, set_as_default=False, name="napari-fastnet"
            )
        except (OSError, ValueError) as error:
            raise _unreachable(address, str(error)) from error

    @property
    def threads(self) -> int:
        """Slides that it does at once; 0 while it has no worker."""
        return sum(self._client.nthreads().values())

    def close(self) -> None:
        """Leave the cluster; what nobody waits for is forgotten there."""
        self._client.close()

    def run(self, tasks: Sequence[SlideTask]) -> Generator[Outcome]:
        """Do slides; a worker that is lost is replaced by another, which goes on.

        Parameters
        ----------
        tasks : sequence of SlideTask
            Begun in this order. Slides and folders must be there under the same
            paths on all machines.

        Yields
        ------
        Outcome
            One a slide, as they end. When the generator is closed, slides that have
            not begun are taken back; those at work end on the cluster.
        """
        from distributed import as_completed

        run = uuid4().hex  # asked for anew is done anew
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
                yield self._outcome(future, futures.pop(future))
        finally:
            self._client.cancel(list(futures))

    def _outcome(self, future: Future[Any], task: SlideTask) -> Outcome:
        """Return what became of a slide whose future has ended."""
        if future.status == "finished":
            outcome: Outcome = future.result()
            return outcome
        if future.status == "error":
            error = future.exception()
            return failed(task, f"{type(error).__name__}: {error}")
        return failed(
            task,
            f"the scheduler at {self.address} was lost; start again, what "
            "was computed is kept",
        )


def _greet(address: str) -> None:
    """Raise unless what answers at an address speaks as a scheduler does.

    The client itself takes any answer for one: of a web server's it reads the size of
    a message, and waits for that.
    """
    from distributed.comm.addressing import get_address_host_port

    try:
        host, port = get_address_host_port(address)
        with closing(socket.create_connection((host, port), TIMEOUT_S)) as connection:
            if "://" in address and not address.startswith("tcp://"):
                return  # encrypted: its greeting is not for us
            (size,) = struct.unpack("<Q", connection.recv(8, socket.MSG_WAITALL))
    except (OSError, ValueError, TypeError, struct.error) as error:
        raise _unreachable(address, str(error)) from error
    if size > _GREETING_BYTES:
        raise _unreachable(address, "something else listens there")


def _unreachable(address: str, reason: str) -> OptionError:
    line = " ".join(reason.split())
    return OptionError(f"no dask scheduler answers at {address!r} ({line}); {_MEND}")
