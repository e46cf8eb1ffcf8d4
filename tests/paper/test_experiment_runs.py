"""Experiments: a line for each training, none done twice, work shared."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import experiment_runs
from experiment_log import LOG, read_log
from experiment_runs import ExperimentJob, run_experiments
from experiments import Run
from napari_fastnet.errors import DataError, OptionError

RUNS = [
    Run("scales-1"),
    Run("branches-1", "focal", 0.5, 2.0),
    Run("scales-1", seed=1),
]


@pytest.fixture
def job(tmp_path):
    """A job on two sets of 40 patches of 32 px; tumour is darker."""
    generator = np.random.default_rng(0)
    for part in ("train", "valid"):
        for index in range(40):
            label = index % 2
            image = generator.integers(40, 120, (32, 32, 3)) + (0 if label else 100)
            path = tmp_path / part / str(label) / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.astype(np.uint8)).save(path)
    return ExperimentJob(
        tmp_path / "train", tmp_path / "valid", tmp_path / "out", budget=32
    )


def test_each_training_leaves_a_line_that_says_all_about_it(job) -> None:
    done = list(run_experiments(job, RUNS))
    assert [(d.run, d.done, d.total) for d in done] == [
        (run, index, 3) for index, run in enumerate(RUNS, 1)
    ]
    rows = read_log(job.folder / LOG)
    assert [row["network"] for row in rows] == ["scales-1", "branches-1", "scales-1"]
    assert [(row["weight"], row["focusing"]) for row in rows[:2]] == [
        ("", ""),
        ("0.5", "2"),
    ]
    first = rows[0]
    assert (first["parameters"], first["budget"], first["n"]) == ("19538", "32", "40")
    assert first["train"] == "32 of train"
    assert json.loads(first["options"])["batch_size"] == 32
    assert float(first["auc_low"]) <= float(first["auc"]) <= float(first["auc_high"])
    assert "torch" in first["versions"]


def test_a_line_is_the_same_whatever_was_trained_before(job) -> None:
    list(run_experiments(job, RUNS))
    alone = replace(job, folder=job.folder.with_name("alone"))
    list(run_experiments(alone, RUNS[-1:]))
    measured = ("auc", "f1", "training_loss", "seed")
    assert [read_log(alone.folder / LOG)[0][name] for name in measured] == [
        read_log(job.folder / LOG)[2][name] for name in measured
    ]


def test_what_is_in_the_log_is_not_done_again(job) -> None:
    first = run_experiments(job, RUNS)
    next(first)
    first.close()
    again = list(run_experiments(job, RUNS))
    assert [d.run for d in again] == RUNS[1:]
    assert list(run_experiments(job, RUNS)) == []
    assert len(read_log(job.folder / LOG)) == 3


def test_another_budget_is_another_training(job) -> None:
    list(run_experiments(job, RUNS[:1]))
    # More than there are patches: two passes.
    (done,) = run_experiments(replace(job, budget=64), RUNS[:1])
    assert done.done == 1
    rows = read_log(job.folder / LOG)
    assert [row["budget"] for row in rows] == ["32", "64"]
    assert [json.loads(row["options"])["epochs"] for row in rows] == [1, 2]


def test_what_another_process_does_is_left_to_it(job) -> None:
    job.folder.mkdir()
    with experiment_runs.claimed(job, RUNS[0]) as mine:
        assert mine
        assert [d.run for d in run_experiments(job, RUNS)] == RUNS[1:]
    assert [d.run for d in run_experiments(job, RUNS)] == RUNS[:1]


def test_a_budget_below_a_batch_is_refused(job) -> None:
    with pytest.raises(OptionError, match="31 patches"):
        list(run_experiments(replace(job, budget=31), RUNS))


def test_another_file_in_the_place_of_the_log_is_refused(job) -> None:
    job.folder.mkdir()
    (job.folder / LOG).write_text("name,score\na,1\n")
    with pytest.raises(DataError, match="no log of experiments"):
        list(run_experiments(job, RUNS))
    assert (job.folder / LOG).read_text() == "name,score\na,1\n"
