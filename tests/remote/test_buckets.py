"""Buckets of S3 and of Google, from servers in processes of their own."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet import errors
from napari_fastnet.machine.remote import buckets
from napari_fastnet.machine.remote.file import RemoteFile
from napari_fastnet.machine.remote.transport import facts_of, files_below
from napari_fastnet.machine.remote.url import path_of


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "file.svs"
    path.write_bytes(np.random.default_rng(0).bytes(300_000))
    return path


def test_ranges_are_those_of_the_object(bucket, content) -> None:
    url = path_of(bucket(content, "a folder/ä?#.svs"))
    file = RemoteFile(url)
    assert file.size == 300_000
    assert file.read(100_000, 1000) == content.read_bytes()[100_000:101_000]


def test_a_missing_object_and_a_missing_bucket_are_one_line(bucket, content) -> None:
    url = bucket(content)
    for text in (url + "x", "s3://no-such-bucket/x.svs"):
        with pytest.raises(errors.SlideNotFoundError, match=f"^{text}: .*no such file"):
            facts_of(path_of(text))


def test_an_object_that_is_replaced_is_noticed(bucket, content) -> None:
    file = RemoteFile(path_of(bucket(content)))
    content.write_bytes(bytes(300_000))
    bucket(content)
    with pytest.raises(errors.DriveError, match="vanished or changed"):
        file.read(0, 1000)


def test_a_folder_lists_all_objects_below_it(bucket, content, monkeypatch) -> None:
    monkeypatch.setattr(buckets, "PAGE", 2)
    keys = [f"a/{number}.svs" for number in range(5)]
    one = bucket(content, "b.svs")
    content.write_bytes(b"x")
    for key in keys:
        bucket(content, key)
    folder = path_of(one.replace("b.svs", "a/"))
    found = files_below(folder)
    assert [str(url) for url in found] == [one.replace("b.svs", key) for key in keys]


def test_without_credentials_it_asks_as_anybody(bucket, content, monkeypatch) -> None:
    hidden, public = bucket(content), bucket(content, "public", ACL="public-read")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert facts_of(path_of(public)).size == 300_000
    with pytest.raises(errors.DriveError, match=f"^{hidden}: access is refused"):
        facts_of(path_of(hidden))


def test_a_server_that_is_gone_is_one_line(bucket, content, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(errors.DriveError, match=r"^s3://bucket/x: cannot be read"):
        facts_of(path_of("s3://bucket/x"))


def test_google_gives_ranges_of_the_generation_that_was_asked_for(
    google_bucket, content
) -> None:
    url = path_of(google_bucket(content, "a folder/file.svs"))
    file = RemoteFile(url)
    assert file.size == 300_000
    assert file.read(100_000, 1000) == content.read_bytes()[100_000:101_000]
    content.write_bytes(bytes(300_000))
    google_bucket(content, "a folder/file.svs")
    assert RemoteFile(url).facts != file.facts
    assert RemoteFile(url).read(0, 10) == bytes(10)


def test_google_lists_a_folder_and_misses_in_a_line(google_bucket, content) -> None:
    url = google_bucket(content, "a/b.svs")
    google_bucket(content, "c.svs")
    assert [str(each) for each in files_below(path_of(url[:-5]))] == [url]
    with pytest.raises(errors.SlideNotFoundError, match=f"^{url}x: .*no such file"):
        facts_of(path_of(url + "x"))


def test_a_server_of_google_without_https_elsewhere_is_refused(monkeypatch) -> None:
    pytest.importorskip("gcsfs")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://192.0.2.1:9000")
    with pytest.raises(errors.DriveError, match=r"http://192.0.2.1, which is not"):
        facts_of(path_of("gs://bucket/x.svs"))


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_server_of_s3_by_https_needs_a_certificate_that_is_trusted(
    authority, running, monkeypatch, variable
) -> None:
    pytest.importorskip("moto.server")
    pem, trusted = map(str, authority)
    with running(
        "moto.server", "-H", "127.0.0.1", "-c", pem, "-k", pem, "-p"
    ) as address:
        server = address.replace("http://127.0.0.1", "https://localhost")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server)
        with pytest.raises(errors.DriveError, match="certificate is not trusted"):
            facts_of(path_of("s3://bucket/x.svs"))
        monkeypatch.setenv(variable, trusted)
        with pytest.raises(errors.SlideNotFoundError, match="no such file"):
            facts_of(path_of("s3://bucket/x.svs"))
