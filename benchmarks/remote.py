"""Measure a detection on a slide by its address: time against the file, and bytes.

    python benchmarks/remote.py [--slide SLIDE] [--latency-ms 20] [--rounds 5] [--json FILE]

The slide comes from a server of this computer (https with a certificate of its own, and S3
by moto), each in a process of its own that waits before every answer. File and addresses
are scanned in turns, in processes of their own, without cache on disk; the heatmaps must be
the same bit for bit. Bytes needed are those of the stored tiles that are read, each once, and
of the pages. What blocks of fixed sizes would have fetched is computed from the same tiles.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from page import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Scans a slide, and prints the seconds, a digest of the heatmap, and the ranges read and
#: fetched.
CHILD = """
import hashlib, json, sys, time
import napari_fastnet as nf
from napari_fastnet.machine.remote import file
from napari_fastnet.slide import tiff_tiles

read, fetched = set(), []
load, fill, blocks = tiff_tiles.RemoteBytes.read, file.read_ranges, file._Blocks.readinto

def watched_load(self, offset, count):
    read.add((offset, offset + count))
    return load(self, offset, count)

def watched_fill(url, ranges, facts):
    fetched.append(list(ranges))
    return fill(url, ranges, facts)

def watched_blocks(self, buffer):
    read.add((self._at, min(self._at + len(buffer), self._file.size)))
    return blocks(self, buffer)

def watched_ends(self, count):  # for the fingerprint alone
    before = set(read)
    found = ends(self, count)
    read.clear()
    read.update(before)
    return found

ends, tiff_tiles.RemoteBytes.ends = tiff_tiles.RemoteBytes.ends, watched_ends
tiff_tiles.RemoteBytes.read, file.read_ranges = watched_load, watched_fill
file._Blocks.readinto = watched_blocks
began = time.perf_counter()
result = nf.detect(sys.argv[1], sys.argv[2])
seconds = time.perf_counter() - began
print(json.dumps({
    "seconds": seconds,
    "digest": hashlib.sha256(result.heatmap.probabilities.tobytes()).hexdigest(),
    "fingerprint": result.record.slide.fingerprint,
    "read": sorted(read),
    "fetched": fetched,
}))
"""

#: S3 with a latency.
S3 = """
import sys, time
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

app = DomainDispatcherApplication(create_backend_app)
wait_s = float(sys.argv[1]) / 1000

def late(environ, start):
    time.sleep(wait_s)
    return app(environ, start)

WSGIRequestHandler.protocol_version = "HTTP/1.1"
server = make_server("127.0.0.1", 0, late, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""

BLOCKS = [2**power for power in range(12, 21)]


def scan(slide: str, environment: dict[str, str]) -> dict[str, Any]:
    """Return what a detection in a process of its own prints."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, slide, folder],
            env={**os.environ, **environment, "NAPARI_FASTNET_REMOTE_CACHE": "0"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def joined(spans: Iterator[tuple[int, int]]) -> int:
    """Return how many bytes some spans cover, each once."""
    covered = end = 0
    for first, last in sorted(spans):
        covered += max(0, last - max(first, end))
        end = max(end, last)
    return covered


def bytes_of(found: dict[str, Any]) -> dict[str, Any]:
    """Return bytes fetched and needed, and what fixed blocks would have fetched."""
    ranges = [span for batch in found["fetched"] for span in batch]
    fetched = sum(end - first for first, end in ranges)
    needed = joined((first, end) for first, end in found["read"])
    fixed = {}
    for size in BLOCKS:
        blocks = {
            index
            for first, end in found["read"]
            for index in range(first // size, -(-end // size))
        }
        runs = sum(index - 1 not in blocks for index in blocks)
        fixed[size] = {
            "fetched_to_needed": round(len(blocks) * size / needed, 3),
            "blocks": len(blocks),
            "runs": runs,
        }
    return {
        "fetched": fetched,
        "needed": needed,
        "fetched_to_needed": round(fetched / needed, 3),
        "requests": len(ranges),
        "waits": len(found["fetched"]),
        "fixed_blocks": fixed,
    }


def started(stack: ExitStack, words: list[str]) -> int:
    """Start a server and return the port that it prints."""
    run = stack.enter_context(
        subprocess.Popen(
            [sys.executable, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    )
    stack.callback(run.kill)
    assert run.stdout is not None
    return int(run.stdout.readline())


def places(
    stack: ExitStack, slide: Path, latency_ms: float
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield name, place and environment of the file and of its addresses."""
    import trustme
    from botocore.session import get_session

    yield "file", str(slide), {}
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    maker = trustme.CA()
    maker.cert_pem.write_to_path(folder / "authority.pem")
    pem = folder / "server.pem"
    maker.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(pem)
    words = [str(Path(__file__).with_name("file_server.py")), str(slide.parent)]
    words += ["--latency-ms", str(latency_ms), "--certificate", str(pem)]
    address = f"https://localhost:{started(stack, words)}/{slide.name}"
    yield "https", address, {"SSL_CERT_FILE": str(folder / "authority.pem")}
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{started(stack, ['-c', S3, str(latency_ms)])}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    os.environ.update(environment)
    client = get_session().create_client("s3")
    client.create_bucket(Bucket="slides")
    client.put_object(Bucket="slides", Key=slide.name, Body=slide.read_bytes())
    yield "s3", f"s3://slides/{slide.name}", environment


def measure(slide: Path, latency_ms: float, rounds: int) -> dict[str, Any]:
    """Scan a slide from all places in turns."""
    with ExitStack() as stack:
        known = list(places(stack, slide, latency_ms))
        found: dict[str, list[dict[str, Any]]] = {name: [] for name, _, _ in known}
        for number in range(rounds):
            for name, place, environment in known if number % 2 else known[::-1]:
                found[name].append(scan(place, environment))
    first = found["file"][0]
    for runs in found.values():
        for run in runs:
            assert run["digest"] == first["digest"], "the heatmaps differ"
            assert run["fingerprint"] == first["fingerprint"]
    seconds = {name: median(r["seconds"] for r in runs) for name, runs in found.items()}
    return {
        "slide": slide.name,
        "slide_bytes": slide.stat().st_size,
        "latency_ms": latency_ms,
        "rounds": rounds,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "to_file": {
            name: round(value / seconds["file"], 3)
            for name, value in seconds.items()
            if name != "file"
        },
        "bytes": bytes_of(found["https"][0]),
    }


def main() -> None:
    """Measure slides and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--slide", type=Path, action="append", default=[])
    parser.add_argument("--latency-ms", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        slides = given.slide
        if not slides:
            from napari_fastnet.synthetic.slide import write_slide

            slides = [Path(folder) / "synthetic.svs"]
            write_slide(slides[0])
        for slide in slides:
            figures.append(measure(slide, given.latency_ms, given.rounds))
    tell({"slides": figures}, given.json)


if __name__ == "__main__":
    main()
