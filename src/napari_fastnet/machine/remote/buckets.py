"""Files in buckets: Amazon S3 and what speaks its language, Google Cloud Storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import fsspec

from napari_fastnet.machine.remote import server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from napari_fastnet.machine.remote.server import Facts
    from napari_fastnet.machine.remote.url import Url


T = TypeVar("T")

#: Names that a bucket lists at once.
PAGE = 1000


def _bucket_and_key(url: Url) -> tuple[str, str]:
    bucket, _, key = _path(url).partition("/")
    return bucket, key


class S3:
    """Amazon S3, or a server that the usual settings of AWS name.

    Where they have no credentials, buckets are read as everybody may.

    Parameters
    ----------
    certificates : str or None
        File of certificates to trust in place of botocore's.
    connect_s, answer_s : float
        Longest waits for a connection, and for the next bytes.
    """

    def __init__(
        self, certificates: str | None, connect_s: float, answer_s: float
    ) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        self.errors = (
            *(BotoCoreError, ClientError, aiohttp.ClientError, OSError),
            ValueError,  # of an endpoint in the environment
        )
        options = {
            "config_kwargs": {
                "connect_timeout": connect_s,
                "read_timeout": answer_s,
                "retries": {"max_attempts": 0},  # `transport` asks again
                "max_pool_connections": server.AT_ONCE * 2,
            },
            "client_kwargs": {"verify": certificates} if certificates else {},
            "use_listings_cache": False,
            "skip_instance_cache": True,
        }
        self._named, self._anyone = (
            fsspec.filesystem("s3", anon=anon, **options) for anon in (False, True)
        )
        self._named.retries = self._anyone.retries = 1

    async def facts(self, url: Url) -> Facts:
        """Ask for size and tag."""
        bucket, key = _bucket_and_key(url)
        found = await self._call("head_object", Bucket=bucket, Key=key)
        return server.Facts(int(found["ContentLength"]), str(found.get("ETag", "")))

    async def read(self, url: Url, start: int, end: int, facts: Facts) -> bytes:
        """Return a range of a file that had these facts; ChangedError otherwise."""
        bucket, key = _bucket_and_key(url)
        condition = {"IfMatch": facts.tag} if facts.tag else {}
        found = await self._call(
            "get_object",
            Bucket=bucket,
            Key=key,
            Range=f"bytes={start}-{end - 1}",
            **condition,
        )
        total = str(found.get("ContentRange", "")).rpartition("/")[2]
        tag = str(found.get("ETag", ""))  # a store may ignore IfMatch
        async with found["Body"] as body:
            if (total, tag) != (str(facts.size), facts.tag):
                raise server.ChangedError
            data: bytes = await body.read()
        return server.require_whole(data, start, end)

    async def names(self, url: Url) -> list[str]:
        """Return the addresses of all files below a prefix."""
        bucket, prefix = _bucket_and_key(url)
        names: list[str] = []
        token: dict[str, str] = {}
        while True:
            found = await self._call(
                "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=PAGE, **token
            )
            names += [each["Key"] for each in found.get("Contents", ())]
            if not found.get("IsTruncated"):
                return [f"s3://{bucket}/{name}" for name in names if name[-1] != "/"]
            token = {"ContinuationToken": found["NextContinuationToken"]}

    async def _call(self, method: str, **words: Any) -> dict[str, Any]:
        """Call S3 with credentials, or as anybody where there are none."""
        from botocore.exceptions import ClientError, NoCredentialsError, SSLError

        try:
            try:
                return await self._call_as(self._named, method, words)
            except NoCredentialsError:
                return await self._call_as(self._anyone, method, words)
        except SSLError as error:
            raise server.CertificateError(str(error)) from error
        except OSError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError):
                code = cause.response["ResponseMetadata"]["HTTPStatusCode"]
                _raise_status(code, str(error))
            raise

    async def _call_as(
        self, files: Any, method: str, words: dict[str, Any]
    ) -> dict[str, Any]:
        client = await files.set_session()
        server.require_protected(client.meta.endpoint_url, "http")
        found: dict[str, Any] = await files._call_s3(method, **words)  # noqa: SLF001
        return found


class GoogleStorage:
    """Google Cloud Storage, with the credentials that gcsfs finds.

    Certificates are those of the system, or of SSL_CERT_FILE.

    Parameters
    ----------
    connect_s, answer_s : float
        Longest waits for a connection, and for the next bytes.
    """

    def __init__(self, connect_s: float, answer_s: float) -> None:
        # not "gs" of fsspec: that asks of each bucket of what kind it is, and warns
        from gcsfs.core import GCSFileSystem
        from gcsfs.retry import HttpError
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        self._status_error = HttpError
        self.errors = (
            HttpError,
            GoogleAuthError,
            RequestException,
            aiohttp.ClientError,
            OSError,
        )
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_s, sock_read=answer_s
        )

        class Asking(GCSFileSystem):  # type: ignore[misc]
            """Asks once: `transport` asks again, and says it in one line."""

            _request = GCSFileSystem._request.__wrapped__  # noqa: SLF001

        self._files = Asking(
            use_listings_cache=False,
            skip_instance_cache=True,
            session_kwargs={"timeout": timeout},
        )

    async def facts(self, url: Url) -> Facts:
        """Ask for size and generation."""
        found = await self._asked(self._files._get_object, _path(url))  # noqa: SLF001
        return server.Facts(int(found["size"]), str(found.get("generation", "")))

    async def read(self, url: Url, start: int, end: int, facts: Facts) -> bytes:
        """Return a range of the generation that had these facts."""
        found: bytes = await self._asked(
            self._files._cat_file,  # noqa: SLF001
            _path(url),
            start,
            end,
            generation=facts.tag or None,
        )
        return server.require_whole(found, start, end)

    async def names(self, url: Url) -> list[str]:
        """Return the addresses of all files below a prefix."""
        found = await self._asked(self._files._find, _path(url))  # noqa: SLF001
        return [f"gs://{name}" for name in found]

    async def _asked(
        self, ask: Callable[..., Awaitable[T]], *words: Any, **options: Any
    ) -> T:
        """Return an answer of gcsfs; what it refuses is a PermissionError."""
        server.require_protected(self._files.base, "http")
        try:
            return await ask(*words, **options)
        except self._status_error as error:
            _raise_status(int(error.code or 0), str(error))
            raise
        except OSError as error:
            if str(error).startswith("Forbidden"):
                raise PermissionError("403 Forbidden") from error
            raise


def _path(url: Url) -> str:
    return url.text.partition("://")[2]


def _raise_status(code: int, words: str) -> None:
    """Raise the error of a status that does not pass by itself."""
    if code in (404, 410):
        raise FileNotFoundError
    if code in (400, 401, 403):
        raise PermissionError(f"{code}: {words}")
    if code in (412, 416):
        raise server.ChangedError
