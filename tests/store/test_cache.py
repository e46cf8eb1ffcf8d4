"""The cache of runs: listed, trimmed oldest first, and never under a process."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_fastnet.core.geometry import Grid
from napari_fastnet.errors import StoreError
from napari_fastnet.machine.files import default_cache_folder
from napari_fastnet.store.cache import cached_runs, clear_cache
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import StoredRun, open_store

NOW = datetime.now(UTC)


def opened(cache: Path, slide: str) -> StoredRun:
    folder = cache / "runs" / f"{slide}-model-1" / slide / "run.zarr"
    return open_store(
        folder,
        RunDescription(
            key={}, grid=Grid((0, 0), (9, 9), (3, 3)), mpp=(1, 1), block_cells=3
        ),
    )


def set_age(store: StoredRun, days: float) -> None:
    used = (NOW - timedelta(days=days)).timestamp()
    for path in (store.folder, store.folder.parent):
        os.utime(path, (used, used))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of three runs of about 10 kB, one, two and three days old."""
    for days, slide in enumerate(("new", "middle", "old"), 1):
        store = opened(tmp_path, slide)
        store.write(store.blocks()[0], np.zeros((3, 3), np.float32))
        (store.folder.parent / "overview.png").write_bytes(bytes(10_000))
        set_age(store, days)
    return tmp_path


def names(cache: Path) -> list[str]:
    return [run.slide for run in cached_runs(cache)]


def test_runs_are_listed_the_oldest_first(cache: Path) -> None:
    runs = cached_runs(cache)
    assert [run.slide for run in runs] == ["old", "middle", "new"]
    old = runs[0]
    assert old.folder == cache / "runs" / "old-model-1" / "old"
    assert old.model is None
    assert 10_000 < old.size_bytes < 13_000
    assert abs(NOW - timedelta(days=3) - old.used) < timedelta(seconds=1)
    assert not old.in_use


def test_a_finished_run_names_its_model(cache: Path) -> None:
    opened(cache, "old").set_record('{"model": {"name": "dark"}}')
    assert cached_runs(cache)[-1].model == "dark"


def test_computing_is_using(cache: Path) -> None:
    with opened(cache, "old").writing():
        pass
    assert names(cache) == ["middle", "new", "old"]


def test_looking_is_not_using(cache: Path) -> None:
    opened(cache, "old").read()
    cached_runs(cache)
    assert names(cache) == ["old", "middle", "new"]


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert cached_runs(tmp_path / "none") == []
    assert clear_cache(tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def test_all_runs_are_deleted_and_nothing_else(cache: Path) -> None:
    (cache / "samples").mkdir()
    (cache / "runs" / "notes").mkdir()
    (cache / "runs" / "notes" / "mine.txt").write_text("keep")
    deleted = clear_cache(cache)
    assert [run.slide for run in deleted] == ["old", "middle", "new"]
    assert {path.name for path in cache.iterdir()} == {"samples", "runs"}
    assert [path.name for path in (cache / "runs").iterdir()] == ["notes"]
    assert (cache / "runs" / "notes" / "mine.txt").exists()


@pytest.mark.parametrize(
    ("days", "left"),
    [
        (0.5, []),
        (1.5, ["new"]),
        (2.5, ["middle", "new"]),
        (9, ["old", "middle", "new"]),
    ],
)
def test_what_was_used_since_is_kept(cache: Path, days: float, left: list[str]) -> None:
    clear_cache(cache, unused_since=NOW - timedelta(days=days))
    assert names(cache) == left


def test_the_oldest_go_until_the_rest_is_small_enough(cache: Path) -> None:
    sizes = [run.size_bytes for run in cached_runs(cache)]
    clear_cache(cache, down_to_bytes=sum(sizes))
    assert names(cache) == ["old", "middle", "new"]
    clear_cache(cache, down_to_bytes=sum(sizes) - 1)
    assert names(cache) == ["middle", "new"]
    clear_cache(cache, down_to_bytes=0)
    assert names(cache) == []


def test_a_run_in_use_is_never_deleted(cache: Path) -> None:
    old = opened(cache, "old")
    with old.writing():
        set_age(old, 3)
        assert [run.in_use for run in cached_runs(cache)] == [True, False, False]
        deleted = clear_cache(cache, down_to_bytes=25_000)
        assert [run.slide for run in deleted] == ["middle"]
        old.write(old.blocks()[0], np.ones((3, 3), np.float32))
    assert (old.read() == 1).all()


def test_a_run_that_was_open_when_it_was_deleted_says_so(cache: Path) -> None:
    old = opened(cache, "old")
    clear_cache(cache)
    with pytest.raises(StoreError, match="deleted"):
        old.read()
    # and begins anew where it was
    assert np.isnan(opened(cache, "old").read()).all()


def test_a_link_in_a_run_is_deleted_and_not_followed(cache: Path) -> None:
    (cache / "mine").mkdir()
    (cache / "mine" / "slide.svs").write_bytes(b"pixels")
    (cache / "runs" / "old-model-1" / "old" / "link").symlink_to(cache / "mine")
    clear_cache(cache)
    assert (cache / "mine" / "slide.svs").read_bytes() == b"pixels"
    assert names(cache) == []


def test_the_cache_folder_is_the_users() -> None:
    assert default_cache_folder().name == "napari-fastnet"


def test_a_run_that_is_to_stay_stays_however_old(cache: Path) -> None:
    old = cache / "runs" / "old-model-1" / "old"
    clear_cache(cache, down_to_bytes=0, keep=old)
    assert names(cache) == ["old"]


@pytest.mark.parametrize("seconds", [1e18, -1e18, float("nan")])
def test_times_beyond_all_years_do_not_hide_a_run(
    cache: Path, monkeypatch, seconds: float
) -> None:
    before, stat = len(cached_runs(cache)), Path.stat

    def odd(path: Path, **options: bool) -> SimpleNamespace:
        found = stat(path, **options)
        return SimpleNamespace(
            st_mtime=seconds, st_mode=found.st_mode, st_size=found.st_size
        )

    monkeypatch.setattr(Path, "stat", odd)
    assert len(cached_runs(cache)) == before > 0
