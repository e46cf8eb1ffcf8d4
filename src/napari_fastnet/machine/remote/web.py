"""Files on web servers."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import fsspec

from napari_fastnet.machine.remote import server

if TYPE_CHECKING:
    from napari_fastnet.machine.remote.server import Facts
    from napari_fastnet.machine.remote.url import Url

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z")


class WebServer:
    """Web servers: https, and http of this computer.

    Parameters
    ----------
    certificates : str or None
        File or folder of certificates to trust in place of the system's.
    connect_s, answer_s : float
        Longest waits for a connection, and for the next bytes.
    """

    errors = (aiohttp.ClientError, OSError, ValueError)

    def __init__(
        self, certificates: str | None, connect_s: float, answer_s: float
    ) -> None:
        self._context = trusting(certificates)
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_s, sock_read=answer_s
        )
        self._files = fsspec.filesystem(
            "https", get_client=self._client, skip_instance_cache=True
        )

    async def facts(self, url: Url) -> Facts:
        """Ask for size and tag, by the first byte: HEAD says nothing of ranges."""
        session = await self._files.set_session()
        async with session.get(
            self._files.encode_url(url.full), headers={"Range": "bytes=0-0"}
        ) as answer:
            if answer.status == 416:  # no first byte
                return server.Facts(0, "")
            return self._facts_in(answer)

    async def read(self, url: Url, start: int, end: int, facts: Facts) -> bytes:
        """Return a range of a file that had these facts; ChangedError otherwise."""
        session = await self._files.set_session()
        async with session.get(
            self._files.encode_url(url.full),
            headers={"Range": f"bytes={start}-{end - 1}"},
        ) as answer:
            if answer.status == 416 or self._facts_in(answer) != facts:
                raise server.ChangedError
            given = _CONTENT_RANGE.match(answer.headers["Content-Range"])
            if given is None or (int(given[1]), int(given[2])) != (start, end - 1):
                raise OSError("the server gives another range than was asked for")
            data: bytes = await answer.read()
        return server.require_whole(data, start, end)

    async def names(self, url: Url) -> list[str]:
        """Refuse: web servers list no files."""
        raise NotImplementedError(url)

    def _facts_in(self, answer: aiohttp.ClientResponse) -> Facts:
        """Return size and tag as an answer to a range states them."""
        if answer.status in (404, 410):
            raise FileNotFoundError
        if answer.status in (401, 403, 407):
            raise PermissionError(f"{answer.status} {answer.reason}")
        if answer.status >= 400:
            # aiohttp's own error shows the whole address, with its signature
            words = f"the server answers {answer.status} {answer.reason}"
            raise (OSError if _may_pass(answer.status) else server.RefusedError)(words)
        found = _CONTENT_RANGE.match(answer.headers.get("Content-Range", ""))
        if answer.status != 206 or found is None:
            raise server.NoRangesError(
                "the server gives whole files only, no ranges of them"
            )
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        return server.Facts(int(found[3]), tag)

    async def _client(self, **_: Any) -> aiohttp.ClientSession:
        """Return a session that trusts known certificates and no open redirect."""
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_require_safe_redirect)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._context),
            headers={"Accept-Encoding": "identity"},
            timeout=self._timeout,
            trace_configs=[trace],
            trust_env=True,  # proxies
        )


def _may_pass(status: int) -> bool:
    """Return whether a server that answers so may answer otherwise a moment later."""
    return status in (408, 429) or status >= 500


def trusting(certificates: str | None) -> ssl.SSLContext:
    """Return a context that trusts these certificates, or the system's and certifi's."""
    if certificates is None:
        from requests.utils import DEFAULT_CA_BUNDLE_PATH

        context = ssl.create_default_context()
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        return context
    if Path(certificates).is_dir():
        return ssl.create_default_context(capath=certificates)
    return ssl.create_default_context(cafile=certificates)


async def _require_safe_redirect(
    _: object, __: object, seen: aiohttp.TraceRequestRedirectParams
) -> None:
    """Raise UnsafeError where an answer leads from https to http."""
    here, place = seen.response.url, seen.response.headers.get("Location") or ""
    server.require_protected(str(here.join(type(here)(place))), here.scheme)
