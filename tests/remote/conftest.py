"""Servers on this computer: http, https with a certificate of its own, and S3."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import requests

from napari_fastnet.machine.remote import kept, server, transport

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def file_server():
    """Return the module `file_server`, which is a script beside the package."""
    if not (BENCHMARKS / "file_server.py").is_file():
        pytest.skip("not in a source tree")
    pytest.importorskip("aiohttp")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("file_server")


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    """Give each test a cache of its own, short waits, and none of the user's settings."""
    for name in os.environ:
        if name.startswith(("AWS_", "GOOGLE_", "STORAGE_")) or name.endswith("_BUNDLE"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(transport, "RETRY_S", (0.0, 0.0, 0.0))
    monkeypatch.setattr(server, "ANSWER_S", 0.5)
    monkeypatch.setattr(kept, "_chosen", [tmp_path / "cache"])
    connected = (transport._web, transport._s3, transport._gs)
    for server_of in connected:
        server_of.cache_clear()
    yield
    for server_of in connected:
        server_of.cache_clear()


@pytest.fixture
def serve(file_server):
    """Return a function that serves a folder until the test ends."""
    with ExitStack() as stack:

        def begin(folder, **options):
            return stack.enter_context(file_server.FileServer(folder, **options))

        yield begin


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Return PEM files: a certificate for localhost with its key, and its authority's."""
    trustme = pytest.importorskip("trustme")
    folder, maker = tmp_path_factory.mktemp("certificates"), trustme.CA()
    maker.cert_pem.write_to_path(folder / "authority.pem")
    maker.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
    return folder / "server.pem", folder / "authority.pem"


@contextmanager
def _running(*words):
    """Run a module that serves on the port at the end of the words; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    run = subprocess.Popen([sys.executable, "-m", *words, str(port)], **quiet)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        run.kill()
        run.wait()


@pytest.fixture(scope="session")
def running():
    """Return a context that runs a module as a server, with its port after the words."""
    return _running


@pytest.fixture(scope="session")
def s3_server():
    """Return the address of an S3 server in a process of its own."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    with _running("moto.server", "-H", "127.0.0.1", "-p") as address:
        yield address


@pytest.fixture(scope="session")
def google_server():
    """Return the address of a server of Google Cloud Storage, in a process of its own."""
    pytest.importorskip("gcp_storage_emulator")
    pytest.importorskip("gcsfs")
    words = ("start", "--host=127.0.0.1", "--in-memory", "--port")
    with _running("gcp_storage_emulator", *words) as address:
        yield address


@pytest.fixture
def google_bucket(google_server, monkeypatch):
    """Return a function that puts a file into an empty bucket of Google's."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google_server)
    name = f"slides-{time.monotonic_ns()}"
    requests.post(
        f"{google_server}/storage/v1/b", json={"name": name}
    ).raise_for_status()

    def put(path, key=None):
        key = key or path.name
        requests.post(
            f"{google_server}/upload/storage/v1/b/{name}/o",
            params={"uploadType": "media", "name": key},
            data=path.read_bytes(),
        ).raise_for_status()
        return f"gs://{name}/{key}"

    return put


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """Return a function that puts a file into an empty bucket, with credentials set."""
    from botocore.session import get_session

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = get_session().create_client("s3")
    name = f"slides-{time.monotonic_ns()}"
    client.create_bucket(Bucket=name)

    def put(path, key=None, **options):
        key = key or path.name
        client.put_object(Bucket=name, Key=key, Body=path.read_bytes(), **options)
        return f"s3://{name}/{key}"

    yield put
    client.close()


@pytest.fixture
def slide_path(tmp_path, write_svs, texture):
    """Return a slide of tissue on glass, with two levels."""
    folder = tmp_path / "slides"
    folder.mkdir()
    image = np.full((1024, 1280, 3), 245, np.uint8)
    image[128:900, 200:1000] = texture(772, 800) // 2 + (90, 40, 80)
    return write_svs(folder / "slide.svs", image, mpp=0.97)
