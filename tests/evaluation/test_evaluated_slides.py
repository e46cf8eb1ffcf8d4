from __future__ import annotations

import json
import shutil
from math import nan

import numpy as np
import pytest

from napari_fastnet.core.geometry import Grid
from napari_fastnet.errors import DataError, StoreError
from napari_fastnet.evaluation.sources import find_sources, load_source
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import open_store

VALUES = [[0.1, 0.9, nan], [0.2, 0.3, 0.4]]


def names(sources):
    return [source.name for source in sources]


def test_runs_are_found_in_a_folder_or_named(tmp_path, write_run):
    for name in ("b", "A", "c"):
        write_run(tmp_path / name, VALUES)
    (tmp_path / "summary.csv").write_text("name,status\n")  # of a cohort
    (tmp_path / "report").mkdir()
    assert names(find_sources([tmp_path])) == ["A", "b", "c"]
    assert names(find_sources([tmp_path / "c", tmp_path / "A"])) == ["A", "c"]
    assert names(find_sources([tmp_path, tmp_path / "c"])) == ["A", "b", "c"]


def test_a_run_is_called_as_its_slide(tmp_path, write_run):
    write_run(tmp_path / "tumor_001", VALUES)
    (tmp_path / "tumor_001").rename(tmp_path / "monday_tumor_001")
    record = tmp_path / "monday_tumor_001" / "run.json"
    record.write_text(record.read_text().replace("/slides/", "C:\\\\slides\\\\"))
    assert names(find_sources([tmp_path])) == ["tumor_001"]


def test_candidates_are_found_in_a_folder_or_named(tmp_path):
    for name in ("test_002.csv", "test_001.csv", ".hidden.csv", "notes.txt"):
        (tmp_path / name).touch()
    assert names(find_sources([tmp_path])) == ["test_001", "test_002"]
    assert names(find_sources([tmp_path / "test_002.csv"])) == ["test_002"]


def test_one_slide_twice_is_refused(tmp_path, write_run):
    write_run(tmp_path / "one" / "tumor_001", VALUES)
    write_run(tmp_path / "two" / "Tumor_001", VALUES)
    with pytest.raises(DataError, match=r"umor_001 is there twice: .*one.*two"):
        find_sources([tmp_path / "one", tmp_path / "two"])


@pytest.mark.parametrize("name", ["missing", "empty", "slide.svs"])
def test_a_place_with_nothing_to_evaluate_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "slide.svs").touch()
    with pytest.raises(DataError, match=rf"{name}.*detect wrote"):
        find_sources([tmp_path / name])


def test_a_run_gives_heatmap_size_and_threshold(tmp_path, write_run):
    (source,) = find_sources([write_run(tmp_path / "a", VALUES)])
    found = load_source(source)
    assert np.array_equal(
        found.heatmap.probabilities, np.array(VALUES, np.float32), equal_nan=True
    )
    assert found.slide_shape == (128, 192)
    assert (found.mpp, found.threshold) == ((0.243, 0.243), 0.5)


def test_a_run_without_its_picture_is_read_from_its_store(tmp_path, write_run):
    folder = write_run(tmp_path / "a", VALUES)
    (folder / "heatmap.ome.tif").unlink()
    grid = Grid((0.0, 0.0), (64.0, 64.0), (2, 3))
    store = open_store(
        folder / "run.zarr",
        RunDescription(key={}, grid=grid, mpp=(0.243, 0.243), block_cells=4),
    )
    store.write(store.blocks()[0], np.array(VALUES, np.float32))
    store.set_record((folder / "run.json").read_text())
    found = load_source(find_sources([folder])[0])
    assert np.array_equal(
        found.heatmap.probabilities, np.array(VALUES, np.float32), equal_nan=True
    )
    shutil.rmtree(folder / "run.zarr" / "c")
    with pytest.raises(StoreError, match="missing"):
        load_source(find_sources([folder])[0])


def test_candidates_give_themselves(tmp_path):
    (tmp_path / "a.csv").write_text("0.5,10,20\n")
    (source,) = find_sources([tmp_path])
    found = load_source(source)
    assert found.points.tolist() == [[20, 10]]


def test_a_run_that_was_stopped_is_refused(tmp_path, write_run):
    (source,) = find_sources([write_run(tmp_path / "a", VALUES, stopped=7)])
    with pytest.raises(StoreError, match="stopped with 7 patches to go"):
        load_source(source)


def test_a_run_of_tissue_only_is_refused(tmp_path, write_run):
    folder = write_run(tmp_path / "a", VALUES)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"counts": None}))
    with pytest.raises(StoreError, match="only tissue"):
        load_source(find_sources([folder])[0])


def test_a_run_without_a_record_is_called_as_its_folder_and_refused(
    tmp_path, write_run
):
    folder = write_run(tmp_path / "tumor_001", VALUES)
    (folder / "run.json").unlink()
    (source,) = find_sources([folder])
    assert source.name == "tumor_001"
    with pytest.raises(StoreError, match=r"run\.json"):
        load_source(source)
