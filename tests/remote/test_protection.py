"""Certificates are checked, and nothing leads from https to http."""

from __future__ import annotations

import pytest

from napari_fastnet.errors import DriveError, OptionError
from napari_fastnet.machine.remote.transport import facts_of
from napari_fastnet.machine.remote.url import path_of


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x.svs").write_bytes(b"abc")
    return tmp_path / "served"


@pytest.fixture
def secure(serve, folder, authority):
    """Return a server by https."""
    return serve(folder, certificate=authority[0])


@pytest.mark.parametrize(
    "variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
)
def test_an_authority_of_ones_own_is_trusted(
    secure, authority, monkeypatch, variable
) -> None:
    monkeypatch.setenv(variable, str(authority[1]))
    assert facts_of(path_of(f"{secure.address}/x.svs")).size == 3


def test_an_unknown_authority_is_not(secure) -> None:
    with pytest.raises(DriveError, match="certificate is not trusted") as caught:
        facts_of(path_of(f"{secure.address}/x.svs"))
    assert str(caught.value).startswith(f"{secure.address}/x.svs: ")
    assert "SSL_CERT_FILE" in str(caught.value)


def test_a_certificate_of_another_server_is_not(secure, authority, monkeypatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    address = secure.address.replace("localhost", "127.0.0.1")
    with pytest.raises(DriveError, match="certificate is not trusted"):
        facts_of(path_of(f"{address}/x.svs"))


def test_a_missing_file_of_certificates_is_named(secure, monkeypatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    with pytest.raises(OptionError, match=r"SSL_CERT_FILE is /nowhere.pem"):
        facts_of(path_of(f"{secure.address}/x.svs"))


def test_https_may_lead_to_https_and_not_to_http(
    secure, serve, folder, authority, monkeypatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    bare = serve(folder)
    secure.redirects["/a.svs"] = f"{secure.address}/x.svs"
    secure.redirects["/b.svs"] = f"{bare.address}/x.svs"
    assert facts_of(path_of(f"{secure.address}/a.svs")).size == 3
    with pytest.raises(DriveError, match="not protected by https"):
        facts_of(path_of(f"{secure.address}/b.svs"))
    assert bare.asked == []


def test_http_of_this_computer_leads_to_no_other_by_http(serve, folder) -> None:
    bare = serve(folder)
    bare.redirects["/a.svs"] = "/x.svs"
    bare.redirects["/b.svs"] = "http://192.0.2.1/x.svs"
    assert facts_of(path_of(f"{bare.address}/a.svs")).size == 3
    with pytest.raises(DriveError, match=r"http://192.0.2.1, which is not protected"):
        facts_of(path_of(f"{bare.address}/b.svs"))


def test_a_server_of_s3_without_https_elsewhere_is_refused(monkeypatch) -> None:
    pytest.importorskip("s3fs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1:9000")
    with pytest.raises(DriveError, match=r"http://192.0.2.1, which is not protected"):
        facts_of(path_of("s3://bucket/x.svs"))


SECRET = "X-Amz-Credential=AKIA%2F2026&X-Amz-Signature=s%3Dt"


@pytest.mark.parametrize("status", [400, 500])
def test_a_signature_is_in_no_message(serve, folder, status) -> None:
    bare = serve(folder)
    bare.faults.append(f"{status}*")
    with pytest.raises(DriveError, match=str(status)) as caught:
        facts_of(path_of(f"{bare.address}/x.svs?{SECRET}"))
    for word in ("AKIA", "Signature", "s=t", "s%3Dt"):
        assert word not in str(caught.value)


def test_a_signature_of_a_redirect_is_in_no_message(serve, folder) -> None:
    bare = serve(folder)
    bare.redirects["/x.svs"] = f"{bare.address}/y.svs?{SECRET}"
    bare.faults.append("500*")
    with pytest.raises(DriveError, match="500") as caught:
        facts_of(path_of(f"{bare.address}/x.svs"))
    assert "AKIA" not in str(caught.value)
    assert "Signature" not in str(caught.value)


def test_a_file_without_certificates_is_named(secure, monkeypatch, tmp_path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("none")
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    with pytest.raises(OptionError, match=r"empty\.pem: holds no certificates"):
        facts_of(path_of(f"{secure.address}/x.svs"))
