"""Addresses: what is read, what is refused, and what of them may be seen."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fastnet.errors import OptionError
from napari_fastnet.machine.remote.url import Url, path_of, recorded_path


@pytest.mark.parametrize(
    "text",
    ["slide.svs", "/a/slide.svs", "C:\\a\\slide.svs", "C:/a", "s3:/a", "", "~/x"],
)
def test_what_is_no_address_is_a_path(text) -> None:
    assert path_of(text) == Path(text)


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/a/slide.svs",
        "gs://bucket/slide.svs",
        "https://host/slide.svs",
        "http://localhost:80/slide.svs",
        "http://127.3.2.1/slide.svs",
        "http://[::1]:8000/slide.svs",
    ],
)
def test_an_address_stays_as_it_is(text) -> None:
    url = path_of(text)
    assert isinstance(url, Url)
    assert str(url) == url.full == text
    assert (url.name, url.stem, url.suffix) == ("slide.svs", "slide", ".svs")
    assert pickle.loads(pickle.dumps(url)) == url
    assert not url.is_folder


def test_a_scheme_in_capitals_is_the_same_scheme() -> None:
    assert path_of("S3://bucket/x.svs") == path_of("s3://bucket/x.svs")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("http://example.org/x.svs", "use https"),
        ("http://127.0.0.1.example.org/x.svs", "use https"),
        ("http://localhost.example.org/x.svs", "use https"),
        ("http://2130706433/x.svs", "use https"),
        ("https://me:secret@host/x.svs", "leave them out"),
        ("s3://key:secret@bucket/x.svs", "leave them out"),
        ("http://localhost@example.org/x.svs", "leave them out"),
        ("ftp://host/x.svs", "copy the file"),
        ("file:///x.svs", "copy the file"),
        ("https:///x.svs", "check the address"),
        ("https://[::1/x.svs", "check the address"),
        ("s3://", "check the address"),
    ],
)
def test_an_address_that_is_not_read_is_refused_in_a_line(text, rule) -> None:
    with pytest.raises(OptionError) as caught:
        path_of(text)
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert recorded_path(text) == Path(text)


def test_a_query_is_sent_and_never_shown() -> None:
    url = path_of("https://host/a/slide.svs?signature=secret#part")
    assert url.full == "https://host/a/slide.svs?signature=secret"
    assert (str(url), url.name) == ("https://host/a/slide.svs", "slide.svs")
    assert "secret" not in repr(url)
    assert url != path_of("https://host/a/slide.svs?signature=other")


def test_of_a_bucket_everything_is_the_name() -> None:
    url = path_of("s3://bucket/a//b?c#d.svs")
    assert (str(url), url.query) == ("s3://bucket/a//b?c#d.svs", "")
    assert url.name == "b%3Fc#d.svs"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://host/a%20b.svs", "a b.svs"),
        ("https://host/..%2F..%2Fx.svs", "..%2F..%2Fx.svs"),
        ("https://host/%2e%2e", "%2E%2E"),
        ("s3://bucket/..", "%2E%2E"),
        ("s3://bucket/a%20b.svs", "a%20b.svs"),
        ("s3://bucket/a:b\\c\n.svs", "a%3Ab%5Cc%0A.svs"),
    ],
)
def test_a_name_leads_to_no_other_folder(text, name) -> None:
    assert path_of(text).name == name


@given(st.text(min_size=1))
def test_any_name_is_one_part_of_a_path(text) -> None:
    name = Url(f"https://host/{text}").name
    assert name not in (".", "..")
    assert not set(name) & set('/\\\0:*?"<>|\n')


def test_folders_and_parts() -> None:
    url = path_of("https://host:80/a/b/c.svs")
    assert url.parts == ("https://", "host%3A80", "a", "b", "c.svs")
    assert str(url.parent) == "https://host:80/a/b"
    assert path_of("s3://bucket/a/").is_folder
    assert path_of("s3://bucket").is_folder
