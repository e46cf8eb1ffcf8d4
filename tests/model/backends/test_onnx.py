from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from napari_fastnet.errors import DetectionError
from napari_fastnet.machine.private_imports import onnxruntime
from napari_fastnet.model.backends.onnx import OnnxBackend

FAULTS = onnxruntime.capi.onnxruntime_pybind11_state


@pytest.mark.parametrize("content", [b"", b"not a graph"])
def test_a_graph_that_cannot_be_loaded_is_an_error(content, tiny_bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, folder)
    damaged = replace(tiny_bundle, folder=folder)
    damaged.onnx_path.write_bytes(content)
    with pytest.raises(DetectionError, match=r"cannot load .*model\.onnx") as caught:
        OnnxBackend(damaged.onnx_path, "tiny", threads=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("out of\nmemory"),
        FAULTS.Fail("broken"),
        FAULTS.RuntimeException("broken"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_the_library_raises_becomes_one_error(
    error, tiny_bundle, patches, monkeypatch
):
    backend = OnnxBackend(tiny_bundle.onnx_path, "tiny", threads=1)

    class Failing:
        def run(self, *_):
            raise error

    monkeypatch.setattr(backend, "_sessions", {"probability": Failing()})
    with pytest.raises(DetectionError, match="failed on 5 patches") as caught:
        backend.predict(patches)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, RuntimeError)
    assert caught.value.__cause__ is error
