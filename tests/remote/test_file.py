"""Reading of ranges: few requests, each byte once, faults in a line."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fastnet import errors
from napari_fastnet.machine.remote import file as remote_file
from napari_fastnet.machine.remote.file import RemoteFile, merged
from napari_fastnet.machine.remote.url import path_of

SIZE = 3_000_000


@pytest.fixture
def content(tmp_path):
    """Return some bytes, and the file that has them."""
    path = tmp_path / "served" / "file.svs"
    path.parent.mkdir()
    data = np.random.default_rng(0).bytes(SIZE)
    path.write_bytes(data)
    return data, path


@pytest.fixture
def served(content, serve):
    """Return the bytes, their server and their address."""
    data, path = content
    server = serve(path.parent)
    return data, server, path_of(f"{server.address}/file.svs")


def asked(server):
    """Return the ranges that were asked for, without questions for the size."""
    return [(first, end) for _, first, end in server.asked if end - first > 1]


spans = st.lists(
    st.tuples(st.integers(0, 10**7), st.integers(1, 10**6)).map(
        lambda pair: (pair[0], sum(pair))
    )
).map(sorted)


@given(spans)
def test_merged_ranges_hold_all_that_is_wanted_and_little_else(wanted) -> None:
    found = merged(wanted)
    for first, end in wanted:
        assert any(a <= first and end <= b for a, b in found)
    covered = sum(b - a for a, b in found)
    gaps = remote_file.GAP_BYTES * len(wanted)
    assert covered <= sum(end - first for first, end in wanted) + gaps


def test_bytes_are_those_of_the_file(served) -> None:
    data, _, url = served
    file = RemoteFile(url)
    assert file.size == SIZE
    for offset, count in ((0, 10), (SIZE - 5, 100), (SIZE, 4), (1_234_567, 900_000)):
        assert file.read(offset, count) == data[offset : offset + count]


def test_a_parser_reads_as_from_a_disk(served) -> None:
    data, server, url = served
    with RemoteFile(url).open() as file:
        assert file.read(7) == data[:7]
        assert file.seek(-9, 2) == SIZE - 9
        assert file.read() == data[-9:]
        file.seek(100_000)
        assert file.read(200_000) == data[100_000:300_000]
    first = [span for span in asked(server) if span[0] == 0]
    assert first == [(0, remote_file.BLOCK_BYTES)]


def test_what_is_near_is_fetched_at_once_and_read_without_asking(served) -> None:
    data, server, url = served
    file = RemoteFile(url)
    places = [(start, 1000) for start in range(0, 100_000, 2000)]
    file.fetch([*places, (2_000_000, 500)])
    assert sorted(asked(server)) == [(0, 99_000), (2_000_000, 2_000_500)]
    for offset, count in places:
        assert file.read(offset, count) == data[offset : offset + count]
    assert len(asked(server)) == 2


def test_two_threads_share_what_one_fetches(served) -> None:
    data, server, url = served
    server.latency_s = 0.05
    file = RemoteFile(url)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: file.read(500, 1000), range(8)))
    assert read == [data[500:1500]] * 8
    assert asked(server) == [(500, 1500)]


def test_memory_is_bounded_and_what_was_dropped_comes_from_the_disk(
    served, monkeypatch
) -> None:
    data, server, url = served
    monkeypatch.setattr(remote_file, "MEMORY_BYTES", 500_000)
    file = RemoteFile(url)
    for start in range(0, SIZE, 100_000):
        file.read(start, 100_000)
    assert sum(end - first for first, end in file._pieces) <= 500_000
    assert sorted(file._pieces) == file._order
    assert file.read(50, 100) == data[50:150]
    assert len(asked(server)) == SIZE // 100_000


@pytest.mark.parametrize(
    "faults", [["503"], ["429", "500", "502"], ["cut"], ["cut", "503", "hang"]]
)
def test_a_fault_that_passes_is_not_noticed(served, faults) -> None:
    data, server, url = served
    file = RemoteFile(url)
    server.faults += faults
    assert file.read(1000, 50_000) == data[1000:51_000]
    assert server.faults == []


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("503*", errors.DriveError, "503"),
        ("429*", errors.DriveError, "429"),
        ("cut*", errors.DriveError, "check the network"),
        ("hang*", errors.DriveError, "no answer within 0.5 s"),
        ("403*", errors.DriveError, "access is refused"),
        ("401*", errors.DriveError, "access is refused"),
        ("404*", errors.DriveError, "vanished or changed"),
        ("416*", errors.DriveError, "vanished or changed"),
    ],
)
def test_a_fault_that_stays_is_one_line_that_names_the_address(
    served, fault, kind, words, monkeypatch
) -> None:
    data, server, url = served
    url = path_of(f"{url}?signature=secret")
    file = RemoteFile(url)
    server.faults.append(fault)
    with pytest.raises(kind) as caught:
        file.read(0, 1000)
    line = str(caught.value)
    assert line.startswith(f"{url}: ")
    assert words in line
    assert "\n" not in line
    assert "secret" not in line
    server.faults.clear()  # and nothing of it is left
    assert file.read(0, 1000) == data[:1000]


def test_nobody_listens(served) -> None:
    with pytest.raises(
        errors.DriveError, match=r"^http://localhost:9/x: cannot be read"
    ):
        RemoteFile(path_of("http://localhost:9/x"))


def test_a_server_without_ranges_is_refused(served) -> None:
    _, server, url = served
    server.has_ranges = False
    with pytest.raises(errors.SlideFormatError, match=r"no ranges.*; copy the file"):
        RemoteFile(url)


def test_a_file_that_changes_is_noticed_and_its_bytes_are_not_kept(
    served, content
) -> None:
    data, _, url = served
    _, path = content
    file = RemoteFile(url)
    file.read(0, 1000)
    before = path.stat()
    path.write_bytes(bytes(SIZE))
    with pytest.raises(errors.DriveError, match="vanished or changed"):
        file.read(5000, 1000)
    path.write_bytes(data)  # put back, time of change included
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = RemoteFile(url)
    assert again.facts == file.facts
    assert again.read(0, 1000) + again.read(5000, 1000) == data[:1000] + data[5000:6000]


def test_a_file_that_vanishes_is_one_line(served, content) -> None:
    _, _, url = served
    file = RemoteFile(url)
    content[1].unlink()
    with pytest.raises(errors.DriveError, match="vanished or changed"):
        file.read(0, 10)
