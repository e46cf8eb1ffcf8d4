"""How many cores a process may compute with."""

from __future__ import annotations

import os

import pytest

from napari_fastnet.machine import memory as processors
from napari_fastnet.machine.memory import physical_cores


def test_cores_are_at_least_one_and_at_most_the_processors():
    assert 1 <= physical_cores() <= os.cpu_count()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that makes a Linux machine: processors by core, CPU limit."""

    def make(siblings, limit=None):
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda _: set(siblings), raising=False
        )
        monkeypatch.setattr(processors, "_PROCESSORS", tmp_path)
        monkeypatch.setattr(processors, "_CONTAINER_LIMIT", tmp_path / "cpu.max")
        for processor, core in siblings.items():
            topology = tmp_path / f"cpu{processor}" / "topology"
            topology.mkdir(parents=True)
            if core is not None:
                (topology / "thread_siblings_list").write_text(core)
        if limit is not None:
            (tmp_path / "cpu.max").write_text(limit)

    return make


def test_two_threads_of_a_core_count_once(machine):
    machine({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"})
    assert physical_cores() == 2


def test_processors_without_topology_count_each(machine):
    machine({4: None, 5: None, 6: None})
    assert physical_cores() == 3


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000\n", 4),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("900000 100000\n", 4),
        ("nonsense", 4),
    ],
)
def test_a_containers_limit_holds(limit, expected, machine):
    machine({processor: str(processor) for processor in range(4)}, limit)
    assert physical_cores() == expected
