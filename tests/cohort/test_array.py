"""Tasks of an array on one folder of slides: real processes, one of which is killed."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_fastnet.cohort.slides import Share
from napari_fastnet.cohort.task import CohortOptions, SlideTask, run_task
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import OptionError
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.store.lock import hold

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="has no such signals"),
]


@pytest.fixture
def slides(cohort_folder, tmp_path):
    """Return a folder of six slides, some seconds' work each where cells are 4 px."""
    folder = tmp_path / "slides"
    folder.mkdir()
    for name, like in zip("abcdef", "abcabc", strict=True):
        shutil.copy(cohort_folder / f"{like}.svs", folder / f"{name}.svs")
    return folder


@pytest.fixture
def begin(slides, dark_bundle, tmp_path):
    """Return a function that begins a task on the folder in a process of its own."""
    processes = []

    def begin(*words, stride="4"):
        command = [sys.executable, "-m", "napari_fastnet", "detect", slides]
        command += ["-o", tmp_path / "out", "--model", dark_bundle, "--json"]
        command += ["--stride", stride, "--workers", "1", "--threads", "1", *words]
        processes.append(
            subprocess.Popen(
                list(map(str, command)),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def ended(process):
    """Return what a task printed, after it ended well."""
    said, notes = process.communicate(timeout=120)
    assert process.returncode == 0, notes
    return json.loads(said)


def computed(said):
    """Return the number of slides that a task computed itself."""
    return said["done"] - said["earlier"]


def statuses(folder):
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return {line["name"]: line["status"] for line in csv.DictReader(file)}


def wait_for(what):
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_tasks_on_one_folder_do_each_slide_once_though_one_is_killed(
    slides, begin, has_begun, dark_bundle, tmp_path
) -> None:
    out = tmp_path / "out"
    victim = begin()
    wait_for(lambda: any(has_begun(out / name) for name in "abcdef"))
    others = [begin(), begin()]
    wait_for(lambda: sum(has_begun(out / name) for name in "abcdef") > 1)
    victim.send_signal(signal.SIGKILL)
    said = [ended(process) for process in others]

    assert [s["failed"] for s in said] == [0, 0]
    assert statuses(out) == dict.fromkeys("abcdef", "done")
    assert all(computed(s) >= 1 for s in said)  # they shared the work
    left = 6 - sum(map(computed, said))
    assert 0 <= left <= 2  # what the victim had finished
    straight = tmp_path / "straight"
    run = RunOptions(stride=4, network=NetworkChoice(dark_bundle))
    run_task(SlideTask(slides / "a.svs", straight, CohortOptions(run)))
    np.testing.assert_array_equal(
        tifffile.imread(out / "a" / "heatmap.ome.tif"),
        tifffile.imread(straight / "heatmap.ome.tif"),
    )


def test_shares_are_all_slides_and_a_killed_one_goes_on(
    slides, begin, has_begun, tmp_path
) -> None:
    out = tmp_path / "out"
    by_size = sorted(slides.iterdir(), key=lambda path: (-path.stat().st_size, path))
    lost = [path.stem for path in Share(2, 3).of(by_size)]
    first, victim, third = (begin("--share", f"{number}/3") for number in (1, 2, 3))
    wait_for(lambda: has_begun(out / lost[0]))
    victim.send_signal(signal.SIGKILL)
    assert [ended(first)["done"], ended(third)["done"]] == [2, 2]
    table = statuses(out)
    assert sorted(table) == list("abcdef")  # what nobody did is not forgotten
    assert sorted(name for name in table if table[name] == "waiting") == sorted(lost)
    again = ended(begin("--share", "2/3"))
    assert (again["done"], again["failed"]) == (2, 0)
    assert statuses(out) == dict.fromkeys("abcdef", "done")


def test_a_slide_that_another_command_is_at_is_left_to_it(begin, tmp_path) -> None:
    taken = tmp_path / "out" / "c"
    taken.mkdir(parents=True)
    with hold(taken):
        process = begin(stride="patch")
        notes = process.communicate(timeout=120)[1]
    assert process.returncode == 0
    (note,) = [line for line in notes.splitlines() if "c.svs" in line]
    assert f"process {os.getpid()}" in note
    assert statuses(tmp_path / "out")["c"] == "waiting"
    said = ended(begin(stride="patch"))
    assert (said["done"], said["earlier"], said["left"]) == (6, 5, 0)


@pytest.mark.parametrize(("count", "items"), [(1, 5), (3, 7), (4, 4), (5, 2)])
def test_shares_have_everything_once_and_differ_by_one_at_most(count, items) -> None:
    shares = [Share(number + 1, count).of(range(items)) for number in range(count)]
    assert sorted(item for share in shares for item in share) == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "3/1", "0/0", "3", "/", "1/", "a/b"])
def test_a_share_that_is_none_is_said_with_what_to_give(text) -> None:
    with pytest.raises(OptionError, match="use I/N") as caught:
        Share.parse(text)
    assert f"share is {text!r}" in str(caught.value) or f"is {text}" in str(
        caught.value
    )


def test_the_command_of_the_page_shares_a_folder(slides, dark_bundle, tmp_path) -> None:
    """As SLURM begins them: with a number and a count, beside each other."""
    page = (ROOT / "docs/howto/slurm.md").read_text("utf-8")
    (code,) = (
        block
        for block in re.findall(r"^```sh[^\n]*\n(.*?)^```$", page, re.M | re.S)
        if "--share" in block
    )
    program = tmp_path / "bin" / "napari-fastnet"
    program.parent.mkdir()
    options = f"--model {dark_bundle} --stride patch --json"
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m napari_fastnet "$@" {options}\n'
    )
    program.chmod(0o755)
    tasks = [
        subprocess.Popen(
            ["bash", "-c", code],
            cwd=tmp_path,
            env=os.environ
            | {
                "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
                "SLURM_ARRAY_TASK_ID": str(number),
                "SLURM_ARRAY_TASK_COUNT": "2",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2)
    ]
    said = [ended(task) for task in tasks]
    assert sum(map(computed, said)) == 6
    assert statuses(tmp_path / "results") == dict.fromkeys("abcdef", "done")
