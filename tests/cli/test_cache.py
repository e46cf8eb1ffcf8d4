"""`cache list` and `cache clear` as their users type them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from napari_fastnet.cli.app import main
from napari_fastnet.cli.cache import size_text
from napari_fastnet.core.geometry import Grid
from napari_fastnet.errors import OptionError
from napari_fastnet.machine.remote.kept import size_bytes
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import open_store


def open_run(cache, slide):
    folder = cache / "runs" / f"{slide}-model-1" / slide / "run.zarr"
    grid = Grid((0, 0), (9, 9), (3, 3))
    return open_store(
        folder, RunDescription(key={}, grid=grid, mpp=(1, 1), block_cells=3)
    )


@pytest.fixture
def cache(tmp_path):
    """Return a cache with a run of today and one that is 40 days old."""
    open_run(tmp_path, "new")
    old = open_run(tmp_path, "old")
    old.set_record('{"model": {"name": "dark"}}')
    (old.folder.parent / "overview.png").write_bytes(bytes(30_000))
    used = (datetime.now(UTC) - timedelta(days=40)).timestamp()
    for path in (old.folder, old.folder.parent):
        os.utime(path, (used, used))
    return tmp_path


def run(capsys, *arguments):
    code = main(["cache", *map(str, arguments)])
    return code, capsys.readouterr()


def test_list_shows_runs_sizes_and_last_use(cache, capsys) -> None:
    code, captured = run(capsys, "list", "--folder", cache)
    assert code == 0
    header, old, new, total = captured.out.splitlines()
    assert header.split()[:3] == ["slide", "model", "size"]
    assert old.startswith("old")
    assert "dark" in old
    assert "kB" in old
    assert str(cache / "runs" / "old-model-1" / "old") in old
    assert "not finished" in new
    assert total.startswith("2 runs, ")
    assert total.endswith(str(cache))


def test_list_as_json(cache, capsys) -> None:
    code, captured = run(capsys, "list", "--folder", cache, "--json")
    assert code == 0
    old, new = json.loads(captured.out)
    assert old["slide"] == "old"
    assert old["model"] == "dark"
    assert old["size_bytes"] > 30_000
    assert datetime.fromisoformat(old["used"]) < datetime.now(UTC) - timedelta(days=39)
    assert new["in_use"] is False


def test_an_empty_cache_is_no_error(tmp_path, capsys) -> None:
    code, captured = run(capsys, "list", "--folder", tmp_path)
    assert (code, captured.out) == (0, f"0 runs, 0 B in {tmp_path}\n")
    assert run(capsys, "clear", "--folder", tmp_path)[0] == 0
    assert run(capsys, "list", "--folder", tmp_path, "--json")[1].out == "[]\n"


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ((), []),
        (("--older-than", 30), ["new"]),
        (("--older-than", 50), ["old", "new"]),
        (("--down-to", "10kB"), ["new"]),
        (("--down-to", "1 GB"), ["old", "new"]),
        (("--older-than", 30, "--down-to", "1GB"), ["old", "new"]),
    ],
)
def test_clear_deletes_what_is_asked_for(cache, capsys, options, left) -> None:
    code, captured = run(capsys, "clear", "--folder", cache, *options)
    assert code == 0
    assert captured.out.startswith(f"deleted {2 - len(left)} run")
    _, captured = run(capsys, "list", "--folder", cache, "--json")
    assert [found["slide"] for found in json.loads(captured.out)] == left


def test_clear_leaves_what_is_in_use_and_says_so(cache, capsys) -> None:
    with open_run(cache, "old").writing():
        code, captured = run(capsys, "clear", "--folder", cache)
    assert code == 0
    deleted, left = captured.out.splitlines()
    assert deleted.startswith("deleted 1 run,")
    assert left.startswith("left 1 run,")
    assert left.endswith("in use: 1")


def test_clear_as_json_is_what_was_deleted(cache, capsys) -> None:
    _, captured = run(capsys, "clear", "--folder", cache, "--json")
    assert [found["slide"] for found in json.loads(captured.out)] == ["old", "new"]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("12", 12),
        ("500MB", 500_000_000),
        ("1.5 gb", 1_500_000_000),
        ("2k", 2_000),
    ],
)
def test_sizes_are_understood(text, size) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1,5GB", "5 miles"])
def test_a_size_that_is_none_is_refused(text) -> None:
    with pytest.raises(OptionError, match="500MB"):
        size_bytes(text)


def test_sizes_are_written_for_people() -> None:
    assert [size_text(n) for n in (0, 999, 1000, 1_500_000, 2 * 10**9)] == [
        "0 B", "999 B", "1 kB", "1.5 MB", "2 GB",
    ]  # fmt: skip


def test_parts_of_slides_are_listed_and_deleted(cache, capsys) -> None:
    parts = cache / "remote" / "0123"
    parts.mkdir(parents=True)
    (parts / "address").write_text("s3://bucket/slide.svs")
    (parts / "0-996").write_bytes(bytes(1000))
    lines = run(capsys, "list", "--folder", cache)[1].out.splitlines()
    assert lines[3].startswith("s3://bucket/slide.svs")
    assert str(parts) in lines[3]
    assert lines[4].startswith("2 runs and parts of 1 slide, ")
    _, captured = run(capsys, "clear", "--folder", cache, "--down-to", "32kB")
    assert captured.out.startswith("deleted 0 runs and parts of 1 slide, 1 kB")
    assert not parts.exists()
