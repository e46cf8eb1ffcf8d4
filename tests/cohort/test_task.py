"""One slide of a cohort: done, done before, failed, stopped, vanished."""

from __future__ import annotations

import json
import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.cohort import task as task_module
from napari_fastnet.cohort.detect import detect
from napari_fastnet.cohort.task import (
    OUTPUTS,
    CohortOptions,
    SlideTask,
    run_task,
)
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.results.decisions import decisions_of
from napari_fastnet.results.loading import load
from napari_fastnet.results.record import read_record


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory, write_svs):
    image = np.full((640, 640, 3), 245, np.uint8)
    image[:, :320] = (170, 110, 150)
    image[64:192, 64:192] = (90, 60, 110)
    return write_svs(tmp_path_factory.mktemp("slides") / "square.svs", image, mpp=2.0)


@pytest.fixture
def task(slide_path, dark_bundle, tmp_path):
    options = CohortOptions(
        RunOptions(stride="patch", network=NetworkChoice(dark_bundle))
    )
    return SlideTask(slide_path, tmp_path / "square", options)


def asked(task, **changes):
    run = replace(task.options.run, **changes)
    return replace(task, options=replace(task.options, run=run))


def test_a_slide_is_done_with_all_its_files_and_a_thumbnail(task) -> None:
    outcome = run_task(task)
    row = outcome.row
    assert (row.name, row.slide, row.status) == ("square", task.slide, "done")
    assert not outcome.earlier
    assert row.found.regions == 1
    assert row.found.tumour_mm2 == pytest.approx(0.065536)  # 4 x 4 patches of 64 µm
    left = {path.name for path in task.folder.iterdir()}
    assert left >= {*OUTPUTS, "run.json", "thumbnail.jpg"}
    with Image.open(task.folder / "thumbnail.jpg") as thumbnail:
        assert thumbnail.size == (320, 320)


def test_it_is_not_done_again_and_says_the_same(task) -> None:
    first = run_task(task)
    created = (task.folder / "run.json").stat().st_mtime_ns
    second = run_task(task)
    assert second.earlier
    assert second.row == first.row
    assert (task.folder / "run.json").stat().st_mtime_ns == created


def test_what_a_person_decided_since_is_in_the_files_and_the_row(
    task, monkeypatch
) -> None:
    before = run_task(task).row.found
    assert (before.accepted, before.undecided) == (None, 1)
    result = load(task.folder)
    decisions = decisions_of(task.folder, result.record.slide)
    decisions.decide(result.lesions, "tumor")
    monkeypatch.setattr(task_module, "create_backend", None)  # no network is needed
    outcome = run_task(task)
    found = outcome.row.found
    assert (found.accepted, found.rejected, found.undecided) == (1, 0, 0)
    assert found.tumour_mm2 == before.tumour_mm2
    assert ",tumor,found," in (task.folder / "regions.csv").read_text()
    assert run_task(task).earlier


def test_a_run_of_the_slide_alone_counts_as_done(task) -> None:
    detect(
        task.slide,
        task.folder.parent,
        options=task.options.run,
    )
    outcome = run_task(task)
    assert outcome.earlier
    assert (task.folder / "thumbnail.jpg").is_file()


@pytest.mark.parametrize(
    "changes", [{"threshold": 0.6}, {"fresh": True}, {"stride": 16}, {"flips": True}]
)
def test_another_request_is_done_anew(task, changes) -> None:
    run_task(task)
    assert not run_task(asked(task, **changes)).earlier


def test_how_it_is_computed_is_no_other_request(task) -> None:
    run_task(task)
    assert run_task(asked(task, readers=1, memory_mb=400)).earlier


@pytest.mark.parametrize(
    ("section", "name"), [("counts", "failed"), ("tissue", "damaged_tiles")]
)
def test_a_slide_that_was_damaged_is_looked_at_again(task, section, name) -> None:
    run_task(task)
    path = task.folder / "run.json"
    record = json.loads(path.read_text())
    record[section][name] = 1
    path.write_text(json.dumps(record))
    assert not run_task(task).earlier
    assert run_task(task).earlier


def test_another_spacing_is_another_request(task) -> None:
    run_task(task)
    other = replace(task, options=replace(task.options, mpp=1.0))
    assert not run_task(other).earlier
    assert read_record(task.folder / "run.json").slide.mpp == (1.0, 1.0)


def test_another_mask_under_the_same_name_is_another_request(task, tmp_path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :16] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    masked = asked(task, mask=tmp_path / "mask.png")
    run_task(masked)
    assert run_task(masked).earlier
    mask[:, :32] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert not run_task(masked).earlier


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_result_that_is_gone_is_made_again(task, name) -> None:
    run_task(task)
    (task.folder / name).rename(task.folder / "elsewhere")
    assert not run_task(task).earlier
    assert (task.folder / name).exists()


@pytest.mark.parametrize("name", ["run.json", "heatmap.ome.tif"])
def test_a_damaged_result_is_made_again(task, name) -> None:
    first = run_task(task)
    (task.folder / name).write_bytes(b"")
    second = run_task(task)
    assert not second.earlier
    assert second.row.found == replace(
        first.row.found, seconds=second.row.found.seconds
    )


def test_a_damaged_store_is_told_and_made_again(task) -> None:
    straight = run_task(task)
    (task.folder / "run.json").unlink()
    chunk = next(p for p in (task.folder / "run.zarr/c").rglob("*") if p.is_file())
    chunk.write_bytes(b"")
    outcome = run_task(task)
    assert not outcome.earlier
    (note,) = outcome.notes
    assert "run.zarr" in note
    seconds = outcome.row.found.seconds
    assert outcome.row.found == replace(straight.row.found, seconds=seconds)


def test_a_slide_that_is_none_fails_in_a_line_and_leaves_no_folder(
    task, tmp_path
) -> None:
    (tmp_path / "notes.svs").write_text("not a slide")
    outcome = run_task(replace(task, slide=tmp_path / "notes.svs"))
    assert outcome.row.status == "failed"
    assert "notes.svs" in outcome.row.error
    assert "\n" not in outcome.row.error
    assert not task.folder.exists()


def test_a_slide_that_vanishes_in_the_middle_fails_and_goes_on_when_it_is_back(
    task, tmp_path
) -> None:
    there, away = tmp_path / "there.svs", tmp_path / "away.svs"
    there.write_bytes(task.slide.read_bytes())
    moved = replace(task, slide=there)

    def vanish():
        if there.exists():
            there.rename(away)
        return False

    outcome = run_task(moved, vanish)
    assert outcome.row.status == "failed"
    assert "there.svs" in outcome.row.error
    assert "vanished" in outcome.row.error
    assert not (task.folder / "run.json").exists()

    away.rename(there)
    again = run_task(moved).row
    straight = run_task(replace(task, folder=tmp_path / "straight")).row
    assert again.found == replace(straight.found, seconds=again.found.seconds)


def test_a_stopped_slide_waits_and_is_no_result(task) -> None:
    outcome = run_task(task, lambda: True)
    assert outcome.row.status == "waiting"
    assert not (task.folder / "run.json").exists()
    assert run_task(task).row.status == "done"


def test_what_goes_to_other_machines_and_comes_back_pickles(task) -> None:
    assert pickle.loads(pickle.dumps(task)) == task
    outcome = run_task(task)
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_a_worker_loads_its_network_once_for_all_slides_of_a_model(
    task, tiny_bundle, monkeypatch
) -> None:
    made = []

    def create(bundle, choice):
        made.append((bundle.name, choice.threads))
        return create_backend(bundle, choice)

    monkeypatch.setattr(task_module, "create_backend", create)
    monkeypatch.setattr(task_module, "_LOADED", threading.local())
    fresh = asked(task, fresh=True)
    first = run_task(fresh).row.found.tumour_mm2
    assert run_task(fresh).row.found.tumour_mm2 == first > 0
    assert made == [("dark", None)]
    two = NetworkChoice(fresh.options.run.network.model, threads=2)
    run_task(asked(fresh, network=two))
    run_task(asked(fresh, network=NetworkChoice(tiny_bundle.folder)))
    assert run_task(fresh).row.found.tumour_mm2 == first
    assert made[1:] == [("dark", 2), ("tiny", None), ("dark", None)]
