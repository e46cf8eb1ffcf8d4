"""Many slides on this machine: each done once, whatever happens to the others."""

from __future__ import annotations

import csv
import os
import signal
import threading
import time
from contextlib import closing
from dataclasses import replace
from multiprocessing import active_children

import numpy as np
import pytest
import tifffile

from napari_fastnet.cohort.cohort import run_cohort
from napari_fastnet.cohort.slides import find_slides
from napari_fastnet.cohort.task import CohortOptions, SlideTask, failed, run_task
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import BundleError, OptionError, OutputError
from napari_fastnet.machine.processes import map_in_processes
from napari_fastnet.model.options import NetworkChoice

pytestmark = pytest.mark.slow


@pytest.fixture
def options(dark_bundle):
    return CohortOptions(RunOptions(stride="patch", network=NetworkChoice(dark_bundle)))


@pytest.fixture
def long_options(dark_bundle):
    """Some hundred blocks a slide."""
    return CohortOptions(
        RunOptions(stride=4, flips=True, network=NetworkChoice(dark_bundle))
    )


def statuses(folder):
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return {line["name"]: line["status"] for line in csv.DictReader(file)}


def heatmap(folder):
    return tifffile.imread(folder / "heatmap.ome.tif")


def test_slides_are_done_in_processes_and_one_that_fails_does_not_stop_them(
    cohort_folder, options, tmp_path
) -> None:
    (tmp_path / "notes.svs").write_text("not a slide")
    slides = [*find_slides([cohort_folder]), tmp_path / "notes.svs"]
    out = tmp_path / "out"
    steps = list(run_cohort(slides, out, options, workers=2))
    first, last = steps[0], steps[-1]
    assert (first.total, first.done, first.workers, first.row) == (4, 0, 2, None)
    assert (last.done, last.failed, last.earlier) == (3, 1, 0)
    assert [step.done + step.failed for step in steps] == [0, 1, 2, 3, 4]
    assert list(statuses(out).items()) == [
        ("a", "done"),
        ("b", "done"),
        ("c", "done"),
        ("notes", "failed"),
    ]
    (failed,) = (s.row for s in steps if s.row and s.row.status == "failed")
    assert "notes.svs" in failed.error
    assert (out / "report.html").is_file()
    assert active_children() == []

    # the second time nothing is left to do but what failed
    again = list(run_cohort(slides, out, options, workers=1))[-1]
    assert (again.done, again.earlier, again.failed) == (3, 3, 1)


def test_a_process_that_is_killed_is_replaced_and_its_slide_ends_the_same(
    cohort_folder, long_options, has_begun, tmp_path
) -> None:
    slides = find_slides([cohort_folder])
    out = tmp_path / "out"
    killed = []

    def kill():
        while not killed:
            time.sleep(0.01)
            begun = [slide.stem for slide in slides if has_begun(out / slide.stem)]
            if begun:
                victim = active_children()[0].pid
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

    killer = threading.Thread(target=kill)
    killer.start()
    last = list(run_cohort(slides, out, long_options, workers=1))[-1]
    killer.join()
    assert (last.done, last.failed) == (3, 0)
    for slide in slides:
        straight = tmp_path / "straight" / slide.stem
        run_task(SlideTask(slide, straight, long_options))
        np.testing.assert_array_equal(heatmap(out / slide.stem), heatmap(straight))


def test_closing_keeps_what_is_done_and_the_next_start_goes_on(
    cohort_folder, long_options, has_begun, tmp_path
) -> None:
    slides = find_slides([cohort_folder])
    with closing(run_cohort(slides, tmp_path, long_options, workers=1)) as steps:
        next(steps)
        done = next(steps).row
    left = statuses(tmp_path)
    assert left.pop(done.name) == "done"
    assert set(left.values()) == {"waiting"}
    assert active_children() == []
    last = list(run_cohort(slides, tmp_path, long_options, workers=2))[-1]
    assert last.done == 3
    assert last.earlier >= 1


class Bomb:
    """What ends the process that unpickles it."""

    def __init__(self, *how):
        self.how = how

    def __reduce__(self):
        return self.how[0], self.how[1:]


@pytest.mark.parametrize(
    ("bomb", "words"),
    [(Bomb(os.abort), "killed 3 times"), (Bomb(os._exit, 7), "code 7")],
)
def test_a_slide_that_kills_its_process_is_given_up_and_the_others_are_done(
    cohort_folder, options, tmp_path, bomb, words
) -> None:
    fatal = SlideTask(tmp_path / "fatal.svs", tmp_path / "fatal", bomb)
    good = SlideTask(cohort_folder / "a.svs", tmp_path / "a", options)
    ended = map_in_processes(run_task, [fatal, good], 1, given_up=failed)
    outcomes = {outcome.row.name: outcome.row for outcome in ended}
    assert outcomes["a"].status == "done"
    assert outcomes["fatal"].status == "failed"
    assert words in outcomes["fatal"].error
    assert "fatal.svs" in outcomes["fatal"].error


def test_what_cannot_begin_is_said_before_anything_is_written(
    cohort_folder, options, tmp_path
) -> None:
    slides = find_slides([cohort_folder])
    masked = CohortOptions(replace(options.run, mask=tmp_path / "mask.png"))
    without_model = CohortOptions(
        RunOptions(network=NetworkChoice(tmp_path / "missing"))
    )
    out = tmp_path / "out"
    for given, asked, workers, error in [
        ([], options, None, OptionError),
        (slides, options, 0, OptionError),
        (slides, masked, None, OptionError),
        (slides, without_model, None, BundleError),
    ]:
        with pytest.raises(error):
            next(run_cohort(given, out, asked, workers=workers))
    assert not out.exists()
    out.write_text("a file")
    with pytest.raises(OutputError):
        next(run_cohort(slides, out, options))
