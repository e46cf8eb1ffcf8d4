"""A server of files in ranges, over http or https, with a latency and faults on order.

    python benchmarks/file_server.py FOLDER [--latency-ms 20] [--certificate FILE.pem]

Prints its port and serves until it is killed. Used by `remote` and by the tests of
tests/remote, which also set the faults.
"""

from __future__ import annotations

import argparse
import re
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Self

_RANGE = re.compile(r"bytes=(\d+)-(\d+)\Z")


class FileServer(ThreadingHTTPServer):
    """A server of the files in a folder, on a free port of this computer.

    Parameters
    ----------
    folder : Path
        The files.
    latency_s : float
        Wait before each answer.
    certificate : Path, optional
        PEM file of key and certificates, for https.

    Attributes
    ----------
    asked : list of tuple
        Path, first and end of each range that was served.
    faults : list of str
        What happens to the next requests, one each: a status such as "503", "cut" after
        half of the bytes, "hang" for a second, "" for none; for ever where it ends with "*".
    has_ranges : bool
        Whether it serves ranges.
    redirects : dict of str to str
        Address to send on to, by path.
    """

    daemon_threads = True

    def __init__(
        self, folder: Path, latency_s: float = 0.0, certificate: Path | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.latency_s = folder, latency_s
        self.asked: list[tuple[str, int, int]] = []
        self.faults: list[str] = []
        self.redirects: dict[str, str] = {}
        self.has_ranges = True
        self.lock = Lock()
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
            self.scheme = "https"

    @property
    def address(self) -> str:
        """The address, without a slash at the end."""
        return f"{self.scheme}://localhost:{self.server_address[1]}"

    @property
    def sent_bytes(self) -> int:
        """Bytes of all ranges that were served."""
        return sum(end - first for _, first, end in self.asked)

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def next_fault(self) -> str:
        """Return what happens to a request."""
        with self.lock:
            if not self.faults:
                return ""
            fault = self.faults[0]
            return fault[:-1] if fault.endswith("*") else self.faults.pop(0)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer
    timeout = 60

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(6, 1, 1)  # TCP_NODELAY

    def do_GET(self) -> None:
        """Serve a range of a file, or what a fault makes of it."""
        time.sleep(self.server.latency_s)
        if (place := self.server.redirects.get(self.path)) is not None:
            self._say(302, {"Location": place})
            return
        fault = self.server.next_fault()
        if fault.isdecimal():
            self._say(int(fault))
            return
        if fault == "hang":
            time.sleep(1.0)
            self.close_connection = True
            return
        path = self.server.folder / self.path.partition("?")[0].lstrip("/")
        if not path.is_file():
            self._say(404)
            return
        self._send(path, cut=fault == "cut")

    def _send(self, path: Path, *, cut: bool) -> None:
        facts = path.stat()
        found = _RANGE.match(self.headers.get("Range", ""))
        headers = {"ETag": f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'}
        first, end, status = 0, facts.st_size, 200
        if found is not None and self.server.has_ranges:
            first, end = int(found[1]), min(int(found[2]) + 1, facts.st_size)
            if first >= end:
                self._say(416)
                return
            status = 206
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{facts.st_size}"
        with path.open("rb") as file:
            file.seek(first)
            data = file.read(end - first)
        with self.server.lock:
            self.server.asked.append((self.path, first, end))
        self._say(status, headers, data, cut=cut)

    def _say(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        data: bytes = b"",
        *,
        cut: bool = False,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--certificate", type=Path)
    given = parser.parse_args()
    server = FileServer(given.folder, given.latency_ms / 1000, given.certificate)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
