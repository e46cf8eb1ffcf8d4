from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

from napari_fastnet.engine import onnx_backend
from napari_fastnet.engine.onnx_backend import OnnxBackend, physical_cores
from napari_fastnet.errors import DetectionError


@pytest.mark.parametrize("content", [b"", b"not a graph"])
def test_a_graph_that_cannot_be_loaded_is_an_error(content, tiny_bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, folder)
    damaged = replace(tiny_bundle, folder=folder)
    damaged.onnx_path.write_bytes(content)
    with pytest.raises(DetectionError, match=r"cannot load .*model\.onnx") as caught:
        OnnxBackend(damaged, threads=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("out of\nmemory"),
        onnx_backend.onnxruntime_pybind11_state.Fail("broken"),
        onnx_backend.onnxruntime_pybind11_state.RuntimeException("broken"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_the_library_raises_becomes_one_error(
    error, tiny_bundle, patches, monkeypatch
):
    backend = OnnxBackend(tiny_bundle, threads=1)

    class Failing:
        def run(self, *_):
            raise error

    monkeypatch.setattr(backend, "_session", Failing())
    with pytest.raises(DetectionError, match="failed on 5 patches") as caught:
        backend.predict(patches)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, RuntimeError)
    assert caught.value.__cause__ is error


def test_cores_are_at_least_one_and_at_most_the_processors():
    assert 1 <= physical_cores() <= os.cpu_count()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that makes a Linux machine: processors by core, CPU limit."""

    def make(siblings, limit=None):
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda _: set(siblings), raising=False
        )
        monkeypatch.setattr(onnx_backend, "_PROCESSORS", tmp_path)
        monkeypatch.setattr(onnx_backend, "_CONTAINER_LIMIT", tmp_path / "cpu.max")
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
