"""Ranges of a file from a web server or a bucket, over fsspec."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_fastnet import errors
from napari_fastnet.machine.remote import server as servers
from napari_fastnet.machine.remote.url import WEB, Url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from napari_fastnet.machine.remote.server import Facts, Server

T = TypeVar("T")

#: Waits before asking again, s: for broken connections, 429 and 5xx.
RETRY_S = (0.3, 1.0, 3.0, 6.0)
COPY = "copy the file to this computer and give its path"
_INSTALL = "pip install 'napari-fastnet[remote]'"
#: Variables that name a file of certificates to trust, the first that is set.
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def facts_of(url: Url) -> Facts:
    """Ask for a file's size and tag.

    Raises
    ------
    FastNetError
        There is no such file, or it cannot be read from here; one line says why.
    """
    server = _server(url)
    return _wait(url, server, _patiently(server, lambda: server.facts(url)))


def read_ranges(
    url: Url, ranges: Sequence[tuple[int, int]], facts: Facts
) -> list[bytes]:
    """Return the bytes of each (first, end), `AT_ONCE` of `server` of them together.

    Raises
    ------
    FastNetError
        The file changed or vanished, or the connection fails again and again.
    """
    server = _server(url)

    async def read_all() -> list[bytes]:
        turns = asyncio.Semaphore(servers.AT_ONCE)

        async def read(start: int, end: int) -> bytes:
            async with turns:
                try:
                    return await _patiently(
                        server, lambda: server.read(url, start, end, facts)
                    )
                except FileNotFoundError as error:
                    raise servers.ChangedError from error

        tasks = [asyncio.ensure_future(read(*each)) for each in ranges]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    return _wait(url, server, read_all())


def files_below(url: Url) -> list[Url]:
    """Return the files in a folder of a bucket and its subfolders, by name.

    Raises
    ------
    FastNetError
        A web server's folders cannot be listed, or the bucket cannot be read.
    """
    if url.scheme in WEB:
        raise errors.SlideFormatError(
            f"{url}: folders of a web server cannot be listed; name the slides"
        )
    server = _server(url)
    found = _wait(url, server, _patiently(server, lambda: server.names(url)))
    return [Url(name) for name in sorted(found)]


async def _patiently(server: Server, call: Callable[[], Awaitable[T]]) -> T:
    """Call until it succeeds, with a wait of `RETRY_S` after each passing fault."""
    for wait_s in RETRY_S:
        try:
            return await call()
        except servers.LASTING:
            raise
        except server.errors as error:
            if _is_lasting(error):
                raise
        await asyncio.sleep(wait_s)
    return await call()


def _is_lasting(error: BaseException) -> bool:
    """Return whether an error is due to one that does not pass by itself."""
    return any(isinstance(cause, servers.LASTING) for cause in _causes(error))


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error and what led to it, the outermost first."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        inner = getattr(cause, "certificate_error", None)  # aiohttp's
        inner = inner or getattr(cause, "os_error", None) or cause.__cause__
        cause = inner or cause.__context__
    return found


def _wait(url: Url, server: Server, call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in fsspec's thread; its errors name the address in one line."""
    from fsspec.asyn import get_loop, sync

    async def run() -> T:
        return await call

    try:
        found: T = sync(get_loop(), run)
    except server.errors as error:
        raise _error_of(url, error) from error
    return found


def _error_of(url: Url, error: BaseException) -> errors.FastNetError:
    """Return the error that a user sees."""
    causes = _causes(error)
    lasting = next(
        (cause for cause in causes if isinstance(cause, servers.LASTING)), error
    )
    # a query may be a signature, of another address, too, after a redirect
    words = re.sub(r"\?[^\s'\")]+", "?...", " ".join(str(lasting).split()))
    if isinstance(lasting, servers.ChangedError):
        return errors.DriveError(
            f"{url}: vanished or changed while it was read; put it back and start again, "
            "what was computed is kept"
        )
    if isinstance(lasting, FileNotFoundError):
        return errors.SlideNotFoundError(
            f"{url}: there is no such file; check the address"
        )
    if isinstance(lasting, PermissionError):
        return errors.DriveError(
            f"{url}: access is refused ({words}); check the credentials in the environment "
            "or the usual files, or whether the signed address has expired"
        )
    if isinstance(lasting, servers.NoRangesError):
        return errors.SlideFormatError(f"{url}: {words}; {COPY}")
    if isinstance(lasting, servers.UnsafeError):
        return errors.DriveError(f"{url}: {words}; use an address of https")
    if isinstance(lasting, ssl.SSLCertVerificationError | servers.CertificateError):
        return errors.DriveError(
            f"{url}: the server's certificate is not trusted ({words[:200]}); "
            "name the file of your authority in SSL_CERT_FILE, or AWS_CA_BUNDLE for s3"
        )
    if isinstance(lasting, TimeoutError) or not words:
        words = f"no answer within {servers.ANSWER_S:g} s"
    return errors.DriveError(
        f"{url}: cannot be read ({words[:200]}); check the network and start again, what "
        "was computed is kept"
    )


def _certificates(*before: str) -> str | None:
    """Return the file or folder of certificates that the environment names."""
    for variable in (*before, *_CERTIFICATES):
        if named := os.environ.get(variable):
            if not Path(named).exists():
                raise errors.OptionError(
                    f"{variable} is {named}, and there is no such file; name the file of "
                    "your authority's certificates, or unset it"
                )
            return named
    return None


def _server(url: Url) -> Server:
    """Return the server of an address, connected once for a process and its settings."""
    try:
        if url.scheme in WEB:
            return _web(_certificates())
        settings = tuple(sorted(i for i in os.environ.items() if _is_of_cloud(i[0])))
        return _s3(settings) if url.scheme == "s3" else _gs(settings)
    except ImportError as error:
        raise errors.DependencyError(
            f"{url}: needs packages for slides by address; {_INSTALL}"
        ) from error
    except ssl.SSLError as error:
        raise errors.OptionError(
            f"{_certificates('AWS_CA_BUNDLE')}: holds no certificates that can be read; name "
            "the file of your authority's certificates, or unset the variable"
        ) from error


def _is_of_cloud(variable: str) -> bool:
    return variable.startswith(
        ("AWS_", "GOOGLE_", "CLOUDSDK_", "STORAGE_")
    ) or variable in (*_CERTIFICATES, "HOME")


@lru_cache(maxsize=4)
def _web(certificates: str | None) -> Server:
    from napari_fastnet.machine.remote.web import WebServer

    return WebServer(certificates, servers.CONNECT_S, servers.ANSWER_S)


@lru_cache(maxsize=4)
def _s3(_: tuple[tuple[str, str], ...]) -> Server:
    from napari_fastnet.machine.remote.buckets import S3

    return S3(_certificates("AWS_CA_BUNDLE"), servers.CONNECT_S, servers.ANSWER_S)


@lru_cache(maxsize=4)
def _gs(_: tuple[tuple[str, str], ...]) -> Server:
    from napari_fastnet.machine.remote.buckets import GoogleStorage

    return GoogleStorage(servers.CONNECT_S, servers.ANSWER_S)
