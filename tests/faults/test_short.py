"""Whatever goes wrong: the right heatmap or one line, and nothing lost; the short form.

The long one: ``python benchmarks/faults/faults.py``.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

NAMES = ("full", "cut", "small", "read-only", "removed", "renamed", "truncated")
NAMES += ("replaced", "written-over", "read-errors", "short-reads", "slow-reads")
NAMES += ("threads", "no-number", "device-full", "clock", "clock-cache", "two-threads")


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_costs_nothing_but_time(name, faults, world, tmp_path):
    kind = faults.KINDS[name]
    if not kind.possible():
        pytest.skip("cannot be done on this machine")
    rng = random.Random(name)

    for number in range(kind.short):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert kind.case(world, rng, folder).problem == ""


@pytest.mark.slow
def test_killed_processes_cost_nothing_but_time(faults, world, tmp_path):
    kind, rng = faults.KINDS["killed"], random.Random(0)

    found = [kind.case(world, rng, tmp_path).problem for _ in range(kind.short)]

    assert found == [""] * kind.short


def test_every_kind_has_a_short_form_or_a_test_of_its_own(faults):
    """Processes, cohorts and clusters: test_resume, test_cohort, test_cohort_cluster."""
    own = {"killed", "two-processes", "cohort-killed", "cluster"}
    assert set(faults.KINDS) == {*NAMES, *own}


def test_what_the_results_name_can_be_tried_again(faults):
    file = Path(faults.__file__).parents[1] / "results" / "faults.json"
    found = json.loads(file.read_text("utf-8"))
    named = [row["kind"] for row in found["rows"]]
    assert set(named) <= set(faults.KINDS)
    assert len(named) == len(set(named))


def test_a_wrong_heatmap_would_be_found(judge, world, tmp_path):
    """The judge itself: a run over another slide is not taken for right."""
    other = judge.draw_slide(tmp_path / "slide.svs", seed=7)
    world.detect(other, tmp_path / "out")

    assert "wrong" in world.wrong(tmp_path / "out")


def test_what_is_left_behind_would_be_found(world, tmp_path):
    left_behind = world.left_behind
    out, temporary = tmp_path / "out", tmp_path / "tmp"
    temporary.mkdir()
    world.detect(world.slide, out)
    assert left_behind(out, temporary) == ""

    (out / ".half.tif").touch()
    assert "half" in left_behind(out, temporary)
    (out / ".half.tif").unlink()
    (temporary / "x").touch()
    assert "temporary" in left_behind(out, temporary)
