"""Addresses of slides: ``s3://``, ``gs://`` and ``https://``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from napari_fastnet.errors import OptionError

SCHEMES = ("s3", "gs", "https", "http")
WEB = ("https", "http")

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
# Characters that some system allows in no file name; a name must not lead elsewhere.
_NO_NAME = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


@dataclass(frozen=True, slots=True)
class Url:
    """The address of a slide or of a folder of slides; `path_of` makes one.

    Has what the package asks of a `Path`, but for what would touch a disk: it is no
    `os.PathLike`. As text it lacks the query, which often is a signature, so that none
    gets into a record, an error or a log.

    Parameters
    ----------
    text : str
        The address without query and fragment.
    query : str, optional
        The query, sent along with each request.
    """

    text: str
    query: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.text

    @property
    def full(self) -> str:
        """The address with its query, for requests alone."""
        return f"{self.text}?{self.query}" if self.query else self.text

    @property
    def scheme(self) -> str:
        """One of `SCHEMES`."""
        return self.text.partition("://")[0]

    @property
    def host(self) -> str:
        """The server, or the bucket."""
        return urlsplit(self.text).hostname or ""

    @property
    def is_folder(self) -> bool:
        """Whether it ends as folders do, or names a bucket or a server alone."""
        return self.text.endswith("/") or len(self.parts) < 3

    @property
    def parts(self) -> tuple[str, ...]:
        """The scheme, server or bucket, and the names of folders and file."""
        scheme, _, rest = self.text.partition("://")
        server, *names = rest.rstrip("/").split("/")
        return (f"{scheme}://", *(_as_name(name, scheme) for name in (server, *names)))

    @property
    def name(self) -> str:
        """The last part, fit for a file name."""
        return self.parts[-1] if len(self.parts) > 2 else ""

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The suffix of the name."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> Url:
        """The folder around it."""
        return Url(self.text.rstrip("/").rpartition("/")[0])

    def absolute(self) -> Url:
        """Return the address, which is absolute."""
        return self


#: Where a slide lies.
SlidePath = Path | Url


def path_of(place: str | PathLike[str] | Url) -> SlidePath:
    """Return the path or the address that a text means.

    Parameters
    ----------
    place : str, path-like or Url
        Begins with ``s3://``, ``gs://``, ``https://``, or ``http://`` of this computer; all
        else is a path.

    Returns
    -------
    Path or Url
        One that can be read from, as far as its text tells.

    Raises
    ------
    OptionError
        The address is of another kind, has a user's name or password in it, or names no
        server. The message shows no password and no query.
    """
    if isinstance(place, Url):
        return place
    text = fspath(place)
    found = _SCHEME.match(text) if isinstance(place, str) else None
    if found is None:
        return Path(text)
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        raise OptionError(
            f"{scheme}://: slides are read from s3://, gs:// and https://, or from a "
            "path; copy the file"
        )
    return _checked(scheme, text[found.end() :])


def whole_text(path: SlidePath) -> str:
    """Return a path as text, an address with its query; for comparing, not for showing."""
    return path.full if isinstance(path, Url) else str(path)


def recorded_path(text: str) -> SlidePath:
    """Return the path or the address that a record states; what is neither is a path."""
    try:
        return path_of(text)
    except OptionError:
        return Path(text)


def is_url(text: str) -> bool:
    """Return whether a text is an address, of whatever scheme."""
    return _SCHEME.match(text) is not None


def is_loopback(host: str) -> bool:
    """Return whether a host's name is that of this computer."""
    if host.lower() == "localhost":
        return True
    from ipaddress import ip_address  # here: it takes some ms

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _checked(scheme: str, rest: str) -> Url:
    """Return an address after checking it; ``rest`` is what stands behind ``://``."""
    server, slash, path = rest.partition("/")
    query = ""
    if scheme in WEB:  # of a bucket's objects ? and # are part of the name
        path, _, _ = path.partition("#")
        path, _, query = path.partition("?")
    shown = f"{scheme}://{server.rpartition('@')[2]}/{path}"
    if "@" in server:
        raise OptionError(
            f"{shown}: has a user or a password in it; leave them out, credentials come "
            "from the environment or the usual files of AWS, Google and netrc"
        )
    if not server or not server.isprintable() or any(c in server for c in "?#\\ "):
        raise OptionError(f"{shown}: names no server or bucket; check the address")
    url = Url(f"{scheme}://{server}{slash}{path}", query)
    try:
        host = urlsplit(url.text).hostname if scheme in WEB else server
    except ValueError:  # brackets of an IPv6 address
        host = None
    if not host:
        raise OptionError(f"{shown}: names no server or bucket; check the address")
    if scheme == "http" and not is_loopback(host):
        raise OptionError(
            f"{url}: http sends slides unprotected and is read from this computer alone; "
            "use https"
        )
    return url


def _as_name(part: str, scheme: str) -> str:
    """Return a part of an address as a name that any disk takes."""
    name = unquote(part) if scheme in WEB else part
    if name in (".", ".."):
        return name.replace(".", "%2E")
    return _NO_NAME.sub(lambda found: quote(found[0], safe=""), name)
