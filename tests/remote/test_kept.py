"""Ranges on disk: shared, checked, bounded."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from napari_fastnet.errors import OptionError
from napari_fastnet.machine.remote import kept
from napari_fastnet.machine.remote.file import RemoteFile
from napari_fastnet.machine.remote.kept import (
    KeptRanges,
    clear_kept,
    kept_files,
    limit_bytes,
)
from napari_fastnet.machine.remote.server import Facts
from napari_fastnet.machine.remote.url import path_of

URL = path_of("https://host/slide.svs?signature=secret")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def ranges(limit=10**9, tag="a", url=URL):
    return KeptRanges(kept._chosen[0] / kept.FOLDER, url, Facts(10**9, tag), limit)


def used(cache):
    return sum(path.stat().st_size for path in (cache / "remote").rglob("*-*"))


def test_a_range_is_there_for_the_next_process() -> None:
    ranges().write((100, 110), b"0123456789")
    later = ranges()
    assert later.covering((103, 108)) == (100, 110)
    assert later.read((100, 110)) == b"0123456789"
    assert later.covering((103, 111)) is None
    assert later.covering((99, 108)) is None


def test_another_state_of_the_file_or_another_address_has_ranges_of_its_own() -> None:
    ranges().write((0, 4), b"abcd")
    assert ranges(tag="b").covering((0, 4)) is None
    other = path_of("https://host/slide.svs?signature=other")
    assert ranges(url=other).covering((0, 4)) is None


def test_a_damaged_range_is_none(cache) -> None:
    ranges().write((0, 4), b"abcd")
    (path,) = (cache / "remote").glob("*/0-4")
    path.write_bytes(b"abce" + path.read_bytes()[4:])
    found = ranges()
    assert found.read((0, 4)) is None
    assert found.covering((0, 4)) is None


def test_a_range_that_somebody_deleted_is_none(cache) -> None:
    found = ranges()
    found.write((0, 4), b"abcd")
    clear_kept(cache)
    assert found.read((0, 4)) is None
    found.write((0, 4), b"abcd")
    assert ranges().read((0, 4)) == b"abcd"


def test_no_signature_lies_in_the_cache_and_others_cannot_look_in(cache) -> None:
    ranges().write((0, 4), b"abcd")
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700 or os.name == "nt"
    for path in cache.rglob("*"):
        assert "secret" not in str(path)
        assert path.is_dir() or b"secret" not in path.read_bytes()


def test_the_size_is_kept_and_the_oldest_ranges_go(cache) -> None:
    limit, size = 100_000, 2_000
    for number in range(200):
        writer = ranges(limit, tag=str(number % 4))
        span = (number * size, (number + 1) * size)
        writer.write(span, np.random.default_rng(number).bytes(size))
        path = next((cache / "remote").glob(f"*/{span[0]}-{span[1]}"))
        os.utime(path, (number, number))
        assert used(cache) <= 1.05 * limit
    left = sorted(int(p.name.split("-")[0]) for p in (cache / "remote").glob("*/*-*"))
    assert left == list(range(left[0], 200 * size, size))


def test_a_disk_that_takes_nothing_is_no_error(cache) -> None:
    cache.write_text("a file where the folder should be")
    found = ranges()
    found.write((0, 4), b"abcd")
    assert found.covering((0, 4)) is None


@pytest.mark.parametrize(
    ("text", "size"), [("", 10**9), ("0", 0), ("5GB", 5 * 10**9), ("200 MB", 2 * 10**8)]
)
def test_the_size_is_a_setting(monkeypatch, text, size) -> None:
    monkeypatch.setenv(kept.VARIABLE, text)
    assert limit_bytes() == size
    assert (KeptRanges.of(URL, Facts(1, "a")) is None) is (size == 0)


def test_a_size_that_is_none_names_the_variable(monkeypatch) -> None:
    monkeypatch.setenv(kept.VARIABLE, "much")
    with pytest.raises(OptionError, match=f"{kept.VARIABLE} is 'much'"):
        limit_bytes()


def test_without_a_tag_nothing_is_kept() -> None:
    assert KeptRanges.of(URL, Facts(1, "")) is None


def test_kept_files_are_listed_and_deleted_by_age(cache) -> None:
    for number, name in enumerate("ab"):
        ranges(url=path_of(f"s3://bucket/{name}.svs")).write((0, 4), b"abcd")
        (path,) = (
            p for p in (cache / "remote").glob("*/0-4") if p.stat().st_mtime > 10
        )
        os.utime(path, (number + 1, number + 1))
    found = kept_files(cache)
    assert [each.address for each in found] == [
        "s3://bucket/a.svs",
        "s3://bucket/b.svs",
    ]
    assert [each.size_bytes for each in found] == [8, 8]
    since = datetime.fromtimestamp(2, UTC)
    assert clear_kept(cache, unused_since=since) == found[:1]
    assert clear_kept(cache, unused_since=since - timedelta(1)) == []
    assert clear_kept(cache, down_to_bytes=8) == []
    assert clear_kept(cache) == found[1:]
    assert kept_files(cache) == []


def test_a_second_reading_asks_for_nothing_but_the_state(tmp_path, serve) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file.svs").write_bytes(bytes(range(256)) * 1000)
    server = serve(folder)
    url = path_of(f"{server.address}/file.svs")
    first = RemoteFile(url).read(1000, 100_000)
    before = len(server.asked)
    assert RemoteFile(url).read(1000, 100_000) == first
    assert server.asked[before:] == [("/file.svs", 0, 1)]
