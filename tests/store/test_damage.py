"""Damaged runs: said in a line, set aside, and never believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_fastnet.core.geometry import Grid
from napari_fastnet.errors import OutputError, StoreError
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import StoredRun, open_store, read_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GRID = Grid((0.0, 0.0), (384.0, 384.0), (5, 7))


def opened(folder: Path) -> StoredRun:
    return open_store(
        folder / "run.zarr",
        RunDescription(key={}, grid=GRID, mpp=(0.25, 0.25), block_cells=3),
    )


@pytest.fixture
def finished(tmp_path: Path) -> StoredRun:
    """A run with all its values and a record."""
    store = opened(tmp_path)
    with store.writing():
        for number, block in enumerate(store.blocks(), 1):
            rows, columns = np.subtract(block.end, block.first)
            store.write(block, np.full((rows, columns), number / 10, np.float32))
    store.set_record('{"counts": {"computed": 35}}')
    return store


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES = [truncate, empty, zero]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_block_is_set_aside_and_only_it(
    finished: StoredRun, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    before = finished.read()
    damage(finished.folder / "c" / "1" / "2")
    again = opened(tmp_path)
    values = again.read()
    assert np.isnan(values[3:, 6:]).all()
    values[3:, 6:] = before[3:, 6:]
    np.testing.assert_array_equal(values, before)
    (note,) = again.notes
    assert "\n" not in note
    assert "c/1/2" in note
    assert "run.zarr.damaged-1" in note
    assert (tmp_path / "run.zarr.damaged-1" / "c" / "1" / "2").is_file()
    assert opened(tmp_path).notes == ()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_description_sets_the_run_aside_whole(
    finished: StoredRun, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(finished.folder / "zarr.json")
    with pytest.raises(StoreError, match="damaged"):
        read_store(finished.folder)
    again = opened(tmp_path)
    assert np.isnan(again.read()).all()
    (note,) = again.notes
    assert "zarr.json" in note
    aside = tmp_path / "run.zarr.damaged-1"
    assert {path.name for path in aside.iterdir()} == {"zarr.json", "c", "record.json"}
    assert (aside / "c" / "1" / "2").is_file()
    assert read_store(finished.folder)[1] == ""


def test_a_missing_description_sets_the_run_aside_whole(
    finished: StoredRun, tmp_path: Path
) -> None:
    (finished.folder / "zarr.json").unlink()
    with pytest.raises(StoreError, match="no run"):
        read_store(finished.folder)
    again = opened(tmp_path)
    assert np.isnan(again.read()).all()
    assert "missing" in again.notes[0]
    assert (tmp_path / "run.zarr.damaged-1" / "c" / "0" / "0").is_file()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_costs_no_block(
    finished: StoredRun, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    before = finished.read()
    damage(finished.folder / "record.json")
    store, record = read_store(finished.folder)
    assert record == ""
    assert "damaged" in store.notes[0]
    again = opened(tmp_path)
    np.testing.assert_array_equal(again.read(), before)
    assert "record.json" in again.notes[0]
    assert opened(tmp_path).notes == ()


def test_whatever_damage_comes_next_gets_its_own_place(
    finished: StoredRun, tmp_path: Path
) -> None:
    for number in (1, 2):
        zero(finished.folder / "c" / "0" / str(number))
        assert f"damaged-{number}" in opened(tmp_path).notes[0]


def test_many_damaged_blocks_are_still_one_line(
    finished: StoredRun, tmp_path: Path
) -> None:
    for path in (finished.folder / "c").glob("*/*"):
        empty(path)
    (note,) = opened(tmp_path).notes
    assert "3 more" in note
    assert len(note) < 200 + len(str(tmp_path))


def test_a_reader_leaves_damage_where_it_is_and_says_so(finished: StoredRun) -> None:
    before = finished.read()
    zero(finished.folder / "c" / "0" / "0")
    store, record = read_store(finished.folder)
    assert record == '{"counts": {"computed": 35}}'
    assert "damaged" in store.notes[0]
    heatmap = store.heatmap()
    assert np.isnan(heatmap.probabilities[:3, :3]).all()
    np.testing.assert_array_equal(heatmap.probabilities[3:], before[3:])
    assert (finished.folder / "c" / "0" / "0").is_file()


def test_a_reader_says_that_blocks_of_a_finished_run_are_gone(
    finished: StoredRun,
) -> None:
    assert read_store(finished.folder)[0].notes == ()
    (finished.folder / "c" / "0" / "0").unlink()
    (note,) = read_store(finished.folder)[0].notes
    assert "missing (9 " in note


def test_a_foreign_array_in_the_runs_place_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "run.zarr"
    folder.mkdir()
    (folder / "zarr.json").write_text('{"node_type": "array", "attributes": {}}')
    assert "describes no run" in opened(tmp_path).notes[0]
    assert (tmp_path / "run.zarr.damaged-1" / "zarr.json").is_file()


def test_a_replacement_that_was_cut_short_is_no_damage(
    finished: StoredRun, tmp_path: Path
) -> None:
    # What a kill leaves between the first and the last step of beginning anew.
    folder = finished.folder
    (folder / "zarr.json").rename(folder / "zarr.json.replaced")
    again = opened(tmp_path)
    assert again.notes == ()
    assert np.isnan(again.read()).all()
    assert {path.name for path in tmp_path.iterdir()} == {"run.zarr"}


def test_what_cannot_be_moved_is_an_output_error(
    finished: StoredRun, tmp_path: Path
) -> None:
    (finished.folder / "c" / "0" / "0").unlink()
    (finished.folder / "c" / "0" / "0").mkdir()
    (tmp_path / "run.zarr.damaged-1").symlink_to(tmp_path / "nowhere" / "else")
    with pytest.raises(OutputError, match="set aside"):
        opened(tmp_path)
