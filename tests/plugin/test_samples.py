"""Sample slides are made or fetched once; without a connection it is said what to do."""

from __future__ import annotations

import io
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import requests

from napari_fastnet.errors import OutputError, SlideNotFoundError
from napari_fastnet.plugin import samples
from napari_fastnet.plugin.layers.info import slide_of
from napari_fastnet.plugin.settings import Settings


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Put the cache into a folder of the test."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(samples, "read_settings", lambda: Settings(cache_folder=folder))
    return folder


def answered(request, status, content=b"", **headers):
    """Return what a server answers to a request."""
    found = requests.Response()
    found.status_code = status
    found.raw, found.url, found.request = io.BytesIO(content), request.url, request
    found.headers.update(headers)
    return found


@pytest.fixture
def served(monkeypatch):
    """Return a function that says what a download brings, and returns who was asked.

    It takes one answer, or answers by address: bytes, an error, a status or an address
    to redirect to.
    """

    def serve(answers):
        asked = []

        def send(_, request, **__):
            asked.append(request.url)
            answer = answers
            if isinstance(answers, dict):
                answer = answers[request.url]
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, str):
                return answered(request, 302, Location=answer)
            if isinstance(answer, int):
                return answered(request, answer)
            return answered(request, 200, answer)

        monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
        return asked

    return serve


def files(folder):
    """Return the names of all files under a folder."""
    return [path.name for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def real(tmp_path, texture, write_svs, monkeypatch):
    """Return the bytes of a file that stands in for the real slide."""
    content = write_svs(tmp_path / "a.svs", texture(64, 96)).read_bytes()
    digest = sha256(content).hexdigest()
    monkeypatch.setattr(samples, "SMALL_REGION_SHA256", digest)
    return content


def test_two_sections_are_the_same_picture_twice(monkeypatch, add):
    monkeypatch.setattr(samples, "SMALL", (1024, 1280))
    (data,) = samples.two_sections()
    slide = slide_of(add(data))
    assert slide.shape == (1024, 2560)
    image = slide.thumbnail(640).astype(int)
    assert np.abs(image[:, :320] - image[:, 320:]).mean() < 1


def test_a_pale_stain_is_paler_and_of_the_same_tissue(monkeypatch, add):
    monkeypatch.setattr(samples, "SMALL", (1024, 1280))
    usual = slide_of(add(samples._drawn("usual.svs", shape=samples.SMALL, seed=1)))
    pale = slide_of(add(samples.pale_stain()[0]))
    dark, light = (slide.thumbnail(320).mean(axis=-1) for slide in (usual, pale))
    tissue = dark < 200
    assert tissue.mean() > 0.05
    assert light[tissue].mean() > dark[tissue].mean() + 50


def test_a_case_is_three_slides(monkeypatch, add):
    monkeypatch.setattr(samples, "SMALL", (1024, 1280))
    slides = [slide_of(add(data)) for data in samples.case_of_three()]
    assert [slide.path.stem for slide in slides] == ["case-1", "case-2", "case-3"]
    assert len({slide.fingerprint for slide in slides}) == 3


def test_the_synthetic_slide_is_drawn_once(cache, texture, write_svs, monkeypatch, add):
    drawn = []

    def draw(path):
        path.parent.mkdir(parents=True)
        drawn.append(write_svs(path, texture(64, 64)))

    monkeypatch.setattr(samples, "write_slide", draw)
    first, second = (add(samples.synthetic_slide()[0]) for _ in range(2))

    assert len(drawn) == 1
    assert cache in drawn[0].parents
    assert slide_of(first).path == slide_of(second).path == drawn[0]
    assert first.name == "synthetic-slide"


@pytest.mark.slow
def test_the_synthetic_slide_opens(add):
    layer = add(samples.synthetic_slide()[0])
    assert slide_of(layer).mpp_source == "vendor"
    assert layer.data[-1].mean().compute() < 250


def test_the_real_slide_is_downloaded_once(real, served, add):
    asked = served(real)
    layers = [add(samples.small_region()[0]) for _ in range(2)]
    assert len(asked) == 1
    assert asked[0].startswith("https://")
    assert layers[0].name == "CMU-1-Small-Region"


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("Name or service not known"),
        requests.ReadTimeout("timed out"),
    ],
)
def test_without_a_connection_it_is_said_what_to_do(served, cache, error):
    served(error)
    with pytest.raises(SlideNotFoundError) as raised:
        samples.small_region()
    said = str(raised.value)
    assert "could not be downloaded" in said
    assert "synthetic slide" in said
    assert str(error) in said
    assert str(cache / "samples" / "CMU-1-Small-Region.svs") in said
    assert "\n" not in said
    assert files(cache) == []


@pytest.fixture
def server():
    """Return a server of this computer: its answers by path, and what was asked of it."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            status, headers, content = self.server.answers[self.path]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as running:
        running.answers, running.asked = {}, []
        running.address = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["http", "HTTP", "ftp"])
def test_a_download_that_is_redirected_to_no_https_is_refused(
    scheme, real, server, cache, monkeypatch
):
    elsewhere = server.address.replace("http", scheme)
    server.answers["/a"] = (302, {"Location": f"{elsewhere}/b"}, b"")
    server.answers["/b"] = (200, {}, real)
    monkeypatch.setattr(samples, "SMALL_REGION_URL", f"{server.address}/a")
    with pytest.raises(SlideNotFoundError, match=r"redirected to .*not https"):
        samples.small_region()
    assert server.asked == ["/a"]
    assert files(cache) == []


def test_a_download_that_is_redirected_to_https_is_followed(real, served, cache):
    elsewhere = "https://elsewhere.example/slide.svs"
    asked = served({samples.SMALL_REGION_URL: elsewhere, elsewhere: real})
    samples.small_region()
    assert asked == [samples.SMALL_REGION_URL, elsewhere]
    assert (cache / "samples" / samples.SMALL_REGION).read_bytes() == real


def test_another_file_is_not_taken_for_the_slide(served, cache):
    served(b"<html>please log in</html>")
    with pytest.raises(
        SlideNotFoundError, match=r"another file came .*SHA-256 differs"
    ):
        samples.small_region()
    assert files(cache) == []


def test_a_page_that_is_not_there_is_said(served, cache):
    served(404)
    with pytest.raises(SlideNotFoundError, match=r"could not be downloaded \(404"):
        samples.small_region()
    assert files(cache) == []


def test_a_download_without_end_is_ended(real, served, cache, monkeypatch):
    monkeypatch.setattr(samples, "LARGEST_BYTES", len(real) // 2)
    served(real)
    with pytest.raises(SlideNotFoundError, match=r"more than .* bytes came"):
        samples.small_region()
    assert files(cache) == []


def test_a_file_cut_short_in_the_cache_is_fetched_again(real, served, cache):
    path = cache / "samples" / samples.SMALL_REGION
    path.parent.mkdir(parents=True)
    path.write_bytes(real[:100])
    assert served(real) == []
    samples.small_region()
    assert files(path.parent) == [path.name]
    assert path.read_bytes() == real


def test_a_file_put_there_by_hand_needs_no_connection(real, served, cache):
    path = cache / "samples" / samples.SMALL_REGION
    path.parent.mkdir(parents=True)
    path.write_bytes(real)
    served(requests.ConnectionError("offline"))
    assert samples.small_region()[0][1]["name"] == "CMU-1-Small-Region"


def test_a_cache_that_cannot_be_written_says_so(real, served, cache):
    cache.write_text("a file")
    served(real)
    with pytest.raises(OutputError, match="choose another output folder"):
        samples.small_region()


@pytest.mark.real
def test_the_published_digest_is_that_of_the_file(real_slides):
    content = (real_slides / samples.SMALL_REGION).read_bytes()
    assert sha256(content).hexdigest() == samples.SMALL_REGION_SHA256


def out_of_a_menu(qapp, call):
    """Call a function from within the event loop, and return what it returned."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop, got = QEventLoop(), []

    def act():
        try:
            got.append(call())
        finally:
            loop.quit()

    QTimer.singleShot(0, act)
    loop.exec()
    return got


@pytest.mark.gui
@pytest.mark.parametrize("name", ["synthetic_slide", "small_region"])
def test_a_cache_that_cannot_be_written_is_told_where_a_menu_asked(
    qapp, cache, served, real, name
) -> None:
    from napari.utils.notifications import NotificationSeverity, notification_manager

    served(real)
    cache.write_text("a file where the folder should be")
    shown = []
    notification_manager.notification_ready.connect(shown.append)
    try:
        assert out_of_a_menu(qapp, getattr(samples, name)) == [[]]
    finally:
        notification_manager.notification_ready.disconnect(shown.append)
    (message,) = [n for n in shown if n.severity == NotificationSeverity.ERROR]
    assert str(cache) in message.message
    assert "Preferences > Plugins > FastNet > Storage" in message.message
    assert not hasattr(message, "exception")
    with pytest.raises(OutputError):  # a script is not to go on without a slide
        getattr(samples, name)()
