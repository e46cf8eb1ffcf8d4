"""Questions to a server of files, and the faults that do not pass by themselves."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from napari_fastnet.machine.remote.url import is_loopback

if TYPE_CHECKING:
    from napari_fastnet.machine.remote.url import Url

#: Longest wait for a connection, and for the next bytes of an answer, s.
CONNECT_S, ANSWER_S = 10.0, 30.0
#: Ranges that are asked for at once; enough to hide 20 ms, few enough for small servers.
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Facts:
    """A file as its server states it.

    Parameters
    ----------
    size : int
        Bytes.
    tag : str
        ETag, generation, or time of the last change; empty where the server states none.
    """

    size: int
    tag: str


class ChangedError(OSError):
    """The file is another one by now."""


class NoRangesError(OSError):
    """The server does not give parts of a file, or not its size."""


class RefusedError(OSError):
    """The server does not take the request, and will not."""


class UnsafeError(OSError):
    """The connection would not be protected."""


class CertificateError(OSError):
    """The server's certificate is not trusted."""


#: Faults that do not pass by themselves.
LASTING = (
    FileNotFoundError,
    PermissionError,
    ChangedError,
    NoRangesError,
    RefusedError,
    UnsafeError,
    CertificateError,
    ssl.SSLCertVerificationError,
)


class Server(Protocol):
    """A kind of server; its coroutines run in fsspec's thread."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Errors that it raises."""

    async def facts(self, url: Url) -> Facts:
        """Ask for size and tag."""

    async def read(self, url: Url, start: int, end: int, facts: Facts) -> bytes:
        """Return bytes of the file that had these facts; ChangedError otherwise."""

    async def names(self, url: Url) -> list[str]:
        """Return the addresses of all files below a folder."""


def require_protected(address: str, before: str) -> None:
    """Raise UnsafeError for an address that is neither https nor of this computer.

    ``before`` is the scheme that led there: from https nothing leads to http.
    """
    parts = urlsplit(address)
    if parts.scheme == "https":
        return
    if (
        before == "http"
        and parts.scheme == "http"
        and is_loopback(parts.hostname or "")
    ):
        return
    raise UnsafeError(
        f"leads to {parts.scheme}://{parts.hostname}, which is not protected by https"
    )


def require_whole(data: bytes, start: int, end: int) -> bytes:
    """Return the bytes of a range; OSError where some are missing."""
    if len(data) != end - start:
        raise OSError(f"{len(data)} of {end - start} bytes came")
    return data
