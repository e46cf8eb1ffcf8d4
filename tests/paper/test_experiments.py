"""What an experiment is made of, and in which order it is done."""

from __future__ import annotations

import pytest

from experiments import EXPERIMENTS, NETWORKS, planned
from napari_fastnet.errors import OptionError


def test_table_nine_is_four_networks_with_three_losses() -> None:
    runs = planned("losses", 1)
    assert len({run.network for run in runs}) == 4
    assert len({run.loss for run in runs}) == 3
    assert len(runs) == 12


def test_a_training_that_two_tables_need_is_done_once() -> None:
    runs = planned("all", 1)
    assert len(runs) == len(set(runs))
    # FastNet itself stands in the losses, the convolutions and the search.
    assert len(runs) == sum(map(len, EXPERIMENTS.values())) - 2


def test_the_first_seed_of_every_table_comes_first() -> None:
    runs = planned("all", 3)
    search = len(EXPERIMENTS["search"]) - 1  # FastNet with the defaults stands above
    tables = runs[:-search]
    assert [run.seed for run in tables] == sorted(run.seed for run in tables)
    assert len(tables) == 3 * (len(planned("all", 1)) - search)
    assert runs[:12] == planned("losses", 1)


def test_the_search_comes_last_and_once() -> None:
    last = planned("all", 3)[-15:]
    assert set(last) < set(EXPERIMENTS["search"])
    assert {run.seed for run in last} == {0}


def test_every_run_is_of_a_known_network() -> None:
    assert {run.network for run in planned("all", 1)} == set(NETWORKS)


@pytest.mark.parametrize(("name", "seeds"), [("losses", 0), ("magic", 1)])
def test_what_cannot_be_planned_is_refused(name, seeds) -> None:
    with pytest.raises(OptionError):
        planned(name, seeds)
