"""Nothing is lost and nothing wrong is kept: kills, damaged files, full runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.errors import StoreError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.lock import is_held
from napari_fastnet.store.store import read_store

KILLER = Path(__file__).parents[2] / "benchmarks" / "faults" / "resume_kills.py"
OPTIONS = RunOptions(stride=16)


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory, write_svs, texture):
    """A slide with detail everywhere, tissue in its middle; 1 µm/px."""
    image = np.full((1200, 1600, 3), 244, np.uint8)
    image[200:1000, 200:1200] = texture(800, 1000) // 3 + 90
    path = tmp_path_factory.mktemp("slides") / "square.svs"
    return write_svs(path, image, factors=(1, 4), mpp=1.0)


@pytest.fixture(scope="module")
def prepared(slide_path, dark_bundle):
    """Slide, model, network and tissue, which many runs share."""
    bundle = load_bundle(dark_bundle)
    with open_slide(slide_path) as slide:
        yield slide, bundle, create_backend(bundle), find_tissue(slide)


@pytest.fixture(scope="module")
def finished(prepared, tmp_path_factory):
    """The folder of a finished run, and the values in its store."""
    slide, bundle, backend, tissue = prepared
    folder = tmp_path_factory.mktemp("finished")
    run = SlideRun(slide, bundle, folder, OPTIONS, tissue=tissue)
    list(run.steps(backend))
    run.finish(backend.name)
    return folder, run.store.read()


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def remove(path):
    path.unlink()


def files_of(store):
    """Return the files of the probabilities; how sharp patches are has its own.

    How long the run took is no result: damaged, it is not known.
    """
    files = [path.relative_to(store) for path in store.rglob("*") if path.is_file()]
    apart = ("sharpness", "seconds.json")
    return [path for path in files if path.parts[0] not in apart]


@pytest.mark.parametrize("damage", [truncate, remove])
def test_lost_sharpness_is_said_and_changes_no_probability(
    prepared, finished, tmp_path, damage
) -> None:
    slide, bundle, backend, tissue = prepared
    folder, values = finished
    copy = tmp_path / "copy"
    shutil.copytree(folder / "run.zarr", copy / "run.zarr")
    damage(copy / "run.zarr" / "sharpness" / "c" / "0" / "0")
    run = SlideRun(slide, bundle, copy, OPTIONS, tissue=tissue)
    assert list(run.steps(backend)) == []
    result = run.finish(backend.name)
    assert run.store.read().tobytes() == values.tobytes()
    assert 0 < result.record.quality.blur_known < 1
    assert len(result.notes) == (1 if damage is truncate else 0)


@pytest.mark.parametrize("damage", [truncate, empty, zero, remove])
def test_whatever_file_is_damaged_the_heatmap_is_right_in_the_end(
    prepared, finished, tmp_path, damage
) -> None:
    slide, bundle, backend, tissue = prepared
    folder, values = finished
    store = folder / "run.zarr"
    files = files_of(store)
    assert len(files) == 3 + 6  # lock, description, record; blocks
    for number, name in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(store, copy / "run.zarr")
        damage(copy / "run.zarr" / name)
        run = SlideRun(slide, bundle, copy, OPTIONS, tissue=tissue)
        list(run.steps(backend))
        assert run.store.read().tobytes() == values.tobytes(), name
        # An empty file has no bytes to be wrong: the lock's is one.
        unseen = name.name == ".lock" or (damage is remove and name.name != "zarr.json")
        assert len(run.store.notes) == (0 if unseen else 1), name
        aside = [path.name for path in copy.iterdir() if "damaged" in path.name]
        assert aside == ([] if unseen else ["run.zarr.damaged-1"]), name


@pytest.mark.parametrize("damage", [truncate, empty, zero, remove])
def test_whatever_file_is_damaged_a_reader_shows_nothing_wrong(
    finished, tmp_path, damage
) -> None:
    folder, values = finished
    store = folder / "run.zarr"
    files = files_of(store)
    for number, name in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(store, copy)
        damage(copy / name)
        if name.name == "zarr.json":
            with pytest.raises(StoreError, match=r"damaged|no run"):
                read_store(copy)
            continue
        seen, _ = read_store(copy)
        shown = seen.read()
        known = ~np.isnan(shown)
        np.testing.assert_array_equal(shown[known], values[known])
        in_a_block = name.parts[0] == "c"
        assert (known == ~np.isnan(values)).all() == (not in_a_block)
        complete = name.name == ".lock" or (damage is remove and not in_a_block)
        assert len(seen.notes) == (0 if complete else 1), name


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_any_other(
    slide_path, dark_bundle
) -> None:
    if not KILLER.is_file():
        pytest.skip("no benchmarks beside the tests")
    options = ["--kills", "5", "--stride", "2", "--json"]
    done = subprocess.run(
        [
            *(sys.executable, str(KILLER), *options),
            *("--slide", str(slide_path), "--model", str(dark_bundle)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["equal"]
    assert outcome["kills"] == 5
    assert outcome["blocks"] > 20
    assert outcome["damage_reported"] == 0
    assert outcome["most_blocks_repeated_after_a_kill"] <= 1


def test_a_second_process_says_who_computes_the_run(
    prepared, slide_path, dark_bundle, tmp_path, capsys
) -> None:
    slide, bundle, backend, tissue = prepared
    run = SlideRun(slide, bundle, tmp_path / "square", OPTIONS, tissue=tissue)
    steps = run.steps(backend)
    next(steps)
    words = ["detect", slide_path, "-o", tmp_path, "--model", dark_bundle]
    other = subprocess.run(
        [sys.executable, "-m", "napari_fastnet", *words, "--stride", "8"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.returncode == 1
    (line,) = other.stderr.splitlines()
    assert f"process {os.getpid()} on " in line
    list(steps)
    whole = run.store.read()
    # And after it, the second finds all of it there.
    again = SlideRun(slide, bundle, tmp_path / "square", OPTIONS, tissue=tissue)
    assert list(again.steps(backend)) == []
    assert again.store.read().tobytes() == whole.tobytes()


def test_a_detection_that_is_left_lets_the_run_go(prepared, tmp_path) -> None:
    slide, bundle, backend, tissue = prepared
    older = SlideRun(slide, bundle, tmp_path, OPTIONS, tissue=tissue)
    steps = older.steps(backend)
    next(steps)
    assert is_held(older.store.folder)
    steps.close()
    assert not is_held(older.store.folder)
    newer = SlideRun(slide, bundle, tmp_path, OPTIONS, tissue=tissue)
    assert len(list(newer.steps(backend))) == 5
    assert not is_held(newer.store.folder)


def test_a_resumed_run_took_what_all_its_parts_took(prepared, tmp_path) -> None:
    slide, bundle, backend, tissue = prepared
    first = SlideRun(slide, bundle, tmp_path, OPTIONS, tissue=tissue)
    steps = first.steps(backend)
    next(steps)
    steps.close()
    part = first.store.spent()
    assert 0 < part.infer <= part.total
    second = SlideRun(slide, bundle, tmp_path, OPTIONS, tissue=tissue)
    list(second.steps(backend))
    seconds = second.finish(backend.name).record.seconds
    assert seconds.earlier == part.total
    assert seconds.total > part.total
    assert seconds.infer > part.infer
    # begun anew, it took its own time
    fresh = replace(OPTIONS, fresh=True)
    assert SlideRun(slide, bundle, tmp_path, fresh, tissue=tissue).seconds.earlier == 0


@pytest.mark.parametrize("text", ["", "[]", '{"read": "x"}', '{"read": -1}'])
def test_a_time_that_is_damaged_is_not_known(finished, tmp_path, text) -> None:
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    (folder / "run.zarr/seconds.json").write_text(text)
    assert read_store(folder / "run.zarr")[0].spent().total == 0
    (folder / "run.zarr/seconds.json").unlink()  # as versions before left it
    assert read_store(folder / "run.zarr")[0].spent().total > 0
