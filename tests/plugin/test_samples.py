"""Sample slides are made or fetched once; without a connection it is said what to do."""

from __future__ import annotations

import io
from email.message import Message
from hashlib import sha256
from urllib.error import URLError
from urllib.response import addinfourl

import pytest

from napari_fastnet.errors import OutputError, SlideNotFoundError
from napari_fastnet.plugin import samples
from napari_fastnet.plugin.layers.data import slide_of
from napari_fastnet.plugin.settings import Settings


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Put the cache into a folder of the test."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(samples, "read_settings", lambda: Settings(cache_folder=folder))
    return folder


@pytest.fixture
def served(monkeypatch):
    """Return a function that says what a download brings: bytes or an error."""
    asked = []

    def serve(answer):
        def open_url(_, url, timeout):
            asked.append(url)
            if isinstance(answer, Exception):
                raise answer
            return io.BytesIO(answer)

        monkeypatch.setattr("urllib.request.OpenerDirector.open", open_url)
        return asked

    return serve


@pytest.fixture
def real(tmp_path, texture, write_svs, monkeypatch):
    """Return the bytes of a file that stands in for the real slide."""
    content = write_svs(tmp_path / "a.svs", texture(64, 96)).read_bytes()
    digest = sha256(content).hexdigest()
    monkeypatch.setattr(samples, "SMALL_REGION_SHA256", digest)
    return content


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
    "error", [URLError("Name or service not known"), TimeoutError("timed out")]
)
def test_without_a_connection_it_is_said_what_to_do(served, cache, error):
    served(error)
    with pytest.raises(SlideNotFoundError) as raised:
        samples.small_region()
    said = str(raised.value)
    assert "could not be downloaded" in said
    assert "synthetic slide" in said
    assert str(cache / "samples" / "CMU-1-Small-Region.svs") in said
    assert "\n" not in said
    assert not cache.exists()


@pytest.fixture
def redirected(monkeypatch):
    """Return a function that lets the server send on to an address; returns who asked."""
    asked = []

    def answer(request, status, content=b"", **headers):
        asked.append(request.full_url)
        message = Message()
        for name, value in headers.items():
            message[name] = value
        found = addinfourl(io.BytesIO(content), message, request.full_url, status)
        found.msg = "said"
        return found

    def redirect(target, content):
        def https(_, request):
            if request.full_url == samples.SMALL_REGION_URL:
                return answer(request, 302, Location=target)
            return answer(request, 200, content)

        monkeypatch.setattr("urllib.request.HTTPSHandler.https_open", https)
        monkeypatch.setattr(
            "urllib.request.HTTPHandler.http_open",
            lambda _, request: answer(request, 200, content),
        )
        return asked

    return redirect


@pytest.mark.parametrize("scheme", ["http", "HTTP", "ftp"])
def test_a_download_that_is_sent_on_to_no_https_is_refused(
    scheme, real, redirected, cache
):
    asked = redirected(f"{scheme}://elsewhere.example/slide.svs", real)
    with pytest.raises(SlideNotFoundError, match=r"sent on to .*not https"):
        samples.small_region()
    assert asked == [samples.SMALL_REGION_URL]
    assert not cache.exists()


def test_a_download_that_is_sent_on_to_https_is_followed(real, redirected, cache):
    asked = redirected("https://elsewhere.example/slide.svs", real)
    samples.small_region()
    assert asked == [samples.SMALL_REGION_URL, "https://elsewhere.example/slide.svs"]
    assert (cache / "samples" / samples.SMALL_REGION).read_bytes() == real


def test_another_file_is_not_taken_for_the_slide(served, cache):
    served(b"<html>please log in</html>")
    with pytest.raises(SlideNotFoundError, match=r"26 bytes came .*SHA-256 differs"):
        samples.small_region()
    assert not cache.exists()


def test_a_file_cut_short_in_the_cache_is_fetched_again(real, served, cache):
    path = cache / "samples" / samples.SMALL_REGION
    path.parent.mkdir(parents=True)
    path.write_bytes(real[:100])
    assert served(real) == []
    samples.small_region()
    assert path.read_bytes() == real


def test_a_file_put_there_by_hand_needs_no_connection(real, served, cache):
    path = cache / "samples" / samples.SMALL_REGION
    path.parent.mkdir(parents=True)
    path.write_bytes(real)
    served(URLError("offline"))
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
