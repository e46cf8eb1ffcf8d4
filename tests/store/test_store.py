"""The store of a run: whole blocks, kept, continued or set aside."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from napari_fastnet.core.geometry import Grid
from napari_fastnet.errors import OutputError, StoreError
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import (
    UNREADABLE,
    Block,
    StoredRun,
    open_store,
    read_store,
)

if TYPE_CHECKING:
    from pathlib import Path

GRID = Grid((-3.5, 16.002), (384.0, 383.952), (5, 7))
KEY = {"slide": "a", "model": "b", "stain": None}


def opened(folder: Path, *, fresh: bool = False, **changes: Any) -> StoredRun:
    options = {"key": KEY, "grid": GRID, "mpp": (0.25, 0.251), "block_cells": 3}
    return open_store(
        folder / "run.zarr", RunDescription(**{**options, **changes}), fresh=fresh
    )


def test_blocks_tile_the_grid_without_overlap(tmp_path: Path) -> None:
    seen = np.zeros(GRID.shape, int)
    blocks = opened(tmp_path).blocks()
    for block in blocks:
        seen[block.slices] += 1
    assert (seen == 1).all()
    assert len(blocks) == 2 * 3
    assert blocks[-1] == Block((3, 6), (5, 7))


def test_a_new_run_knows_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert np.isnan(store.read()).all()
    assert store.heatmap().coverage == 0


def test_what_was_written_is_there_when_opened_again(tmp_path: Path) -> None:
    block = opened(tmp_path).blocks()[1]
    values = np.array([[0.1, 0.2, np.nan]] * 3, np.float32)
    opened(tmp_path).write(block, values)
    again = opened(tmp_path)
    np.testing.assert_array_equal(again.read()[0:3, 3:6], values)
    assert again.grid == GRID
    assert again.description.mpp == (0.25, 0.251)


def test_unreadable_patches_are_counted_and_clear_in_the_heatmap(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path)
    values = np.full((3, 3), 0.5, np.float32)
    values[0, 0] = UNREADABLE
    store.write(store.blocks()[0], values)
    assert store.unreadable() == 1
    heatmap = store.heatmap()
    assert np.isnan(heatmap.probabilities[0, 0])
    assert heatmap.probabilities[1, 1] == np.float32(0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"key": {**KEY, "slide": "other"}},
        {"key": {**KEY, "model": "other"}},
        {"grid": Grid(GRID.origin, GRID.step, (5, 8))},
        {"grid": Grid((-3.5, 16.0), GRID.step, GRID.shape)},
        {"mpp": (0.25, 0.25)},
        {"block_cells": 4},
        {"fresh": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_other_work_begins_anew(tmp_path: Path, changes: dict[str, Any]) -> None:
    store = opened(tmp_path)
    store.write(store.blocks()[0], np.full((3, 3), 0.5, np.float32))
    assert np.isnan(opened(tmp_path, **changes).read()).all()
    assert [path.name for path in tmp_path.iterdir()] == ["run.zarr"]


def test_an_empty_grid_is_a_run_without_blocks(tmp_path: Path) -> None:
    store = opened(tmp_path, grid=Grid((0, 0), (384, 384), (0, 0)))
    assert store.blocks() == []
    assert store.heatmap().probabilities.shape == (0, 0)


def test_another_zarr_reader_opens_it(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write(store.blocks()[0], np.full((3, 3), 0.25, np.float32))
    foreign = zarr.open_array(str(tmp_path / "run.zarr"), mode="r")
    assert foreign.shape == (5, 7)
    assert foreign[0, 0] == np.float32(0.25)


def test_record_is_kept_with_the_run(tmp_path: Path) -> None:
    opened(tmp_path).set_record('{"threshold": 0.5}')
    store, record = read_store(tmp_path / "run.zarr")
    assert record == '{"threshold": 0.5}'
    assert store.grid == GRID
    assert opened(tmp_path).read().shape == (5, 7)  # and the run is still the same


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(StoreError, match="no run"):
        read_store(tmp_path / "other")


def test_a_record_goes_with_its_run(tmp_path: Path) -> None:
    opened(tmp_path).set_record('{"threshold": 0.5}')
    opened(tmp_path, fresh=True)
    assert read_store(tmp_path / "run.zarr")[1] == ""


def test_a_file_in_the_folders_place_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "slide").write_text("")
    with pytest.raises(OutputError, match="cannot begin"):
        opened(tmp_path / "slide")


def test_a_run_that_was_replaced_is_neither_read_nor_written(tmp_path: Path) -> None:
    store = opened(tmp_path)
    other = opened(tmp_path, block_cells=4)
    other.write(other.blocks()[0], np.full((4, 4), 0.25, np.float32))
    for use in (
        store.read,
        lambda: store.write(store.blocks()[0], np.zeros((3, 3), np.float32)),
        lambda: store.set_record("{}"),
        store.writing().__enter__,
    ):
        with pytest.raises(StoreError, match="start again"):
            use()
    assert other.heatmap().computed.sum() == 16


def test_a_run_that_was_deleted_does_not_come_back(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with store.writing():
        shutil.rmtree(store.folder)
        with pytest.raises(StoreError, match="start again"):
            store.write(store.blocks()[0], np.zeros((3, 3), np.float32))
    assert not store.folder.exists()


def test_the_run_of_another_version_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "run.zarr"
    zarr.create_array(
        str(folder),
        shape=(5, 7),
        chunks=(3, 3),
        dtype="float32",
        attributes={"napari_fastnet_run": 1},
    )[:] = 0.5
    with pytest.raises(StoreError, match="another version"):
        read_store(folder)
    store = opened(tmp_path)
    assert store.notes == ()
    assert np.isnan(store.read()).all()
    assert [path.name for path in tmp_path.iterdir()] == ["run.zarr"]


def test_what_a_killed_process_left_half_written_is_cleared(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write(store.blocks()[0], np.full((3, 3), 0.5, np.float32))
    litter = store.folder / "c" / "0" / ".0-0123456789ab"
    litter.write_bytes(b"half")
    with store.writing():
        assert not litter.exists()
    assert store.heatmap().computed.sum() == 9
