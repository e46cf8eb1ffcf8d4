"""Downloads stay encrypted wherever the server sends them on to."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, Request

if TYPE_CHECKING:
    from http.client import HTTPMessage


class HttpsOnly(HTTPRedirectHandler):
    """Follows a redirection to an address of https, and refuses any other.

    urllib alone would follow one to http or ftp as well: the digest would still be
    checked, but everybody on the way would see and could hold up what is fetched.
    """

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        """Return the request for the next address.

        Parameters
        ----------
        req : Request
            The one that was answered.
        fp : file
            The answer.
        code : int
            Its status, 301 to 308.
        msg : str
            Its status in words.
        headers : HTTPMessage
            Its headers.
        newurl : str
            Where it leads.

        Returns
        -------
        Request or None
            As `urllib.request.HTTPRedirectHandler` returns it.

        Raises
        ------
        URLError
            The address is none of https.
        """
        if not newurl.lower().startswith("https://"):
            raise URLError(f"it was sent on to {newurl[:200]!r}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
